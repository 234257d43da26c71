//! `/apps`

use std::collections::BTreeMap;

use alm_core::{
    domain::{App, AppId, AppName, NewApp, Timestamp},
    ports::AppFilter,
};
use axum::extract::{OriginalUri, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::ApiError,
    request::{
        Caller, Fingerprinted, IfMatch, IfNoneMatch, Listing, Narrowing, Params, PathId, Post, Put, cursor_of, labels,
        numeric_cursor,
    },
    response::{Created201, Entity, NoContent, PageOf},
    state::ApiState,
};

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(create_app, list_apps)).routes(routes!(get_app, update_app, delete_app))
}

/// An application.
#[derive(Serialize, ToSchema)]
#[schema(as = App)]
pub(crate) struct AppBody {
    /// Never reused.
    #[schema(minimum = 1)]
    id: i64,
    /// Unique among the apps.
    #[schema(example = "billing")]
    name: String,
    description: String,
    labels: BTreeMap<String, String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// How often it has been changed, from 1. The `ETag` is this number in quotes.
    #[schema(minimum = 1)]
    revision: u64,
}

impl From<App> for AppBody {
    fn from(app: App) -> Self {
        Self {
            id: app.id.get(),
            name: app.name.into_string(),
            description: app.description.into_string(),
            labels: app.labels.into_map(),
            created_at: app.created_at,
            updated_at: app.updated_at,
            revision: app.revision.get(),
        }
    }
}

/// The fields of an app that its users choose. A `PUT` replaces them all.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AppInput {
    /// 1–128 characters, no white space at either end, no control characters; unique (in Unicode NFC, case kept).
    #[schema(
        min_length = 1,
        max_length = 128,
        pattern = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f])?$",
        example = "billing"
    )]
    name: String,
    /// At most 4 KiB.
    #[serde(default)]
    #[schema(max_length = 4096, pattern = r"^[^\x00]*$", example = "handles invoicing")]
    description: String,
    /// Up to 64 pairs.
    #[serde(default)]
    #[schema(schema_with = crate::openapi::labels)]
    labels: BTreeMap<String, String>,
}

impl AppInput {
    fn parse(self) -> Result<NewApp, ApiError> {
        NewApp::parse(self.name, self.description, self.labels)
            .map_err(|invalid| ApiError::invalid(invalid.into_errors()))
    }
}

impl Fingerprinted for AppInput {}

/// Create an app
#[utoipa::path(post, path = "/apps", tag = "apps", request_body = AppInput, responses((status = 201, body = AppBody)))]
async fn create_app(
    State(state): State<ApiState>,
    OriginalUri(uri): OriginalUri,
    Post { context, body }: Post<AppInput>,
) -> Result<Created201<AppBody>, ApiError> {
    let created = state.alm.apps().create(&context, body.parse()?).await?;
    let (id, revision) = (created.value.id, created.value.revision);
    Ok(Created201::new(&uri, id, AppBody::from(created.value)).at(revision).replayed(created.replayed))
}

impl Narrowing for AppFilter {
    type Key = AppId;

    fn of(params: &mut Params) -> Result<Self, ApiError> {
        Ok(Self { name: params.take("name", AppName::parse)?, labels: labels(params)? })
    }

    fn after(params: &mut Params) -> Result<Option<AppId>, ApiError> {
        params.take("after", numeric_cursor(AppId::new))
    }
}

/// List apps, oldest first
#[utoipa::path(get, path = "/apps", tag = "apps", params(
    ("name" = Option<String>, Query, description = "Only the app with this name",
        min_length = 1, max_length = 128,
        pattern = r"^[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f])?$"),
    crate::openapi::LabelParam, crate::openapi::PageParams,
), responses((status = 200, body = Vec<AppBody>)))]
async fn list_apps(
    State(state): State<ApiState>,
    Listing { context, filter, after, limit, uri }: Listing<AppFilter>,
) -> Result<PageOf<AppBody>, ApiError> {
    let page = state.alm.apps().list(&context, &filter, after, limit).await?;
    Ok(PageOf::new(page, &uri, |id| cursor_of(&id.to_string())))
}

/// Read an app
#[utoipa::path(get, path = "/apps/{id}", tag = "apps", params(crate::openapi::IdParam),
    responses((status = 200, body = AppBody)))]
async fn get_app(
    State(state): State<ApiState>,
    Caller(context): Caller,
    PathId(id): PathId<AppId>,
    known: IfNoneMatch,
) -> Result<Entity<AppBody>, ApiError> {
    let app = state.alm.apps().get(&context, id).await?;
    let revision = app.revision;
    Ok(Entity::new(AppBody::from(app), revision).unless(&known))
}

/// Replace an app
#[utoipa::path(put, path = "/apps/{id}", tag = "apps", params(crate::openapi::IdParam), request_body = AppInput,
    responses((status = 200, body = AppBody)))]
async fn update_app(
    State(state): State<ApiState>,
    PathId(id): PathId<AppId>,
    Put { context, body, precondition }: Put<AppInput>,
) -> Result<Entity<AppBody>, ApiError> {
    let app = state.alm.apps().update(&context, id, body.parse()?, &precondition).await?;
    let revision = app.revision;
    Ok(Entity::new(AppBody::from(app), revision))
}

/// Delete an app, its versions and their deployments
#[utoipa::path(delete, path = "/apps/{id}", tag = "apps", params(crate::openapi::IdParam), responses((status = 204)))]
async fn delete_app(
    State(state): State<ApiState>,
    Caller(context): Caller,
    PathId(id): PathId<AppId>,
    IfMatch(precondition): IfMatch,
) -> Result<NoContent, ApiError> {
    state.alm.apps().delete(&context, id, &precondition).await?;
    Ok(NoContent)
}
