use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, Call, Given, Server, each};

/// Sends all of `calls` at once.
async fn at_once(calls: impl IntoIterator<Item = Call>) -> Vec<Answer> {
    let calls: Vec<_> = calls.into_iter().map(|call| tokio::spawn(call.into_future())).collect();
    join_all(calls).await.into_iter().map(Result::unwrap).collect()
}

fn count(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_twenty_creates_of_one_name_one_wins() {
    let server = Server::start().await;
    let root = server.admin();
    let app = root.app("parent").await;
    for (path, body) in [
        ("/apps", json!({"name": "billing"})),
        ("/versions", json!({"app_id": app, "tag": "v1"})),
        ("/users", json!({"username": "bob", "password": crate::support::PASSWORD, "role": "user"})),
    ] {
        let before = server.events().await.len();
        let answers = at_once((0..20).map(|_| root.post(path, &body))).await;
        assert_eq!((count(&answers, 201), count(&answers, 409)), (1, 19), "{path}");
        assert_eq!(server.events().await.len(), before + 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_twenty_moves_to_a_final_status_one_wins() {
    let server = Server::start().await;
    let ada = server.user();
    let app = ada.app("billing").await;
    let version = ada.version(app, "v1").await;
    let id = ada.deployment(version, "prod").await;
    let moves = (0..20).map(|n| {
        let status = ["successful", "failed", "canceled"][n % 3];
        ada.put(format!("/deployments/{id}"), &json!({"status": status}))
    });
    let answers = at_once(moves).await;
    assert_eq!((count(&answers, 200), count(&answers, 409)), (1, 19));
    assert_eq!(ada.get(format!("/deployments/{id}")).await.ok(200)["revision"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_without_a_precondition_all_win_one_after_the_other() {
    let server = Server::start().await;
    let ada = server.user();
    ada.app("billing").await;
    let puts = (0..20).map(|n| ada.put("/apps/1", &json!({"name": "billing", "description": n.to_string()})));
    let answers = at_once(puts).await;
    assert_eq!(count(&answers, 200), 20);
    let mut revisions: Vec<_> = answers.iter().map(|answer| answer.json()["revision"].as_u64().unwrap()).collect();
    revisions.sort_unstable();
    assert_eq!(revisions, (2..=21).collect::<Vec<_>>());
}

/// Every child that was created is deleted too, each has both its events, and none is left.
fn assert_no_orphan(events: &[Value], kind: &str, created: &[Answer]) {
    let subjects = |event_type: String| {
        let of_type = events.iter().filter(|event| event["type"] == event_type);
        let mut subjects: Vec<_> = of_type.map(|event| event["subject"].as_str().unwrap().to_owned()).collect();
        subjects.sort();
        subjects
    };
    let mut answered: Vec<_> = created
        .iter()
        .filter(|answer| answer.status == 201)
        .map(|answer| answer.header("location").unwrap().trim_start_matches('/').to_owned())
        .collect();
    answered.sort();
    assert_eq!(subjects(format!("{kind}Created")), answered);
    assert_eq!(subjects(format!("{kind}Deleted")), answered);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_whose_creation_races_the_delete_of_its_app_does_not_outlive_it() {
    let (mut some, mut refused) = (false, false);
    for _ in 0..10 {
        let server = Server::start().await;
        let root = server.admin();
        let app = root.app("billing").await;
        let mut calls: Vec<_> =
            (0..20).map(|n| root.post("/versions", &json!({"app_id": app, "tag": format!("v{n}")}))).collect();
        calls.insert(10, root.delete(format!("/apps/{app}")));
        let mut answers = at_once(calls).await;
        assert_eq!(answers.remove(10).status, 204);
        assert_eq!(count(&answers, 201) + count(&answers, 422), 20);
        some |= count(&answers, 201) > 0;
        refused |= count(&answers, 422) > 0;
        server.settled().await;
        assert_eq!(root.get("/versions").await.ok(200), json!([]));
        let events = server.events().await;
        assert_no_orphan(&events, "Version", &answers);
        let audit = root.all("/audit/events?limit=200").await;
        assert_eq!(each(&audit.into(), "event_id"), each(&events.into(), "id"));
    }
    assert!(some && refused, "there was no race");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_whose_creation_races_the_delete_of_its_app_does_not_outlive_it() {
    for _ in 0..10 {
        let server = Server::start().await;
        let root = server.admin();
        let app = root.app("billing").await;
        let version = root.version(app, "v1").await;
        let deploy = |n| root.post("/deployments", &json!({"version_id": version, "environment": format!("e{n}")}));
        let mut calls: Vec<_> = (0..20).map(deploy).collect();
        calls.insert(5, root.delete(format!("/apps/{app}")));
        let mut answers = at_once(calls).await;
        assert_eq!(answers.remove(5).status, 204);
        assert_eq!(count(&answers, 201) + count(&answers, 422), 20);
        server.settled().await;
        assert_eq!(root.get("/deployments").await.ok(200), json!([]));
        assert_no_orphan(&server.events().await, "Deployment", &answers);
    }
}
