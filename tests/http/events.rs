use alm_core::domain::EventType;
use serde_json::{Value, json};

use crate::support::{Given, PASSWORD, Server, each};

#[tokio::test]
async fn the_log_is_read_in_order_from_a_position_on() {
    let server = Server::start().await;
    let root = server.admin();
    for n in 0..7 {
        root.app(&format!("app-{n}")).await;
    }
    let subjects: Vec<_> = (1..=7).map(|n| json!(format!("apps/{n}"))).collect();
    assert_eq!(each(&server.events().await.into(), "subject"), subjects.iter().collect::<Vec<_>>());
    let page = root.get("/events?after=2&limit=3").await.is(200);
    assert_eq!(page.next_page().as_deref(), Some("/events?limit=3&after=5"));
    assert_eq!(each(&page.json(), "subject"), ["apps/3", "apps/4", "apps/5"]);
    let end = root.get("/events?after=5").await.is(200);
    assert_eq!(end.next_page(), None);
    assert_eq!(each(&end.json(), "subject"), ["apps/6", "apps/7"]);
    assert_eq!(root.get("/events?after=7").await.ok(200), json!([]));
    assert_eq!(root.get("/events?after=1000").await.ok(200), json!([]));
    assert_eq!(root.get("/events?after=0").await.ok(200), root.get("/events").await.ok(200));
    for after in ["-1", "x", "", "1.0", "99999999999999999999999"] {
        root.get(format!("/events?after={after}")).await.problem(400, "invalid-parameter");
    }
}

#[tokio::test]
async fn an_event_is_a_cloud_event_of_the_contracts_form() {
    let server = Server::start().await;
    let ada = server.user();
    let app = ada.post("/apps", &json!({"name": "billing", "description": "handles invoicing"})).await.ok(201);
    ada.version(1, "v1.2.0").await;
    let events = server.events().await;
    let log = events[0]["almlog"].clone();
    let document = json!({
        "specversion": "1.0", "id": events[0]["id"], "source": "/alm/AppService", "type": "AppCreated",
        "subject": "apps/1", "time": app["created_at"], "datacontenttype": "application/json", "almlog": log,
        "sequence": "00000000000000000001", "almchangeset": events[0]["almchangeset"], "almactor": "ada",
        "traceparent": events[0]["traceparent"],
        "data": {"id": 1, "name": "billing", "description": "handles invoicing"},
    });
    assert_eq!(events[0], document);
    assert_eq!((&events[1]["subject"], &events[1]["almlog"]), (&json!("versions/1"), &log));
    for event in &events {
        let id = event["id"].as_str().unwrap();
        assert_eq!(id.as_bytes()[14], b'7', "{id} is no UUIDv7");
    }
    assert_ne!(events[0]["id"], events[1]["id"]);
}

