//! What is meant to cost the server more than the client.

use std::time::Duration;

use alm_core::services::LoginLimits;
use alm_http::serve::ServeConfig;
use alm_test_support::{LONG, eventually};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    forge::token_of,
    given::{Answer, Attack, CLOSED, DENIED, Sent, a, attack, cut_off, field, no_one, refused, with_token},
    target::{Setup, Target},
};

/// As short as a timeout that is meant to end something can be.
const SHORT: Duration = Duration::from_millis(300);

const TOO_LARGE: Answer = refused(413, "body-too-large");
const TOO_SLOW: Answer = refused(408, "body-too-slow");
const NOT_JSON: Answer = refused(400, "not-json");
const HEADER_TOO_LARGE: Answer = cut_off(431);
const PACKED: Answer = refused(415, "unsupported-media-type");

fn head(headers: &str) -> Vec<u8> {
    let authorization = format!("authorization: Bearer {}", token_of("mallory", "user", ""));
    format!("POST /apps HTTP/1.1\r\nhost: alm\r\n{authorization}\r\ncontent-type: application/json\r\n{headers}").into()
}

/// The head of a request, and then this without an end.
fn endless(headers: &str, again: &str) -> Sent {
    Sent::Endless(head(headers), again.repeat(1024).into_bytes())
}

/// A request that is begun, and then nothing.
fn begun(headers: &str) -> Sent {
    Sent::Bytes(head(headers))
}

pub(crate) fn attacks() -> Vec<Attack> {
    [on_and_on(), silence(), packed(), requests()].into_iter().flatten().collect()
}

/// What comes on and on. The server has all the time in the world.
#[rustfmt::skip]
fn on_and_on() -> Vec<Attack> {
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
    vec![
        attack("a body in chunks without an end", endless("transfer-encoding: chunked\r\n\r\n", &chunk), TOO_LARGE),
        attack("a body in chunks of one byte without an end", endless("transfer-encoding: chunked\r\n\r\n", "1\r\n \r\n"), TOO_LARGE),
        attack("a body of half of all bytes there are", endless("content-length: 9223372036854775807\r\n\r\n", " "), TOO_LARGE),
        attack("a body of all bytes there are", endless("content-length: 18446744073709551615\r\n\r\n", " "), HEADER_TOO_LARGE),
        attack("an extension of a chunk without an end", endless("transfer-encoding: chunked\r\n\r\n1;", "x=y;"), NOT_JSON),
        attack("extensions of many chunks without an end", endless("transfer-encoding: chunked\r\n\r\n", "1;x=y\r\n \r\n"), NOT_JSON),
        attack("trailers without an end", endless("transfer-encoding: chunked\r\n\r\n0\r\n", "x: y\r\n"), NOT_JSON),
        attack("a size of a chunk without an end", endless("transfer-encoding: chunked\r\n\r\n1", "0"), NOT_JSON),
        attack("headers without an end", endless("", "x: y\r\n"), HEADER_TOO_LARGE),
        attack("one header without an end", endless("x: ", "y"), HEADER_TOO_LARGE),
        attack("a name of a header without an end", endless("", "x"), HEADER_TOO_LARGE),
        attack("a method without an end", Sent::Endless(Vec::new(), vec![b'X'; 1024]), HEADER_TOO_LARGE),
        attack("a path without an end", Sent::Endless(b"GET /".to_vec(), vec![b'x'; 1024]), HEADER_TOO_LARGE),
        attack("line breaks without an end", Sent::Endless(Vec::new(), b"\r\n".repeat(512)), HEADER_TOO_LARGE),
    ]
}

/// What does not come. The server is in a hurry.
#[rustfmt::skip]
fn silence() -> Vec<Attack> {
    vec![
        attack("a body that does not come", begun("content-length: 100\r\n\r\n"), TOO_SLOW),
        attack("a body that stops halfway", begun("content-length: 100\r\n\r\n{\"name\":"), TOO_SLOW),
        attack("a chunk that does not come", begun("transfer-encoding: chunked\r\n\r\n64\r\n"), TOO_SLOW),
        attack("a body that a client waits to be asked for", begun("content-length: 100\r\nexpect: 100-continue\r\n\r\n"), TOO_SLOW),
        attack("a connection on which nothing comes", Sent::Bytes(Vec::new()), CLOSED),
        attack("a request that stops within its method", Sent::Bytes(b"PO".to_vec()), CLOSED),
        attack("a header that does not end (slowloris)", begun(""), CLOSED),
        attack("a header that stops within a name", begun("x-slow"), CLOSED),
        attack("a handshake of TLS that does not go on", Sent::Bytes(b"\x16\x03\x01".to_vec()), cut_off(400)),
        attack("a preface of HTTP/2 that does not go on", Sent::Bytes(b"PRI * HTTP/2.0\r\n".to_vec()), CLOSED),
    ]
}

#[rustfmt::skip]
fn packed() -> Vec<Attack> {
    let packed = |coding: &str| a("user", "POST /apps").json("x").header(format!("content-encoding: {coding}"));
    vec![
        attack("a packed body (gzip)", packed("gzip"), PACKED),
        attack("a packed body (deflate)", packed("deflate"), PACKED),
        attack("a packed body (br)", packed("br"), PACKED),
        attack("a packed body (zstd)", packed("zstd"), PACKED),
        attack("a body that is packed twice", packed("gzip, gzip"), PACKED),
        attack("a body that is packed in an unknown way", packed("x"), PACKED),
        attack("a packed log-in", no_one("POST /login").json("x").header("content-encoding: gzip"), PACKED),
    ]
}

