use alm_core::domain::{DeploymentStatus, TRANSITIONS};
use serde_json::json;

use crate::support::{Given, Server};

#[tokio::test]
async fn a_deployment_is_created_pending_read_and_deleted() {
    let server = Server::start().await;
    let ada = server.user();
    let app = ada.app("billing").await;
    let version = ada.version(app, "v1").await;

    let created = ada.post("/deployments", &json!({"version_id": version, "environment": "prod"})).await.is(201);
    assert_eq!(created.header("location"), Some("/deployments/1"));
    assert_eq!(created.header("etag"), Some("\"1\""));
    let deployment = created.json();
    assert_eq!((&deployment["app_id"], &deployment["version_id"]), (&json!(app), &json!(version)));
    assert_eq!((&deployment["environment"], &deployment["status"]), (&json!("prod"), &json!("pending")));
    assert!(deployment["finished_at"].is_null());
    assert_eq!(ada.get("/deployments/1").await.ok(200), deployment);
    assert_eq!(ada.get("/deployments").await.ok(200), json!([deployment]));

    server.admin().delete("/deployments/1").await.is(204);
    ada.get("/deployments/1").await.problem(404, "not-found");
    assert_eq!(server.story().await[2..], ["DeploymentCreated deployments/1", "DeploymentDeleted deployments/1"]);
}

#[tokio::test]
async fn a_status_moves_as_the_table_says_and_in_no_other_way() {
    let server = Server::start().await;
    let ada = server.user();
    let app = ada.app("billing").await;
    let version = ada.version(app, "v1").await;
    for (from, allowed) in TRANSITIONS {
        for to in DeploymentStatus::ALL {
            let id = ada.deployment(version, "prod").await;
            if from != DeploymentStatus::Pending {
                ada.moves(id, from.as_str()).await;
            }
            let before = ada.get(format!("/deployments/{id}")).await.ok(200);
            let moved = ada.put(format!("/deployments/{id}"), &json!({"status": to})).await;
            if allowed.contains(&to) {
                let etag = moved.header("etag").map(str::to_owned);
                let after = moved.ok(200);
                assert_eq!(after["status"], to.as_str());
                assert_eq!(after["revision"], before["revision"].as_u64().unwrap() + 1);
                assert_eq!(etag, Some(format!("\"{}\"", after["revision"])));
                assert_eq!(after["finished_at"].is_string(), to.is_final(), "{from} > {to}");
            } else {
                let problem = moved.problem(409, "illegal-transition");
                assert_eq!((&problem["from"], &problem["to"]), (&json!(from), &json!(to)));
                assert_eq!(problem["allowed"], json!(allowed), "{from} > {to}");
                assert_eq!(ada.get(format!("/deployments/{id}")).await.ok(200), before);
            }
        }
    }
}

#[tokio::test]
async fn only_the_status_of_a_deployment_changes() {
    let server = Server::start().await;
    let ada = server.user();
    let app = ada.app("billing").await;
    let version = ada.version(app, "v1").await;
    let id = ada.deployment(version, "prod").await;
    for field in ["environment", "version_id", "app_id", "id", "revision"] {
        let body = json!({"status": "running", field: 1});
        let refused = ada.put(format!("/deployments/{id}"), &body).await.refused_fields();
        assert_eq!(refused, [format!("/{field}: unknown-field")]);
    }
}

#[tokio::test]
async fn a_deployment_of_a_version_that_does_not_exist_is_422() {
    let server = Server::start().await;
    let problem = server.user().post("/deployments", &json!({"version_id": 7, "environment": "prod"})).await;
    let problem = problem.problem(422, "unknown-parent");
    assert_eq!(problem["errors"][0]["pointer"], "/version_id");
}

#[tokio::test]
async fn a_deployment_names_the_app_of_its_version_or_none() {
    let server = Server::start().await;
    let ada = server.user();
    let (app, other) = (ada.app("billing").await, ada.app("other").await);
    let version = ada.version(app, "v1").await;
    let body = |app: i64| json!({"version_id": version, "app_id": app, "environment": "prod"});
    ada.post("/deployments", &body(app)).await.is(201);
    for wrong in [other, 99] {
        let problem = ada.post("/deployments", &body(wrong)).await.is(422).json();
        assert_eq!(problem["errors"][0]["pointer"], "/app_id", "{problem}");
    }
}
