use serde_json::{Value, json};

use crate::support::{Client, Given, Server};

/// A server with one app, one version and one deployment, each at revision 2; path and a body that `PUT` takes.
async fn server_at_revision_2() -> (Server, [(&'static str, Value); 3]) {
    let server = Server::start().await;
    let ada = server.user();
    let app = ada.app("billing").await;
    let version = ada.version(app, "v1").await;
    let deployment = ada.deployment(version, "prod").await;
    ada.put("/apps/1", &json!({"name": "billing", "description": "changed"})).await.is(200);
    ada.put("/versions/1", &json!({"changelog": "changed"})).await.is(200);
    ada.moves(deployment, "running").await;
    let resources = [
        ("/deployments/1", json!({"status": "successful"})),
        ("/versions/1", json!({"changelog": "new"})),
        ("/apps/1", json!({"name": "new"})),
    ];
    (server, resources)
}

async fn revision(client: &Client, path: &str) -> Value {
    client.get(path).await.ok(200)["revision"].clone()
}

#[tokio::test]
async fn a_get_of_what_the_caller_has_is_304_without_a_body() {
    let (server, resources) = server_at_revision_2().await;
    let ada = server.user();
    for (path, _) in resources {
        for known in ["\"2\"", "W/\"2\"", "*", "\"1\", \"2\"", "\"1\",W/\"2\""] {
            let answer = ada.get(path).header("if-none-match", known).await.is(304);
            assert_eq!(answer.header("etag"), Some("\"2\""), "{known}");
            assert!(answer.body.is_empty());
        }
        for unknown in ["\"1\"", "2", "\"02\"", "\"\"", "\"3\", \"1\"", "\"2", "x"] {
            let answer = ada.get(path).header("if-none-match", unknown).await.is(200);
            assert_eq!(answer.header("etag"), Some("\"2\""), "{unknown}");
        }
    }
}

#[tokio::test]
async fn a_get_of_what_does_not_exist_is_404_whatever_the_caller_has() {
    let server = Server::start().await;
    server.user().get("/apps/9").header("if-none-match", "*").await.problem(404, "not-found");
}

#[tokio::test]
async fn a_put_on_a_stale_revision_is_412_and_changes_nothing() {
    let (server, resources) = server_at_revision_2().await;
    let ada = server.user();
    for (path, body) in resources {
        for stale in ["\"1\"", "\"3\"", "W/\"2\"", "2", "\"02\"", "", "\"1\", \"3\"", "nonsense"] {
            ada.put(path, &body).if_match(stale).await.problem(412, "precondition-failed");
        }
        assert_eq!(revision(&ada, path).await, 2, "{path}");
        let changed = ada.put(path, &body).if_match("\"9\", \"2\"").await.is(200);
        assert_eq!(changed.header("etag"), Some("\"3\""));
    }
}

#[tokio::test]
async fn a_put_if_there_is_any_revision_holds() {
    let (server, resources) = server_at_revision_2().await;
    for (path, body) in resources {
        server.user().put(path, &body).if_match("*").await.is(200);
    }
}

#[tokio::test]
async fn a_delete_of_a_stale_revision_is_412_and_deletes_nothing() {
    let (server, resources) = server_at_revision_2().await;
    let root = server.admin();
    for (path, _) in resources {
        root.delete(path).if_match("\"1\"").await.problem(412, "precondition-failed");
        assert_eq!(revision(&root, path).await, 2);
        root.delete(path).if_match("\"2\"").await.is(204);
        root.get(path).await.problem(404, "not-found");
        // What is not there has no revision at all, but that it is not there says more.
        root.delete(path).if_match("*").await.problem(404, "not-found");
    }
}

#[tokio::test]
async fn of_two_writers_who_read_the_same_one_is_refused() {
    let (server, _) = server_at_revision_2().await;
    let ada = server.user();
    let etag = ada.get("/apps/1").await.is(200).header("etag").unwrap().to_owned();
    let write =
        |description: &str| ada.put("/apps/1", &json!({"name": "billing", "description": description})).if_match(&etag);
    let mut statuses = [write("one"), write("two")].map(|call| tokio::spawn(call.into_future()));
    let mut outcome = Vec::new();
    for status in &mut statuses {
        outcome.push(status.await.unwrap().status);
    }
    outcome.sort_unstable();
    assert_eq!(outcome, [200, 412]);
    assert_eq!(revision(&ada, "/apps/1").await, 3);
}
