//! `/deployments`

use alm_core::{
    domain::{AppId, Deployment, DeploymentId, DeploymentStatus, EnvironmentName, NewDeployment, Timestamp, VersionId},
    ports::DeploymentFilter,
};
use axum::extract::{OriginalUri, State};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::ApiError,
    request::{
        Caller, Fingerprinted, IfMatch, IfNoneMatch, Listing, Narrowing, Params, PathId, Post, Put, body_id, cursor_of,
        integer, named, numeric_cursor, one_of, optional_integer, positive,
    },
    response::{Created201, Entity, NoContent, PageOf},
    state::ApiState,
};

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(create_deployment, list_deployments)).routes(routes!(
        get_deployment,
        update_deployment,
        delete_deployment
    ))
}

/// One attempt to bring a version to an environment.
#[derive(Serialize, ToSchema)]
#[schema(as = Deployment)]
pub(crate) struct DeploymentBody {
    /// Never reused.
    #[schema(minimum = 1)]
    id: i64,
    /// The app of the version.
    #[schema(minimum = 1)]
    app_id: i64,
    /// Never changes.
    #[schema(minimum = 1)]
    version_id: i64,
    /// Never changes.
    #[schema(example = "prod")]
    environment: String,
    #[schema(value_type = Status)]
    status: DeploymentStatus,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// When it reached a final status; `null` until then.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    finished_at: Option<Timestamp>,
    /// How often it has been changed, from 1. The `ETag` is this number in quotes.
    #[schema(minimum = 1)]
    revision: u64,
}

impl From<Deployment> for DeploymentBody {
    fn from(deployment: Deployment) -> Self {
        Self {
            id: deployment.id.get(),
            app_id: deployment.app_id.get(),
            version_id: deployment.version_id.get(),
            environment: deployment.environment.into_string(),
            status: deployment.status,
            created_at: deployment.created_at,
            updated_at: deployment.updated_at,
            finished_at: deployment.finished_at,
            revision: deployment.revision.get(),
        }
    }
}

/// How far a deployment is: `pending` may become any other, `running` one of the last three, which are final.
#[derive(ToSchema)]
#[schema(as = DeploymentStatus, rename_all = "snake_case")]
#[expect(dead_code, reason = "it is the schema of `alm_core::domain::DeploymentStatus`, which a test compares it with")]
pub(crate) enum Status {
    Pending,
    Running,
    Successful,
    Failed,
    Canceled,
}

/// A new deployment. It starts `pending`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDeploymentInput {
    /// A version that exists.
    #[serde(deserialize_with = "integer")]
    #[schema(minimum = 1)]
    version_id: i64,
    /// The app of the version; it need not be given, but when it is, it must be that.
    #[serde(default, deserialize_with = "optional_integer")]
    #[schema(minimum = 1)]
    app_id: Option<i64>,
    /// 1–64 of `a-z 0-9 - _ .`
    #[schema(min_length = 1, max_length = 64, pattern = r"^[a-z0-9._-]+$", example = "prod")]
    environment: String,
}

impl Fingerprinted for NewDeploymentInput {}

/// Where a deployment goes next.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeploymentInput {
    #[serde(deserialize_with = "status")]
    #[schema(value_type = Status)]
    status: DeploymentStatus,
}

fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DeploymentStatus, D::Error> {
    one_of(deserializer, &DeploymentStatus::ALL, DeploymentStatus::as_str)
}

/// Create a deployment
#[utoipa::path(post, path = "/deployments", tag = "deployments", request_body = NewDeploymentInput,
    responses((status = 201, body = DeploymentBody)))]
