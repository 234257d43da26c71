//! Parents that live elsewhere.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use alm_core::{
    Alm,
    domain::{AppId, DeploymentStatus, EventType, NewEvent, VersionId},
    ports::{BackendError, BackendErrorKind, DeploymentFilter, EventBus, Outcome, Reader, VersionFilter},
    services::{Error, Limit, Precondition},
    testing::{Call, Fault, MemoryBus, inspect::log_of, mocks::MockDirectory},
};
use alm_store_memory::MemoryStore;
use alm_test_support::eventually;
use futures_util::FutureExt;

use super::system::{System, run, service, services};
use crate::{
    given::{a_deployment, a_version, admin, an_app, user},
    rough_store::rough,
};

fn app(id: i64) -> AppId {
    AppId::new(id).unwrap()
}

fn versions(directory: MockDirectory) -> Alm {
    let store = Arc::new(MemoryStore::new());
    Alm::builder(store).services(services("version")).directory(Arc::new(directory)).build()
}

#[tokio::test]
async fn what_the_owner_has_said_is_remembered() {
    let mut owner = MockDirectory::new();
    owner.expect_app().times(1).returning(|_| Ok(true));
    let alm = versions(owner);
    for tag in ["v1", "v2", "v3"] {
        alm.versions().create(&user(), a_version(app(7), tag)).await.unwrap();
    }
}

#[tokio::test]
async fn a_parent_that_the_owner_does_not_know_may_come_later() {
    let mut owner = MockDirectory::new();
    let is_there = AtomicBool::new(false);
    owner.expect_app().times(2).returning(move |_| Ok(is_there.swap(true, Ordering::Relaxed)));
    let alm = versions(owner);
    let refused = alm.versions().create(&user(), a_version(app(7), "v1")).await.unwrap_err();
    assert_eq!((refused.code(), refused.outcome()), ("unknown-parent", Outcome::NotApplied));
    alm.versions().create(&user(), a_version(app(7), "v1")).await.unwrap();
}

#[tokio::test]
async fn when_the_owner_can_not_be_asked_that_is_told_and_nothing_is_created() {
    let mut owner = MockDirectory::new();
    owner.expect_app().returning(|_| {
        let fault = BackendError::internal("directory", "ask");
        Err(BackendError { kind: BackendErrorKind::Unavailable, ..fault })
    });
    let asked = versions(owner);
    let no_one = Alm::builder(Arc::new(MemoryStore::new())).services(services("version")).build();
    for alm in [asked, no_one] {
        let refused = alm.versions().create(&user(), a_version(app(7), "v1")).await.unwrap_err();
        assert!(matches!(&refused, Error::Backend(fault) if fault.kind == BackendErrorKind::Unavailable), "{refused}");
        assert_eq!(refused.outcome(), Outcome::NotApplied);
        assert_eq!(alm.store().head().await.unwrap().get(), 0);
    }
}

#[tokio::test]
async fn a_deployment_is_of_the_app_of_its_version_wherever_that_is() {
    let mut owner = MockDirectory::new();
    owner.expect_version().times(1).returning(|_| Ok(Some(app(7))));
    let store = Arc::new(MemoryStore::new());
    let alm = Alm::builder(store).services(services("deployment")).directory(Arc::new(owner)).build();
    for _ in 0..2 {
        let new = a_deployment(VersionId::new(42).unwrap(), "prod");
        assert_eq!(alm.deployments().create(&user(), new).await.unwrap().value.app_id, app(7));
    }
}

