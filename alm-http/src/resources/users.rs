//! `/users`

use std::net::SocketAddr;

use alm_core::domain::{NewUser, Password, Rejected, Role, Timestamp, User, UserUpdate, Username};
use axum::{
    Extension, Json,
    extract::{ConnectInfo, OriginalUri, State},
    http::HeaderMap,
};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::ApiError,
    request::{
        Caller, Fingerprinted, IfMatch, Listing, Narrowing, Params, PathId, Post, Put, cursor_of, one_of, parse_cursor,
        sha256,
    },
    response::{Created201, NoContent, PageOf},
    state::ApiState,
};

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(create_user, list_users))
        .routes(routes!(update_user, delete_user))
        .routes(routes!(set_password))
}

/// An account.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct UserBody {
    #[schema(example = "ada")]
    username: String,
    #[schema(value_type = RoleName)]
    role: Role,
    /// What it may do besides, everywhere or in one place.
    #[schema(example = json!(["deployer:7/prod"]))]
    scopes: Vec<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<User> for UserBody {
    fn from(user: User) -> Self {
        let scopes = user.grants.iter().map(ToString::to_string).collect();
        Self { username: user.username.into_string(), role: user.role, scopes, created_at: user.created_at }
    }
}

/// What an account may do.
#[derive(ToSchema)]
#[schema(as = Role, rename_all = "snake_case")]
#[expect(dead_code, reason = "it is the schema of `alm_core::domain::Role`, which a test compares it with")]
pub(crate) enum RoleName {
    Admin,
    User,
    Deployer,
    Auditor,
    Viewer,
}

/// A new account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUserInput {
    /// 1–64 of `A-Z a-z 0-9 - _ . @ +`, the first a letter or a digit; unique.
    #[schema(min_length = 1, max_length = 64, pattern = r"^[A-Za-z0-9][A-Za-z0-9._@+-]*$", example = "ada")]
    username: String,
    /// 8 characters to 256 bytes.
    #[schema(min_length = 8, max_length = 256, format = Password)]
    password: String,
    #[serde(deserialize_with = "role")]
    #[schema(value_type = RoleName)]
    role: Role,
    /// What it may do besides, everywhere or in one place.
    #[serde(default)]
    #[schema(max_items = 32, example = json!(["deployer:7/prod"]))]
    scopes: Vec<String>,
}

/// What an account may do from now on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserInput {
    #[serde(deserialize_with = "role")]
    #[schema(value_type = RoleName)]
    role: Role,
    /// What it may do besides, everywhere or in one place.
    #[serde(default)]
    #[schema(max_items = 32, example = json!(["deployer:7/prod"]))]
    scopes: Vec<String>,
}

pub(super) fn role<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Role, D::Error> {
    one_of(deserializer, &Role::ALL, Role::as_str)
}

impl Fingerprinted for NewUserInput {
    // The fingerprint is stored, so it must not be made of the password; that is compared by its hash.
    fn fingerprint(&self, _raw: &[u8]) -> [u8; 32] {
        let mut parts = vec![self.username.as_bytes(), self.role.as_str().as_bytes()];
        parts.extend(self.scopes.iter().map(String::as_bytes));
        sha256(&parts)
    }
}

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordInput {
    /// 8 characters to 256 bytes.
    #[schema(min_length = 8, max_length = 256, format = Password)]
    password: String,
    /// The password so far. Whoever sets the own one tells it, unless the log-in was in the last five minutes.
    #[serde(default)]
    #[schema(max_length = 256, format = Password)]
    current_password: Option<String>,
}

/// Create an account
#[utoipa::path(post, path = "/users", tag = "users", request_body = NewUserInput,
    responses((status = 201, body = UserBody)))]
async fn create_user(
    State(state): State<ApiState>,
    OriginalUri(uri): OriginalUri,
    Post { context, body }: Post<NewUserInput>,
) -> Result<Created201<UserBody>, ApiError> {
    let new = NewUser::parse(body.username, body.password, body.role, &body.scopes)
        .map_err(|invalid| ApiError::invalid(invalid.into_errors()))?;
    let created = state.alm.accounts().create(&context, new).await?;
    let username = created.value.username.clone();
    Ok(Created201::new(&uri, username, UserBody::from(created.value)).replayed(created.replayed))
}

