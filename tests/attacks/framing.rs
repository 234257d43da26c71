//! HTTP that two servers could read in two ways. Each ends its connection, and what would be a second request, were the first read in
//! another way, is not answered: it would make an app.

use crate::{
    forge::token_of,
    given::{Answer, Attack, CLOSED, Sent, attack, cut_off, harmless, refused},
    target::{Setup, Target},
};

const BAD: Answer = cut_off(400);
const NOT_JSON: Answer = refused(400, "not-json");

fn authorization() -> String {
    format!("authorization: Bearer {}\r\ncontent-type: application/json\r\n", token_of("mallory", "admin", ""))
}

/// What would make an app.
fn hidden() -> String {
    let body = r#"{"name":"smuggled"}"#;
    format!("POST /apps HTTP/1.1\r\nhost: alm\r\n{}content-length: {}\r\n\r\n{body}", authorization(), body.len())
}

/// A request with these headers beside the usual ones, and an empty chunk as its body.
fn framed(headers: &str) -> Sent {
    headed(&format!("host: alm\r\n{headers}\r\n"), "0\r\n\r\n")
}

/// A request with these headers and no others but the token, and this body.
fn headed(headers: &str, body: &str) -> Sent {
    let head = format!("POST /apps HTTP/1.1\r\n{}{headers}\r\n", authorization());
    Sent::Bytes(format!("{head}{body}{}", hidden()).into_bytes())
}

/// A request that begins so and has no body.
fn beginning(start: &str) -> Sent {
    Sent::Bytes(format!("{start}{}content-length: 0\r\n\r\n{}", authorization(), hidden()).into_bytes())
}

/// A request with this as its chunks.
fn chunked(chunks: &str) -> Sent {
    headed("host: alm\r\ntransfer-encoding: chunked\r\n", &format!("{chunks}0\r\n\r\n"))
}

/// A request that is framed as it should be.
fn as_usual(line: &str, headers: &str) -> Sent {
    Sent::Bytes(format!("{line} HTTP/1.1\r\nhost: alm\r\n{}{headers}\r\n", authorization()).into_bytes())
}

fn bytes(bytes: &str) -> Sent {
    Sent::Bytes(bytes.into())
}

pub(crate) fn attacks() -> Vec<Attack> {
    [lengths(), codings(), chunks(), lines(), fields(), versions()].into_iter().flatten().collect()
}

#[rustfmt::skip]
fn lengths() -> Vec<Attack> {
    vec![
        attack("a length, and then chunks", framed("content-length: 48\r\ntransfer-encoding: chunked"), NOT_JSON),
        attack("chunks, and then a length", framed("transfer-encoding: chunked\r\ncontent-length: 48"), NOT_JSON),
        attack("two lengths", framed("content-length: 4\r\ncontent-length: 5"), BAD),
        attack("two lengths in one", framed("content-length: 4, 5"), BAD),
        attack("the same length twice in one", framed("content-length: 5, 5"), BAD),
        attack("a negative length", framed("content-length: -5"), BAD),
        attack("a length with a plus sign", framed("content-length: +5"), BAD),
        attack("a length in hexadecimal", framed("content-length: 0x5"), BAD),
        attack("a length that is empty", framed("content-length: "), BAD),
        attack("a length with a space in it", framed("content-length: 1 0"), BAD),
        attack("a length beyond 64 bits", framed("content-length: 18446744073709551616"), BAD),
        attack("a length with a space before the colon", framed("content-length : 5"), BAD),
    ]
}

