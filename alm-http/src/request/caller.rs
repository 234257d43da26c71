//! Who calls.

use alm_core::{Context, services::Error};
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};

use crate::{
    envelope::{RequestId, Who},
    error::ApiError,
    state::ApiState,
    trace::Span,
};

use super::Params;

/// An authenticated caller of a route without query parameters.
pub(crate) struct Caller(pub(crate) Context);

impl FromRequestParts<ApiState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let context = authenticated(parts, state).await?;
        Params::of(parts).finish()?;
        Ok(Self(context))
    }
}

/// What the query of a route says.
pub(crate) trait Query: Sized + Send {
    /// Takes the parameters that the route knows.
    fn of(params: &mut Params) -> Result<Self, ApiError>;
}

/// An authenticated caller of a route with query parameters.
pub(crate) struct Asking<Q>(pub(crate) Context, pub(crate) Q);

impl<Q: Query> FromRequestParts<ApiState> for Asking<Q> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let context = authenticated(parts, state).await?;
        let mut params = Params::of(parts);
        let query = Q::of(&mut params)?;
        params.finish()?;
        Ok(Self(context, query))
    }
}

/// The context of a request with a valid token.
pub(super) async fn authenticated(parts: &Parts, state: &ApiState) -> Result<Context, ApiError> {
    let token = bearer(&parts.headers)?;
    let principal = state.alm.authenticate(token).await?;
    if let Some(who) = parts.extensions.get::<Who>() {
        who.is(&principal.name);
    }
    Ok(surroundings(parts, Context::new(principal)))
}

/// `context` with what belongs to the request, whoever sent it.
pub(super) fn surroundings(parts: &Parts, context: Context) -> Context {
    let id = parts.extensions.get::<RequestId>().map_or("", RequestId::as_str);
    let trace = parts.extensions.get::<Span>().map(|span| span.own.clone());
    context.with_request_id(id).with_trace(trace)
}

/// The token of `Authorization: Bearer …` (RFC 6750, section 2.1).
pub(crate) fn bearer(headers: &HeaderMap) -> Result<&str, Error> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(Error::Unauthenticated) };
    let (scheme, token) = value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or(Error::Unauthenticated)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(Error::Unauthenticated) }
}
