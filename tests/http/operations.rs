use alm_http::Readiness;
use serde_json::{Value, json};

use crate::support::{Fate, Given, Server, Setup, a_faulty_store, each, eventually};

#[tokio::test]
async fn the_state_of_the_process_is_for_anyone() {
    let server = Server::start().await;
    let anyone = server.anyone();
    assert_eq!(anyone.get("/healthz").await.ok(200)["status"], "ok");
    assert_eq!(anyone.get("/readyz").await.ok(200)["status"], "ready");
    assert!(anyone.get("/metrics").await.is(200).text().contains("requests 1"));
}

#[tokio::test]
async fn readiness_names_each_dependency_and_how_far_consumers_are() {
    let server = Server::start().await;
    server.user().app("billing").await;
    server.settled().await;
    let ready = server.anyone().get("/readyz").await.ok(200);
    let dependencies = &ready["dependencies"];
    assert_eq!(
        each(dependencies, "name"),
        ["store", "consumer audit", "consumer cascade", "consumer sessions", "consumer auto-deploy"],
        "{ready}"
    );
    assert!(each(dependencies, "status").iter().all(|status| **status == "up"));
}

#[tokio::test]
async fn without_its_store_a_server_lives_but_is_not_ready() {
    let (store, faults) = a_faulty_store();
    let server = Setup::default().store(store).start().await;
    let anyone = server.anyone();
    faults.set(Fate::IsGone);
    anyone.get("/healthz").await.is(200);
    let problem = anyone.get("/readyz").await.problem(503, "not-ready");
    assert_eq!(problem["dependencies"][0]["name"], "store");
    assert_eq!(problem["dependencies"][0]["status"], "down");
    faults.off();
    eventually("the server is ready again", async || (anyone.get("/readyz").await.status == 200).then_some(())).await;
}

#[tokio::test]
async fn a_server_whose_store_takes_no_changes_answers_reads_but_is_not_ready() {
    for fate in [Fate::IsReadOnly, Fate::IsFull] {
        let (store, faults) = a_faulty_store();
        let server = Setup::default().store(store).start().await;
        let (anyone, ada) = (server.anyone(), server.user());
        let app = ada.app("billing").await;
        server.settled().await;
        faults.set(fate);
        eventually("the server is not ready", async || {
            let refused = ada.post("/apps", &json!({"name": "new"})).await.problem(503, "unavailable");
            assert_eq!(refused["outcome"], "not_applied");
            let ready = anyone.get("/readyz").await;
            (ready.status == 503).then(|| assert_says_read_only(&ready.problem(503, "not-ready")))
        })
        .await;
        anyone.get("/healthz").await.is(200);
        ada.get(format!("/apps/{app}")).await.is(200);
        faults.off();
        eventually("it is ready again", async || (anyone.get("/readyz").await.status == 200).then_some(())).await;
    }
}

/// The store can only be read, and how far the consumers are is still told.
#[track_caller]
fn assert_says_read_only(problem: &Value) {
    let dependencies = &problem["dependencies"];
    assert_eq!(each(dependencies, "status"), ["read-only", "up", "up", "up", "up"], "{problem}");
    assert_eq!(each(dependencies, "lag")[1..], [0, 0, 0, 0], "{problem}");
}

#[tokio::test]
async fn a_server_that_shuts_down_is_not_ready_but_serves() {
    let readiness = Readiness::default();
    let told = readiness.clone();
    let server = Setup::default().api(|api| api.readiness(told)).start().await;
    server.anyone().get("/readyz").await.is(200);
    readiness.shut_down();
    server.anyone().get("/readyz").await.problem(503, "not-ready");
    server.anyone().get("/healthz").await.is(200);
    server.user().app("billing").await;
}

#[tokio::test]
async fn auto_deploy_deploys_each_new_version() {
    let server = Setup::default().auto_deploy(&["dev", "staging"]).start().await;
    let ada = server.user();
    let app = ada.app("billing").await;
    let version = ada.version(app, "v1").await;
    server.settled().await;
    let deployments = ada.get(format!("/deployments?version_id={version}")).await.ok(200);
    assert_eq!(each(&deployments, "environment"), ["dev", "staging"]);
    assert_eq!(each(&deployments, "status"), ["pending", "pending"]);
}
