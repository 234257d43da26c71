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
