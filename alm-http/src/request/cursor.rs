//! Cursors: where a page begins, in a form that no one is to look into.

use alm_core::domain::Rejected;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// A cursor that no list has given.
pub(super) const INVALID_CURSOR: &str = "invalid-cursor";

/// The cursor that stands for `key`.
pub(crate) fn cursor_of(key: &str) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

/// The key that a cursor stands for, read by `parse`.
pub(crate) fn parse_cursor<T>(parse: impl Fn(&str) -> Option<T>) -> impl Fn(String) -> Result<T, Rejected> {
    move |cursor| {
        URL_SAFE_NO_PAD
            .decode(cursor)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .and_then(|key| parse(&key))
            .ok_or_else(|| Rejected {
                code: INVALID_CURSOR,
                detail: "must be a cursor that a Link header has given".to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_nothing_else_is() {
        let parse = parse_cursor(|key| key.parse::<u32>().ok());
        assert_eq!(parse(cursor_of("42")).unwrap(), 42);
        for cursor in ["", "42", "!!", "NDI=", &cursor_of("x")] {
            assert!(parse(cursor.to_owned()).is_err(), "{cursor:?}");
        }
    }
}
