//! Conditional requests (RFC 9110, section 13): entity tags are revisions.

use std::convert::Infallible;

use alm_core::{domain::Revision, services::Precondition};
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, header, request::Parts},
};

/// What `If-None-Match` names.
pub(crate) struct IfNoneMatch(Option<Tags>);

enum Tags {
    Any,
    /// Opaque tags, each with whether it is weak.
    These(Vec<(String, bool)>),
}

/// What `If-Match` demands. Tags are compared strongly: a weak one matches nothing.
pub(crate) fn precondition(headers: &HeaderMap) -> Precondition {
    match tags(headers, &header::IF_MATCH) {
        None | Some(Tags::Any) => Precondition::none(),
        Some(Tags::These(tags)) => {
            let strong = tags.into_iter().filter(|(_, weak)| !weak);
            // A tag that is no revision is one that no resource has.
            Precondition::one_of(strong.filter_map(|(tag, _)| revision(&tag)).collect::<Vec<_>>())
        }
    }
}

impl<S: Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

/// What `If-Match` demands.
pub(crate) struct IfMatch(pub(crate) Precondition);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self(precondition(&parts.headers)))
    }
}

impl IfNoneMatch {
    fn of(headers: &HeaderMap) -> Self {
        Self(tags(headers, &header::IF_NONE_MATCH))
    }

    /// Whether the caller has `actual` already. Tags are compared weakly.
    pub(crate) fn has(&self, actual: Revision) -> bool {
        match &self.0 {
            None => false,
            Some(Tags::Any) => true,
            Some(Tags::These(tags)) => tags.iter().any(|(tag, _)| revision(tag) == Some(actual)),
        }
    }
}

// Only the form that `etag` writes: no sign, no leading zero.
fn revision(tag: &str) -> Option<Revision> {
    tag.parse().ok().filter(|number: &u64| number.to_string() == tag).map(Revision::new)
}

/// The entity tags of a header, `None` without it. What is no entity tag matches nothing.
fn tags(headers: &HeaderMap, name: &HeaderName) -> Option<Tags> {
    let mut all = Vec::new();
    for value in headers.get_all(name) {
        match value.to_str().ok().and_then(parse) {
            Some(Tags::Any) => return Some(Tags::Any),
            Some(Tags::These(tags)) => all.extend(tags),
            None => {}
        }
    }
    headers.contains_key(name).then_some(Tags::These(all))
}

fn parse(value: &str) -> Option<Tags> {
    let value = value.trim();
    if value == "*" {
        return Some(Tags::Any);
    }
    let mut tags = Vec::new();
    let mut rest = value;
    loop {
        let (weak, quoted) = match rest.strip_prefix("W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        let (tag, after) = quoted.strip_prefix('"')?.split_once('"')?;
        tags.push((tag.to_owned(), weak));
        let after = after.trim_start();
        if after.is_empty() {
            return Some(Tags::These(tags));
        }
        rest = after.strip_prefix(',')?.trim_start();
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn if_match_compares_strongly() {
        let demand = |value| precondition(&headers(header::IF_MATCH, value));
        assert_eq!(demand("*"), Precondition::none());
        assert_eq!(demand("\"3\", \"4\""), Precondition::one_of([Revision::new(3), Revision::new(4)]));
        for never in ["W/\"3\"", "\"x\"", "\"03\"", "\"\"", "3", "\"3", "\"3\" \"4\"", "\"3\",", ""] {
            assert_eq!(demand(never), Precondition::one_of([]), "{never}");
        }
    }

    #[test]
    fn if_none_match_compares_weakly() {
        let has = |value| IfNoneMatch::of(&headers(header::IF_NONE_MATCH, value)).has(Revision::new(3));
        assert!(has("*") && has("W/\"3\"") && has("\"1\", \"3\""));
        assert!(!has("\"4\"") && !has("3"));
        assert!(!IfNoneMatch::of(&HeaderMap::new()).has(Revision::new(3)));
    }
}