#[rustfmt::skip]
fn codings() -> Vec<Attack> {
    vec![
        attack("chunked twice in two headers", framed("transfer-encoding: chunked\r\ntransfer-encoding: chunked"), BAD),
        attack("chunked twice in one", framed("transfer-encoding: chunked, chunked"), BAD),
        attack("chunked, and then identity", framed("transfer-encoding: chunked, identity"), BAD),
        attack("identity, and then chunked", framed("transfer-encoding: identity, chunked"), BAD),
        attack("gzip, and then chunked", framed("transfer-encoding: gzip, chunked"), BAD),
        attack("a coding that there is not", framed("transfer-encoding: xchunked"), BAD),
        attack("a coding in quotes", framed("transfer-encoding: \"chunked\""), BAD),
        attack("a coding behind a vertical tab", framed("transfer-encoding: \x0bchunked"), BAD),
        attack("a coding with a space before the colon", framed("transfer-encoding : chunked"), BAD),
        attack("a coding with a tab before the colon", framed("transfer-encoding\t: chunked"), BAD),
        attack("a coding on a line that begins with a space", framed("x: y\r\n transfer-encoding: chunked"), BAD),
        attack("a coding on a line that begins with a tab", framed("x: y\r\n\ttransfer-encoding: chunked"), BAD),
        attack("a coding behind a bare carriage return", framed("x: y\rtransfer-encoding: chunked"), BAD),
        attack("a coding behind NUL", framed("x: y\0transfer-encoding: chunked"), BAD),
        attack("chunks in HTTP/1.0", bytes(&format!("POST /apps HTTP/1.0\r\nhost: alm\r\n{}transfer-encoding: chunked\r\n\r\n0\r\n\r\n{}", authorization(), hidden())), BAD),
    ]
}

#[rustfmt::skip]
fn chunks() -> Vec<Attack> {
    vec![
        attack("a chunk beyond 64 bits", chunked("ffffffffffffffff1\r\n"), NOT_JSON),
        attack("a chunk of 2 to the 64th, which wraps around to 0", chunked("10000000000000000\r\n"), NOT_JSON),
        attack("a chunk of a negative size", chunked("-1\r\n"), NOT_JSON),
        attack("a chunk of a size with a plus sign", chunked("+1\r\nx\r\n"), NOT_JSON),
        attack("a chunk of a size with 0x", chunked("0x1\r\nx\r\n"), NOT_JSON),
        attack("a chunk of a size with a space before it", chunked(" 1\r\nx\r\n"), NOT_JSON),
        attack("a chunk of no size", chunked("\r\n"), NOT_JSON),
        attack("a chunk of a size that is no number", chunked("g\r\n"), NOT_JSON),
        attack("a chunk of a size with a bare line feed", chunked("1\nx\r\n"), NOT_JSON),
        attack("a chunk of a size with a bare carriage return", chunked("1\rx\r\n"), NOT_JSON),
        attack("a chunk that is longer than it says", chunked("1\r\nxx\r\n"), NOT_JSON),
        attack("a chunk with a bare line feed in its extension", chunked("1;a\nx\r\n"), NOT_JSON),
        attack("a trailer that is no header", chunked("0\r\nx\r\n\r\n"), NOT_JSON),
    ]
}

#[rustfmt::skip]
fn lines() -> Vec<Attack> {
    vec![
        attack("no host", beginning("POST /apps HTTP/1.1\r\n"), BAD),
        attack("two hosts", beginning("POST /apps HTTP/1.1\r\nhost: alm\r\nhost: evil\r\n"), BAD),
        attack("the same host twice", beginning("POST /apps HTTP/1.1\r\nhost: alm\r\nhost: alm\r\n"), BAD),
        attack("a space before the method", beginning(" POST /apps HTTP/1.1\r\nhost: alm\r\n"), BAD),
        attack("two spaces before the path", beginning("POST  /apps HTTP/1.1\r\nhost: alm\r\n"), BAD),
        attack("a space behind the version", beginning("POST /apps HTTP/1.1 \r\nhost: alm\r\n"), BAD),
        attack("a tab before the path", beginning("POST\t/apps HTTP/1.1\r\nhost: alm\r\n"), BAD),
        attack("NUL in the path", beginning("POST /apps\0 HTTP/1.1\r\nhost: alm\r\n"), BAD),
        attack("a bare carriage return behind the version", beginning("POST /apps HTTP/1.1\rhost: alm\r\n"), BAD),
        attack("a method with a parenthesis", beginning("PO(ST /apps HTTP/1.1\r\nhost: alm\r\n"), BAD),
        attack("a method with NUL", beginning("PO\0ST /apps HTTP/1.1\r\nhost: alm\r\n"), BAD),
        attack("a path that does not begin with a slash", as_usual("GET apps", "connection: close\r\n"), refused(404, "not-found")),
    ]
}