#[tokio::test]
async fn what_runs_is_told_without_its_version_where_the_deployments_are_until_that_is_gone() {
    // given
    let system = System::start();
    let app = system.app.apps().create(&admin(), an_app("billing")).await.unwrap().value.id;
    let mut deployments = Vec::new();
    for tag in ["v1", "v2"] {
        let version = system.version.versions().create(&user(), a_version(app, tag)).await.unwrap().value.id;
        let new = a_deployment(version, "prod");
        let id = system.deployment.deployments().create(&user(), new).await.unwrap().value.id;
        let (moved, any) = (DeploymentStatus::Successful, Precondition::none());
        deployments.push(system.deployment.deployments().set_status(&user(), id, moved, &any).await.unwrap());
    }
    let apps = system.deployment.apps();
    let running = async || apps.environments(&user(), app, None, Limit::default()).await.unwrap().items;
    let now = running().await;
    assert_eq!(now.iter().map(|now| (&now.version, &now.deployment)).collect::<Vec<_>>(), [(&None, &deployments[1])]);

    // when the versions go, one after the other
    for before in [Some(deployments[0].id), None] {
        let version = running().await[0].deployment.version_id;
        system.version.versions().delete(&admin(), version, &Precondition::none()).await.unwrap();
        let runs = async || {
            let runs = running().await.first().map(|running| running.deployment.id);
            (runs == before).then_some(())
        };
        eventually("what ran before runs again", runs).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_child_outlives_its_parent_though_creation_races_deletion_across_services() {
    // given
    let system = Arc::new(System::start());
    let mut racers = tokio::task::JoinSet::new();

    // when
    for round in 0..20 {
        let app = system.app.apps().create(&admin(), an_app(&format!("app {round}"))).await.unwrap().value.id;
        for racer in 0..4 {
            let system = system.clone();
            racers.spawn(async move {
                let mut created = 0;
                for tag in 0.. {
                    let new = a_version(app, &format!("v{racer}-{tag}"));
                    match system.version.versions().create(&user(), new).await {
                        Ok(version) => {
                            created += 1;
                            let deployment = a_deployment(version.value.id, "prod");
                            if let Err(error) = system.deployment.deployments().create(&user(), deployment).await {
                                assert_eq!(error.code(), "unknown-parent");
                            }
                        }
                        Err(error) => {
                            assert_eq!(error.code(), "unknown-parent");
                            return created;
                        }
                    }
                    tokio::task::yield_now().await;
                }
                created
            });
        }
        let system = system.clone();
        racers.spawn(async move {
            tokio::task::yield_now().await;
            system.app.apps().delete(&admin(), app, &Precondition::none()).await.unwrap();
            0
        });
    }
    let created: usize = racers.join_all().await.into_iter().sum();

    // then
    assert!(created > 0, "some were faster than the deletion");
    system.audited().await;
    assert_eq!(system.version.store().versions(&VersionFilter::default(), None, 10).await.unwrap(), []);
    assert_eq!(system.deployment.store().deployments(&DeploymentFilter::default(), None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn once_the_children_of_what_is_gone_are_looked_for_no_other_can_come() {
    // given someone who creates a version of the app just when the cascade is about to delete those that it has found
    let store = Arc::new(MemoryStore::new());
    let mut owner = MockDirectory::new();
    owner.expect_app().returning(|_| Ok(true));
    let other = Alm::builder(store.clone()).services(services("version")).directory(Arc::new(owner)).build();
    other.versions().create(&user(), a_version(app(7), "v1")).await.unwrap();
    let late = Arc::new(Mutex::new(Vec::new()));
    let (racer, outcomes) = (other.clone(), late.clone());
    let rough = rough(store.clone(), move |call: &Call<'_>| {
        let is_cascade = |event: &NewEvent| event.data.event_type() == Some(EventType::VersionDeleted);
        if call.changeset.is_some_and(|changeset| changeset.events().iter().any(is_cascade)) {
            let created = racer.versions().create(&user(), a_version(app(7), "late")).now_or_never().unwrap();
            outcomes.lock().unwrap().push(created.map(drop).map_err(|error| error.code()));
        }
        Fault::None
    });

    // when another service tells the end of the app
    let apps = Alm::builder(Arc::new(MemoryStore::new())).services(services("app")).build();
    for number in 1..=7 {
        apps.apps().create(&admin(), an_app(&format!("app {number}"))).await.unwrap();
    }
    apps.apps().delete(&admin(), app(7), &Precondition::none()).await.unwrap();
    let bus = MemoryBus::new();
    bus.publish(&log_of(apps.store().as_ref()).await).await.unwrap();
    let versions = service("version", Arc::new(rough), Arc::new(bus)).build();
    let _running = run(&versions);

    // then
    eventually("the version goes", async || {
        store.versions(&VersionFilter::default(), None, 10).await.unwrap().is_empty().then_some(())
    })
    .await;
    assert_eq!(*late.lock().unwrap(), [Err("unknown-parent")]);
}
