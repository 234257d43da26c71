use alm_core::domain::Role;
use alm_http::auth::{LoginThrottle, Rate, ThrottleConfig};
use serde_json::json;

use crate::support::{Given, LONG, PASSWORD, Server, Setup};

#[tokio::test]
async fn the_right_password_gives_a_token_of_the_accounts_role() {
    let server = Server::start().await;
    server.admin().account("bob", "user").await;
    server.admin().account("amy", "admin").await;
    for (name, users) in [("bob", 403), ("amy", 200)] {
        let answer = server.anyone().post("/login", &json!({"username": name, "password": PASSWORD})).await.is(200);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let token = answer.json();
        assert_eq!((&token["token_type"], &token["expires_in"]), (&json!("Bearer"), &json!(900)));
        let client = server.anyone().with_token(token["access_token"].as_str().unwrap());
        client.get("/apps").await.is(200);
        client.get("/users").await.is(users);
    }
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_account_look_the_same() {
    let server = Server::start().await;
    server.admin().account("bob", "user").await;
    let login = async |name: &str, password: &str| {
        let answer = server.anyone().post("/login", &json!({"username": name, "password": password})).await;
        let challenge = answer.header("www-authenticate").map(str::to_owned);
        let mut problem = answer.problem(401, "wrong-credentials");
        problem["request_id"] = json!("");
        (challenge, problem)
    };
    assert_eq!(login("bob", "guess").await, login("nobody", "guess").await);
    let story = server.story().await;
    assert_eq!(story[1..], ["LoginFailed users/bob", "LoginFailed users/nobody"]);
}

#[tokio::test]
async fn too_many_attempts_are_429_also_with_the_right_password() {
    let slow = LoginThrottle::new(
        ThrottleConfig::default().per_account(Rate { burst: 2.try_into().unwrap(), interval: 100 * LONG }),
    );
    let server = Setup::default().api(|api| api.login_throttle(slow)).start().await;
    server.admin().account("bob", "user").await;
    let login = async |name: &str, password: &str| {
        server.anyone().post("/login", &json!({"username": name, "password": password})).await
    };
    login("bob", "guess").await.is(401);
    login("bob", "guess").await.is(401);
    let refused = login("bob", PASSWORD).await;
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=100 * LONG.as_secs()).contains(&seconds));
    refused.problem(429, "too-many-logins");
    login("nobody", "guess").await.is(401);
    // Whoever has a token is not slowed down.
    server.by("bob", Role::User).get("/apps").await.is(200);
}

#[tokio::test]
async fn the_throttle_does_not_count_what_is_no_attempt() {
    let once = LoginThrottle::new(
        ThrottleConfig::default().per_account(Rate { burst: 1.try_into().unwrap(), interval: 100 * LONG }),
    );
    let server = Setup::default().api(|api| api.login_throttle(once)).start().await;
    server.admin().account("bob", "user").await;
    let anyone = server.anyone();
    for _ in 0..3 {
        anyone.post("/login", &json!({"username": "bob"})).await.is(422);
    }
    anyone.post("/login", &json!({"username": "bob", "password": PASSWORD})).await.is(200);
}
