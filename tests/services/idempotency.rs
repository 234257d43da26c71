//! Requests that are sent again.

use std::sync::Arc;

use alm_core::{
    Alm, Context, Error,
    domain::App,
    ports::{AppFilter, DeploymentFilter},
    services::{Created, Limit, Precondition},
    testing::{Call, Fault, Faulty, Gate, ManualClock, Operation},
};
use alm_store_memory::MemoryStore;

use crate::given::{a_deployment, a_version, admin, an_app, by, keyed, types_of, user};

const SECOND: i64 = 1_000_000;
const DAY: i64 = 24 * 60 * 60 * SECOND;

async fn create(alm: &Alm, cx: &Context, name: &str) -> Result<Created<App>, Error> {
    alm.apps().create(cx, an_app(name)).await
}

fn given() -> (Alm, Arc<ManualClock>) {
    let clock = ManualClock::at(0);
    (Alm::builder(Arc::new(MemoryStore::new())).clock(clock.clone()).build(), clock)
}

#[tokio::test]
async fn a_request_that_is_sent_again_gets_the_first_answer_again() {
    // given
    let (alm, clock) = given();
    let cx = keyed(user(), "k", 1);
    let app = create(&alm, &cx, "billing").await.unwrap();
    let new = a_version(app.value.id, "v1");
    let version = alm.versions().create(&cx, new.clone()).await.unwrap();
    let deployment = alm.deployments().create(&cx, a_deployment(version.value.id, "prod")).await.unwrap();

    // when
    clock.move_by(SECOND);
    let app_again = create(&alm, &cx, "billing").await.unwrap();
    let version_again = alm.versions().create(&cx, new).await.unwrap();
    let deployment_again = alm.deployments().create(&cx, a_deployment(version.value.id, "prod")).await.unwrap();

    // then
    assert_eq!(app_again, Created { replayed: true, ..app });
    assert_eq!(version_again, Created { replayed: true, ..version });
    assert_eq!(deployment_again, Created { replayed: true, ..deployment });
    assert_eq!(types_of(&alm).await, ["AppCreated", "VersionCreated", "DeploymentCreated"]);
    let deployments = alm.deployments().list(&user(), &DeploymentFilter::default(), None, Limit::default()).await;
    assert_eq!(deployments.unwrap().items.len(), 1);
}

#[tokio::test]
async fn the_first_answer_stays_whatever_has_become_of_the_resource() {
    let (alm, _) = given();
    let cx = keyed(admin(), "k", 1);
    let first = create(&alm, &cx, "billing").await.unwrap().value;
    alm.apps().delete(&admin(), first.id, &Precondition::none()).await.unwrap();

    let again = create(&alm, &cx, "billing").await.unwrap();

    assert_eq!(again, Created { value: first, replayed: true });
    assert_eq!(types_of(&alm).await, ["AppCreated", "AppDeleted"]);
}

#[tokio::test]
async fn a_key_is_not_for_another_request() {
    let (alm, _) = given();
    create(&alm, &keyed(user(), "k", 1), "billing").await.unwrap();

    let other = create(&alm, &keyed(user(), "k", 2), "checkout").await.unwrap_err();

    assert_eq!(other.code(), "idempotency-key-reused");
    assert_eq!(types_of(&alm).await, ["AppCreated"]);
}

#[tokio::test]
async fn a_request_that_failed_is_not_remembered() {
    let (alm, _) = given();
    let taken = create(&alm, &user(), "billing").await.unwrap().value;
    let cx = keyed(user(), "k", 1);
    assert_eq!(create(&alm, &cx, "billing").await.unwrap_err().code(), "app-name-taken");

    alm.apps().delete(&admin(), taken.id, &Precondition::none()).await.unwrap();

    assert!(!create(&alm, &cx, "billing").await.unwrap().replayed);
}

