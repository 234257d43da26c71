//! A new resource.

use alm_core::domain::Revision;
use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::entity::etag;

/// Says that the answer is the first one's again.
pub(crate) const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// `201` with the resource, where it is, and its `ETag` if it has one.
pub(crate) struct Created201<B> {
    pub(crate) body: B,
    pub(crate) location: String,
    pub(crate) revision: Option<Revision>,
    pub(crate) replayed: bool,
}

impl<B> Created201<B> {
    /// `collection` is the path that it was posted to.
    pub(crate) fn new(collection: &Uri, name: impl std::fmt::Display, body: B) -> Self {
        let location = format!("{}/{name}", collection.path().trim_end_matches('/'));
        Self { body, location, revision: None, replayed: false }
    }

    pub(crate) fn at(mut self, revision: Revision) -> Self {
        self.revision = Some(revision);
        self
    }

    pub(crate) fn replayed(mut self, replayed: bool) -> Self {
        self.replayed = replayed;
        self
    }
}

impl<B: Serialize> IntoResponse for Created201<B> {
    fn into_response(self) -> Response {
        let mut response = (StatusCode::CREATED, Json(self.body)).into_response();
        let headers = response.headers_mut();
        if let Ok(location) = HeaderValue::try_from(self.location) {
            headers.insert(header::LOCATION, location);
        }
        if let Some(revision) = self.revision {
            headers.insert(header::ETAG, etag(revision));
        }
        mark_replayed(&mut response, self.replayed);
        response
    }
}

pub(crate) fn mark_replayed(response: &mut Response, replayed: bool) {
    if replayed {
        response.headers_mut().insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    }
}
