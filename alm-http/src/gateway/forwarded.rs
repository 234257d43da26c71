//! `Forwarded` (RFC 7239): who asked the gateway, and how. What a client says of itself there is passed on, and trusted by no one
//! here; the last element is the gateway's own.

use std::{
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
};

use axum::http::{HeaderMap, HeaderValue, header::FORWARDED};

/// Appends the element for a request that came from `client` for `authority`.
pub(super) fn append(headers: &mut HeaderMap, client: Option<SocketAddr>, authority: Option<&str>) {
    let given: Option<Vec<&str>> = headers.get_all(FORWARDED).iter().map(|value| value.to_str().ok()).collect();
    let mut value = given.map(|given| given.join(", ")).filter(|given| is_valid(given)).unwrap_or_default();
    if !value.is_empty() {
        value.push_str(", ");
    }
    value.push_str(&element(client, authority));
    // Made of visible ASCII alone. Something that is no list would swallow what is appended, so it does not pass.
    headers.remove(FORWARDED);
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(FORWARDED, value);
    }
}

fn element(client: Option<SocketAddr>, authority: Option<&str>) -> String {
    let mut element = match client.map(|client| client.ip().to_canonical()) {
        Some(IpAddr::V4(address)) => format!("for={address}"),
        // Section 6: in brackets, and because of the colons in quotes.
        Some(IpAddr::V6(address)) => format!("for=\"[{address}]\""),
        None => "for=unknown".to_owned(),
    };
    let is_host =
        |host: &&str| !host.is_empty() && host.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
    if let Some(host) = authority.filter(is_host) {
        let quote = if host.bytes().all(is_token) { "" } else { "\"" };
        // Writing to a string does not fail.
        let _ = write!(element, ";host={quote}{host}{quote}");
    }
    element.push_str(";proto=http");
    element
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether it is a list of elements, each of pairs `token=value` (RFC 7239, section 4).
fn is_valid(list: &str) -> bool {
    let mut rest = list.as_bytes();
    loop {
        rest = match pair(rest.trim_ascii_start()) {
            Some(rest) => rest.trim_ascii_start(),
            None => return false,
        };
        match rest.split_first() {
            None => return true,
            Some((b';' | b',', after)) => rest = after,
            Some(_) => return false,
        }
    }
}

/// What follows the pair at the beginning of `text`.
fn pair(text: &[u8]) -> Option<&[u8]> {
    let rest = token(text)?.strip_prefix(b"=")?;
    let Some(mut quoted) = rest.strip_prefix(b"\"") else { return token(rest) };
    loop {
        quoted = match quoted {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', _, rest @ ..] | [_, rest @ ..] => rest,
            [] => return None,
        }
    }
}

/// What follows the token at the beginning of `text`.
fn token(text: &[u8]) -> Option<&[u8]> {
    let end = text.iter().position(|byte| !is_token(*byte)).unwrap_or(text.len());
    (end > 0).then(|| &text[end..])
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn appended(given: &[&str], client: Option<&str>, authority: Option<&str>) -> String {
        let mut headers = HeaderMap::new();
        for value in given {
            headers.append(FORWARDED, HeaderValue::try_from(*value).unwrap());
        }
        append(&mut headers, client.map(|client| client.parse().unwrap()), authority);
        assert_eq!(headers.get_all(FORWARDED).iter().count(), 1);
        headers[FORWARDED].to_str().unwrap().to_owned()
    }

    #[test]
    fn it_says_who_asked_for_what() {
        for (client, authority, element) in [
            (Some("192.0.2.43:4711"), Some("alm.example"), "for=192.0.2.43;host=alm.example;proto=http"),
            (Some("[2001:db8::17]:4711"), Some("alm:8000"), "for=\"[2001:db8::17]\";host=\"alm:8000\";proto=http"),
            (Some("[::ffff:192.0.2.1]:1"), None, "for=192.0.2.1;proto=http"),
            (None, Some("[::1]:80"), "for=unknown;host=\"[::1]:80\";proto=http"),
            (None, Some("a\"b"), "for=unknown;proto=http"),
        ] {
            assert_eq!(appended(&[], client, authority), element);
        }
    }

    #[test]
    fn it_is_appended_to_what_is_there_unless_that_is_no_list() {
        let own = "for=unknown;proto=http";
        for given in ["for=a", "for=\"[::1]\" ; by=b, For=c", "for=\"a, \\\" b\""] {
            assert_eq!(appended(&[given], None, None), format!("{given}, {own}"));
        }
        assert_eq!(appended(&["for=a", "for=b"], None, None), format!("for=a, for=b, {own}"));
        for given in ["", "for", "for=", "for=\"a", "for=a b", "for=a;", ",for=a", "=a", "for=\"a\\"] {
            assert_eq!(appended(&[given], None, None), own, "{given}");
        }
        assert_eq!(appended(&["for=\"a", "b\""], None, None), format!("for=\"a, b\", {own}"), "one list in two lines");
    }

    proptest! {
        #[test]
        fn what_leaves_is_a_list_that_ends_with_the_own_element(
            given in vec("[a-c=;,\"\\\\ \\[\\]:]{0,12}", 0..3),
            address in any::<IpAddr>(),
            host in "[!-~]{0,12}",
        ) {
            let client = SocketAddr::new(address, 1).to_string();
            let given: Vec<&str> = given.iter().map(String::as_str).collect();
            let value = appended(&given, Some(&client), Some(&host));
            prop_assert!(is_valid(&value), "{}", value);
            prop_assert!(value.ends_with(";proto=http"));
            let own = appended(&[], Some(&client), Some(&host));
            prop_assert!(value == own || value.ends_with(&format!(", {own}")), "{}", value);
            // Whoever reads it from the end finds the own element whole, as no quote is open before it.
            let before = value.strip_suffix(&own).unwrap().trim_end_matches(", ");
            prop_assert!(before.is_empty() || is_valid(before), "{}", before);
        }
    }
}
