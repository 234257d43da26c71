//! Which pages may call the API from a browser (CORS).

use std::{str::FromStr, sync::Arc};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::Response,
};

use crate::headers::secure;

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE");
/// What requests of the API have that a browser asks about.
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, idempotency-key, if-match, if-none-match, last-event-id, traceparent, tracestate, x-request-id",
);
/// What answers have that a page may not read otherwise.
const ANSWER_HEADERS: HeaderValue =
    HeaderValue::from_static("etag, idempotent-replayed, link, location, retry-after, www-authenticate, x-request-id");
/// For how many seconds a browser need not ask again.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The origins whose pages may call the API from a browser; by default none. Tokens go in a header that only such a page can set, so
/// browsers are never allowed to add credentials of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CorsOrigins(Arc<[HeaderValue]>);

/// Why a text does not name origins.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no origin as a browser sends it, such as https://alm.example.com or http://localhost:3000")]
pub struct InvalidOrigin {
    text: String,
}

impl CorsOrigins {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for CorsOrigins {
    type Err = InvalidOrigin;

    /// Reads origins, separated by commas; none in an empty text. There is no `*`: each is named.
    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let origins = text.split(',').map(str::trim).filter(|origin| !origin.is_empty());
        origins
            .map(|origin| parsed(origin).ok_or_else(|| InvalidOrigin { text: origin.to_owned() }))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// An origin, if it is written as browsers write it (RFC 6454, section 6.2): else it would never be the one of a request.
fn parsed(origin: &str) -> Option<HeaderValue> {
    let uri: Uri = origin.parse().ok()?;
    let default_port = match uri.scheme_str()? {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let authority = uri.authority()?.as_str();
    let is_plain = !authority.contains(['@', '*']) && !origin.bytes().any(|byte| byte.is_ascii_uppercase());
    let is_whole = origin.strip_suffix(authority).is_some_and(|scheme| scheme.ends_with("://"));
    let is_shortest = uri.port_u16() != Some(default_port) && !authority.ends_with(':') && !uri.host()?.is_empty();
    (is_plain && is_whole && is_shortest).then(|| HeaderValue::from_str(origin).ok())?
}

/// Answers preflights, and says of other answers who may read them. An origin that is not among `origins` is told nothing.
pub(crate) async fn cors(State(origins): State<CorsOrigins>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).filter(|origin| origins.0.contains(origin)).cloned();
    let Some(origin) = origin else {
        let mut response = next.run(request).await;
        differs_by_origin(response.headers_mut());
        return response;
    };
    let is_preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if is_preflight { preflight() } else { next.run(request).await };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, ANSWER_HEADERS);
    differs_by_origin(headers);
    response
}

/// Whoever keeps the answer must not give it to a page of another origin.
fn differs_by_origin(headers: &mut HeaderMap) {
    headers.append(header::VARY, HeaderValue::from_static("origin"));
}

fn preflight() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    secure(headers);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_taken_as_browsers_write_them() {
        let origins: CorsOrigins = "https://alm.example, http://localhost:3000,http://[::1]:8080".parse().unwrap();
        assert_eq!(*origins.0, ["https://alm.example", "http://localhost:3000", "http://[::1]:8080"]);
        assert!("".parse::<CorsOrigins>().unwrap().is_empty() && " , ".parse::<CorsOrigins>().unwrap().is_empty());
        for wrong in [
            "*",
            "null",
            "alm.example",
            "https://",
            "https://alm.example/",
            "https://alm.example/path",
            "https://alm.example?x",
            "https://alm.example:443",
            "http://alm.example:80",
            "https://alm.example:",
            "https://Alm.example",
            "HTTPS://alm.example",
            "https://user@alm.example",
            "https://*.example",
            "ftp://alm.example",
            "https://alm.example, *",
        ] {
            let refused = wrong.parse::<CorsOrigins>();
            assert!(refused.is_err(), "{wrong}: {refused:?}");
        }
    }
}
