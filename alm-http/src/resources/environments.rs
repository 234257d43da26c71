//! `/apps/{id}/environments`: what runs where. It is served where the deployments are.

use alm_core::domain::{AppId, EnvironmentName, RunningVersion, Timestamp};
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::ApiError,
    request::{Listing, Narrowing, Params, PathId, cursor_of, parse_cursor},
    response::PageOf,
    state::ApiState,
};

use super::{deployments::DeploymentBody, versions::VersionBody};

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list_environments))
}

/// What runs in an environment of an app.
#[derive(Serialize, ToSchema)]
#[schema(as = Environment)]
pub(crate) struct EnvironmentBody {
    #[schema(example = "prod")]
    environment: String,
    /// What runs there; `null` when another service holds the versions: `version_id` of the deployment names it.
    #[schema(required)]
    version: Option<VersionBody>,
    /// What brought it there.
    deployment: DeploymentBody,
    /// When the deployment became successful.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
}

impl From<RunningVersion> for EnvironmentBody {
    fn from(running: RunningVersion) -> Self {
        Self {
            environment: running.environment.into_string(),
            version: running.version.map(VersionBody::from),
            deployment: running.deployment.into(),
            since: running.since,
        }
    }
}

/// The list of environments has no filter.
struct AllEnvironments;

impl Narrowing for AllEnvironments {
    type Key = EnvironmentName;

    fn of(_params: &mut Params) -> Result<Self, ApiError> {
        Ok(Self)
    }

    fn after(params: &mut Params) -> Result<Option<EnvironmentName>, ApiError> {
        params.take("after", parse_cursor(|key| EnvironmentName::parse(key).ok()))
    }
}

/// List what runs in an app's environments, by environment
#[utoipa::path(get, path = "/apps/{id}/environments", tag = "apps",
    params(crate::openapi::IdParam, crate::openapi::PageParams),
    responses((status = 200, body = Vec<EnvironmentBody>)))]
async fn list_environments(
    State(state): State<ApiState>,
    PathId(id): PathId<AppId>,
    Listing { context, filter: AllEnvironments, after, limit, uri }: Listing<AllEnvironments>,
) -> Result<PageOf<EnvironmentBody>, ApiError> {
    let page = state.alm.apps().environments(&context, id, after.as_ref(), limit).await?;
    Ok(PageOf::new(page, &uri, |environment| cursor_of(environment.as_str())))
}
