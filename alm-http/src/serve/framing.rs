//! What would be read by one server as one request, and by another as two.

use axum::body::Body;
use hyper::{
    Request, Response, StatusCode, Version,
    header::{CONNECTION, HOST, HeaderValue, TRANSFER_ENCODING},
};

/// Whether a request of HTTP/1 can be read in one way only. What is left to look at once hyper has parsed it: of `Transfer-Encoding` it goes
/// by the last coding alone, and of `Host` by nothing.
pub(super) fn is_plain<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    // RFC 9112, section 6.1: chunked, and once. No other coding is understood here.
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_framed = match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    };
    // RFC 9112, section 3.2.
    let mut hosts = headers.get_all(HOST).iter();
    let is_addressed = match (hosts.next(), hosts.next()) {
        (Some(_), None) => true,
        (None, _) => request.version() < Version::HTTP_11,
        (Some(_), Some(_)) => false,
    };
    is_framed && is_addressed
}

/// The answer to one that can't, after which the connection ends: no one knows where the next would begin.
pub(super) fn refusal() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
