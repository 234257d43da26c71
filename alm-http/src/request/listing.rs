//! A request for a page of a list.

use alm_core::{Context, services::Limit};
use axum::{
    extract::{FromRequestParts, OriginalUri},
    http::{Uri, request::Parts},
};

use crate::{error::ApiError, state::ApiState};

use super::{Params, caller::authenticated, params::rejected};

/// An authenticated caller who asks for a page: after which key, how much, narrowed to what.
pub(crate) struct Listing<F: Narrowing> {
    pub(crate) context: Context,
    pub(crate) filter: F,
    pub(crate) after: Option<F::Key>,
    pub(crate) limit: Limit,
    pub(crate) uri: Uri,
}

/// The parameters of one list besides `limit` and `after`.
pub(crate) trait Narrowing: Sized + Send {
    /// What the list is ordered by.
    type Key: Send;

    /// Takes the parameters that the list knows.
    fn of(params: &mut Params) -> Result<Self, ApiError>;

    /// Takes `after`.
    fn after(params: &mut Params) -> Result<Option<Self::Key>, ApiError>;
}

impl<F: Narrowing> FromRequestParts<ApiState> for Listing<F> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let context = authenticated(parts, state).await?;
        let mut params = Params::of(parts);
        let limit = params.take("limit", |text| {
            text.parse().ok().and_then(Limit::new).ok_or_else(|| rejected("must be an integer from 1 to 200"))
        })?;
        let after = F::after(&mut params)?;
        let filter = F::of(&mut params)?;
        params.finish()?;
        let uri = parts.extensions.get::<OriginalUri>().map_or_else(|| parts.uri.clone(), |uri| uri.0.clone());
        Ok(Self { context, filter, after, limit: limit.unwrap_or_default(), uri })
    }
}
