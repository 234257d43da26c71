//! One page of a list.

use alm_core::services::Page;
use axum::{
    Json,
    http::{HeaderValue, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// `200` with a bare array and, unless it is the last page, a `Link` (RFC 8288) to the next.
pub(crate) struct PageOf<B> {
    items: Vec<B>,
    next: Option<String>,
}

impl<B> PageOf<B> {
    /// `uri` is that of the request, `cursor` writes the key that the next page begins after.
    pub(crate) fn new<T, K>(page: Page<T, K>, uri: &Uri, cursor: impl Fn(&K) -> String) -> Self
    where
        B: From<T>,
    {
        let next = page.next.map(|key| link(uri, &cursor(&key)));
        Self { items: page.items.into_iter().map(B::from).collect(), next }
    }
}

/// A link to `uri` with another `after`.
fn link(uri: &Uri, after: &str) -> String {
    let given = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(given.filter(|(name, _)| name != "after"))
        .append_pair("after", after)
        .finish();
    format!("<{}?{query}>; rel=\"next\"", uri.path())
}

impl<B: Serialize> IntoResponse for PageOf<B> {
    fn into_response(self) -> Response {
        let mut response = Json(self.items).into_response();
        if let Some(Ok(link)) = self.next.map(HeaderValue::try_from) {
            response.headers_mut().insert(header::LINK, link);
        }
        response
    }
}
