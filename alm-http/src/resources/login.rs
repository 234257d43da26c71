//! `/login`

use std::net::SocketAddr;

use alm_core::{
    domain::{Invalid, Password, Username},
    services::{Created, Error, IssuedTokens},
};
use axum::{
    Extension, Json,
    extract::{ConnectInfo, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use metrics::Counter;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::ApiError,
    request::{Fingerprinted, Unauthenticated, sha256},
    response::mark_replayed,
    state::ApiState,
};

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(login))
}

/// A username and its password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginInput {
    #[schema(min_length = 1, max_length = 64, pattern = r"^[A-Za-z0-9][A-Za-z0-9._@+-]*$", example = "admin")]
    username: String,
    #[schema(max_length = 256, format = Password)]
    password: String,
}

impl Fingerprinted for LoginInput {
    // The fingerprint is stored, so it must not be made of the password. It need not be: a login is only answered at all,
    // again or not, when the password is right.
    fn fingerprint(&self, _raw: &[u8]) -> [u8; 32] {
        sha256(&[self.username.as_bytes()])
    }
}

/// A token (RFC 6749, section 5.1).
#[derive(Serialize, ToSchema)]
#[schema(as = Token)]
pub(crate) struct TokenBody {
    access_token: String,
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Seconds from its issue until it expires.
    #[schema(minimum = 1, example = 900)]
    expires_in: u32,
    /// What the next token is got with, once. Not of an API key, and not when a log-in is answered again.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
}

/// `200` with tokens.
pub(super) fn told(issued: Created<IssuedTokens>) -> Response {
    let IssuedTokens { access_token, expires_in, refresh_token } = issued.value;
    let body = TokenBody { access_token, token_type: "Bearer", expires_in, refresh_token };
    // RFC 6749, section 5.1: a token must not be cached.
    let mut response = ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response();
    mark_replayed(&mut response, issued.replayed);
    response
}

/// Log-ins that were refused, which begin at 0: what is not there can't be seen to grow.
pub(crate) fn login_failures() -> Counter {
    metrics::counter!("alm_login_failures_total")
}

/// Log in
///
/// With an `Idempotency-Key` the same access token comes again as long as it counts; the refresh token is told once.
#[utoipa::path(post, path = "/login", tag = "auth", request_body = LoginInput,
    responses((status = 200, body = TokenBody)), security(()))]
async fn login(
    State(state): State<ApiState>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    Unauthenticated { context, body }: Unauthenticated<LoginInput>,
) -> Result<Response, ApiError> {
    let LoginInput { username, password } = body;
    let refuse = |errors| ApiError::invalid(errors);
    let username = Username::parse(username).map_err(|r| refuse(Invalid::field(r.at("/username")).into_errors()))?;
    let password = Password::attempt(password).map_err(|r| refuse(Invalid::field(r.at("/password")).into_errors()))?;
    let address = state.settings.client(peer.map(|Extension(ConnectInfo(peer))| peer), &headers);
    match state.alm.sessions().login(&context.with_address(address), &username, &password).await {
        Ok(issued) => Ok(told(issued)),
        Err(error) => {
            if matches!(error, Error::WrongCredentials | Error::Throttled { .. }) {
                login_failures().increment(1);
            }
            Err(error.into())
        }
    }
}
