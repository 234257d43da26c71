//! What every request goes through: a request id, the log and the metrics, panics caught, errors rendered as problems, and the headers that
//! keep browsers careful.

use std::{any::Any, panic::AssertUnwindSafe, time::Instant};

use alm_core::ports::{Ids, SystemIds};
use axum::{
    Json,
    extract::{MatchedPath, OriginalUri, Request},
    http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;

use crate::{error::ApiError, headers::secure, problem::Pending};

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

pub(crate) async fn envelope(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = RequestId::of(&request);
    let method = request.method().clone();
    let uri = request.extensions().get::<OriginalUri>().map_or_else(|| request.uri().clone(), |uri| uri.0.clone());
    let route = request.extensions().get::<MatchedPath>().cloned();
    request.extensions_mut().insert(id.clone());

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
    record(&method, route, response.status(), started, &id);
    response
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

fn record(method: &Method, route: Option<&str>, status: StatusCode, started: Instant, id: &RequestId) {
    let elapsed = started.elapsed();
    let route = route.unwrap_or("unmatched");
    let method = match method.as_str() {
        known @ ("GET" | "POST" | "PUT" | "DELETE" | "HEAD" | "OPTIONS" | "PATCH") => known,
        // A method is the client's to choose, and each label value is a time series.
        _ => "other",
    };
    let labels = [("method", method.to_owned()), ("route", route.to_owned()), ("status", status.as_str().to_owned())];
    metrics::counter!("http_requests_total", &labels).increment(1);
    metrics::histogram!("http_request_duration_seconds", &labels).record(elapsed.as_secs_f64());
    tracing::info!(
        method,
        route,
        status = status.as_u16(),
        duration_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
        request_id = id.as_str(),
        "request"
    );
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
