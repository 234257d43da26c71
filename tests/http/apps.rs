use serde_json::json;

use crate::support::{Given, Server};

#[tokio::test]
async fn an_app_is_created_read_replaced_and_deleted() {
    let server = Server::start().await;
    let ada = server.user();

    let input = json!({"name": "billing", "description": "handles invoicing", "labels": {"team": "core"}});
    let created = ada.post("/apps", &input).await.is(201);
    assert_eq!(created.header("location"), Some("/apps/1"));
    assert_eq!(created.header("etag"), Some("\"1\""));
    let app = created.json();
    for (name, value) in [("id", json!(1)), ("name", json!("billing")), ("description", json!("handles invoicing"))] {
        assert_eq!(app[name], value);
    }
    assert_eq!(app["labels"], json!({"team": "core"}));
    assert_eq!(app["revision"], 1);
    assert_eq!(app["created_at"], app["updated_at"]);

    let read = ada.get("/apps/1").await.is(200);
    assert_eq!(read.header("etag"), Some("\"1\""));
    assert_eq!(read.json(), app);
    assert_eq!(ada.get("/apps").await.ok(200), json!([app]));

    let replaced = ada.put("/apps/1", &json!({"name": "invoicing", "labels": {"team": "money"}})).await.is(200);
    assert_eq!(replaced.header("etag"), Some("\"2\""));
    let replaced = replaced.json();
    assert_eq!(replaced["name"], "invoicing");
    assert_eq!(replaced["labels"], json!({"team": "money"}));
    assert_eq!(replaced["created_at"], app["created_at"]);
    assert!(replaced["updated_at"].as_str() > app["updated_at"].as_str());
    assert_eq!(ada.get("/apps/1").await.ok(200), replaced);

    assert!(server.admin().delete("/apps/1").await.is(204).body.is_empty());
    ada.get("/apps/1").await.problem(404, "not-found");
    assert_eq!(ada.get("/apps").await.ok(200), json!([]));
    assert_eq!(server.story().await, ["AppCreated apps/1", "AppUpdated apps/1", "AppDeleted apps/1"]);
}

#[tokio::test]
async fn what_a_put_leaves_out_gets_its_default() {
    let server = Server::start().await;
    let ada = server.user();
    ada.post("/apps", &json!({"name": "billing", "description": "text", "labels": {"team": "core"}})).await.is(201);
    let replaced = ada.put("/apps/1", &json!({"name": "billing"})).await.ok(200);
    assert_eq!((&replaced["description"], &replaced["labels"]), (&json!(""), &json!({})));
}

#[tokio::test]
async fn a_put_that_changes_nothing_is_no_change() {
    let server = Server::start().await;
    let ada = server.user();
    ada.app("billing").await;
    let before = ada.get("/apps/1").await.ok(200);
    assert_eq!(ada.put("/apps/1", &json!({"name": "billing"})).await.ok(200), before);
    assert_eq!(server.story().await, ["AppCreated apps/1"]);
}

#[tokio::test]
async fn what_does_not_exist_is_404_in_every_way() {
    let server = Server::start().await;
    let root = server.admin();
    for path in ["/apps/1", "/versions/1", "/deployments/1"] {
        root.get(path).await.problem(404, "not-found");
        root.delete(path).await.problem(404, "not-found");
    }
    root.put("/apps/1", &json!({"name": "x"})).await.problem(404, "not-found");
    root.put("/versions/1", &json!({})).await.problem(404, "not-found");
    root.put("/deployments/1", &json!({"status": "running"})).await.problem(404, "not-found");
    root.get("/apps/1/environments").await.problem(404, "not-found");
    for id in ["0", "-1", "x", "1.5", "9223372036854775808", "%00", "1%2F2"] {
        root.get(format!("/apps/{id}")).await.problem(404, "not-found");
    }
}

#[tokio::test]
async fn a_name_is_taken_by_one_app_and_free_again_after_it() {
    let server = Server::start().await;
    let root = server.admin();
    root.app("billing").await;
    root.app("other").await;
    root.post("/apps", &json!({"name": "billing"})).await.problem(409, "app-name-taken");
    root.put("/apps/2", &json!({"name": "billing"})).await.problem(409, "app-name-taken");
    root.put("/apps/1", &json!({"name": "billing", "description": "its own name"})).await.is(200);

    root.app("Billing").await;
    root.delete("/apps/1").await.is(204);
    root.app("billing").await;
}

#[tokio::test]
async fn a_name_is_compared_and_kept_in_nfc() {
    let server = Server::start().await;
    let ada = server.user();
    let created = ada.post("/apps", &json!({"name": "cafe\u{301}"})).await.ok(201);
    assert_eq!(created["name"], "caf\u{e9}");
    ada.post("/apps", &json!({"name": "caf\u{e9}"})).await.problem(409, "app-name-taken");
}

#[tokio::test]
async fn an_id_is_never_used_again() {
    let server = Server::start().await;
    let root = server.admin();
    let first = root.app("billing").await;
    root.delete(format!("/apps/{first}")).await.is(204);
    assert!(root.app("billing").await > first);
}
