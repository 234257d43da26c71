//! Every rule of every field, with the pointer that leads there.

use serde_json::{Value, json};

use crate::support::{Client, Given, PASSWORD, Server, pairs};

/// Sends `body` to all of `routes`, which refuse it for `expected`.
async fn refused(client: &Client, routes: &[(&str, &str)], body: &Value, expected: &[&str]) {
    for (method, path) in routes {
        let fields = client.call(method, path).json(body).await.refused_fields();
        assert_eq!(fields, expected, "{method} {path} {body}");
    }
}

/// `base` with one field set.
fn with(base: &Value, field: &str, value: impl Into<Value>) -> Value {
    let mut body = base.clone();
    body[field] = value.into();
    body
}

async fn server_with_one_of_each() -> Server {
    let server = Server::start().await;
    let root = server.admin();
    let app = root.app("billing").await;
    let version = root.version(app, "v1").await;
    root.deployment(version, "prod").await;
    root.account("bob", "user").await;
    server
}

#[tokio::test]
async fn an_app_keeps_its_rules_on_post_and_put() {
    let server = server_with_one_of_each().await;
    let ada = server.user();
    let routes = [("POST", "/apps"), ("PUT", "/apps/1")];
    let long = "é".repeat(129);
    for (name, code) in [
        ("", "empty"),
        (&*long, "too-long"),
        (" a", "surrounding-space"),
        ("a\u{3000}", "surrounding-space"),
        ("a\nb", "control-character"),
        ("\u{0}", "control-character"),
    ] {
        refused(&ada, &routes, &json!({"name": name}), &[&*format!("/name: {code}")]).await;
    }
    let app = json!({"name": "new"});
    refused(&ada, &routes, &with(&app, "description", "é".repeat(2049)), &["/description: too-long"]).await;
    refused(&ada, &routes, &with(&app, "description", "a\u{0}"), &["/description: nul-character"]).await;
    ada.put("/apps/1", &json!({"name": "é".repeat(128), "description": "é".repeat(2048)})).await.is(200);
}

#[tokio::test]
async fn a_version_keeps_its_rules_on_post_and_put() {
    let server = server_with_one_of_each().await;
    let ada = server.user();
    let version = json!({"app_id": 1, "tag": "new"});
    let post = [("POST", "/versions")];
    let long = "é".repeat(129);
    for (tag, code) in [
        ("", "empty"),
        (&*long, "too-long"),
        ("v 1", "not-visible"),
        ("v1\t", "not-visible"),
        ("\u{202e}v1", "not-visible"),
    ] {
        refused(&ada, &post, &with(&version, "tag", tag), &[&*format!("/tag: {code}")]).await;
    }
    for id in [0, -1] {
        refused(&ada, &post, &with(&version, "app_id", id), &["/app_id: not-positive"]).await;
    }
    refused(&ada, &post, &with(&version, "changelog", "x".repeat(32 * 1024 + 1)), &["/changelog: too-long"]).await;
    refused(&ada, &post, &with(&version, "changelog", "\u{0}"), &["/changelog: nul-character"]).await;
    let put = [("PUT", "/versions/1")];
    refused(&ada, &put, &json!({"changelog": "x".repeat(32 * 1024 + 1)}), &["/changelog: too-long"]).await;
    ada.post("/versions", &json!({"app_id": 1, "tag": "é".repeat(128), "changelog": "x".repeat(32 * 1024)}))
        .await
        .is(201);
}

#[tokio::test]
async fn labels_keep_their_rules_wherever_they_are() {
    let server = server_with_one_of_each().await;
    let ada = server.user();
    let bodies = [
        ("POST", "/apps", json!({"name": "new"})),
        ("PUT", "/apps/1", json!({"name": "new"})),
        ("POST", "/versions", json!({"app_id": 1, "tag": "new"})),
        ("PUT", "/versions/1", json!({})),
    ];
    for (method, path, base) in bodies {
        let route = [(method, path)];
        let labels = async |labels: Value, expected: &[&str]| {
            refused(&ada, &route, &with(&base, "labels", labels), expected).await;
        };
        labels(pairs(65), &["/labels: too-many"]).await;
        labels(json!({"": "x"}), &["/labels/: empty"]).await;
        labels(json!({"k".repeat(64): "x"}), &[&*format!("/labels/{}: too-long", "k".repeat(63))]).await;
        labels(json!({"a=b": "x"}), &["/labels/a=b: invalid-character"]).await;
        labels(json!({"a\nb": "x"}), &["/labels/a\nb: invalid-character"]).await;
        labels(json!({"team": "é".repeat(257)}), &["/labels/team: too-long"]).await;
        labels(json!({"a/b~c": "\u{0}"}), &["/labels/a~1b~0c: nul-character"]).await;
        labels(json!({"team": 1}), &["/labels/team: invalid-type"]).await;
        labels(json!({"team": null}), &["/labels/team: invalid-type"]).await;
        labels(json!([]), &["/labels: invalid-type"]).await;
        labels(json!(null), &["/labels: invalid-type"]).await;
    }
    ada.put("/apps/1", &json!({"name": "billing", "labels": pairs(64)})).await.is(200);
    ada.put("/apps/1", &json!({"name": "billing", "labels": {"k".repeat(63): "é".repeat(256)}})).await.is(200);
}