#[rustfmt::skip]
fn fields() -> Vec<Attack> {
    let zero = "content-length: 0\r\n";
    let many = "x: y\r\n".repeat(101);
    let large = format!("x: {}\r\n", "y".repeat(70_000));
    let too_large = cut_off(431);
    vec![
        attack("a header with NUL", framed("x: \0"), BAD),
        attack("a header with a control character", framed("x: \x01"), BAD),
        attack("a header with DEL", framed("x: \x7f"), BAD),
        attack("a header without a name", framed(": y"), BAD),
        attack("a header without a colon", framed("x\r\ny: z"), BAD),
        attack("a header with a name in quotes", framed("\"x\": y"), BAD),
        attack("a header with a name that is not ASCII", framed("hö: y"), BAD),
        attack("101 headers", headed(&format!("host: alm\r\n{zero}{many}"), ""), too_large),
        attack("a header of 70,000 bytes", headed(&format!("host: alm\r\n{zero}{large}"), ""), too_large),
    ]
}

#[rustfmt::skip]
fn versions() -> Vec<Attack> {
    vec![
        attack("HTTP/0.9", bytes("GET /apps\r\n\r\n"), BAD),
        attack("HTTP/1.2", beginning("POST /apps HTTP/1.2\r\nhost: alm\r\n"), BAD),
        attack("HTTP/2.0 in the first line", beginning("POST /apps HTTP/2.0\r\nhost: alm\r\n"), BAD),
        attack("HTTP/3.0 in the first line", beginning("POST /apps HTTP/3.0\r\nhost: alm\r\n"), BAD),
        attack("http/1.1 in small letters", beginning("POST /apps http/1.1\r\nhost: alm\r\n"), BAD),
        attack("TLS to a port that speaks none", bytes("\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}\x03\x03garbage garbage\r\n\r\n"), BAD),
        attack("the protocol of another database", bytes("*1\r\n$4\r\nPING\r\n\r\n"), BAD),
        attack("the preface of HTTP/2, and then garbage", bytes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\ngarbage garbage garbage garbage garbage garbage"), CLOSED),
        attack("the preface of HTTP/2, cut off by HTTP/1", bytes("PRI * HTTP/2.0\r\n\r\nGET / HTTP/1.1\r\n\r\n"), BAD),
        attack("an upgrade to HTTP/2 without TLS", as_usual("GET /apps/1", "upgrade: h2c\r\nconnection: upgrade, http2-settings, close\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n"), harmless(200, &[])),
        attack("an upgrade to a web socket", as_usual("GET /apps/1", "upgrade: websocket\r\nconnection: upgrade, close\r\n"), harmless(200, &[])),
        attack("the whole request given back", as_usual("TRACE /apps/1", "connection: close\r\n"), refused(405, "method-not-allowed")),
        attack("a tunnel to somewhere else", as_usual("CONNECT evil.example:80", "connection: close\r\n"), refused(404, "not-found")),
        attack("a path at another host", as_usual("GET http://evil.example/apps/1", "connection: close\r\n"), harmless(200, &[])),
        attack("an answer instead of a request", bytes("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), BAD),
    ]
}

#[tokio::test]
async fn no_request_is_read_in_two_ways() {
    Target::start(Setup::default()).await.withstands(attacks()).await;
}
