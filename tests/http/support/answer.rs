//! Responses, and what holds for every one of them.

use reqwest::{Method, header::HeaderMap};
use serde_json::Value;

use super::{Document, PASSWORD};

/// The members that every problem has.
const PROBLEM_MEMBERS: [&str; 7] = ["type", "title", "status", "detail", "instance", "code", "request_id"];
/// The headers that a client goes by, which must therefore be documented where they occur.
const TOLD_HEADERS: [&str; 7] =
    ["location", "etag", "link", "idempotent-replayed", "www-authenticate", "retry-after", "x-request-id"];

/// A response, read to its end.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    method: Method,
    /// With the prefix, as the server saw it.
    path: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(super) fn new(method: Method, path: String, status: u16, headers: HeaderMap, body: Vec<u8>) -> Self {
        Self { method, path, status, headers, body }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self} is not JSON"))
    }

    /// This answer, which has this status.
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self}");
        self
    }

    /// The body of this answer, which has this status.
    #[track_caller]
    pub(crate) fn ok(self, status: u16) -> Value {
        self.is(status).json()
    }

    /// The problem that this answer is, which has this status and code.
    #[track_caller]
    pub(crate) fn problem(self, status: u16, code: &str) -> Value {
        let answer = self.is(status);
        let problem = answer.json();
        assert_eq!(problem["code"], code, "{answer}");
        problem
    }

    /// Pointer and code of each field that was refused, as `/name: empty`.
    #[track_caller]
    pub(crate) fn refused_fields(self) -> Vec<String> {
        let problem = self.problem(422, "invalid-field");
        let errors = problem["errors"].as_array().expect("the fields are named");
        assert!(errors.iter().all(|error| error["detail"].as_str().is_some_and(|detail| !detail.is_empty())));
        errors.iter().map(|e| format!("{}: {}", e["pointer"].as_str().unwrap(), e["code"].as_str().unwrap())).collect()
    }

    /// The path of the `Link` to the next page.
    pub(crate) fn next_page(&self) -> Option<String> {
        let link = self.header("link")?;
        let path = link.strip_prefix('<').and_then(|rest| rest.strip_suffix(">; rel=\"next\""));
        Some(path.unwrap_or_else(|| panic!("{link} is no link to the next page")).to_owned())
    }

    /// What holds for every answer.
    pub(super) fn check(&self, document: &Document) {
        let request_id = self.header("x-request-id").unwrap_or_else(|| panic!("{self} has no x-request-id"));
        let text = self.text();
        assert!(!text.contains(PASSWORD) && !text.contains("$argon2"), "{self} shows a password");
        self.check_careful();
        if self.status >= 400 {
            self.check_problem(request_id);
        }
        self.check_documented(document);
    }

    /// Browsers are told what they must not do with it.
    fn check_careful(&self) {
        assert_eq!(self.header("x-content-type-options"), Some("nosniff"), "{self}");
        assert_eq!(self.header("referrer-policy"), Some("no-referrer"), "{self}");
        assert_eq!(self.header("x-frame-options"), Some("DENY"), "{self}");
        let policy = self.header("content-security-policy").unwrap_or_default();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{self}: {policy}");
        if !self.path.contains("/docs/") {
            assert!(!policy.contains("'self'"), "{self}: {policy}");
            assert_eq!(self.header("cache-control"), Some("no-store"), "{self}");
        }
    }

    fn check_problem(&self, request_id: &str) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self}");
        if self.method == Method::HEAD {
            return;
        }
        let problem = self.json();
        for member in PROBLEM_MEMBERS {
            assert!(!problem[member].is_null() && problem[member] != "", "{self} lacks {member}");
        }
        assert_eq!(problem["status"], self.status, "{self}");
        assert_eq!(problem["instance"], self.path, "{self}");
        assert_eq!(problem["request_id"], request_id, "{self}");
        let code = problem["code"].as_str().unwrap();
        assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{code} is not kebab-case");
        match self.status {
            401 => assert!(self.headers.contains_key("www-authenticate"), "{self}"),
            405 => assert!(self.headers.contains_key("allow"), "{self}"),
            429 | 503 => {
                let seconds = self.header("retry-after").and_then(|after| after.parse::<u64>().ok());
                assert!(seconds.is_some_and(|seconds| seconds >= 1), "{self}");
            }
            _ => {}
        }
    }

    /// Status, content type, headers and body are what the document says of this operation.
    fn check_documented(&self, document: &Document) {
        let Some(operation) = document.operation_at(&self.method, &self.path) else {
            assert!(!document.has_path(&self.path) || self.status == 405, "{self}: there is no such operation");
            return;
        };
        let Some(response) = operation.response(self.status) else {
            panic!("{self}: this status is not documented");
        };
        for name in TOLD_HEADERS.iter().filter(|name| self.headers.contains_key(**name)) {
            let documented = response["headers"].as_object().into_iter().flatten();
            let documented = documented.into_iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
            assert!(documented, "{self}: the header {name} is not documented");
        }
        let Some(content) = response["content"].as_object() else {
            assert!(self.body.is_empty(), "{self}: a body is not documented");
            return;
        };
        let content_type = self.header("content-type").unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default();
        let Some(media) = content.get(essence) else { panic!("{self}: {essence:?} is not documented") };
        if essence.ends_with("json") && self.method != Method::HEAD {
            let faults = document.faults_of(&media["schema"], &self.json());
            assert!(faults.is_empty(), "{self}: the body is not as documented: {faults:#?}");
        }
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} → {} {}", self.method, self.path, self.status, self.text())
    }
}
