//! What browsers are told not to do with an answer.

use axum::{
    Router,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::map_response,
    response::Response,
};

/// An answer of the API is data: nothing in it is loaded, run or framed.
const OF_DATA: &str = "default-src 'none'; frame-ancestors 'none'";
/// The page that shows the document loads what is beside it, and nothing from elsewhere. It sets styles by attribute, and draws with images
/// in its style sheet.
const OF_THE_PAGE: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                           connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Each unless the answer says otherwise itself. Answers differ by who asks, so no one in between keeps them.
const DEFAULTS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CONTENT_SECURITY_POLICY, OF_DATA),
    (header::CACHE_CONTROL, "no-store"),
];

/// Makes the headers of an answer those of a careful one.
pub(crate) fn secure(headers: &mut HeaderMap) {
    for (name, value) in DEFAULTS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// A router whose answers are careful, where there is no envelope.
pub(crate) fn secured(router: Router) -> Router {
    router.layer(map_response(async |mut response: Response| {
        secure(response.headers_mut());
        response
    }))
}

/// What the page and its assets have instead of the defaults.
pub(crate) fn of_the_page() -> [(HeaderName, HeaderValue); 2] {
    [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(OF_THE_PAGE)),
        // They are the same for everyone, and change with the version of the server.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ]
}
