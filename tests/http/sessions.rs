//! What one does with what one has logged in with.

use alm_core::domain::Role;
use serde_json::{Value, json};

use crate::support::{Client, Given, PASSWORD, Server, each};

fn text<'a>(tokens: &'a Value, field: &str) -> &'a str {
    tokens[field].as_str().unwrap_or_else(|| panic!("{tokens} has no {field}"))
}

fn acting(server: &Server, tokens: &Value) -> Client {
    server.anyone().with_token(text(tokens, "access_token"))
}

#[tokio::test]
async fn a_session_is_refreshed_until_it_is_logged_out() {
    let server = Server::start().await;
    server.admin().account("bob", "user").await;
    let first = server.anyone().login("bob").await;
    let me = acting(&server, &first).get("/whoami").await.ok(200);
    assert_eq!((&me["name"], &me["role"], &me["scopes"]), (&json!("bob"), &json!("user"), &json!([])));

    let shown = json!({"refresh_token": text(&first, "refresh_token")});
    let answer = server.anyone().post("/token/refresh", &shown).key("once").await.is(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let second = answer.json();
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    let again = server.anyone().post("/token/refresh", &shown).key("once").await.is(200);
    assert_eq!((again.header("idempotent-replayed"), again.json()), (Some("true"), second.clone()));

    acting(&server, &second).call("POST", "/logout").await.is(204);
    for tokens in [&first, &second] {
        acting(&server, tokens).get("/apps").await.problem(401, "invalid-token");
    }
    let shown = json!({"refresh_token": text(&second, "refresh_token")});
    let refused = server.anyone().post("/token/refresh", &shown).await;
    assert!(refused.header("www-authenticate").is_some());
    refused.problem(401, "invalid-token");
    let story = server.story().await;
    assert_eq!(
        story[1..],
        ["LoginSucceeded", "TokenRefreshed", "SessionEnded"].map(|event| format!("{event} users/bob"))
    );
}

#[tokio::test]
async fn a_stolen_refresh_token_is_of_no_use_once_its_owner_comes() {
    let server = Server::start().await;
    server.admin().account("bob", "user").await;
    let first = server.anyone().login("bob").await;
    let shown = json!({"refresh_token": text(&first, "refresh_token")});
    let thief = server.anyone().post("/token/refresh", &shown).await.ok(200);
    acting(&server, &thief).get("/apps").await.is(200);
    server.anyone().post("/token/refresh", &shown).await.problem(401, "invalid-token");
    acting(&server, &thief).get("/apps").await.problem(401, "invalid-token");
    let ended = server.events().await.pop().unwrap();
    assert_eq!((&ended["type"], &ended["data"]["reason"]), (&json!("SessionEnded"), &json!("replay")));
}

#[tokio::test]
async fn the_token_of_who_is_demoted_or_deleted_is_refused_at_the_next_request() {
    let server = Server::start().await;
    let root = server.admin();
    root.account("bob", "admin").await;
    let tokens = server.anyone().login("bob").await;
    acting(&server, &tokens).get("/users").await.is(200);
    let changed = root.put("/users/bob", &json!({"role": "viewer", "scopes": ["deployer:7/prod"]})).await.ok(200);
    assert_eq!((&changed["role"], &changed["scopes"]), (&json!("viewer"), &json!(["deployer:7/prod"])));
    acting(&server, &tokens).get("/apps").await.problem(401, "invalid-token");
    let tokens = server.anyone().login("bob").await;
    let me = acting(&server, &tokens).get("/whoami").await.ok(200);
    assert_eq!((&me["role"], &me["scopes"]), (&json!("viewer"), &json!(["deployer:7/prod"])));
    root.delete("/users/bob").await.is(204);
    acting(&server, &tokens).get("/apps").await.problem(401, "invalid-token");
    root.put("/users/bob", &json!({"role": "user"})).await.problem(404, "not-found");
    root.put("/users/root", &json!({"role": "user"})).await.problem(409, "own-account");
}

#[tokio::test]
async fn an_api_key_is_as_good_as_a_token_until_it_is_revoked() {
    let server = Server::start().await;
    let root = server.admin();
    let new = json!({"name": "ci", "role": "viewer", "scopes": ["user:1"], "expires_in_days": 90});
    let created = root.post("/api-keys", &new).key("once").await.is(201);
    assert_eq!(created.header("cache-control"), Some("no-store"));
    let (location, created) = (created.header("location").unwrap().to_owned(), created.json());
    let key = text(&created, "key");
    let again = root.post("/api-keys", &new).key("once").await.ok(201);
    assert_eq!((&again["id"], again.get("key")), (&created["id"], None));

    let machine = server.anyone().with_token(key);
    let me = machine.get("/whoami").await.ok(200);
    assert_eq!((&me["name"], &me["credential"]), (&json!("key:ci"), &created["id"]));
    let app = root.app("billing").await;
    assert_eq!(machine.version(app, "v1").await, 1);
    machine.post("/apps", &json!({"name": "other"})).await.problem(403, "forbidden");
    let events = server.events().await;
    assert_eq!(events.last().unwrap()["data"], json!({"user": "key:ci", "action": "create_app"}));

    assert_eq!(root.get(&location).await.ok(200), root.get("/api-keys").await.ok(200)[0]);
    assert_eq!(root.get(&location).await.ok(200).get("key"), None);
    let rotated = root.post(format!("{location}/rotate"), &json!({})).await.ok(200);
    assert!(rotated["previous_until"].is_string());
    let other = server.anyone().with_token(text(&rotated, "key"));
    for machine in [&machine, &other] {
        machine.get("/apps").await.is(200);
    }
    let token = server.anyone().post("/token", &json!({"api_key": text(&rotated, "key")})).await.ok(200);
    acting(&server, &token).get("/apps").await.is(200);
    root.delete(&location).if_match("\"1\"").await.problem(412, "precondition-failed");
    root.delete(&location).await.is(204);
    for client in [&machine, &other, &acting(&server, &token)] {
        client.get("/apps").await.problem(401, "invalid-token");
    }
    root.get(&location).await.problem(404, "not-found");
    root.get("/api-keys/1").await.problem(404, "not-found");
}

#[tokio::test]
async fn api_keys_are_listed_in_pages_the_oldest_first() {
    let server = Server::start().await;
    let root = server.admin();
    let names = ["mia", "bob", "zoe", "amy", "kim"];
    for name in names {
        root.api_key(name).await;
    }
    root.post("/api-keys", &json!({"name": "mia", "role": "user", "expires_in_days": 1}))
        .await
        .problem(409, "api-key-name-taken");
    assert_eq!(each(&root.all("/api-keys?limit=2").await.into(), "name"), names);
}

#[tokio::test]
async fn who_has_a_token_made_by_hand_has_no_session() {
    let server = Server::start().await;
    let ada = server.by("ada", Role::User);
    assert_eq!(ada.get("/whoami").await.ok(200)["credential"], json!(null));
    ada.call("POST", "/logout").await.problem(409, "no-session");
    server.anyone().call("POST", "/logout").await.problem(401, "unauthenticated");
    server.anyone().get("/whoami").await.problem(401, "unauthenticated");
    for body in [json!({"refresh_token": ""}), json!({"refresh_token": PASSWORD})] {
        server.anyone().post("/token/refresh", &body).await.problem(401, "invalid-token");
    }
    server.anyone().post("/token", &json!({"api_key": PASSWORD})).await.problem(401, "invalid-token");
}