#[tokio::test]
async fn a_deployment_keeps_its_rules_on_post_and_put() {
    let server = server_with_one_of_each().await;
    let ada = server.user();
    let deployment = json!({"version_id": 1, "environment": "prod"});
    let post = [("POST", "/deployments")];
    for (environment, code) in [
        ("", "empty"),
        (&*"e".repeat(65), "too-long"),
        ("Prod", "invalid-character"),
        ("a b", "invalid-character"),
        ("é", "invalid-character"),
        ("a/b", "invalid-character"),
    ] {
        let expected = format!("/environment: {code}");
        refused(&ada, &post, &with(&deployment, "environment", environment), &[&*expected]).await;
    }
    refused(&ada, &post, &with(&deployment, "version_id", 0), &["/version_id: not-positive"]).await;
    refused(&ada, &post, &with(&deployment, "app_id", -7), &["/app_id: not-positive"]).await;
    refused(&ada, &post, &with(&deployment, "status", "running"), &["/status: unknown-field"]).await;
    let put = [("PUT", "/deployments/1")];
    for status in [json!("done"), json!("Running"), json!(""), json!(1), json!(null), json!({"running": null})] {
        refused(&ada, &put, &json!({"status": status}), &["/status: invalid-type"]).await;
    }
    ada.deployment(1, "eu-west_1.prod").await;
    ada.deployment(1, &"e".repeat(64)).await;
}

#[tokio::test]
async fn an_account_keeps_its_rules() {
    let server = server_with_one_of_each().await;
    let root = server.admin();
    let account = json!({"username": "new", "password": PASSWORD, "role": "user"});
    let post = [("POST", "/users")];
    for (name, code) in [
        ("", "empty"),
        (&*"u".repeat(65), "too-long"),
        ("a b", "invalid-character"),
        ("-a", "invalid-character"),
        ("ä", "invalid-character"),
        ("..", "invalid-character"),
    ] {
        refused(&root, &post, &with(&account, "username", name), &[&*format!("/username: {code}")]).await;
    }
    refused(&root, &post, &with(&account, "role", "owner"), &["/role: invalid-type"]).await;
    let both = [("POST", "/users"), ("PUT", "/users/bob/password")];
    for (password, code) in [("1234567", "too-short"), (&*"é".repeat(129), "too-long")] {
        refused(&root, &both[..1], &with(&account, "password", password), &[&*format!("/password: {code}")]).await;
        refused(&root, &both[1..], &json!({"password": password}), &[&*format!("/password: {code}")]).await;
    }
    refused(
        &root,
        &post,
        &json!({"username": "", "password": "short", "role": "user"}),
        &["/username: empty", "/password: too-short"],
    )
    .await;
}

#[tokio::test]
async fn a_login_keeps_its_rules() {
    let server = server_with_one_of_each().await;
    let login = [("POST", "/login")];
    let anyone = server.anyone();
    refused(&anyone, &login, &json!({"username": "", "password": "x"}), &["/username: empty"]).await;
    let long = json!({"username": "bob", "password": "x".repeat(257)});
    refused(&anyone, &login, &long, &["/password: too-long"]).await;
    refused(&anyone, &login, &json!({"username": "bob"}), &["/password: missing-field"]).await;
    refused(&anyone, &login, &json!({"username": "bob", "password": null}), &["/password: invalid-type"]).await;
    anyone.post("/login", &json!({"username": "bob", "password": ""})).await.problem(401, "wrong-credentials");
}

