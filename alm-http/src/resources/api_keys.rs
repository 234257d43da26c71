//! `/api-keys`

use std::collections::BTreeSet;

use alm_core::{
    domain::{Credential, CredentialId, Holder, Invalid, NewApiKey, Rejected, Role, Timestamp},
    services::{ApiKeys, IssuedApiKey},
};
use axum::{
    Json,
    extract::{OriginalUri, State},
    http::header,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{
    error::ApiError,
    request::{
        Caller, Fingerprinted, IfMatch, Listing, Narrowing, Params, PathId, Post, cursor_of, integer, optional_integer,
        parse_cursor,
    },
    response::{Created201, NoContent, PageOf, mark_replayed},
    state::ApiState,
};

use super::users::{RoleName, role};

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(create_api_key, list_api_keys))
        .routes(routes!(get_api_key, revoke_api_key))
        .routes(routes!(rotate_api_key))
}

/// For how long a replaced secret goes on to count unless told.
const GRACE_SECONDS: i64 = 24 * 60 * 60;

/// An API key, without its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(crate) struct ApiKeyBody {
    #[schema(value_type = String, format = Uuid)]
    id: CredentialId,
    /// It acts under this name, with `key:` before it.
    #[schema(example = "ci")]
    name: String,
    #[schema(value_type = RoleName)]
    role: Role,
    /// What it may do besides.
    #[schema(example = json!(["deployer:7/prod"]))]
    scopes: Vec<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it got its secret.
    #[schema(value_type = String, format = DateTime)]
    rotated_at: Timestamp,
    /// From when on it does not count.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// Until when the secret that it had before counts, if it was given such a time.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_until: Option<Timestamp>,
    /// The key itself. It is told once, when it is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = Password)]
    key: Option<String>,
}

impl From<Credential> for ApiKeyBody {
    fn from(credential: Credential) -> Self {
        IssuedApiKey { credential, key: None }.into()
    }
}

impl From<IssuedApiKey> for ApiKeyBody {
    fn from(IssuedApiKey { credential, key }: IssuedApiKey) -> Self {
        let Credential { id, holder, created_at, updated_at, expires_at, .. } = credential;
        let (name, role, grants, retired) = match holder {
            Holder::ApiKey(key) => (key.name.into_string(), key.role, key.grants, key.retired),
            // The use cases give API keys alone.
            Holder::Session(session) => (session.username.into_string(), Role::Viewer, BTreeSet::new(), None),
        };
        Self {
            id,
            name,
            role,
            scopes: grants.iter().map(ToString::to_string).collect(),
            created_at,
            rotated_at: updated_at,
            expires_at,
            previous_until: retired.map(|retired| retired.until),
            key,
        }
    }
}

/// A new API key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewApiKeyInput {
    /// 1–64 of `A-Z a-z 0-9 - _ . @ +`, the first a letter or a digit; unique among the keys.
    #[schema(min_length = 1, max_length = 64, pattern = r"^[A-Za-z0-9][A-Za-z0-9._@+-]*$", example = "ci")]
    name: String,
    #[serde(deserialize_with = "role")]
    #[schema(value_type = RoleName)]
    role: Role,
    /// What it may do besides, everywhere or in one place.
    #[serde(default)]
    #[schema(max_items = 32, example = json!(["deployer:7/prod"]))]
    scopes: Vec<String>,
    /// For how many days it counts.
    #[serde(deserialize_with = "integer")]
    #[schema(minimum = 1, maximum = 3660, example = 90)]
    expires_in_days: i64,
}

impl Fingerprinted for NewApiKeyInput {}

/// How to change over to another secret.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateInput {
    /// For how many seconds the secret that the key has goes on to count; a day unless told. 0: no longer.
    #[serde(default, deserialize_with = "optional_integer")]
    #[schema(minimum = 0, maximum = 2_592_000, example = 86400)]
    grace_seconds: Option<i64>,
}

impl Fingerprinted for RotateInput {}

/// Create an API key
///
/// The answer has the key itself, which can't be told again: a request that is answered again gets all but that.
#[utoipa::path(post, path = "/api-keys", tag = "api-keys", request_body = NewApiKeyInput,
    responses((status = 201, body = ApiKeyBody)))]
