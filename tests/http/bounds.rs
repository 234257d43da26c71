//! What one caller can make of a request stays within bounds.

use alm_core::domain::Role;
use serde_json::{Map, Value, json};

use crate::support::{Given, PASSWORD, Server};

#[tokio::test]
async fn no_one_needs_more_than_64_label_filters() {
    let server = Server::start().await;
    let filters = |count: usize| format!("/apps?{}", vec!["label=a=b"; count].join("&"));
    server.user().get(filters(64)).await.is(200);
    server.user().get(filters(65)).await.problem(400, "repeated-parameter");
}

#[tokio::test]
async fn too_many_labels_are_one_error_not_thousands() {
    let server = Server::start().await;
    let labels: Map<String, Value> = (0..5000).map(|n| (format!("={n}"), json!(""))).collect();
    let refused = server.user().post("/apps", &json!({"name": "a", "labels": labels})).await;
    assert_eq!(refused.refused_fields(), ["/labels: too-many"]);
}

#[tokio::test]
async fn an_unknown_field_comes_back_cut_and_escaped() {
    let server = Server::start().await;
    let long = server.user().post("/apps", &json!({"name": "a", "x".repeat(10_000): 1})).await;
    assert_eq!(long.refused_fields(), [format!("/{}: unknown-field", "x".repeat(64))]);
    let escaped = server.user().post("/apps", &json!({"name": "a", "a/b~c": 1})).await;
    assert_eq!(escaped.refused_fields(), ["/a~1b~0c: unknown-field"]);
}

#[tokio::test]
async fn a_body_of_someone_unknown_is_small() {
    let server = Server::start().await;
    let body = json!({"username": "root", "password": "x".repeat(8 * 1024)});
    server.anyone().post("/login", &body).await.problem(413, "body-too-large");
}

#[tokio::test]
async fn an_id_has_one_form() {
    let server = Server::start().await;
    server.user().post("/apps", &json!({"name": "a"})).await.is(201);
    server.user().get("/apps/1").await.is(200);
    for path in ["/apps/01", "/apps/+1", "/apps/1.0"] {
        server.user().get(path).await.problem(404, "not-found");
    }
}

#[tokio::test]
async fn a_users_token_in_the_name_of_an_admin_does_not_become_one() {
    let server = Server::start().await;
    server.admin().account("amy", "admin").await;
    let impostor = server.by("amy", Role::User);
    impostor.put("/users/amy/password", &json!({"password": "another-password"})).await.problem(403, "forbidden");
    server.anyone().post("/login", &json!({"username": "amy", "password": PASSWORD})).await.is(200);
    assert!(server.story().await.iter().any(|event| event.contains("AccessDenied")));
}
