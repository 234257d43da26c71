use serde_json::json;

use crate::support::{Given, Server};

#[tokio::test]
async fn a_version_is_created_read_replaced_and_deleted() {
    let server = Server::start().await;
    let ada = server.user();
    let app = ada.app("billing").await;

    let input = json!({"app_id": app, "tag": "v1.2.0", "changelog": "bug fixes", "labels": {"channel": "beta"}});
    let created = ada.post("/versions", &input).await.is(201);
    assert_eq!(created.header("location"), Some("/versions/1"));
    assert_eq!(created.header("etag"), Some("\"1\""));
    let version = created.json();
    assert_eq!((&version["app_id"], &version["tag"]), (&json!(app), &json!("v1.2.0")));
    assert_eq!((&version["changelog"], &version["labels"]), (&json!("bug fixes"), &json!({"channel": "beta"})));
    assert_eq!(ada.get("/versions/1").await.ok(200), version);
    assert_eq!(ada.get("/versions").await.ok(200), json!([version]));

    let replaced = ada.put("/versions/1", &json!({"changelog": "more"})).await.is(200);
    assert_eq!(replaced.header("etag"), Some("\"2\""));
    let replaced = replaced.json();
    assert_eq!((&replaced["changelog"], &replaced["labels"]), (&json!("more"), &json!({})));
    assert_eq!((&replaced["app_id"], &replaced["tag"]), (&version["app_id"], &version["tag"]));
    assert_eq!(ada.put("/versions/1", &json!({})).await.ok(200)["changelog"], "");

    server.admin().delete("/versions/1").await.is(204);
    ada.get("/versions/1").await.problem(404, "not-found");
    assert_eq!(
        server.story().await[1..],
        ["VersionCreated", "VersionUpdated", "VersionUpdated", "VersionDeleted"].map(|t| format!("{t} versions/1"))
    );
}

#[tokio::test]
async fn a_tag_is_unique_in_its_app_only() {
    let server = Server::start().await;
    let ada = server.user();
    let (one, two) = (ada.app("one").await, ada.app("two").await);
    ada.version(one, "v1").await;
    ada.post("/versions", &json!({"app_id": one, "tag": "v1"})).await.problem(409, "version-tag-taken");
    ada.version(two, "v1").await;
    ada.version(one, "V1").await;
}

#[tokio::test]
async fn app_and_tag_of_a_version_never_change() {
    let server = Server::start().await;
    let ada = server.user();
    let app = ada.app("billing").await;
    ada.version(app, "v1").await;
    for (field, value) in [("tag", json!("v2")), ("app_id", json!(app))] {
        let refused = ada.put("/versions/1", &json!({field: value})).await.refused_fields();
        assert_eq!(refused, [format!("/{field}: unknown-field")]);
    }
}

#[tokio::test]
async fn a_version_of_an_app_that_does_not_exist_is_422() {
    let server = Server::start().await;
    let problem = server.user().post("/versions", &json!({"app_id": 7, "tag": "v1"})).await;
    let problem = problem.problem(422, "unknown-parent");
    assert_eq!(problem["errors"][0]["pointer"], "/app_id");
    assert_eq!(problem["errors"][0]["code"], "unknown-parent");
    assert!(server.events().await.is_empty());
}
