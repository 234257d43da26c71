//! Processes whose clocks disagree.

use std::{collections::BTreeMap, sync::Arc};

use alm_core::{
    Alm,
    domain::{AppUpdate, DeploymentStatus, VersionUpdate},
    services::Precondition,
    testing::ManualClock,
};
use alm_store_memory::MemoryStore;

use crate::given::{a_deployment, a_version, admin, an_app};

#[tokio::test]
async fn no_change_is_dated_before_what_it_changes() {
    // given two processes on one store, the clock of the second a minute behind
    let store = Arc::new(MemoryStore::new());
    let ahead = Alm::builder(store.clone()).clock(ManualClock::at(60_000_000)).build();
    let behind = Alm::builder(store).clock(ManualClock::at(0)).build();
    let (cx, none) = (admin(), Precondition::none());
    let app = ahead.apps().create(&cx, an_app("billing")).await.unwrap().value;
    let version = ahead.versions().create(&cx, a_version(app.id, "v1")).await.unwrap().value;
    let deployment = ahead.deployments().create(&cx, a_deployment(version.id, "prod")).await.unwrap().value;

    // when the second changes what the first has made
    let update = AppUpdate::parse("renamed".into(), String::new(), BTreeMap::new()).unwrap();
    let app_later = behind.apps().update(&cx, app.id, update, &none).await.unwrap();
    let update = VersionUpdate::parse("bug fixes".into(), BTreeMap::new()).unwrap();
    let version_later = behind.versions().update(&cx, version.id, update, &none).await.unwrap();
    let successful = DeploymentStatus::Successful;
    let deployment_later = behind.deployments().set_status(&cx, deployment.id, successful, &none).await.unwrap();

    // then
    assert!(app_later.updated_at >= app.updated_at);
    assert!(version_later.updated_at >= version.updated_at);
    assert!(deployment_later.updated_at >= deployment.updated_at);
    assert_eq!(deployment_later.finished_at, Some(deployment_later.updated_at));
}

#[tokio::test]
async fn what_is_decided_later_also_says_so_unless_the_clock_was_wrong() {
    // given
    let clock = ManualClock::at(60_000_000);
    let alm = Alm::builder(Arc::new(MemoryStore::new())).clock(clock.clone()).build();
    let created_at =
        async |name: &str| alm.apps().create(&admin(), an_app(name)).await.unwrap().value.created_at.micros();
    assert_eq!(created_at("first").await, 60_000_000);

    // when the clock stands still or goes back a little
    assert_eq!(created_at("second").await, 60_000_001);
    clock.move_by(-1_000_000);
    assert_eq!(created_at("third").await, 60_000_002);

    // when it is an hour ahead, and right again
    clock.move_by(3_600_000_000);
    created_at("fourth").await;
    clock.move_by(-3_598_000_000);
    assert_eq!(created_at("fifth").await, 61_000_000);
}
