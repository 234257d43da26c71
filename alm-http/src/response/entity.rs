//! One resource, or nothing.

use alm_core::domain::Revision;
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::request::IfNoneMatch;

/// `200` with the resource and its `ETag`, or `304` when the caller has it already.
pub(crate) struct Entity<B> {
    body: B,
    revision: Revision,
    known: bool,
}

impl<B> Entity<B> {
    pub(crate) fn new(body: B, revision: Revision) -> Self {
        Self { body, revision, known: false }
    }

    pub(crate) fn unless(self, known: &IfNoneMatch) -> Self {
        Self { known: known.has(self.revision), ..self }
    }
}

pub(super) fn etag(revision: Revision) -> HeaderValue {
    // Digits between quotes are always a header value.
    HeaderValue::from_str(&format!("\"{revision}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

impl<B: Serialize> IntoResponse for Entity<B> {
    fn into_response(self) -> Response {
        let etag = [(header::ETAG, etag(self.revision))];
        if self.known {
            return (StatusCode::NOT_MODIFIED, etag).into_response();
        }
        (etag, Json(self.body)).into_response()
    }
}

/// `204`.
pub(crate) struct NoContent;

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}