#[tokio::test]
async fn a_key_is_forgotten_after_24_hours_and_not_before() {
    // given
    let (alm, clock) = given();
    let cx = keyed(user(), "k", 1);
    let first = create(&alm, &cx, "billing").await.unwrap().value;

    // when a second is left
    clock.move_by(DAY - SECOND);
    // then
    assert_eq!(create(&alm, &cx, "billing").await.unwrap(), Created { value: first.clone(), replayed: true });
    assert_eq!(create(&alm, &keyed(user(), "k", 2), "other").await.unwrap_err().code(), "idempotency-key-reused");

    // when the day is over
    clock.move_by(2 * SECOND);
    // then the key is free, for any request
    assert_eq!(create(&alm, &cx, "billing").await.unwrap_err().code(), "app-name-taken");
    let other = create(&alm, &keyed(user(), "k", 2), "other").await.unwrap();
    assert!(!other.replayed);
    clock.move_by(DAY - SECOND);
    assert!(create(&alm, &keyed(user(), "k", 2), "other").await.unwrap().replayed, "and kept as long again");
}

#[tokio::test]
async fn a_key_belongs_to_one_principal() {
    let (alm, _) = given();
    let bobs = create(&alm, &keyed(user(), "k", 1), "billing").await.unwrap().value;
    let carol = by("carol", user().principal().unwrap().role);

    let carols = create(&alm, &keyed(carol, "k", 2), "checkout").await.unwrap();

    assert!(!carols.replayed);
    assert_ne!(carols.value.id, bobs.id);
}

#[tokio::test]
async fn a_key_belongs_to_one_action() {
    let (alm, _) = given();
    let cx = keyed(user(), "k", 1);
    let app = create(&alm, &cx, "billing").await.unwrap().value;

    // The same key and fingerprint, for something else.
    let version = alm.versions().create(&cx, a_version(app.id, "v1")).await.unwrap();

    assert!(!version.replayed);
    let apps = alm.apps().list(&user(), &AppFilter::default(), None, Limit::default()).await.unwrap();
    assert_eq!(apps.items, [app]);
}

/// Commits that wait at a gate.
fn gated(store: &Arc<MemoryStore>) -> (Alm, Gate) {
    let gate = Gate::closed();
    let held = gate.clone();
    let plan = move |call: &Call<'_>| match call.operation {
        Operation::Commit => Fault::Hold(held.clone()),
        _ => Fault::None,
    };
    (Alm::builder(Arc::new(Faulty::over(store.clone(), plan))).build(), gate)
}

#[tokio::test]
async fn while_a_request_runs_its_key_is_in_use() {
    let (alm, gate) = gated(&Arc::default());
    let cx = keyed(user(), "k", 1);
    let meanwhile = async {
        gate.holds(1).await;
        let error = create(&alm, &cx, "billing").await.unwrap_err();
        assert_eq!(error.code(), "idempotency-key-in-progress");
        gate.open();
    };
    let (created, ()) = tokio::join!(create(&alm, &cx, "billing"), meanwhile);
    assert!(!created.unwrap().replayed);
}

#[tokio::test]
async fn of_two_processes_that_get_one_key_at_once_the_slower_gives_the_answer_of_the_faster() {
    // given a request that has found its key free, and does not get to its commit
    let store = Arc::default();
    let (slow, gate) = gated(&store);
    let fast = Alm::builder(store).build();
    let cx = keyed(user(), "k", 1);

    // when another process is faster with the same request
    let meanwhile = async {
        gate.holds(1).await;
        let created = create(&fast, &cx, "billing").await.unwrap();
        gate.open();
        created
    };
    let (slower, faster) = tokio::join!(create(&slow, &cx, "billing"), meanwhile);

    // then there is one app, and both know it
    let slower = slower.unwrap();
    assert_eq!((slower.value, slower.replayed, faster.replayed), (faster.value, true, false));
    assert_eq!(types_of(&fast).await, ["AppCreated"]);
}