/// The list of accounts has no filter.
struct AllUsers;

impl Narrowing for AllUsers {
    type Key = (Timestamp, Username);

    fn of(_params: &mut Params) -> Result<Self, ApiError> {
        Ok(Self)
    }

    fn after(params: &mut Params) -> Result<Option<Self::Key>, ApiError> {
        params.take(
            "after",
            parse_cursor(|key| {
                let (micros, username) = key.split_once(' ')?;
                Some((Timestamp::from_micros(micros.parse().ok()?)?, Username::parse(username).ok()?))
            }),
        )
    }
}

/// List accounts, oldest first
#[utoipa::path(get, path = "/users", tag = "users", params(crate::openapi::PageParams),
    responses((status = 200, body = Vec<UserBody>)))]
async fn list_users(
    State(state): State<ApiState>,
    Listing { context, filter: AllUsers, after, limit, uri }: Listing<AllUsers>,
) -> Result<PageOf<UserBody>, ApiError> {
    let page = state.alm.accounts().list(&context, after.as_ref(), limit).await?;
    Ok(PageOf::new(page, &uri, |(created_at, username)| cursor_of(&format!("{} {username}", created_at.micros()))))
}

/// Change what an account may do, not one's own
///
/// Its sessions are over: it has to log in again.
#[utoipa::path(put, path = "/users/{username}", tag = "users", params(crate::openapi::UsernameParam),
    request_body = UserInput, responses((status = 200, body = UserBody)))]
async fn update_user(
    State(state): State<ApiState>,
    PathId(username): PathId<Username>,
    Put { context, body, precondition }: Put<UserInput>,
) -> Result<Json<UserBody>, ApiError> {
    if !precondition.is_none() {
        return Err(ApiError::no_revision());
    }
    let update =
        UserUpdate::parse(body.role, &body.scopes).map_err(|invalid| ApiError::invalid(invalid.into_errors()))?;
    Ok(Json(state.alm.accounts().update(&context, &username, update, &precondition).await?.into()))
}

/// Delete an account, not one's own
#[utoipa::path(delete, path = "/users/{username}", tag = "users", params(crate::openapi::UsernameParam),
    responses((status = 204)))]
async fn delete_user(
    State(state): State<ApiState>,
    Caller(context): Caller,
    PathId(username): PathId<Username>,
    IfMatch(precondition): IfMatch,
) -> Result<NoContent, ApiError> {
    // The revision of an account is not told, so nothing but `*` can match.
    if !precondition.is_none() {
        return Err(ApiError::no_revision());
    }
    state.alm.accounts().delete(&context, &username).await?;
    Ok(NoContent)
}

/// Set the password of an account: an admin any, everyone their own
///
/// Its sessions are over: it has to log in again.
#[utoipa::path(put, path = "/users/{username}/password", tag = "users", params(crate::openapi::UsernameParam),
    request_body = PasswordInput, responses((status = 204)))]
async fn set_password(
    State(state): State<ApiState>,
    PathId(username): PathId<Username>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    Put { context, body, precondition }: Put<PasswordInput>,
) -> Result<NoContent, ApiError> {
    if !precondition.is_none() {
        return Err(ApiError::no_revision());
    }
    let mut fields = Vec::new();
    let mut take =
        |name: &str, parsed: Result<Password, Rejected>| parsed.map_err(|rejected| fields.push(rejected.at(name))).ok();
    let password = take("/password", Password::parse(body.password));
    let current = body.current_password.map(Password::attempt).map(|parsed| take("/current_password", parsed));
    let (Some(password), None | Some(Some(_))) = (password, &current) else { return Err(ApiError::invalid(fields)) };
    let context = context.with_address(state.settings.client(peer.map(|Extension(ConnectInfo(peer))| peer), &headers));
    let current = current.flatten();
    state.alm.accounts().set_password(&context, &username, &password, current.as_ref()).await?;
    Ok(NoContent)
}
