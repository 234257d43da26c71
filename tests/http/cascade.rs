use alm_core::domain::Role;
use serde_json::json;

use crate::support::{Given, Server, each};

#[tokio::test]
async fn deleting_an_app_deletes_all_below_it_each_with_an_event_by_the_same_actor() {
    let server = Server::start().await;
    let ada = server.user();
    let (app, other) = (ada.app("billing").await, ada.app("other").await);
    let (one, two, foreign) =
        (ada.version(app, "v1").await, ada.version(app, "v2").await, ada.version(other, "v1").await);
    let below = [ada.deployment(one, "dev").await, ada.deployment(one, "prod").await, ada.deployment(two, "dev").await];
    ada.moves(below[1], "successful").await;
    let kept = ada.deployment(foreign, "prod").await;
    let before = server.events().await.len();

    server.by("eve", Role::Admin).delete(format!("/apps/{app}")).await.is(204);
    server.settled().await;

    for path in [format!("/versions?app_id={app}"), format!("/deployments?app_id={app}")] {
        assert_eq!(ada.get(path).await.ok(200), json!([]));
    }
    ada.get(format!("/versions/{one}")).await.problem(404, "not-found");
    ada.get(format!("/deployments/{}", below[1])).await.problem(404, "not-found");
    ada.get(format!("/apps/{app}/environments")).await.problem(404, "not-found");
    ada.get(format!("/deployments/{kept}")).await.is(200);

    let events = server.events().await.split_off(before);
    let mut told: Vec<_> = events.iter().map(|e| format!("{} {}", e["type"], e["subject"]).replace('"', "")).collect();
    assert_eq!(told.remove(0), format!("AppDeleted apps/{app}"));
    told.sort();
    let mut expected: Vec<_> = below.iter().map(|id| format!("DeploymentDeleted deployments/{id}")).collect();
    expected.extend([one, two].map(|id| format!("VersionDeleted versions/{id}")));
    assert_eq!(told, expected);
    assert!(each(&events.into(), "almactor").iter().all(|actor| **actor == "eve"));
}

#[tokio::test]
async fn deleting_a_version_deletes_its_deployments_only() {
    let server = Server::start().await;
    let ada = server.user();
    let app = ada.app("billing").await;
    let (one, two) = (ada.version(app, "v1").await, ada.version(app, "v2").await);
    ada.deployment(one, "prod").await;
    let kept = ada.deployment(two, "prod").await;
    server.admin().delete(format!("/versions/{one}")).await.is(204);
    server.settled().await;
    assert_eq!(each(&ada.get("/deployments").await.ok(200), "id"), [&json!(kept)]);
    assert_eq!(each(&ada.get("/versions").await.ok(200), "id"), [&json!(two)]);
    ada.get(format!("/apps/{app}")).await.is(200);
}

#[tokio::test]
async fn a_cascade_of_any_size_comes_to_its_end() {
    let server = Server::start().await;
    let ada = server.user();
    let app = ada.app("billing").await;
    for n in 0..205 {
        ada.version(app, &format!("v{n}")).await;
    }
    server.admin().delete(format!("/apps/{app}")).await.is(204);
    server.settled().await;
    assert_eq!(ada.get("/versions").await.ok(200), json!([]));
    let story = server.story().await;
    assert_eq!(story.iter().filter(|told| told.starts_with("VersionDeleted")).count(), 205);
}