async fn create_api_key(
    State(state): State<ApiState>,
    OriginalUri(uri): OriginalUri,
    Post { context, body }: Post<NewApiKeyInput>,
) -> Result<Response, ApiError> {
    let NewApiKeyInput { name, role, scopes, expires_in_days } = body;
    let new = NewApiKey::parse(name, role, &scopes, expires_in_days)
        .map_err(|invalid| ApiError::invalid(invalid.into_errors()))?;
    let created = state.alm.api_keys().create(&context, new).await?;
    let id = created.value.credential.id;
    let body = Created201::new(&uri, id, ApiKeyBody::from(created.value)).replayed(created.replayed);
    Ok(([(header::CACHE_CONTROL, "no-store")], body).into_response())
}

/// The list of API keys has no filter.
struct AllKeys;

impl Narrowing for AllKeys {
    type Key = CredentialId;

    fn of(_params: &mut Params) -> Result<Self, ApiError> {
        Ok(Self)
    }

    fn after(params: &mut Params) -> Result<Option<Self::Key>, ApiError> {
        params.take("after", parse_cursor(|key| Uuid::parse_str(key).ok().map(CredentialId::new)))
    }
}

/// List API keys, oldest first
#[utoipa::path(get, path = "/api-keys", tag = "api-keys", params(crate::openapi::PageParams),
    responses((status = 200, body = Vec<ApiKeyBody>)))]
async fn list_api_keys(
    State(state): State<ApiState>,
    Listing { context, filter: AllKeys, after, limit, uri }: Listing<AllKeys>,
) -> Result<PageOf<ApiKeyBody>, ApiError> {
    let page = state.alm.api_keys().list(&context, after, limit).await?;
    Ok(PageOf::new(page, &uri, |id| cursor_of(&id.to_string())))
}

/// Get an API key, without its secret
#[utoipa::path(get, path = "/api-keys/{key_id}", tag = "api-keys", params(crate::openapi::KeyIdParam),
    responses((status = 200, body = ApiKeyBody)))]
async fn get_api_key(
    State(state): State<ApiState>,
    Caller(context): Caller,
    PathId(id): PathId<CredentialId>,
) -> Result<Json<ApiKeyBody>, ApiError> {
    Ok(Json(state.alm.api_keys().get(&context, id).await?.into()))
}

/// End an API key
///
/// It counts no more, nor do the tokens that were issued for it.
#[utoipa::path(delete, path = "/api-keys/{key_id}", tag = "api-keys", params(crate::openapi::KeyIdParam),
    responses((status = 204)))]
async fn revoke_api_key(
    State(state): State<ApiState>,
    Caller(context): Caller,
    PathId(id): PathId<CredentialId>,
    IfMatch(precondition): IfMatch,
) -> Result<NoContent, ApiError> {
    if !precondition.is_none() {
        return Err(ApiError::no_revision());
    }
    state.alm.api_keys().revoke(&context, id).await?;
    Ok(NoContent)
}

/// Give an API key another secret
///
/// The one that it has goes on to count for a while, so that its users can change over. The answer has the new one, which can't be
/// told again.
#[utoipa::path(post, path = "/api-keys/{key_id}/rotate", tag = "api-keys", params(crate::openapi::KeyIdParam),
    request_body = RotateInput, responses((status = 200, body = ApiKeyBody)))]
async fn rotate_api_key(
    State(state): State<ApiState>,
    PathId(id): PathId<CredentialId>,
    Post { context, body }: Post<RotateInput>,
) -> Result<Response, ApiError> {
    let grace = body.grace_seconds.unwrap_or(GRACE_SECONDS);
    let grace = u32::try_from(grace).ok().filter(|grace| *grace <= ApiKeys::MAX_GRACE_SECONDS);
    let grace = grace.ok_or_else(|| {
        let detail = format!("must be 0 to {}", ApiKeys::MAX_GRACE_SECONDS);
        ApiError::invalid(Invalid::field(Rejected { code: "out-of-range", detail }.at("/grace_seconds")).into_errors())
    })?;
    let rotated = state.alm.api_keys().rotate(&context, id, grace).await?;
    let mut response = ([(header::CACHE_CONTROL, "no-store")], Json(ApiKeyBody::from(rotated.value))).into_response();
    mark_replayed(&mut response, rotated.replayed);
    Ok(response)
}
