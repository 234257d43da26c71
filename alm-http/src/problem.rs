//! The body of every error: `application/problem+json` (RFC 9457).

use axum::http::{HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An error as RFC 9457 problem details. `code` is stable: programs go by it, people read `detail`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[non_exhaustive]
pub struct Problem {
    /// Always `about:blank`: `title` then is the name of the status, and `code` says what it is about.
    #[serde(rename = "type")]
    pub kind: String,
    /// The name of the status.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong with this request, for people.
    pub detail: String,
    /// The path of the request.
    pub instance: String,
    /// What is wrong, for programs: stable, kebab-case.
    pub code: String,
    /// The id of the request, under which the server's log speaks of it.
    pub request_id: String,
    /// The fields that were refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ProblemField>,
    /// The query parameter that was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// An illegal transition: the status that the deployment has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// An illegal transition: the status that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// An illegal transition: the statuses that could have been asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed: Option<Vec<String>>,
    /// Events that are gone: the position of the oldest that is kept. What is kept is read after the position before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<u64>,
    /// A fault: whether the request was applied, `not_applied` or `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// A fault behind the gateway: which service gave no answer, such as `version`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// Not ready: each dependency's state.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<Dependency>,
}

/// A field that was refused.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProblemField {
    /// A JSON pointer (RFC 6901) into the body.
    pub pointer: String,
    /// Why, for programs: stable, kebab-case.
    pub code: String,
    /// Why, for people.
    pub detail: String,
}

/// Something that the service needs, and its state.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Dependency {
    /// What it is, such as `store`.
    pub name: String,
    /// `up`; `down`; of the store, `read-only`: what it has can be read, and it takes no changes, because it is read-only or out
    /// of space; or, of a service behind the gateway, `degraded`: it answers, and says that it is not ready.
    pub status: String,
    /// For a consumer: how many events it has yet to handle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<u64>,
}

/// A problem on its way out: the envelope adds what only it knows, and renders it.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) problem: Problem,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Pending {
    pub(crate) fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        let problem = Problem {
            kind: "about:blank".to_owned(),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            instance: String::new(),
            code: code.to_owned(),
            request_id: String::new(),
            errors: Vec::new(),
            parameter: None,
            from: None,
            to: None,
            allowed: None,
            oldest: None,
            outcome: None,
            upstream: None,
            dependencies: Vec::new(),
        };
        Self { problem, headers: Vec::new() }
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}
