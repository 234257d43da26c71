//! What headers pass, and which are of one connection alone.

use std::net::SocketAddr;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use hyper::body::{Body, Incoming};

use crate::envelope::{RequestId, X_REQUEST_ID};

use super::forwarded;

/// The headers of one connection (RFC 9110, section 7.6.1), besides those that `Connection` names.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];
/// Who passed the message on (RFC 9110, section 7.6.3).
const VIA: &str = "1.1 alm-gateway";
/// How often a request may come by before it is taken to go round in a circle.
const MAX_PASSES: usize = 3;

/// Whether a request goes round in a circle.
pub(super) fn is_in_a_loop(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::VIA).iter().filter_map(|value| value.to_str().ok());
    values.map(|value| value.matches(VIA).count()).sum::<usize>() >= MAX_PASSES
}

/// Makes the headers of a client's request those of the request to a service.
pub(super) fn of_request(
    headers: &mut HeaderMap,
    id: &RequestId,
    client: Option<SocketAddr>,
    authority: Option<&str>,
    proto: &str,
    length: Option<u64>,
) {
    remove_hop_by_hop(headers);
    forwarded::append(headers, client, authority, proto);
    // The client of the service sets its own.
    headers.remove(header::HOST);
    // As the body was read, whatever the header says besides.
    let had_length = headers.remove(header::CONTENT_LENGTH).is_some();
    if let Some(length) = length.filter(|length| had_length || *length > 0) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    headers.insert(X_REQUEST_ID, id.0.clone());
    headers.append(header::VIA, HeaderValue::from_static(VIA));
}

/// Makes the headers of a service's answer those of the answer to the client.
pub(super) fn of_answer(headers: &mut HeaderMap, method: &Method, status: StatusCode, body: &Incoming) {
    remove_hop_by_hop(headers);
    // That of an answer to HEAD says how long the body would be; any other must be that of the body.
    if method != Method::HEAD {
        let said = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if said != body.size_hint().exact() || status == StatusCode::NOT_MODIFIED {
            headers.remove(header::CONTENT_LENGTH);
        }
    }
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(header::CONNECTION)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
            .filter(|name| !is_of_the_end(name))
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// What a client may not have taken out by naming it in `Connection`: who it is, and what makes the request what it is.
fn is_of_the_end(name: &HeaderName) -> bool {
    [header::AUTHORIZATION, header::CONTENT_LENGTH, header::CONTENT_TYPE, header::HOST, header::IF_MATCH, header::VIA]
        .contains(name)
        || name == "forwarded"
        || name == "idempotency-key"
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn request_id() -> RequestId {
        RequestId(HeaderValue::from_static("an-id"))
    }

    fn name() -> impl Strategy<Value = String> {
        let hop_by_hop = (0..HOP_BY_HOP.len()).prop_map(|n| HOP_BY_HOP[n].to_string());
        prop_oneof![hop_by_hop, "x-[a-c]", Just("accept".to_owned()), Just("content-length".to_owned())]
    }

    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-z, ]{0,10}",
            vec(name(), 0..4).prop_map(|names| names.join(" , ")),
            Just("close, X-A,x-B".to_owned()),
        ]
    }

    proptest! {
        #[test]
        fn no_header_of_the_connection_passes(given in vec((name(), value()), 0..12), length in proptest::option::of(0..9_u64)) {
            let mut headers = HeaderMap::new();
            for (name, value) in &given {
                headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
            }
            let named: Vec<String> = headers.get_all("connection").iter()
                .flat_map(|value| value.to_str().unwrap().split(',').map(|name| name.trim().to_ascii_lowercase()))
                .filter(|name| name.starts_with("x-") || name == "accept")
                .collect();
            let others: Vec<_> = given.iter()
                .filter(|(name, _)| (name.starts_with("x-") || name == "accept") && !named.contains(name))
                .collect();
            of_request(&mut headers, &request_id(), None, Some("alm"), "http", length);
            for name in HOP_BY_HOP.iter().map(HeaderName::as_str).chain(named.iter().map(String::as_str)) {
                prop_assert!(!headers.contains_key(name), "{}", name);
            }
            for (name, value) in others {
                prop_assert!(headers.get_all(name).iter().any(|passed| passed == value), "{}", name);
            }
            let said = headers.get("content-length").map(|said| said.to_str().unwrap().parse().unwrap());
            prop_assert!(said.is_none() || said == length, "{:?}", said);
            prop_assert_eq!(&headers["x-request-id"], "an-id");
        }
    }

    #[test]
    fn a_connection_header_takes_out_nothing_that_the_request_is_made_of() {
        let mut headers = HeaderMap::new();
        let kept = ["authorization", "idempotency-key", "if-match", "content-type"];
        for name in kept {
            headers.insert(name, HeaderValue::from_static("v"));
        }
        let names = "authorization, Idempotency-Key, if-match, content-type, x-other";
        headers.insert("connection", HeaderValue::from_static(names));
        headers.insert("x-other", HeaderValue::from_static("v"));
        of_request(&mut headers, &request_id(), None, None, "http", None);
        assert!(kept.iter().all(|name| headers.contains_key(*name)), "{headers:?}");
        assert!(!headers.contains_key("x-other"));
    }

    #[test]
    fn a_request_that_comes_by_again_and_again_is_in_a_loop() {
        let mut headers = HeaderMap::new();
        headers.append("via", HeaderValue::from_static("1.1 some-proxy"));
        for _ in 0..MAX_PASSES {
            assert!(!is_in_a_loop(&headers));
            of_request(&mut headers, &request_id(), None, None, "http", None);
        }
        assert!(is_in_a_loop(&headers));
    }
}
