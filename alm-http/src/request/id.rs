//! The thing that a path names.

use axum::{
    RequestPartsExt,
    extract::{FromRequestParts, Path},
    http::request::Parts,
};

use alm_core::{
    domain::{AppId, AuditIndex, CredentialId, DeploymentId, Username, VersionId},
    tlog::TilePath,
};

use uuid::Uuid;

use crate::error::ApiError;

/// The one parameter of a path. What can't be an id names nothing, so it is `404`.
pub(crate) struct PathId<T>(pub(crate) T);

/// What can stand in a path.
pub(crate) trait FromPath: Sized + Send {
    fn from_path(segment: &str) -> Option<Self>;
}

impl<S: Send + Sync, T: FromPath> FromRequestParts<S> for PathId<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let Path(segments) =
            parts.extract::<Path<Vec<(String, String)>>>().await.map_err(|_| ApiError::no_such_path())?;
        // A host may nest the router below parameters of its own; ours is the last.
        let (_, segment) = segments.last().ok_or_else(ApiError::no_such_path)?;
        T::from_path(segment).map(Self).ok_or_else(ApiError::no_such_path)
    }
}

fn positive(segment: &str) -> Option<i64> {
    // Only the form that is written: no sign, no leading zero.
    segment.parse::<i64>().ok().filter(|number| *number > 0 && number.to_string() == segment)
}

impl FromPath for AppId {
    fn from_path(segment: &str) -> Option<Self> {
        positive(segment).and_then(Self::new)
    }
}

impl FromPath for VersionId {
    fn from_path(segment: &str) -> Option<Self> {
        positive(segment).and_then(Self::new)
    }
}

impl FromPath for DeploymentId {
    fn from_path(segment: &str) -> Option<Self> {
        positive(segment).and_then(Self::new)
    }
}

impl FromPath for AuditIndex {
    fn from_path(segment: &str) -> Option<Self> {
        positive(segment).and_then(|number| number.try_into().ok()).map(Self::new)
    }
}

impl FromPath for Username {
    fn from_path(segment: &str) -> Option<Self> {
        Self::parse(segment).ok()
    }
}

impl FromPath for CredentialId {
    fn from_path(segment: &str) -> Option<Self> {
        Uuid::parse_str(segment).ok().filter(|id| id.to_string() == segment).map(Self::new)
    }
}

impl FromPath for TilePath {
    fn from_path(segments: &str) -> Option<Self> {
        format!("tile/{segments}").parse().ok()
    }
}
