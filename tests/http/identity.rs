use alm_core::{
    Principal,
    domain::{Actor, Role},
    ports::{Clock, Ids, SystemClock, SystemIds, TokenClaims, TokenIssuer},
};
use alm_http::auth::Jwt;
use serde_json::json;

use crate::support::{Given, SECRET, Server, jwt, token};

fn ada() -> Principal {
    Principal::new(Actor::parse("ada").unwrap(), Role::User)
}

async fn issued(jwt: &Jwt, from: i64, to: i64) -> String {
    let now = SystemClock.now();
    let (issued_at, expires_at) = (now.plus_seconds(from), now.plus_seconds(to));
    jwt.issue(&TokenClaims { id: SystemIds.uuid_v7(), principal: ada(), issued_at, expires_at }).await.unwrap()
}

#[tokio::test]
async fn a_request_without_a_token_is_401_and_says_how_to_authenticate() {
    let server = Server::start().await;
    let refused = server.anyone().get("/apps").await;
    assert_eq!(refused.header("www-authenticate"), Some("Bearer realm=\"alm\""));
    refused.problem(401, "unauthenticated");
    for header in ["", "Bearer", "Basic YWRhOnB3", "Token x", "bearer"] {
        server.anyone().get("/apps").header("authorization", header).await.problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn a_token_that_does_not_count_is_401() {
    let server = Server::start().await;
    let good = token(&ada());
    let (head, signature) = good.rsplit_once('.').unwrap();
    let other_secret = Jwt::hs256(b"a secret that the server does not know", "alm", "alm").unwrap();
    let (issuer, audience) = (Jwt::hs256(SECRET, "else", "alm").unwrap(), Jwt::hs256(SECRET, "alm", "else").unwrap());
    // {"typ":"JWT","alg":"none"}
    let unsigned = format!("eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0.{}.", good.split('.').nth(1).unwrap());
    for (token, code) in [
        ("x".to_owned(), "invalid-token"),
        ("a.b.c".to_owned(), "invalid-token"),
        (head.to_owned(), "invalid-token"),
        (format!("{head}."), "invalid-token"),
        (format!("{head}.{}", signature.chars().rev().collect::<String>()), "invalid-token"),
        (unsigned, "invalid-token"),
        (issued(&other_secret, 0, 60).await, "invalid-token"),
        (issued(&issuer, 0, 60).await, "invalid-token"),
        (issued(&audience, 0, 60).await, "invalid-token"),
        (issued(&jwt(), -200, -100).await, "expired-token"),
        (issued(&jwt(), 100, 200).await, "token-not-yet-valid"),
    ] {
        let refused = server.anyone().with_token(&token).get("/apps").await;
        let challenge = refused.header("www-authenticate").unwrap();
        assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
        let problem = refused.problem(401, code);
        assert!(!problem.to_string().contains(&token) || token == "x");
    }
    server.anyone().with_token(good).get("/apps").await.is(200);
}

#[tokio::test]
async fn the_scheme_is_read_in_any_case() {
    let server = Server::start().await;
    for scheme in ["bearer", "BEARER"] {
        let header = format!("{scheme} {}", token(&ada()));
        server.anyone().get("/apps").header("authorization", header).await.is(200);
    }
}

#[tokio::test]
async fn two_tokens_in_one_request_are_none() {
    let server = Server::start().await;
    let twice = server.user().get("/apps").header("authorization", format!("Bearer {}", token(&ada())));
    twice.await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_refusal_is_audited_with_who_asked_for_what() {
    let server = Server::start().await;
    let ada = server.user();
    let app = ada.app("billing").await;
    ada.delete(format!("/apps/{app}")).await.problem(403, "forbidden");
    server.settled().await;
    let denied = server.admin().get("/audit/events?event_type=AccessDenied").await.ok(200);
    assert_eq!(denied[0]["payload"], json!({"user": "ada", "action": "delete_app"}));
    assert_eq!((&denied[0]["actor"], &denied[0]["subject"]), (&json!("ada"), &json!("apps/1")));
    ada.get(format!("/apps/{app}")).await.is(200);
}

#[tokio::test]
async fn who_may_not_is_told_so_before_anything_else_about_the_resource() {
    let server = Server::start().await;
    let ada = server.user();
    for path in ["/apps/99", "/versions/99", "/deployments/99", "/users/nobody"] {
        ada.delete(path).await.problem(403, "forbidden");
    }
    ada.get("/audit/events/99").await.problem(403, "forbidden");
    server.anyone().get("/apps/99").await.problem(401, "unauthenticated");
}