/// An event of each type comes about; its data are those of the contract.
#[tokio::test]
async fn every_change_emits_the_contracts_event() {
    let server = Server::start().await;
    let (ada, root) = (server.user(), server.admin());
    let app = ada.post("/apps", &json!({"name": "billing", "description": "old"})).await.ok(201)["id"].clone();
    ada.put("/apps/1", &json!({"name": "billing", "description": "new"})).await.is(200);
    ada.post("/versions", &json!({"app_id": app, "tag": "v1", "changelog": "old"})).await.is(201);
    ada.put("/versions/1", &json!({"changelog": "new"})).await.is(200);
    ada.deployment(1, "prod").await;
    ada.moves(1, "successful").await;
    root.delete("/deployments/1").await.is(204);
    root.delete("/versions/1").await.is(204);
    root.delete("/apps/1").await.is(204);
    root.account("bob", "user").await;
    let anyone = server.anyone();
    let tokens = anyone.login("bob").await;
    let bob = anyone.with_token(tokens["access_token"].as_str().unwrap());
    let session = bob.get("/whoami").await.ok(200)["credential"].clone();
    anyone.post("/token/refresh", &json!({"refresh_token": tokens["refresh_token"]})).await.is(200);
    bob.call("POST", "/logout").await.is(204);
    anyone.post("/login", &json!({"username": "bob", "password": "guess"})).await.problem(401, "wrong-credentials");
    root.put("/users/bob/password", &json!({"password": PASSWORD})).await.is(204);
    root.put("/users/bob", &json!({"role": "viewer", "scopes": ["user:1"]})).await.is(200);
    root.delete("/users/bob").await.is(204);
    let (key, _) = root.api_key("ci").await;
    let rotated = root.post(format!("/api-keys/{key}/rotate"), &json!({"grace_seconds": 0})).await.ok(200);
    root.delete(format!("/api-keys/{key}")).await.is(204);
    ada.get("/users").await.problem(403, "forbidden");

    let app = |description: &str| json!({"id": 1, "name": "billing", "description": description});
    let version = |changelog: &str| json!({"version_id": 1, "app_id": 1, "tag": "v1", "changelog": changelog});
    let deployment = |status: &str| json!({"deployment_id": 1, "version_id": 1, "app_id": 1, "environment": "prod", "status": status});
    let mut moved = deployment("successful");
    moved["previous_status"] = "pending".into();
    let api_key = json!({"api_key": key, "name": "ci", "role": "viewer", "expires_at": rotated["expires_at"]});
    let expected = [
        ("AppCreated", "ada", app("old")),
        ("AppUpdated", "ada", app("new")),
        ("VersionCreated", "ada", version("old")),
        ("VersionUpdated", "ada", version("new")),
        ("DeploymentCreated", "ada", deployment("pending")),
        ("DeploymentUpdated", "ada", moved),
        ("DeploymentDeleted", "root", deployment("successful")),
        ("VersionDeleted", "root", version("new")),
        ("AppDeleted", "root", app("new")),
        ("UserCreated", "root", json!({"user": "bob", "role": "user"})),
        ("LoginSucceeded", "bob", json!({"user": "bob", "session": session})),
        ("TokenRefreshed", "bob", json!({"user": "bob", "session": session})),
        ("SessionEnded", "bob", json!({"user": "bob", "session": session, "reason": "logout", "tokens_until": null})),
        ("LoginFailed", "anonymous", json!({"user": "bob"})),
        ("PasswordChanged", "root", json!({"user": "bob"})),
        ("UserUpdated", "root", json!({"user": "bob", "role": "viewer", "scopes": ["user:1"]})),
        ("UserDeleted", "root", json!({"user": "bob"})),
        ("ApiKeyCreated", "root", api_key.clone()),
        ("ApiKeyRotated", "root", api_key),
        ("ApiKeyRevoked", "root", json!({"api_key": key, "name": "ci", "tokens_until": null})),
        ("AccessDenied", "ada", json!({"user": "ada", "action": "list_users"})),
    ];
    let events = server.events().await;
    let told: Vec<(&str, &str, Value)> = events
        .iter()
        .map(|e| {
            let mut data = e["data"].clone();
            // A time that the answers do not tell.
            if let Some(until) = data.get_mut("tokens_until") {
                assert!(until.take().is_string());
            }
            (e["type"].as_str().unwrap(), e["almactor"].as_str().unwrap(), data)
        })
        .collect();
    assert_eq!(told, expected);
    for event_type in EventType::ALL {
        assert!(expected.iter().any(|(name, ..)| *name == event_type.as_str()), "{event_type} is not shown here");
    }
}

#[tokio::test]
async fn a_request_that_is_refused_emits_nothing() {
    let server = Server::start().await;
    let ada = server.user();
    ada.app("billing").await;
    ada.post("/apps", &json!({"name": "billing"})).await.is(409);
    ada.post("/apps", &json!({"name": ""})).await.is(422);
    ada.put("/apps/1", &json!({"name": "x"})).if_match("\"9\"").await.is(412);
    server.anyone().post("/apps", &json!({"name": "x"})).await.is(401);
    assert_eq!(server.story().await, ["AppCreated apps/1"]);
}
