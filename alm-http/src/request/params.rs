//! Query parameters: each is known, given once, and valid, or the request is refused.

use alm_core::{domain::Rejected, ports::LabelFilter};
use axum::{extract::FromRequestParts, http::request::Parts};

use crate::error::ApiError;

use super::{cursor::INVALID_CURSOR, parse_cursor};

/// The query of a request, from which a handler takes what it knows.
pub(crate) struct Params {
    pairs: Vec<(String, String)>,
}

impl Params {
    pub(crate) fn of(parts: &Parts) -> Self {
        let query = parts.uri.query().unwrap_or_default();
        Self { pairs: form_urlencoded::parse(query.as_bytes()).into_owned().collect() }
    }

    /// The value of `name`, parsed.
    pub(crate) fn take<T>(
        &mut self,
        name: &str,
        parse: impl Fn(String) -> Result<T, Rejected>,
    ) -> Result<Option<T>, ApiError> {
        let mut values = self.take_all(name, parse)?;
        if values.len() > 1 {
            return Err(ApiError::parameter(name, "repeated-parameter", format!("{name} may be given once")));
        }
        Ok(values.pop())
    }

    /// Every value of `name`, parsed.
    pub(crate) fn take_all<T>(
        &mut self,
        name: &str,
        parse: impl Fn(String) -> Result<T, Rejected>,
    ) -> Result<Vec<T>, ApiError> {
        let taken = self.pairs.extract_if(.., |(key, _)| key == name);
        taken
            .map(|(_, value)| {
                parse(value).map_err(|Rejected { code, detail }| {
                    let code = if code == INVALID_CURSOR { code } else { "invalid-parameter" };
                    ApiError::parameter(name, code, format!("{name} {detail}"))
                })
            })
            .collect()
    }

    /// Refuses what no one has taken.
    pub(crate) fn finish(self) -> Result<(), ApiError> {
        match self.pairs.first() {
            None => Ok(()),
            Some((name, _)) => {
                let name: String = name.chars().take(64).collect();
                Err(ApiError::parameter(&name, "unknown-parameter", format!("this route has no parameter {name:?}")))
            }
        }
    }
}

/// A reason to refuse a value.
pub(crate) fn rejected(detail: &str) -> Rejected {
    Rejected { code: "invalid-parameter", detail: detail.to_owned() }
}

/// A positive integer.
pub(crate) fn positive<T>(make: impl Fn(i64) -> Option<T>) -> impl Fn(String) -> Result<T, Rejected> {
    move |text| text.parse().ok().and_then(&make).ok_or_else(|| rejected("must be a positive integer"))
}

/// The cursor of a list that is ordered by a positive integer.
pub(crate) fn numeric_cursor<T>(make: impl Fn(i64) -> Option<T>) -> impl Fn(String) -> Result<T, Rejected> {
    parse_cursor(move |key| key.parse().ok().and_then(&make))
}

/// One of a fixed set of names.
pub(crate) fn named<T>(parse: impl Fn(&str) -> Option<T>) -> impl Fn(String) -> Result<T, Rejected> {
    move |text| parse(&text).ok_or_else(|| rejected("must be one of the names in the documentation"))
}

/// Every `label=key=value`.
pub(crate) fn labels(params: &mut Params) -> Result<Vec<LabelFilter>, ApiError> {
    let labels = params.take_all("label", |text| {
        let (key, value) = text.split_once('=').ok_or_else(|| rejected("must have the form key=value"))?;
        Ok(LabelFilter { key: key.to_owned(), value: value.to_owned() })
    })?;
    // Nothing has more labels, and each one given costs a look-up in everything that is listed.
    if labels.len() > 64 {
        return Err(ApiError::parameter("label", "repeated-parameter", "label may be given 64 times"));
    }
    Ok(labels)
}

/// An id in a body.
pub(crate) fn body_id<T>(pointer: &str, id: i64, make: impl Fn(i64) -> Option<T>) -> Result<T, ApiError> {
    make(id).ok_or_else(|| {
        let rejected = Rejected { code: "not-positive", detail: "must be a positive integer".to_owned() };
        ApiError::invalid(vec![rejected.at(pointer)])
    })
}

/// A request without query parameters, by anyone.
pub(crate) struct NoParams;

impl<S: Sync> FromRequestParts<S> for NoParams {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        Params::of(parts).finish().map(|()| Self)
    }
}