#[rustfmt::skip]
fn requests() -> Vec<Attack> {
    let scopes = vec!["\"viewer\""; 33].join(",");
    let granting = format!(r#"{{"role":"user","scopes":[{scopes}]}}"#);
    let fields: Vec<_> = (0..10_000).map(|n| format!("\"f{n}\":1")).collect();
    vec![
        attack("a large body for a path that there is not", a("user", "POST /nothing").json(" ".repeat(1_000_000)), refused(404, "not-found")),
        attack("a large body without a token", no_one("POST /apps").json(" ".repeat(1_000_000)), refused(401, "unauthenticated")),
        attack("events followed without a token", no_one("GET /events").header("accept: text/event-stream"), refused(401, "unauthenticated")),
        attack("events followed by a viewer", a("viewer", "GET /events").header("accept: text/event-stream"), DENIED),
        attack("events followed from behind the end", a("admin", "GET /events?after=x").header("accept: text/event-stream"), refused(400, "invalid-parameter")),
        attack("a token of 60,000 bytes", with_token("x".repeat(60_000), "GET /apps"), refused(401, "invalid-token")),
        attack("an account with 33 scopes", a("admin", "PUT /users/bob").json(granting), field("/scopes: too-many")),
        attack("10,000 fields that there are not", a("user", "POST /apps").json(format!("{{{}}}", fields.join(","))), field("/f0: unknown-field")),
        attack("a name of 100,000 combining characters", a("user", "POST /apps").json(format!(r#"{{"name":"a{}"}}"#, "\u{301}".repeat(100_000))), field("/name: too-long")),
        attack("a password of 100,000 bytes to be hashed", a("admin", "PUT /users/bob/password").json(format!(r#"{{"password":"{}"}}"#, "x".repeat(100_000))), field("/password: too-long")),
    ]
}

fn hurried() -> Setup {
    let serve = ServeConfig::default().header_timeout(SHORT).body_timeout(SHORT);
    Setup { serve, body_timeout: SHORT, ..Setup::default() }
}

#[tokio::test]
async fn nothing_goes_on_for_ever() {
    let patient = Target::start(Setup::default()).await;
    let mut failures = patient.failures([on_and_on(), packed(), requests()].into_iter().flatten().collect()).await;
    failures.extend(Target::start(hurried()).await.failures(silence()).await);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// How many connections a flood has.
const FLOOD: usize = 200;

/// Many connections at once.
pub(crate) struct Flood {
    pub(crate) name: &'static str,
    /// How many there may be from one address.
    places: usize,
    /// What the nth sends.
    sends: fn(usize) -> String,
    /// The statuses that they may get. `0`: the connection is closed without a word.
    statuses: &'static [u16],
    /// That which some of them must get.
    some: u16,
}

fn login(n: usize) -> String {
    let body = format!(r#"{{"username":"user-{n}","password":"guess"}}"#);
    let length = body.len();
    format!(
        "POST /login HTTP/1.1\r\nhost: alm\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

fn guess(_: usize) -> String {
    login(0)
}

#[rustfmt::skip]
pub(crate) const FLOODS: &[Flood] = &[
    Flood { name: "200 connections on which nothing comes", places: 20, sends: |_| String::new(), statuses: &[0], some: 0 },
    Flood { name: "200 headers that do not end", places: 20, sends: |_| "GET / HTTP/1.1\r\n".to_owned(), statuses: &[0], some: 0 },
    Flood { name: "200 handshakes of TLS that do not go on", places: 20, sends: |_| "\x16\x03\x01".to_owned(), statuses: &[0, 400], some: 0 },
    Flood { name: "200 guesses at one account at once", places: 500, sends: guess, statuses: &[0, 401, 429, 503], some: 429 },
    Flood { name: "200 guesses at 200 accounts at once", places: 500, sends: login, statuses: &[0, 401, 429, 503], some: 429 },
];

/// While they go on, whoever has a place is served; and when they are over, everyone is.
#[tokio::test]
async fn no_flood_keeps_others_out() {
    let mut failures = Vec::new();
    for Flood { name, places, sends, statuses, some } in FLOODS {
        let serve = ServeConfig::default().header_timeout(LONG / 4).max_connections_per_address(*places);
        let setup = Setup { limits: LoginLimits::default(), serve, ..Setup::default() };
        let target = Target::with_an_app_and_bob(setup).await;
        // The honest one has come before.
        let mut honest = TcpStream::connect(target.address).await.unwrap();
        assert_eq!(ask(&mut honest).await, 200);
        let address = target.address;
        let floods: Vec<_> = (0..FLOOD).map(|n| tokio::spawn(crate::wire::exchange_once(address, sends(n)))).collect();
        let during = ask(&mut honest).await;
        if during != 200 {
            failures.push(format!("{name}: the honest client gets {during} meanwhile"));
        }
        let mut told = Vec::new();
        for flood in floods {
            told.push(flood.await.unwrap());
        }
        if let Some(other) = told.iter().find(|status| !statuses.contains(status)) {
            failures.push(format!("{name}: one is told {other}, and not one of {statuses:?}"));
        }
        if !told.contains(some) {
            failures.push(format!("{name}: none is told {some}"));
        }
        eventually("there is a place again", async || target.serves_others().await.ok()).await;
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Asks on a connection that stays open; the status.
async fn ask(stream: &mut TcpStream) -> u16 {
    let token = token_of("honest", "viewer", "");
    let request = format!("HEAD /apps/1 HTTP/1.1\r\nhost: alm\r\nauthorization: Bearer {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut buffer = [0; 1024];
        let read = timeout(LONG, stream.read(&mut buffer)).await.expect("it is served").unwrap();
        if read == 0 {
            return 0;
        }
        answer.extend_from_slice(&buffer[..read]);
    }
    str::from_utf8(&answer[9..12]).unwrap().parse().unwrap()
}