async fn create_deployment(
    State(state): State<ApiState>,
    OriginalUri(uri): OriginalUri,
    Post { context, body }: Post<NewDeploymentInput>,
) -> Result<Created201<DeploymentBody>, ApiError> {
    let version_id = body_id("/version_id", body.version_id, VersionId::new)?;
    let app_id = body.app_id.map(|id| body_id("/app_id", id, AppId::new)).transpose()?;
    let new = NewDeployment::parse(version_id, app_id, body.environment)
        .map_err(|invalid| ApiError::invalid(invalid.into_errors()))?;
    let created = state.alm.deployments().create(&context, new).await?;
    let (id, revision) = (created.value.id, created.value.revision);
    Ok(Created201::new(&uri, id, DeploymentBody::from(created.value)).at(revision).replayed(created.replayed))
}

impl Narrowing for DeploymentFilter {
    type Key = DeploymentId;

    fn of(params: &mut Params) -> Result<Self, ApiError> {
        Ok(Self {
            app_id: params.take("app_id", positive(AppId::new))?,
            version_id: params.take("version_id", positive(VersionId::new))?,
            environment: params.take("environment", EnvironmentName::parse)?,
            status: params.take("status", named(DeploymentStatus::parse))?,
        })
    }

    fn after(params: &mut Params) -> Result<Option<DeploymentId>, ApiError> {
        params.take("after", numeric_cursor(DeploymentId::new))
    }
}

/// List deployments, oldest first
#[utoipa::path(get, path = "/deployments", tag = "deployments", params(
    ("app_id" = Option<i64>, Query, description = "Only those of this app", minimum = 1),
    ("version_id" = Option<i64>, Query, description = "Only those of this version", minimum = 1),
    ("environment" = Option<String>, Query, description = "Only those to this environment",
        min_length = 1, max_length = 64, pattern = r"^[a-z0-9._-]+$"),
    ("status" = Option<Status>, Query, description = "Only those with this status"),
    crate::openapi::PageParams,
), responses((status = 200, body = Vec<DeploymentBody>)))]
async fn list_deployments(
    State(state): State<ApiState>,
    Listing { context, filter, after, limit, uri }: Listing<DeploymentFilter>,
) -> Result<PageOf<DeploymentBody>, ApiError> {
    let page = state.alm.deployments().list(&context, &filter, after, limit).await?;
    Ok(PageOf::new(page, &uri, |id| cursor_of(&id.to_string())))
}

/// Read a deployment
#[utoipa::path(get, path = "/deployments/{id}", tag = "deployments", params(crate::openapi::IdParam),
    responses((status = 200, body = DeploymentBody)))]
async fn get_deployment(
    State(state): State<ApiState>,
    Caller(context): Caller,
    PathId(id): PathId<DeploymentId>,
    known: IfNoneMatch,
) -> Result<Entity<DeploymentBody>, ApiError> {
    let deployment = state.alm.deployments().get(&context, id).await?;
    let revision = deployment.revision;
    Ok(Entity::new(DeploymentBody::from(deployment), revision).unless(&known))
}

/// Move the status of a deployment
#[utoipa::path(put, path = "/deployments/{id}", tag = "deployments", params(crate::openapi::IdParam),
    request_body = DeploymentInput, responses((status = 200, body = DeploymentBody)))]
async fn update_deployment(
    State(state): State<ApiState>,
    PathId(id): PathId<DeploymentId>,
    Put { context, body, precondition }: Put<DeploymentInput>,
) -> Result<Entity<DeploymentBody>, ApiError> {
    let deployment = state.alm.deployments().set_status(&context, id, body.status, &precondition).await?;
    let revision = deployment.revision;
    Ok(Entity::new(DeploymentBody::from(deployment), revision))
}

/// Delete a deployment
#[utoipa::path(delete, path = "/deployments/{id}", tag = "deployments", params(crate::openapi::IdParam),
    responses((status = 204)))]
async fn delete_deployment(
    State(state): State<ApiState>,
    Caller(context): Caller,
    PathId(id): PathId<DeploymentId>,
    IfMatch(precondition): IfMatch,
) -> Result<NoContent, ApiError> {
    state.alm.deployments().delete(&context, id, &precondition).await?;
    Ok(NoContent)
}
