//! From meanings to status codes. This is the only place that knows them.

use std::{error::Error as StdError, time::Duration};

use alm_core::{
    domain::{DeploymentStatus, FieldError},
    ports::{AuthError, BackendError, Outcome, StoreError},
    services::Error,
};
use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{
    problem::{Dependency, Pending, ProblemField},
    upstream::{Fault, UpstreamError},
};

/// What a problem says when there is no route, so not that some resource does not exist.
pub(crate) const NO_SUCH_PATH: &str = "there is nothing at this path";

/// Why a request is not answered as asked. It becomes a problem when the response leaves.
#[derive(Debug)]
pub(crate) struct ApiError(Box<Pending>);

impl ApiError {
    fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self(Box::new(Pending::new(status, code, detail)))
    }

    fn retry_after(mut self, after: Duration) -> Self {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        *self.0 = self.0.header(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        self
    }

    fn challenge(mut self, challenge: &'static str) -> Self {
        *self.0 = self.0.header(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        self
    }

    fn fields(mut self, errors: Vec<FieldError>) -> Self {
        self.0.problem.errors = errors
            .into_iter()
            .map(|FieldError { pointer, code, detail }| ProblemField { pointer, code, detail })
            .collect();
        self
    }

    /// The body is not JSON.
    pub(crate) fn not_json(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "not-json", detail)
    }

    /// A query parameter is unknown or its value is not valid.
    pub(crate) fn parameter(name: &str, code: &str, detail: impl Into<String>) -> Self {
        let mut error = Self::new(StatusCode::BAD_REQUEST, code, detail);
        error.0.problem.parameter = Some(name.to_owned());
        error
    }

    /// A header's value is not valid.
    pub(crate) fn header(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// Fields of the body are refused.
    pub(crate) fn invalid(errors: Vec<FieldError>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-field", "fields of the body are not valid").fields(errors)
    }

    /// Nothing is at this path.
    pub(crate) fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", NO_SUCH_PATH)
    }

    /// The path exists, but not with this method. The router adds `Allow`.
    pub(crate) fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "this path does not have this method")
    }

    /// The body is larger than `limit` bytes.
    pub(crate) fn too_large(limit: usize) -> Self {
        let detail = format!("the body must have at most {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", detail)
    }

    /// The body has not come in time.
    pub(crate) fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "body-too-slow", "the body did not come in time")
    }

    /// The body is not said to be JSON.
    pub(crate) fn unsupported_media_type() -> Self {
        let detail = "send the body as JSON, with the header Content-Type: application/json";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail)
    }

    /// The body is compressed, or encoded in another way.
    pub(crate) fn encoded() -> Self {
        let detail = "the body must come as it is, without a Content-Encoding";
        let mut error = Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail);
        // RFC 9110, section 15.5.16.
        *error.0 = error.0.header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        error
    }

    /// The resource has no revision that `If-Match` could name.
    pub(crate) fn no_revision() -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "precondition-failed", "this resource has no ETag")
    }

    /// The service can't do its work now.
    pub(crate) fn not_ready(detail: &str, dependencies: Vec<Dependency>) -> Self {
        let mut error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", detail);
        error.0.problem.dependencies = dependencies;
        error.retry_after(Duration::from_secs(1))
    }

    /// The events of one service are asked of the gateway.
    pub(crate) fn no_common_log() -> Self {
        let detail = "each service has an event log of its own: ask it at its own address, not through the gateway";
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    /// A service behind the gateway gave no answer to a request; `changes` if it may have changed something.
    pub(crate) fn upstream(error: &UpstreamError, changes: bool) -> Self {
        let (status, retry_after) = match error.fault {
            // The fault is the client's, who learns what it would without the gateway.
            Fault::RequestTooSlow => return Self::too_slow(),
            Fault::RequestBroken => {
                return Self::new(StatusCode::BAD_REQUEST, "body-broken", "the body of the request has broken off");
            }
            Fault::CircuitOpen(pause) => (StatusCode::SERVICE_UNAVAILABLE, Some(pause)),
            Fault::Unreachable => (StatusCode::SERVICE_UNAVAILABLE, Some(Duration::from_secs(1))),
            Fault::TimedOut => (StatusCode::GATEWAY_TIMEOUT, None),
            Fault::Failed => (StatusCode::BAD_GATEWAY, None),
        };
        let unknown = changes && error.fault.was_sent();
        let (outcome, rest) = if unknown {
            ("unknown", "whether the change was made is not known, so look before you try again")
        } else {
            ("not_applied", "nothing was changed")
        };
        let mut problem = Self::new(status, error.fault.code(), format!("{error}; {rest}"));
        problem.0.problem.outcome = Some(outcome.to_owned());
        problem.0.problem.upstream = Some(error.upstream.to_owned());
        match retry_after {
            Some(after) => problem.retry_after(after),
            None => problem,
        }
    }

    /// What another service has refused, with the headers that belong to it.
    pub(crate) fn refused(
        status: StatusCode,
        code: &str,
        detail: String,
        headers: Vec<(HeaderName, HeaderValue)>,
    ) -> Self {
        let mut problem = Self::new(status, code, detail);
        problem.0.headers = headers;
        problem
    }

    /// Requests go round in a circle.
    pub(crate) fn loop_detected(upstream: &str) -> Self {
        let detail = "the request has come back to the gateway: the address of an upstream is the gateway's own";
        let mut problem = Self::new(StatusCode::BAD_GATEWAY, "upstream-failed", detail);
        problem.0.problem.outcome = Some("not_applied".to_owned());
        problem.0.problem.upstream = Some(upstream.to_owned());
        problem
    }

    /// The service has a bug.
    pub(crate) fn internal() -> Self {
        let mut error = Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the server has failed; its log says more under this request id",
        );
        error.0.problem.outcome = Some("unknown".to_owned());
        error
    }

    /// Some response of another origin that says `status`.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::no_such_path(),
            StatusCode::METHOD_NOT_ALLOWED => Self::method_not_allowed(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::unsupported_media_type(),
            status if status.is_server_error() => Self::internal(),
            status => Self::new(status, "bad-request", "the request cannot be understood"),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(*self.0);
        response
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let (code, detail) = (error.code(), error.to_string());
        match error {
            Error::Invalid(invalid) => {
                let detail = match code {
                    "unknown-parent" => "the body names a parent that does not exist",
                    _ => "fields of the body are not valid",
                };
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail).fields(invalid.into_errors())
            }
            Error::Unauthenticated => {
                let detail = "send a token, with the header Authorization: Bearer …; POST /login gives one";
                Self::new(StatusCode::UNAUTHORIZED, code, detail).challenge("Bearer realm=\"alm\"")
            }
            Error::Token(AuthError::Backend(error))
            | Error::Backend(error)
            | Error::Store(StoreError::Backend(error)) => backend(&error),
            Error::Token(_) => Self::new(StatusCode::UNAUTHORIZED, code, detail)
                .challenge("Bearer realm=\"alm\", error=\"invalid_token\""),
            Error::Throttled { retry_after } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, code, detail).retry_after(retry_after)
            }
            Error::WrongCredentials => {
                Self::new(StatusCode::UNAUTHORIZED, code, detail).challenge("Bearer realm=\"alm\"")
            }
            Error::Denied { .. } => Self::new(StatusCode::FORBIDDEN, code, detail),
            Error::NotFound(_) => Self::new(StatusCode::NOT_FOUND, code, detail),
            Error::AlreadyExists(_) | Error::OwnAccount | Error::NoSession => {
                Self::new(StatusCode::CONFLICT, code, detail)
            }
            Error::IllegalTransition(illegal) => {
                let name = |status: &DeploymentStatus| status.as_str().to_owned();
                let mut error = Self::new(StatusCode::CONFLICT, code, detail);
                error.0.problem.from = Some(name(&illegal.from));
                error.0.problem.to = Some(name(&illegal.to));
                error.0.problem.allowed = Some(illegal.allowed().iter().map(name).collect());
                error
            }
            Error::PreconditionFailed { .. } => Self::new(StatusCode::PRECONDITION_FAILED, code, detail),
            Error::IdempotencyMismatch => Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail),
            Error::IdempotencyInProgress => {
                Self::new(StatusCode::CONFLICT, code, detail).retry_after(Duration::from_secs(1))
            }
            Error::Contended(_) | Error::Busy => {
                let mut error = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail);
                error.0.problem.outcome = Some("not_applied".to_owned());
                error.retry_after(Duration::from_secs(1))
            }
            Error::EventTooLarge { .. } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, code, detail),
            Error::Gone { oldest } => {
                let mut error = Self::new(StatusCode::GONE, code, detail);
                error.0.problem.oldest = Some(oldest.get());
                error
            }
            Error::NotConfigured(_) => Self::new(StatusCode::NOT_IMPLEMENTED, code, detail),
            error => {
                tracing::error!(error = &error as &dyn StdError, "a meaning without a status");
                Self::internal()
            }
        }
    }
}

/// A fault behind a port: the caller learns whether it was applied and when to try again, the log learns the rest.
fn backend(error: &BackendError) -> ApiError {
    tracing::error!(error = error as &dyn StdError, "a dependency failed");
    let (outcome, detail) = match error.outcome {
        Outcome::NotApplied => ("not_applied", "a dependency of the server failed; nothing was changed"),
        Outcome::Unknown => (
            "unknown",
            "a dependency of the server failed; whether the change was made is not known, so look before you try again",
        ),
    };
    let mut problem = if error.is_retryable() || error.outcome == Outcome::Unknown {
        let after = error.retry_after.unwrap_or(Duration::from_secs(1));
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail).retry_after(after)
    } else {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    };
    problem.0.problem.outcome = Some(outcome.to_owned());
    problem
}
