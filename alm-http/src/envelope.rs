//! What every request goes through: a request id, the log and the metrics, panics caught, errors rendered as problems, and the headers that
//! keep browsers careful.

use std::{
    any::Any,
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use alm_core::{
    domain::Actor,
    ports::{Ids, SystemIds},
};
use axum::{
    Json,
    extract::{MatchedPath, OriginalUri, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use serde_json::Value;

use crate::{error::ApiError, headers::secure, problem::Pending, trace::Span};

/// What the route of a request is called that has none.
const UNMATCHED: &str = "unmatched";

/// Both ways: the id under which a request is spoken of.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request: the caller's if it is 1–128 visible ASCII characters, else a new one.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) HeaderValue);

impl RequestId {
    fn of(request: &Request) -> Self {
        let given = request
            .headers()
            .get(X_REQUEST_ID)
            .filter(|value| (1..=128).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic));
        Self(given.cloned().unwrap_or_else(new_id))
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

/// Who has turned out to call, for the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Who(Arc<OnceLock<Actor>>);

impl Who {
    pub(crate) fn is(&self, actor: &Actor) {
        // A request has one caller.
        let _ = self.0.set(actor.clone());
    }
}

/// Marks an answer that another service has given, which passes as it is; and says what the route is called here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relayed {
    pub(crate) route: &'static str,
}

fn new_id() -> HeaderValue {
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    let text = SystemIds.uuid_v7().hyphenated().encode_lower(&mut text);
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("unknown"))
}

/// What each operation is called, by the template of its path and its method.
#[derive(Clone, Debug, Default)]
pub(crate) struct Actions(Arc<HashMap<String, Vec<(Method, String)>>>);

impl Actions {
    /// Those of an `OpenAPI` document: the ids of its operations.
    pub(crate) fn of(document: &Value) -> Self {
        let operations = |path: &Value| {
            let named = path.as_object().into_iter().flatten().filter_map(|(method, operation)| {
                let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).ok()?;
                Some((method, operation["operationId"].as_str()?.to_owned()))
            });
            named.collect()
        };
        let paths = document["paths"].as_object().into_iter().flatten();
        Self(Arc::new(paths.map(|(path, of_path)| (path.clone(), operations(of_path))).collect()))
    }

    fn action(&self, method: &Method, route: &str) -> Option<&str> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        let (_, action) = self.0.get(route)?.iter().find(|(of, _)| of == method)?;
        Some(action)
    }
}

pub(crate) async fn envelope(State(actions): State<Actions>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = RequestId::of(&request);
    let span = Span::begin(request.headers_mut());
    let who = Who::default();
    let method = request.method().clone();
    let uri = request.extensions().get::<OriginalUri>().map_or_else(|| request.uri().clone(), |uri| uri.0.clone());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let nested = prefix(&uri, request.uri()).to_owned();
    request.extensions_mut().insert(id.clone());
    request.extensions_mut().insert(span.clone());
    request.extensions_mut().insert(who.clone());

    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let response = answered.unwrap_or_else(|panic| {
        tracing::error!(request_id = id.as_str(), panic = panic_message(panic.as_ref()), "a handler panicked");
        ApiError::internal().into_response()
    });
    let relayed = response.extensions().get::<Relayed>().copied();
    let mut response = if relayed.is_some() { response } else { render(response, &uri, &id) };
    response.headers_mut().insert(X_REQUEST_ID, id.0.clone());
    secure(response.headers_mut());
    // RFC 9110, section 9.3.2: HEAD has the headers of GET, the router answers it as GET.
    let route = relayed.map(|relayed| relayed.route).or(route.as_ref().map(MatchedPath::as_str));
    let action = route.and_then(|route| actions.action(&method, route.strip_prefix(&nested).unwrap_or(route)));
    let took = record(&method, route, response.status(), started);
    tracing::info!(
        action,
        actor = who.0.get().map(Actor::as_str),
        method = method_label(&method),
        route = route.unwrap_or(UNMATCHED),
        status = response.status().as_u16(),
        duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        request_id = id.as_str(),
        trace_id = span.own.trace_id(),
        span_id = span.own.span_id(),
        parent_span_id = span.parent.as_deref(),
        trace_flags = span.own.flags(),
        "request"
    );
    response
}

/// Below what a host has nested the routes.
pub(crate) fn prefix<'u>(whole: &'u Uri, nested: &Uri) -> &'u str {
    whole.path().strip_suffix(nested.path()).unwrap_or_default()
}

/// Turns a pending problem, or an error that some layer answered by itself, into `application/problem+json`.
fn render(mut response: Response, uri: &Uri, id: &RequestId) -> Response {
    let status = response.status();
    let pending = response.extensions_mut().remove::<Pending>();
    if pending.is_none() && !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let Some(Pending { mut problem, headers }) =
        pending.or_else(|| ApiError::of_status(status).into_response().extensions_mut().remove::<Pending>())
    else {
        return response;
    };
    uri.path().clone_into(&mut problem.instance);
    id.as_str().clone_into(&mut problem.request_id);
    let allow = response.headers_mut().remove(header::ALLOW);
    let mut rendered = (status, Json(problem)).into_response();
    rendered.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    rendered.headers_mut().extend(headers);
    if let Some(allow) = allow {
        rendered.headers_mut().insert(header::ALLOW, allow);
    }
    rendered
}

/// Counts a request that was answered; says how long it took.
fn record(method: &Method, route: Option<&str>, status: StatusCode, started: Instant) -> Duration {
    let elapsed = started.elapsed();
    let labels = [
        ("method", method_label(method).to_owned()),
        ("route", route.unwrap_or(UNMATCHED).to_owned()),
        ("status", status.as_str().to_owned()),
    ];
    metrics::counter!("http_requests_total", &labels).increment(1);
    metrics::histogram!("http_request_duration_seconds", &labels).record(elapsed.as_secs_f64());
    elapsed
}

/// A method is the client's to choose, and each label value is a time series.
fn method_label(method: &Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "POST" | "PUT" | "DELETE" | "HEAD" | "OPTIONS" | "PATCH") => known,
        _ => "other",
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
