//! A process that runs some of the services.

use std::sync::Arc;

use alm_core::{
    ports::{BusError, BusState, EventBus},
    testing::{MemoryBus, mocks::MockEventBus},
};
use serde_json::json;

use crate::support::{Given as _, Server, Setup};

async fn running(services: &'static str) -> Server {
    Setup::default().alm(|alm| alm.services(services.parse().unwrap())).start().await
}

#[tokio::test]
async fn a_process_has_the_routes_of_its_services_and_no_others() {
    for (services, there, elsewhere) in [
        ("app", &["/apps"][..], &["/versions", "/deployments", "/audit/events", "/users"][..]),
        ("version", &["/versions"], &["/apps", "/deployments", "/apps/1/environments", "/audit/events"]),
        ("deployment", &["/deployments", "/apps/1/environments"], &["/apps", "/apps/1", "/versions", "/users"]),
        ("audit", &["/audit/events", "/audits"], &["/apps", "/versions", "/deployments", "/login"]),
        ("auth", &["/users"], &["/apps", "/versions", "/audit/events"]),
    ] {
        let server = running(services).await;
        let admin = server.admin();
        for path in there.iter().chain(&["/events", "/readyz", "/healthz"]) {
            admin.get(path).await.ok(200);
        }
        for path in elsewhere {
            let problem = admin.get(path).await.ok(404);
            assert_eq!(problem["code"], "not-found", "{services} {path}");
        }
        let document = admin.get("/openapi.json").await.ok(200);
        let paths = document["paths"].as_object().unwrap();
        assert!(paths.contains_key("/events"), "{services}");
        for path in elsewhere.iter().filter(|path| !path.starts_with("/apps/")) {
            assert!(!paths.contains_key(*path), "{services} {path}");
        }
    }
}

#[tokio::test]
async fn a_parent_that_can_not_be_known_is_told_as_a_503_that_changed_nothing() {
    let server = running("version").await;
    let answer = server.user().post("/versions", &json!({"app_id": 7, "tag": "v1"})).await;
    assert!(answer.header("retry-after").is_some());
    let problem = answer.ok(503);
    assert_eq!(problem["outcome"], "not_applied");
    assert_eq!(server.user().get("/versions").await.ok(200), json!([]));
}

#[tokio::test]
async fn the_bus_is_told_by_readyz_and_hinders_nothing() {
    // given a bus that can be reached, and one that can't
    let up: Arc<dyn EventBus> = Arc::new(MemoryBus::new());
    let mut down = MockEventBus::new();
    down.expect_state().returning(|| BusState::Down);
    down.expect_max_event_bytes().returning(|| None);
    down.expect_serve_replays().returning(|_| Err(BusError::Unsupported("replays")));
    down.expect_announce().returning(|_| Ok(()));
    down.expect_publish().returning(|_| Err(BusError::Unsupported("anything")));
    for (bus, state) in [(up, "up"), (Arc::new(down), "down")] {
        let server = Setup::default().alm(|alm| alm.bus(bus)).start().await;
        let ready = server.anyone().get("/readyz").await.ok(200);
        let bus = ready["dependencies"].as_array().unwrap().iter().find(|dependency| dependency["name"] == "bus");
        assert_eq!(bus.unwrap()["status"], state);
        server.user().app("billing").await;
    }
}

#[tokio::test]
async fn what_the_bus_would_never_take_is_413_and_changes_nothing() {
    let mut bus = MockEventBus::new();
    bus.expect_max_event_bytes().returning(|| Some(2000));
    bus.expect_serve_replays().returning(|_| Err(BusError::Unsupported("replays")));
    bus.expect_announce().returning(|_| Ok(()));
    bus.expect_publish().returning(|_| Ok(()));
    let server = Setup::default().alm(|alm| alm.bus(Arc::new(bus))).start().await;
    let ada = server.user();
    let app = ada.app("billing").await;
    let large = json!({"app_id": app, "tag": "v1", "changelog": "x".repeat(3000)});
    let problem = ada.post("/versions", &large).await.ok(413);
    assert_eq!(problem["code"], "event-too-large");
    assert_eq!(ada.get("/versions").await.ok(200), json!([]));
}
