//! Bodies that are not what they should be, on every operation that takes one.

use std::time::Duration;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Answer, Call, Client, Given, Server, Setup, token};

/// Every operation that takes a body, on something that exists.
async fn with_bodies(server: &Server) -> Vec<(String, String)> {
    let root = server.admin();
    let app = root.app("billing").await;
    let version = root.version(app, "v1").await;
    root.deployment(version, "prod").await;
    root.account("carol", "user").await;
    let (key, _) = root.api_key("ci").await;
    let document = root.document().await;
    let operations = document.operations().filter(|operation| !operation.json["requestBody"].is_null());
    let operations: Vec<_> =
        operations.map(|operation| (operation.method.clone(), operation.of_the_first("carol", &key))).collect();
    assert_eq!(operations.len(), 14, "{operations:?}");
    operations
}

async fn each_operation(send: impl Fn(Call) -> Call + Sync, check: impl Fn(Answer) + Send + Sync) {
    let server = Server::start().await;
    let operations = with_bodies(&server).await;
    let before = server.events().await.len();
    let root: Client = server.admin();
    for (method, path) in operations {
        check(send(root.call(&method, path)).await);
    }
    assert_eq!(server.events().await.len(), before, "nothing was changed");
}

const JSON: Option<&str> = Some("application/json");

#[tokio::test]
async fn what_is_not_json_is_400() {
    let deep = "[".repeat(3_000);
    let deep_in_a_field = format!("{{\"name\":{}", "[".repeat(3_000));
    let bodies: [&[u8]; 14] = [
        b"",
        b"   ",
        b"x",
        b"{",
        b"{\"name\": \"a\"",
        b"{\"name\": \"a\",}",
        b"{'name': 'a'}",
        b"{} {}",
        b"{}x",
        b"{\"name\": \"\xff\"}",
        b"{\"surprise\": \"\xff\"}",
        b"{\"surprise\": 1} trailing",
        deep.as_bytes(),
        deep_in_a_field.as_bytes(),
    ];
    for body in bodies {
        each_operation(
            |call| call.raw(JSON, body),
            |answer| {
                answer.problem(400, "not-json");
            },
        )
        .await;
    }
}

#[tokio::test]
async fn json_that_is_no_object_is_422() {
    let deep = "[".repeat(3_000) + &"]".repeat(3_000);
    for body in ["null", "[]", "[\"billing\"]", "\"text\"", "1", "true", &deep] {
        each_operation(
            |call| call.raw(JSON, body),
            |answer| {
                assert_eq!(answer.refused_fields(), [": invalid-type"], "{body}");
            },
        )
        .await;
    }
}

#[tokio::test]
async fn a_body_that_is_not_said_to_be_json_is_415() {
    let types = [
        None,
        Some(""),
        Some("text/plain"),
        Some("application/xml"),
        Some("application/x-www-form-urlencoded"),
        Some("application/jsonp"),
        Some("json"),
        Some("application/json; charset=latin1"),
        Some("application/json;charset=utf-16"),
        Some("text/json"),
    ];
    for content_type in types {
        each_operation(
            |call| call.raw(content_type, "{}"),
            |answer| {
                answer.problem(415, "unsupported-media-type");
            },
        )
        .await;
    }
}

#[tokio::test]
async fn json_by_any_of_its_names_is_taken() {
    let server = Server::start().await;
    let types = [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=\"UTF-8\"",
        "application/merge-patch+json",
        "application/json; profile=x",
    ];
    for (n, content_type) in types.into_iter().enumerate() {
        let body = json!({"name": format!("app {n}")}).to_string();
        server.user().call("POST", "/apps").raw(Some(content_type), body).await.is(201);
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_413() {
    let server = Setup::default().api(|api| api.max_body_bytes(1000)).start().await;
    let operations = with_bodies(&server).await;
    let root = server.admin();
    for (method, path) in operations {
        let body = format!("{{\"name\": \"{}\"}}", "x".repeat(1000));
        root.call(&method, path).raw(JSON, body).await.problem(413, "body-too-large");
    }
    let fits = format!("{{\"name\": \"x\"{}}}", " ".repeat(1000 - 13));
    assert_eq!(fits.len(), 1000);
    root.call("POST", "/apps").raw(JSON, fits).await.is(201);
    root.post("/apps", &json!({"name": "the server goes on"})).await.is(201);
}

#[tokio::test]
async fn the_largest_body_that_the_rules_allow_fits_by_default() {
    let server = Server::start().await;
    let ada = server.user();
    let app = ada.app("billing").await;
    let labels: serde_json::Map<_, _> =
        (0..64).map(|n| (format!("{n:0>63}"), json!("\u{1F980}".repeat(256)))).collect();
    let body = json!({"app_id": app, "tag": "v1", "changelog": "x".repeat(32 * 1024), "labels": labels});
    ada.post("/versions", &body).await.is(201);
}

/// A request, sent byte by byte as a test wants it, and all that comes back.
async fn raw(server: &Server, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let token = token(&alm_core::Principal::system());
    let head = format!(
        "POST /apps HTTP/1.1\r\nhost: alm\r\nauthorization: Bearer {token}\r\nconnection: close\r\n{head}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    tokio::time::timeout(crate::support::LONG, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408() {
    let server = Setup::default().api(|api| api.body_timeout(Duration::from_millis(20))).start().await;
    let answer = raw(&server, "content-type: application/json\r\ncontent-length: 100", "{\"name\":").await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("application/problem+json") && answer.contains("\"body-too-slow\""), "{answer}");
    assert!(server.events().await.is_empty());
}

#[tokio::test]
async fn a_body_without_a_length_counts_when_it_has_come_whole() {
    let server = Setup::default().api(|api| api.max_body_bytes(100)).start().await;
    let chunked = "content-type: application/json\r\ntransfer-encoding: chunked";
    let answer = raw(&server, chunked, "8\r\n{\"name\":\r\n4\r\n\"a\"}\r\n0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    let endless = format!("c8\r\n{}\r\n0\r\n\r\n", " ".repeat(200));
    let answer = raw(&server, chunked, &endless).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("application/problem+json"), "{answer}");
}
