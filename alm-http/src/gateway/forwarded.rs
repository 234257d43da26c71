//! `Forwarded` (RFC 7239): who asked the gateway, and how. The last element is the gateway's own; before it stands what proxies have said
//! that are trusted, and nothing that a client says of itself.

use std::{
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, header::FORWARDED},
    middleware::Next,
    response::Response,
};

use crate::{
    TrustedProxies,
    forwarded::{is_token, node, nodes},
    proxies::{X_FORWARDED_FOR, by_x_forwarded_for},
};

/// Takes from a request what no one who is trusted has said of its client.
pub(super) async fn admit(State(trusted): State<TrustedProxies>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    vet(request.headers_mut(), peer, &trusted);
    next.run(request).await
}

/// What is left is of `Forwarded` alone: a service is not to ask itself which of two headers counts.
fn vet(headers: &mut HeaderMap, peer: Option<IpAddr>, trusted: &TrustedProxies) {
    let is_named = peer.is_some_and(|peer| trusted.client(peer, headers) != peer.to_canonical());
    let other = by_x_forwarded_for(headers);
    headers.remove(X_FORWARDED_FOR);
    if !is_named {
        headers.remove(FORWARDED);
    } else if let Some(chain) = other
        && !headers.contains_key(FORWARDED)
    {
        let elements = chain.into_iter().map(|address| address.map_or_else(|| "unknown".to_owned(), node));
        let list: Vec<_> = elements.map(|node| format!("for={node}")).collect();
        if let Ok(value) = HeaderValue::try_from(list.join(", ")) {
            headers.insert(FORWARDED, value);
        }
    }
}

/// Appends the element for a request that came from `client` for `authority`.
pub(super) fn append(headers: &mut HeaderMap, client: Option<SocketAddr>, authority: Option<&str>, proto: &str) {
    let given: Option<Vec<&str>> = headers.get_all(FORWARDED).iter().map(|value| value.to_str().ok()).collect();
    let mut value = given.map(|given| given.join(", ")).filter(|given| nodes(given).is_some()).unwrap_or_default();
    if !value.is_empty() {
        value.push_str(", ");
    }
    value.push_str(&element(client, authority, proto));
    // Made of visible ASCII alone. Something that is no list would swallow what is appended, so it does not pass.
    headers.remove(FORWARDED);
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(FORWARDED, value);
    }
}

fn element(client: Option<SocketAddr>, authority: Option<&str>, proto: &str) -> String {
    let mut element = format!("for={}", client.map_or_else(|| "unknown".to_owned(), |client| node(client.ip())));
    let is_host =
        |host: &&str| !host.is_empty() && host.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
    if let Some(host) = authority.filter(is_host) {
        let quote = if host.bytes().all(is_token) { "" } else { "\"" };
        // Writing to a string does not fail.
        let _ = write!(element, ";host={quote}{host}{quote}");
    }
    let _ = write!(element, ";proto={proto}");
    element
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn appended(given: &[&str], client: Option<&str>, authority: Option<&str>) -> String {
        let mut headers = HeaderMap::new();
        for value in given {
            headers.append(FORWARDED, HeaderValue::try_from(*value).unwrap());
        }
        append(&mut headers, client.map(|client| client.parse().unwrap()), authority, "http");
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

    #[test]
    fn only_proxies_that_are_trusted_say_who_the_client_is() {
        let vetted = |peer: &str, given: &[(&str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in given {
                headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
            }
            vet(&mut headers, peer.parse().ok(), &"10.0.0.0/8".parse().unwrap());
            assert!(!headers.contains_key("x-forwarded-for"));
            headers.get(FORWARDED).map(|value| value.to_str().unwrap().to_owned())
        };
        let forwarded = ("forwarded", "for=6.6.6.6, for=192.0.2.1;proto=https");
        let other = ("x-forwarded-for", "6.6.6.6, nonsense, 2001:db8::1, 10.0.0.9");
        for peer in ["192.0.2.7", "no one"] {
            assert_eq!(vetted(peer, &[forwarded, other]), None);
        }
        assert_eq!(vetted("10.0.0.1", &[forwarded]).unwrap(), forwarded.1);
        let of_the_other = "for=6.6.6.6, for=unknown, for=\"[2001:db8::1]\", for=10.0.0.9";
        assert_eq!(vetted("10.0.0.1", &[other]).unwrap(), of_the_other);
        assert_eq!(vetted("10.0.0.1", &[forwarded, other]), None, "they don't agree");
        assert_eq!(vetted("10.0.0.1", &[("forwarded", "for=unknown")]), None);
        assert_eq!(vetted("10.0.0.1", &[]), None);
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
            prop_assert!(nodes(&value).is_some(), "{}", value);
            prop_assert!(value.ends_with(";proto=http"));
            let own = appended(&[], Some(&client), Some(&host));
            prop_assert!(value == own || value.ends_with(&format!(", {own}")), "{}", value);
            // Whoever reads it from the end finds the own element whole, as no quote is open before it.
            let before = value.strip_suffix(&own).unwrap().trim_end_matches(", ");
            prop_assert!(before.is_empty() || nodes(before).is_some(), "{}", before);
        }
    }
}
