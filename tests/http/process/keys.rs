//! Tokens by several keys: before and after a rotation, and of another issuer.

use std::io::Write;

use alm_test_support::ports::free_port;
use axum::{Router, routing::get};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};

use super::{Clients as _, Process, run};
use crate::support::{Client, PASSWORD, SECRET};

/// A key for tests alone, made with openssl. It is not, and may never be, in use anywhere.
pub(super) const TEST_ONLY_ED25519_PUBLIC: &str = "\
-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAEzW9lEBZwafg1jMz+XGyqtw81NsfCpwL8CWKEtyNGRE=
-----END PUBLIC KEY-----
";

/// As above.
pub(super) const TEST_ONLY_P256_PUBLIC: &str = "\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEvHzeITwtWyB+2wzkNzpsTT1WJxTP
p4cDORFzuHLwg+AP1mtocfkXAY+GPkHy36Xpol6Sh3ObilsF4jIKhHP0Fg==
-----END PUBLIC KEY-----
";

/// Signed by openssl with the Ed25519 key, for a user named idp-ci, until the year 2100.
const TEST_ONLY_TOKEN: &str = "eyJhbGciOiJFZERTQSIsImtpZCI6ImlkcC0xIn0.eyJzdWIiOiJpZHAtY2kiLCJyb2xlIjoidXNlciIsImlzcyI6ImFsbSIsImF1ZCI6ImFsbSIsImV4cCI6NDEwMjQ0NDgwMCwibmJmIjowLCJpYXQiOjAsImp0aSI6IjEifQ.aB7HfYHLQHYknVGhp_1evO4qb9X_n_34qIMffrp0tEhkGMjzhVuKWHDDBHQO7vmHPQGyonmon8wsy6ghNBLMAQ";

const NEXT: &str = "the secret that comes after the first";

fn token(secret: &str) -> String {
    let ended = run(&["token", "--sub", "ci", "--role", "user"], &[("JWT_SECRET", secret)]);
    let [token] = ended.stdout.try_into().unwrap();
    token
}

/// The token that a log-in gives.
async fn log_in(client: &Client) -> String {
    let login = json!({ "username": "admin", "password": PASSWORD });
    client.post("/login", &login).await.ok(200)["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_secret_is_rotated_without_refusing_a_token_that_is_still_out() {
    let first = str::from_utf8(SECRET).unwrap();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{first}").unwrap();
    let rotated = [
        [("JWT_SECRET", NEXT), ("JWT_SECRET_PREVIOUS", first)],
        [("JWT_SECRET", NEXT), ("JWT_SECRET_PREVIOUS_FILE", file.path().to_str().unwrap())],
    ];
    for settings in rotated {
        let mut server = Process::serve(&settings);
        server.client().with_token(token(first)).get("/apps").await.is(200);
        server.client().with_token(token(NEXT)).get("/apps").await.is(200);
    }
    let mut server = Process::serve(&[("JWT_SECRET", NEXT)]);
    server.client().with_token(token(first)).get("/apps").await.problem(401, "invalid-token");
    server.client().with_token(token(NEXT)).get("/apps").await.is(200);
}

#[tokio::test]
async fn a_log_in_is_signed_with_the_secret_and_never_with_the_previous_one() {
    let first = str::from_utf8(SECRET).unwrap();
    // The session must be there after a restart.
    let dir = tempfile::tempdir().unwrap();
    let db = format!("sqlite:{}", dir.path().join("alm.db").display());
    let store = ("DB_URL", db.as_str());
    let settings = [store, ("JWT_SECRET", NEXT), ("JWT_SECRET_PREVIOUS", first), ("ADMIN_PASSWORD", PASSWORD)];
    let token = log_in(&Process::serve(&settings).client()).await;
    let with_secret = async |secret: &str| {
        let mut server = Process::serve(&[store, ("JWT_SECRET", secret)]);
        server.client().with_token(&token).get("/apps").await
    };
    with_secret(NEXT).await.is(200);
    with_secret(first).await.problem(401, "invalid-token");
}

#[tokio::test]
async fn tokens_of_another_issuer_count_by_its_public_key_while_log_ins_go_on() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{TEST_ONLY_P256_PUBLIC}\n{TEST_ONLY_ED25519_PUBLIC}").unwrap();
    for key in [("JWT_PUBLIC_KEY", TEST_ONLY_ED25519_PUBLIC), ("JWT_PUBLIC_KEY_FILE", file.path().to_str().unwrap())] {
        let mut server = Process::serve(&[key, ("ADMIN_PASSWORD", PASSWORD)]);
        server.client().with_token(TEST_ONLY_TOKEN).get("/apps").await.is(200);
        server.client().with_token(TEST_ONLY_TOKEN).get("/users").await.problem(403, "forbidden");
        let token = log_in(&server.client()).await;
        server.client().with_token(token).get("/users").await.is(200);
    }
    for settings in [vec![], vec![("JWT_PUBLIC_KEY", TEST_ONLY_P256_PUBLIC)]] {
        let mut server = Process::serve(&settings);
        server.client().with_token(TEST_ONLY_TOKEN).get("/apps").await.problem(401, "invalid-token");
    }
}

/// Publishes these keys on this machine; where, and what ends with the test.
async fn published(keys: &[Value]) -> (String, JoinSet<()>) {
    let set = json!({ "keys": keys }).to_string();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let mut issuer = JoinSet::new();
    issuer.spawn(async move { axum::serve(listener, Router::new().route("/keys", get(async || set))).await.unwrap() });
    (url, issuer)
}

#[tokio::test]
async fn tokens_of_another_issuer_count_by_the_keys_that_it_publishes() {
    let ed25519 = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "idp-1", "alg": "EdDSA", "use": "sig", "x": "EzW9lEBZwafg1jMz-XGyqtw81NsfCpwL8CWKEtyNGRE" });
    let (url, _issuer) = published(std::slice::from_ref(&ed25519)).await;
    let mut server = Process::serve(&[("JWT_JWKS_URL", &url), ("ADMIN_PASSWORD", PASSWORD)]);
    server.client().with_token(TEST_ONLY_TOKEN).get("/apps").await.is(200);
    server.client().with_token(TEST_ONLY_TOKEN).get("/users").await.problem(403, "forbidden");
    let token = log_in(&server.client()).await;
    server.client().with_token(token).get("/users").await.is(200);

    // What it publishes after the key was changed.
    let mut next = ed25519;
    next["kid"] = json!("idp-2");
    let (url, _issuer) = published(&[next]).await;
    let mut server = Process::serve(&[("JWT_JWKS_URL", &url)]);
    server.client().with_token(TEST_ONLY_TOKEN).get("/apps").await.problem(401, "invalid-token");
}

#[tokio::test]
async fn a_server_starts_while_the_issuer_is_down_and_knows_what_it_does_not_know() {
    let secret = str::from_utf8(SECRET).unwrap();
    let (address, port) = free_port();
    let url = format!("http://{address}:{port}/keys");
    let mut server = Process::serve(&[("JWT_JWKS_URL", &url), ("JWT_SECRET", secret)]);
    server.logged("the keys of the issuer could not be fetched");
    let answer = server.client().with_token(TEST_ONLY_TOKEN).get("/apps").await;
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    answer.problem(503, "unavailable");
    server.client().with_token(token(secret)).get("/apps").await.is(200);
}