#[tokio::test]
async fn unknown_missing_and_doubled_fields_are_422_on_every_operation() {
    let server = server_with_one_of_each().await;
    let root = server.admin();
    for (method, path, body) in [
        ("POST", "/login", json!({"username": "bob", "password": "guess"})),
        ("POST", "/apps", json!({"name": "new"})),
        ("PUT", "/apps/1", json!({"name": "new"})),
        ("POST", "/versions", json!({"app_id": 1, "tag": "new"})),
        ("PUT", "/versions/1", json!({"changelog": "new"})),
        ("POST", "/deployments", json!({"version_id": 1, "environment": "prod"})),
        ("PUT", "/deployments/1", json!({"status": "running"})),
        ("POST", "/users", json!({"username": "new", "password": PASSWORD, "role": "user"})),
        ("PUT", "/users/bob", json!({"role": "user", "scopes": []})),
        ("PUT", "/users/bob/password", json!({"password": PASSWORD})),
        ("POST", "/token", json!({"api_key": "alm_"})),
        ("POST", "/token/refresh", json!({"refresh_token": "almr_"})),
        ("POST", "/api-keys", json!({"name": "new", "role": "viewer", "expires_in_days": 1})),
    ] {
        let route = [(method, path)];
        refused(&root, &route, &with(&body, "surprise", 1), &["/surprise: unknown-field"]).await;
        for (name, value) in body.as_object().unwrap() {
            let mut without = body.clone();
            without.as_object_mut().unwrap().remove(name);
            // These may be left out.
            if !["changelog", "scopes", "current_password"].contains(&&**name) {
                refused(&root, &route, &without, &[&*format!("/{name}: missing-field")]).await;
            }
            let doubled = format!("{{\"{name}\":{value},{}", &body.to_string()[1..]);
            let fields = root.call(method, path).raw(Some("application/json"), doubled).await.refused_fields();
            assert_eq!(fields, [format!("/{name}: duplicate-field")], "{method} {path}");
            let wrongs = [json!(true), json!([]), json!({}), json!(1.5)];
            for wrong in wrongs.into_iter().filter(|wrong| name != "scopes" || !wrong.is_array()) {
                refused(&root, &route, &with(&body, name, wrong), &[&*format!("/{name}: invalid-type")]).await;
            }
        }
    }
}

#[tokio::test]
async fn an_api_key_and_the_scopes_of_an_account_keep_their_rules() {
    let server = server_with_one_of_each().await;
    let root = server.admin();
    let key = json!({"name": "new", "role": "viewer", "expires_in_days": 1});
    let keys = [("POST", "/api-keys")];
    refused(&root, &keys, &with(&key, "name", "-"), &["/name: invalid-character"]).await;
    for days in [0, -1, 3661, i64::MAX] {
        refused(&root, &keys, &with(&key, "expires_in_days", days), &["/expires_in_days: out-of-range"]).await;
    }
    let user = json!({"username": "new", "password": PASSWORD, "role": "user"});
    for (routes, body) in
        [(keys, &key), ([("POST", "/users")], &user), ([("PUT", "/users/bob")], &json!({"role": "user"}))]
    {
        refused(&root, &routes, &with(body, "role", "root"), &["/role: invalid-type"]).await;
        let scopes = json!(["deployer:7/prod", "service", "admin:*", "auditor"]);
        let expected = ["/scopes/1: not-a-grant", "/scopes/2: not-a-grant"];
        refused(&root, &routes, &with(body, "scopes", scopes), &expected).await;
        refused(&root, &routes, &with(body, "scopes", vec!["auditor"; 33]), &["/scopes: too-many"]).await;
        refused(&root, &routes, &with(body, "scopes", json!([1])), &["/scopes/0: invalid-type"]).await;
    }
    let (id, _) = root.api_key("ci").await;
    let rotate = format!("/api-keys/{id}/rotate");
    for grace in [-1, 2_592_001] {
        let body = json!({"grace_seconds": grace});
        refused(&root, &[("POST", &*rotate)], &body, &["/grace_seconds: out-of-range"]).await;
    }
}

#[tokio::test]
async fn every_field_that_is_wrong_is_named() {
    let server = Server::start().await;
    let body = json!({"name": "", "description": "\u{0}", "labels": {"a=": "x", "b": "\u{0}"}});
    let fields = server.user().post("/apps", &body).await.refused_fields();
    let expected =
        ["/name: empty", "/description: nul-character", "/labels/a=: invalid-character", "/labels/b: nul-character"];
    assert_eq!(fields, expected);
}

#[tokio::test]
async fn a_number_that_is_no_id_is_422() {
    let server = Server::start().await;
    for id in ["9223372036854775808", "1.5", "-9223372036854775809", "1e300"] {
        let body = format!("{{\"app_id\": {id}, \"tag\": \"v1\"}}");
        let answer = server.user().call("POST", "/versions").raw(Some("application/json"), body).await;
        assert_eq!(answer.refused_fields(), ["/app_id: invalid-type"], "{id}");
    }
}

/// JSON Schema does not tell them apart.
#[tokio::test]
async fn a_whole_number_is_an_integer_however_it_is_written() {
    let server = server_with_one_of_each().await;
    for (n, id) in ["1", "1.0", "10e-1", "1E0"].iter().enumerate() {
        let body = format!("{{\"app_id\": {id}, \"tag\": \"new-{n}\"}}");
        let created = server.user().call("POST", "/versions").raw(Some("application/json"), body).await.ok(201);
        assert_eq!(created["app_id"], 1, "{id}");
    }
}
