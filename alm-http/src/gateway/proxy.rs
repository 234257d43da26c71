//! Requests that are passed on.

use std::net::SocketAddr;

use axum::{
    body::Body,
    extract::{ConnectInfo, OriginalUri, Request, State},
    http::{HeaderMap, HeaderValue, Method, Uri, header, request::Parts, uri::PathAndQuery},
    response::Response,
};
use hyper::body::{Body as _, Incoming};

use crate::{
    envelope::{self, Relayed, RequestId},
    error::ApiError,
    serve::OverTls,
    upstream::{AnswerBody, Upstream},
};

use super::{
    GatewayState, Shared, environments, headers, links,
    routes::{Way, way},
};

/// Passes a request on to the service that its path belongs to.
pub(super) async fn pass(
    State(GatewayState(shared)): State<GatewayState>,
    request: Request,
) -> Result<Response, ApiError> {
    let rule = match way(request.uri().path()) {
        Way::To(rule) => rule,
        Way::EventLog => return Err(ApiError::no_common_log()),
        Way::Nowhere => return Err(ApiError::no_such_path()),
    };
    let upstream = shared.upstream(rule.service);
    if headers::is_in_a_loop(request.headers()) {
        return Err(ApiError::loop_detected(upstream.name));
    }
    let mut response = match environments::app_of(&request) {
        Some(app) => environments::pass(&shared, app, request).await?,
        None => forward(&shared, upstream, request).await?,
    };
    response.extensions_mut().insert(Relayed { route: rule.prefix });
    Ok(response)
}

/// What `upstream` answers to a request.
pub(super) async fn forward(shared: &Shared, upstream: &Upstream, request: Request) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().ok_or_else(ApiError::no_such_path)?;
    let uri = upstream.base.at(path).ok_or_else(ApiError::no_such_path)?;
    let prefix = prefix(&parts).to_owned();
    outgoing(&mut parts, body.size_hint().exact());
    parts.uri = uri;

    let method = parts.method.clone();
    let may_repeat = may_repeat(&method, &parts.headers, &body);
    let answered = upstream.send(parts, body, may_repeat).await;
    let answer = answered.map_err(|error| ApiError::upstream(&error, !is_safe(&method)))?;
    Ok(relay(shared, upstream, answer, &method, &prefix))
}

/// Makes a client's request one to a service, all but its URI.
fn outgoing(parts: &mut Parts, length: Option<u64>) {
    let client = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(client)| *client);
    let authority = authority(&parts.headers, &parts.uri);
    // The envelope has put it there.
    if let Some(id) = parts.extensions.remove::<RequestId>() {
        let proto = if parts.extensions.get::<OverTls>().is_some() { "https" } else { "http" };
        headers::of_request(&mut parts.headers, &id, client, authority.as_deref(), proto, length);
    }
    // What extractors and layers have left there is of no use to the connection.
    parts.extensions.clear();
}

/// A request for a path of a service on behalf of the client whose request this is, with what says who that is.
pub(super) fn on_behalf(of: &Parts, upstream: &Upstream, path: &str) -> Option<Parts> {
    const CARRIED: [&str; 5] = ["authorization", "traceparent", "tracestate", "forwarded", "via"];
    let uri = upstream.base.at(&PathAndQuery::try_from(path).ok()?)?;
    let mut headers = HeaderMap::new();
    for name in CARRIED {
        for value in of.headers.get_all(name) {
            headers.append(name, value.clone());
        }
    }
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    let (mut parts, ()) = axum::http::Request::new(()).into_parts();
    (parts.headers, parts.extensions) = (headers, of.extensions.clone());
    // The one that the client has asked for.
    parts.uri = of.uri.clone();
    if let Some(host) = of.headers.get(header::HOST) {
        parts.headers.insert(header::HOST, host.clone());
    }
    outgoing(&mut parts, None);
    parts.uri = uri;
    Some(parts)
}

/// A service's answer as one of the gateway.
fn relay(
    shared: &Shared,
    upstream: &Upstream,
    answer: axum::http::Response<Incoming>,
    method: &Method,
    prefix: &str,
) -> Response {
    let (mut parts, body) = answer.into_parts();
    headers::of_answer(&mut parts.headers, method, parts.status, &body);
    links::lead_here(&mut parts.headers, &upstream.base, prefix);
    parts.extensions.clear();
    let is_stream = parts
        .headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().to_ascii_lowercase().starts_with(b"text/event-stream"));
    let body = if is_stream {
        let readiness = shared.readiness.clone();
        AnswerBody::going_on(upstream.name, body, async move { readiness.shutting_down().await })
    } else {
        AnswerBody::of_one_piece(upstream.name, body, shared.pause_timeout)
    };
    Response::from_parts(parts, Body::new(body))
}

/// For whom the request is: a URI with an authority overrules the header (RFC 9112, section 3.2.2).
fn authority(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let of_header = || headers.get(header::HOST).and_then(|host| host.to_str().ok()).map(ToOwned::to_owned);
    uri.authority().map(ToString::to_string).or_else(of_header)
}

/// Below what a host has nested the gateway.
fn prefix(parts: &Parts) -> &str {
    parts.extensions.get::<OriginalUri>().map_or("", |OriginalUri(whole)| envelope::prefix(whole, &parts.uri))
}

/// RFC 9110, section 9.2.1.
fn is_safe(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE].contains(method)
}

/// Whether the request may go out again when there was no connection.
fn may_repeat(method: &Method, headers: &HeaderMap, body: &Body) -> bool {
    (is_safe(method) && body.is_end_stream()) || (method == Method::POST && headers.contains_key("idempotency-key"))
}
