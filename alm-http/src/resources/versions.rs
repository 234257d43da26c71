//! `/versions`

use std::collections::BTreeMap;

use alm_core::{
    domain::{AppId, NewVersion, Timestamp, Version, VersionId, VersionUpdate},
    ports::VersionFilter,
};
use axum::extract::{OriginalUri, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::ApiError,
    request::{
        Caller, Fingerprinted, IfMatch, IfNoneMatch, Listing, Narrowing, Params, PathId, Post, Put, body_id, cursor_of,
        integer, labels, numeric_cursor, positive,
    },
    response::{Created201, Entity, NoContent, PageOf},
    state::ApiState,
};

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(create_version, list_versions)).routes(routes!(
        get_version,
        update_version,
        delete_version
    ))
}

/// A version of an app.
#[derive(Serialize, ToSchema)]
#[schema(as = Version)]
pub(crate) struct VersionBody {
    /// Never reused.
    #[schema(minimum = 1)]
    id: i64,
    /// Never changes.
    #[schema(minimum = 1)]
    app_id: i64,
    /// Unique in its app; never changes.
    #[schema(example = "v1.2.0")]
    tag: String,
    changelog: String,
    labels: BTreeMap<String, String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// How often it has been changed, from 1. The `ETag` is this number in quotes.
    #[schema(minimum = 1)]
    revision: u64,
}

impl From<Version> for VersionBody {
    fn from(version: Version) -> Self {
        Self {
            id: version.id.get(),
            app_id: version.app_id.get(),
            tag: version.tag.into_string(),
            changelog: version.changelog.into_string(),
            labels: version.labels.into_map(),
            created_at: version.created_at,
            updated_at: version.updated_at,
            revision: version.revision.get(),
        }
    }
}

/// A new version.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewVersionInput {
    /// An app that exists.
    #[serde(deserialize_with = "integer")]
    #[schema(minimum = 1)]
    app_id: i64,
    /// 1–128 visible characters, unique in the app.
    #[schema(min_length = 1, max_length = 128, pattern = r"^[!-~\u00a1-\u00ac\u00ae-\u02ff]+$", example = "v1.2.0")]
    tag: String,
    /// At most 32 KiB.
    #[serde(default)]
    #[schema(max_length = 32768, pattern = r"^[^\x00]*$", example = "bug fixes")]
    changelog: String,
    /// Up to 64 pairs.
    #[serde(default)]
    #[schema(schema_with = crate::openapi::labels)]
    labels: BTreeMap<String, String>,
}

impl Fingerprinted for NewVersionInput {}

/// The changeable fields of a version. A `PUT` replaces them all.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VersionInput {
    /// At most 32 KiB.
    #[serde(default)]
    #[schema(max_length = 32768, pattern = r"^[^\x00]*$", example = "bug fixes")]
    changelog: String,
    /// Up to 64 pairs.
    #[serde(default)]
    #[schema(schema_with = crate::openapi::labels)]
    labels: BTreeMap<String, String>,
}

/// Create a version
#[utoipa::path(post, path = "/versions", tag = "versions", request_body = NewVersionInput,
    responses((status = 201, body = VersionBody)))]
async fn create_version(
    State(state): State<ApiState>,
    OriginalUri(uri): OriginalUri,
    Post { context, body }: Post<NewVersionInput>,
) -> Result<Created201<VersionBody>, ApiError> {
    let app_id = body_id("/app_id", body.app_id, AppId::new)?;
    let new = NewVersion::parse(app_id, body.tag, body.changelog, body.labels)
        .map_err(|invalid| ApiError::invalid(invalid.into_errors()))?;
    let created = state.alm.versions().create(&context, new).await?;
    let (id, revision) = (created.value.id, created.value.revision);
    Ok(Created201::new(&uri, id, VersionBody::from(created.value)).at(revision).replayed(created.replayed))
}

impl Narrowing for VersionFilter {
    type Key = VersionId;

    fn of(params: &mut Params) -> Result<Self, ApiError> {
        Ok(Self { app_id: params.take("app_id", positive(AppId::new))?, labels: labels(params)? })
    }

    fn after(params: &mut Params) -> Result<Option<VersionId>, ApiError> {
        params.take("after", numeric_cursor(VersionId::new))
    }
}

/// List versions, oldest first
#[utoipa::path(get, path = "/versions", tag = "versions", params(
    ("app_id" = Option<i64>, Query, description = "Only those of this app", minimum = 1),
    crate::openapi::LabelParam, crate::openapi::PageParams,
), responses((status = 200, body = Vec<VersionBody>)))]
async fn list_versions(
    State(state): State<ApiState>,
    Listing { context, filter, after, limit, uri }: Listing<VersionFilter>,
) -> Result<PageOf<VersionBody>, ApiError> {
    let page = state.alm.versions().list(&context, &filter, after, limit).await?;
    Ok(PageOf::new(page, &uri, |id| cursor_of(&id.to_string())))
}

/// Read a version
#[utoipa::path(get, path = "/versions/{id}", tag = "versions", params(crate::openapi::IdParam),
    responses((status = 200, body = VersionBody)))]
async fn get_version(
    State(state): State<ApiState>,
    Caller(context): Caller,
    PathId(id): PathId<VersionId>,
    known: IfNoneMatch,
) -> Result<Entity<VersionBody>, ApiError> {
    let version = state.alm.versions().get(&context, id).await?;
    let revision = version.revision;
    Ok(Entity::new(VersionBody::from(version), revision).unless(&known))
}

/// Replace the changeable fields of a version
#[utoipa::path(put, path = "/versions/{id}", tag = "versions", params(crate::openapi::IdParam),
    request_body = VersionInput, responses((status = 200, body = VersionBody)))]
async fn update_version(
    State(state): State<ApiState>,
    PathId(id): PathId<VersionId>,
    Put { context, body, precondition }: Put<VersionInput>,
) -> Result<Entity<VersionBody>, ApiError> {
    let update = VersionUpdate::parse(body.changelog, body.labels)
        .map_err(|invalid| ApiError::invalid(invalid.into_errors()))?;
    let version = state.alm.versions().update(&context, id, update, &precondition).await?;
    let revision = version.revision;
    Ok(Entity::new(VersionBody::from(version), revision))
}

/// Delete a version and its deployments
#[utoipa::path(delete, path = "/versions/{id}", tag = "versions", params(crate::openapi::IdParam),
    responses((status = 204)))]
async fn delete_version(
    State(state): State<ApiState>,
    Caller(context): Caller,
    PathId(id): PathId<VersionId>,
    IfMatch(precondition): IfMatch,
) -> Result<NoContent, ApiError> {
    state.alm.versions().delete(&context, id, &precondition).await?;
    Ok(NoContent)
}
