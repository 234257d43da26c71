//! Requests that are meant to cost the server more than the client. Each time it goes on.

use std::{io::Write, time::Duration};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{Given, LONG, Server, Setup, token};

const JSON: Option<&str> = Some("application/json");

#[tokio::test]
async fn json_that_is_deep_is_refused() {
    let server = Server::start().await;
    let user = server.user();
    let deep = |open: &str, close: &str| open.repeat(10_000) + "1" + &close.repeat(10_000);
    for nested in [deep("[", "]"), deep("{\"a\":", "}"), deep("[", ""), deep("{\"name\":", "")] {
        for body in [nested.clone(), format!("{{\"name\":{nested}}}"), format!("{{\"surprise\":{nested}}}")] {
            let answer = user.call("POST", "/apps").raw(JSON, body.clone()).await;
            assert!([400, 422].contains(&answer.status), "{answer}");
            let login = server.anyone().call("POST", "/login").raw(JSON, body).await;
            assert!([400, 413, 422].contains(&login.status), "{login}");
        }
    }
    user.app("billing").await;
}

#[tokio::test]
async fn json_that_is_huge_is_refused() {
    let server = Server::start().await;
    for body in [
        format!("{{\"name\":\"{}\"}}", "x".repeat(1_000_000)),
        format!("{{{}\"name\":\"a\"}}", "\"a\":1,".repeat(100_000)),
        " ".repeat(1_000_000),
    ] {
        server.user().call("POST", "/apps").raw(JSON, body).await.problem(413, "body-too-large");
    }
    server.user().app("billing").await;
}

#[tokio::test]
async fn nothing_is_unpacked() {
    let server = Server::start().await;
    let user = server.user();
    let mut packed = tempfile::NamedTempFile::new().unwrap();
    packed.write_all(br#"{"name": "billing"}"#).unwrap();
    let gzip = std::process::Command::new("gzip").arg("-c").arg(packed.path()).output().expect("gzip is there");
    for (coding, body) in
        [("gzip", &*gzip.stdout), ("GZIP", &*gzip.stdout), ("br", b"{}"), ("identity, gzip", b"{}"), ("", b"{}")]
    {
        let call = user.call("POST", "/apps").raw(JSON, body).header("content-encoding", coding);
        let answer = call.await.is(415);
        assert_eq!(answer.header("accept-encoding"), Some("identity"), "{coding}");
        answer.problem(415, "unsupported-media-type");
    }
    let plain = user.post("/apps", &json!({"name": "billing"})).header("content-encoding", "identity");
    plain.await.is(201);
}

/// Sends a body that does not end until the server has had enough; what it has said of it.
async fn floods(server: &Server, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let token = token(&alm_core::Principal::system());
    let head = format!(
        "POST /apps HTTP/1.1\r\nhost: alm\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut reads, mut writes) = stream.split();
    let mut said = Vec::new();
    let flood = async { while writes.write_all(body).await.is_ok() {} };
    // What comes after the answer may be a reset.
    let answer = async { drop(reads.read_to_end(&mut said).await) };
    timeout(LONG, async { tokio::join!(flood, answer) }).await.expect("it is cut off");
    String::from_utf8(said).unwrap()
}

#[tokio::test]
async fn a_body_without_an_end_is_refused_and_cut_off() {
    let server = Setup::default().api(|api| api.body_timeout(Duration::from_millis(500))).start().await;
    let chunk = [b"1000\r\n".as_slice(), &[b' '; 0x1000], b"\r\n"].concat();
    let said = floods(&server, &chunk).await;
    assert!(said.starts_with("HTTP/1.1 413") && said.matches("HTTP/1.1").count() == 1, "{said}");
    for (body, statuses) in [(b"1000;x=y".as_slice(), ["400", "413"]), (b"0", ["400", "408"])] {
        let said = floods(&server, body).await;
        assert!(statuses.iter().any(|status| said.starts_with(&format!("HTTP/1.1 {status}"))), "{said}");
    }
    server.user().app("billing").await;
}
