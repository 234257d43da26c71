//! What one does with what one has logged in with: `/token`, `/token/refresh`, `/logout`, `/whoami`.

use alm_core::{Principal, domain::CredentialId, services::Created};
use axum::{Json, extract::State, response::Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::ApiError,
    request::{Caller, Fingerprinted, Unauthenticated},
    response::NoContent,
    state::ApiState,
};

use super::{
    login::{TokenBody, told},
    users::RoleName,
};

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(exchange_api_key))
        .routes(routes!(refresh_token))
        .routes(routes!(logout))
        .routes(routes!(whoami))
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RefreshInput {
    #[schema(max_length = 256, format = Password)]
    refresh_token: String,
}

// There is nothing to guess of a refresh token, so a hash of it may be stored.
impl Fingerprinted for RefreshInput {}

/// An API key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApiKeyInput {
    #[schema(max_length = 256, format = Password)]
    api_key: String,
}

impl Fingerprinted for ApiKeyInput {}

/// Who someone is.
#[derive(Serialize, ToSchema)]
#[schema(as = WhoAmI)]
pub(crate) struct WhoAmIBody {
    /// The name under which it acts, as in the audit log.
    #[schema(example = "ada")]
    name: String,
    /// What it may do.
    #[schema(value_type = RoleName)]
    role: alm_core::domain::Role,
    /// What it may do besides.
    scopes: Vec<String>,
    /// The session or API key that it acts by; none of a token that was issued elsewhere or by hand.
    #[schema(value_type = Option<String>, format = Uuid)]
    credential: Option<CredentialId>,
}

impl From<&Principal> for WhoAmIBody {
    fn from(principal: &Principal) -> Self {
        Self {
            name: principal.name.to_string(),
            role: principal.role,
            scopes: principal.scopes.iter().cloned().collect(),
            credential: principal.credential,
        }
    }
}

/// Get the next access token and the next refresh token
///
/// A refresh token counts once. Shown again it ends the session, with every token that was got in it: someone has stolen it. After
/// an answer that was lost, send the same request with the same `Idempotency-Key` again.
#[utoipa::path(post, path = "/token/refresh", tag = "auth", request_body = RefreshInput,
    responses((status = 200, body = TokenBody)), security(()))]
async fn refresh_token(
    State(state): State<ApiState>,
    Unauthenticated { context, body }: Unauthenticated<RefreshInput>,
) -> Result<Response, ApiError> {
    Ok(told(state.alm.sessions().refresh(&context, &body.refresh_token).await?))
}

/// Get an access token for an API key
///
/// Where the accounts are, the key itself is as good as a token. The other services know tokens alone.
#[utoipa::path(post, path = "/token", tag = "auth", request_body = ApiKeyInput,
    responses((status = 200, body = TokenBody)), security(()))]
async fn exchange_api_key(
    State(state): State<ApiState>,
    Unauthenticated { context: _, body }: Unauthenticated<ApiKeyInput>,
) -> Result<Response, ApiError> {
    let value = state.alm.api_keys().exchange(&body.api_key).await?;
    Ok(told(Created { value, replayed: false }))
}

/// End the session
///
/// Its refresh token and its access tokens count no more.
#[utoipa::path(post, path = "/logout", tag = "auth", responses((status = 204)))]
async fn logout(State(state): State<ApiState>, Caller(context): Caller) -> Result<NoContent, ApiError> {
    state.alm.sessions().logout(&context).await?;
    Ok(NoContent)
}

/// Ask who one is
#[utoipa::path(get, path = "/whoami", tag = "auth", responses((status = 200, body = WhoAmIBody)))]
async fn whoami(State(state): State<ApiState>, Caller(context): Caller) -> Result<Json<WhoAmIBody>, ApiError> {
    Ok(Json(state.alm.whoami(&context).await?.into()))
}
