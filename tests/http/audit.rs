use alm_core::domain::Role;
use serde_json::{Value, json};

use crate::support::{Given, Server, each};

/// A server with a story of its own, told by three people.
async fn server_with_a_story() -> Server {
    let server = Server::start().await;
    let ada = server.user();
    let app = ada.app("billing").await;
    let version = server.by("bob", Role::User).version(app, "v1").await;
    let deployment = ada.deployment(version, "prod").await;
    ada.moves(deployment, "running").await;
    ada.delete(format!("/apps/{app}")).await.problem(403, "forbidden");
    server.settled().await;
    server
}

async fn types(server: &Server, query: &str) -> Vec<String> {
    let entries = server.admin().all(&format!("/audit/events{query}")).await;
    entries.iter().map(|entry| entry["event_type"].as_str().unwrap().to_owned()).collect()
}

const STORY: [&str; 5] = ["AppCreated", "VersionCreated", "DeploymentCreated", "DeploymentUpdated", "AccessDenied"];

#[tokio::test]
async fn every_event_is_audited_once_newest_last_with_its_data() {
    let server = server_with_a_story().await;
    let root = server.admin();
    let entries = root.get("/audit/events").await.ok(200);
    assert_eq!(each(&entries, "event_type"), STORY);
    assert_eq!(each(&entries, "index"), [1, 2, 3, 4, 5]);
    let events = server.events().await;
    for (entry, event) in entries.as_array().unwrap().iter().zip(&events) {
        assert_eq!(entry["event"], entry["event_type"]);
        assert_eq!(entry["event_id"], event["id"]);
        assert_eq!(entry["payload"], event["data"]);
        assert_eq!(entry["subject"], event["subject"]);
        assert_eq!(entry["actor"], event["almactor"]);
        assert_eq!(event["source"], format!("/alm/{}", entry["source_service"].as_str().unwrap()));
        let time = alm_core::domain::Timestamp::parse(event["time"].as_str().unwrap()).unwrap();
        assert_eq!(entry["timestamp"], time.millis());
        assert!(entry["recorded_at"].as_str() >= event["time"].as_str());
    }
    let moved = json!({"deployment_id": 1, "version_id": 1, "app_id": 1, "environment": "prod", "status": "running",
        "previous_status": "pending"});
    assert_eq!(entries[3]["payload"], moved);
}

#[tokio::test]
async fn one_entry_is_read_by_its_index() {
    let server = server_with_a_story().await;
    let root = server.admin();
    let entries = root.get("/audit/events").await.ok(200);
    assert_eq!(root.get("/audit/events/3").await.ok(200), entries[2]);
    for index in ["0", "6", "-1", "x", "18446744073709551616"] {
        root.get(format!("/audit/events/{index}")).await.problem(404, "not-found");
    }
}

#[tokio::test]
async fn entries_are_filtered_by_type_service_actor_and_subject() {
    let server = server_with_a_story().await;
    for (query, expected) in [
        ("?event_type=VersionCreated", &STORY[1..2]),
        ("?source_service=DeploymentService", &STORY[2..4]),
        ("?source_service=AuthService", &STORY[4..]),
        ("?source_service=AuditService", &[]),
        ("?actor=bob", &STORY[1..2]),
        ("?actor=nobody", &[]),
        ("?subject=deployments/1", &STORY[2..4]),
        ("?subject=apps%2F1&event_type=AccessDenied", &STORY[4..]),
        ("?actor=ada&source_service=DeploymentService&event_type=DeploymentUpdated", &STORY[3..4]),
        ("?actor=bob&subject=apps/1", &[]),
        ("?limit=2&actor=ada", &["AppCreated", "DeploymentCreated", "DeploymentUpdated", "AccessDenied"]),
    ] {
        assert_eq!(types(&server, query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn entries_are_filtered_from_a_time_on_and_up_to_one() {
    let server = server_with_a_story().await;
    let events = server.events().await;
    let time = |place: usize| events[place]["time"].as_str().unwrap().to_owned();
    let millis = |time: &str| alm_core::domain::Timestamp::parse(time).unwrap().millis();
    // Several events may share a millisecond, which is what entries are compared by.
    let expected = |keep: &dyn Fn(i64) -> bool| -> Vec<&str> {
        STORY.iter().enumerate().filter(|(place, _)| keep(millis(&time(*place)))).map(|(_, name)| *name).collect()
    };
    for bound in (0..5).map(time) {
        let at = millis(&bound);
        assert_eq!(types(&server, &format!("?since={bound}")).await, expected(&|time| time >= at));
        assert_eq!(types(&server, &format!("?until={bound}")).await, expected(&|time| time < at));
    }
    assert_eq!(types(&server, "?since=2100-01-01T00:00:00Z").await, [""; 0]);
    assert_eq!(types(&server, "?until=2000-01-01T00:00:00%2B02:00").await, [""; 0]);
    assert_eq!(types(&server, "?since=2000-01-01T00:00:00Z&until=2100-01-01T00:00:00Z").await, STORY);
}

#[tokio::test]
async fn audits_is_another_way_to_the_same() {
    let server = server_with_a_story().await;
    let root = server.admin();
    for path in ["", "?event_type=VersionCreated", "?limit=2", "/1"] {
        let (one, other) =
            (root.get(format!("/audit/events{path}")).await.is(200), root.get(format!("/audits{path}")).await.is(200));
        assert_eq!(one.json(), other.json());
    }
    let all: Vec<Value> = root.all("/audits?limit=2").await;
    assert_eq!(all, root.all("/audit/events").await);
    server.user().get("/audits").await.problem(403, "forbidden");
    server.anyone().get("/audits/1").await.problem(401, "unauthenticated");
    root.get("/audits?surprise=1").await.problem(400, "unknown-parameter");
    root.get("/audits/99").await.problem(404, "not-found");
}

#[tokio::test]
async fn nothing_changes_the_audit_log() {
    let server = server_with_a_story().await;
    let root = server.admin();
    for (method, path) in [("POST", "/audit/events"), ("PUT", "/audit/events/1"), ("DELETE", "/audit/events/1")] {
        let refused = root.call(method, path).json(&json!({})).await;
        assert_eq!(refused.header("allow"), Some("GET,HEAD"));
        refused.problem(405, "method-not-allowed");
    }
}
