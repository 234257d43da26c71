//! Requests: their headers, their queries and their bodies.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use serde_json::Value;

use super::{bytes, world::answer};

pub(super) fn seeds() -> Vec<Vec<u8>> {
    bytes(&[
        "GET /apps/1\nif-none-match: \"1\", W/\"2\"\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n",
        "PUT /apps/2\nif-match: \"1\"\ncontent-type: application/json; charset=utf-8\n\n{\"name\":\"two\",\"labels\":{\"a\":\"b\"}}",
        "POST /apps\nidempotency-key: 1\ncontent-type: application/json\nx-request-id: abc\n\n{\"name\":\"é\",\"description\":\"\"}",
        "POST /deployments\ncontent-type: application/json\n\n{\"version_id\":1,\"environment\":\"prod\"}",
        "GET /events?after=1&limit=2\naccept: application/json;q=0.5, text/event-stream\nlast-event-id: 2\n",
        "GET /apps?label=a%3Db&name=two&limit=200\naccept: */*\n",
        "GET /audit/tile/0/x001/234\nauthorization: Bearer x\nauthorization: Basic YTpi\n",
        "DELETE /versions/9223372036854775807\nif-match: *\nforwarded: for=\"[::1]\";proto=https\n",
    ])
}

/// Whatever a request says, it is answered, and what went wrong is a problem that names it.
pub(super) fn request(data: &[u8]) {
    let (head, body) = match data.windows(2).position(|pair| pair == b"\n\n") {
        Some(end) => (&data[..end], &data[end + 2..]),
        None => (data, &[][..]),
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let Some((method, uri)) =
        lines.next().and_then(|line| str::from_utf8(line).ok()).and_then(|line| line.split_once(' '))
    else {
        return;
    };
    let (Ok(method), Ok(uri)) = (method.parse::<Method>(), uri.parse::<Uri>()) else { return };
    // A hash of a password takes as long as all else together, and is no parser.
    if !uri.path().starts_with('/')
        || (method == Method::POST || method == Method::PUT)
            && ["/login", "/users"].iter().any(|path| uri.path().starts_with(path))
    {
        return;
    }
    let mut headers = HeaderMap::new();
    for line in lines.take(100) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    let answer = answer(method.clone(), uri, headers, body.to_vec());

    let status = answer.status;
    // What the server is not set up for is said to be so.
    assert!(!status.is_server_error() || status == StatusCode::NOT_IMPLEMENTED, "{status}");
    let id = answer.headers.get("x-request-id").expect("an x-request-id");
    assert!((1..=128).contains(&id.len()), "{id:?}");
    if status.is_client_error() && method != Method::HEAD {
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/problem+json");
        let problem: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(problem["status"], status.as_u16());
        assert_eq!(problem["request_id"], id.to_str().unwrap());
        assert!(problem["code"].as_str().is_some_and(|code| !code.is_empty()), "{problem}");
    }
}
