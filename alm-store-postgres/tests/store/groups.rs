//! Commits that share a transaction: one's refusal is never another's.

use std::time::Duration;

use alm_core::{
    changeset::{Change, Changeset, Guard, Receipt},
    domain::{DeploymentStatus, ParentId, Position, Revision, Subject},
    ports::{Committer, Contention, EventLog, Reader, StoreError, Unique},
    testing::{
        fixtures::{
            answer, app, app_id, at, deployment, deployment_id, event_id, of, scope, stamp, username, version,
            version_id,
        },
        inspect::log_with,
    },
};
use alm_store_postgres::{PostgresStore, sqlx};
use futures_util::future::{Either, join_all, select};

use crate::place::Place;

/// What comes of commits that are made in the same moment: on one thread none begins before all have asked.
async fn at_once(store: &PostgresStore, changesets: Vec<Changeset>) -> Vec<Result<Receipt, StoreError>> {
    join_all(changesets.into_iter().map(|changeset| store.commit(changeset))).await
}

fn new_version(id: i64, app: i64) -> Changeset {
    of(Change::version_created(&version(id, app, &format!("v{id}")))).guarded(Guard::AppExists(app_id(app)))
}

/// A version of an app that lives elsewhere.
fn version_of(id: i64, app: i64) -> Changeset {
    let guard = Guard::ParentKnown(ParentId::App(app_id(app)));
    of(Change::version_created(&version(id, app, &format!("v{id}")))).guarded(guard)
}

/// A number from the database, where `$schema` stands for the name of the schema.
async fn number(place: &Place, statement: &str) -> i64 {
    let statement = statement.replace("$schema", place.schema());
    sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).fetch_one(&place.pool()).await.unwrap()
}

#[tokio::test]
async fn what_comes_at_the_same_time_shares_a_transaction() {
    let place = Place::migrated().await;
    let store = place.store().await;
    store.commit(of(Change::app_created(&app(1, "a")))).await.unwrap();

    let receipts = at_once(&store, (1..=60).map(|id| new_version(id, 1)).collect()).await;

    assert!(receipts.iter().all(Result::is_ok), "{receipts:?}");
    assert_eq!(number(&place, "SELECT count(DISTINCT xmin::text) FROM $schema.versions").await, 1);
    assert_eq!(log_with(&*store, 61).await.len(), 61);
}

#[tokio::test]
async fn those_under_a_guard_of_a_parent_elsewhere_share_a_transaction_too() {
    // given a parent of each kind, and one that is gone
    let place = Place::migrated().await;
    let store = place.store().await;
    let (app, version) = (ParentId::App(app_id(1)), ParentId::Version(version_id(1)));
    for parent in [app, version] {
        store.commit(Changeset::learning(stamp(0), parent, app_id(1))).await.unwrap();
    }
    store.commit(of(Change::login_failed(&username("ada"))).parting(ParentId::App(app_id(2)))).await.unwrap();
    let children = |app| {
        (1..=30).map(move |id| version_of(id + 100 * app, app)).chain((1..=30).map(move |id| {
            of(Change::deployment_created(&deployment(id + 100 * app, 1, app))).guarded(Guard::ParentKnown(version))
        }))
    };

    // when
    let receipts = at_once(&store, children(1).collect()).await;

    // then
    assert!(receipts.iter().all(Result::is_ok), "{receipts:?}");
    let transactions = "SELECT count(DISTINCT xmin::text) FROM \
                        (SELECT xmin FROM $schema.versions UNION ALL SELECT xmin FROM $schema.deployments) made";
    assert_eq!(number(&place, transactions).await, 1);

    // when the parent of some is gone
    let answers = at_once(&store, children(2).collect()).await;

    // then those are refused, and no other
    let refused = |answer: &Result<_, _>| matches!(answer, Err(StoreError::GuardFailed(Guard::ParentKnown(_))));
    assert!(answers[..30].iter().all(refused) && answers[30..].iter().all(Result::is_ok), "{answers:?}");
}

#[tokio::test]
async fn events_get_their_positions_with_the_commit_if_no_one_else_gives_any() {
    let place = Place::migrated().await;
    let store = place.store().await;
    store.commit(of(Change::app_created(&app(1, "a")))).await.unwrap();

    for id in 1..=20 {
        store.commit(new_version(id, 1)).await.unwrap();
    }

    assert_eq!(log_with(&*store, 21).await.len(), 21);
    // The sealer may have been at it for some of them; not for all.
    let with_the_commit = "SELECT count(*) FROM $schema.events JOIN $schema.versions ON subject = 'versions/' || versions.id \
                           WHERE events.xmin = versions.xmin";
    assert!(number(&place, with_the_commit).await > 0);
}

#[tokio::test]
async fn events_get_their_positions_later_if_someone_else_is_at_it() {
    // given
    let place = Place::migrated().await;
    let store = place.store().await;
    store.commit(of(Change::app_created(&app(1, "a")))).await.unwrap();
    log_with(&*store, 1).await;
    let mut sealing = place.pool().begin().await.unwrap();
    let lock = format!("SELECT pg_advisory_xact_lock(hashtextextended('alm seal {}', 0))", place.schema());
    sqlx::query(sqlx::AssertSqlSafe(lock)).execute(&mut *sealing).await.unwrap();

    // when
    let receipts = at_once(&store, (1..=10).map(|id| new_version(id, 1)).collect()).await;

    // then
    assert!(receipts.iter().all(Result::is_ok), "{receipts:?}");
    assert_eq!(store.head().await.unwrap(), Position::new(1));
    sealing.rollback().await.unwrap();
    assert_eq!(log_with(&*store, 11).await.len(), 11);
}

#[tokio::test]
async fn of_those_that_come_at_the_same_time_each_gets_its_own_answer() {
    // given
    let place = Place::migrated().await;
    let store = place.store().await;
    for change in [
        Change::app_created(&app(1, "a")),
        Change::app_created(&app(2, "b")),
        Change::version_created(&version(1, 1, "taken")),
        Change::deployment_created(&deployment(1, 1, 1)),
    ] {
        store.commit(of(change)).await.unwrap();
    }
    let before = of(Change::login_failed(&username("ada")));
    store.commit(before.clone()).await.unwrap();
    let keyed = |key: &str| of(Change::login_failed(&username("ada"))).remembering(answer(key, "x", 0, 1000));
    store.commit(keyed("live")).await.unwrap();
    let ancient = Changeset::of(stamp(0), Change::login_failed(&username("ada")), event_id());
    store.commit(ancient.remembering(answer("expired", "x", -10, -5))).await.unwrap();

    // when what is refused comes with what is not
    let started = {
        let mut started = deployment(1, 1, 1);
        started.status = DeploymentStatus::Running;
        started.revision = Revision::new(2);
        started
    };
    let twin = new_version(30, 1);
    let asked = vec![
        new_version(10, 1),
        of(Change::version_created(&version(11, 1, "taken"))),
        of(Change::version_created(&version(10, 2, "other"))),
        new_version(12, 99),
        of(Change::deployment_created(&deployment(10, 1, 1))).guarded(Guard::VersionExists(version_id(99))),
        of(Change::deployment_created(&deployment(11, 1, 1))).guarded(Guard::VersionExists(version_id(1))),
        of(Change::app_created(&app(3, "a"))),
        of(Change::app_created(&app(4, "d"))),
        of(Change::deployment_updated(&started, Revision::new(7), DeploymentStatus::Pending)),
        of(Change::deployment_updated(&started, Revision::new(1), DeploymentStatus::Pending)),
        keyed("live"),
        keyed("expired"),
        before.clone(),
        twin.clone(),
        twin.clone(),
        new_version(13, 2),
    ];
    let made: Vec<_> = asked.iter().map(Changeset::id).collect();
    let answers = at_once(&store, asked).await;

    // then
    let refusals: Vec<_> = answers.iter().map(|answer| answer.as_ref().err()).collect();
    let no = |index: usize| refusals[index].unwrap_or_else(|| panic!("{index} was committed"));
    assert!(matches!(no(1), StoreError::AlreadyExists(Unique::VersionTag { .. })), "{:?}", no(1));
    assert!(matches!(no(3), StoreError::GuardFailed(Guard::AppExists(id)) if *id == app_id(99)), "{:?}", no(3));
    assert!(matches!(no(4), StoreError::GuardFailed(Guard::VersionExists(_))), "{:?}", no(4));
    assert!(matches!(no(6), StoreError::AlreadyExists(Unique::AppName(_))), "{:?}", no(6));
    assert!(matches!(no(8), StoreError::Conflict(Contention::Revision(Subject::Deployment(_)))), "{:?}", no(8));
    assert!(matches!(no(10), StoreError::AlreadyExists(Unique::IdempotencyKey)), "{:?}", no(10));
    // Of the two that want the version 10 one gets it.
    assert_eq!(refusals[0].is_none(), refusals[2].is_some());
    let refused = [1, 3, 4, 6, 8, 10, if refusals[0].is_some() { 0 } else { 2 }];
    for (index, answer) in answers.iter().enumerate() {
        if refused.contains(&index) {
            assert_eq!(store.receipt(made[index]).await.unwrap(), None, "{index} left something");
        } else {
            assert_eq!(answer.as_ref().unwrap().changeset, made[index], "{index}");
        }
    }
    assert_eq!(answers[12].as_ref().unwrap().at, before.at());
    assert_eq!(answers[13].as_ref().unwrap(), answers[14].as_ref().unwrap());
    assert_eq!(store.deployment(deployment_id(1)).await.unwrap().unwrap().revision, Revision::new(2));
    assert!(store.deployment(deployment_id(10)).await.unwrap().is_none());
    assert_eq!(store.remembered(&scope("expired")).await.unwrap().unwrap().expires_at, at(1000));
    // To the seven that were there come sixteen, of which one was there already, one came twice and seven were refused.
    assert_eq!(number(&place, "SELECT count(*) FROM $schema.events").await, 14);
    assert_eq!(log_with(&*store, 14).await.len(), 14);
}

#[tokio::test]
async fn one_that_has_to_wait_holds_up_no_other() {
    // given a name that someone is about to take
    let place = Place::migrated().await;
    let store = place.store().await;
    store.commit(of(Change::app_created(&app(1, "a")))).await.unwrap();
    let mut held = place.pool().begin().await.unwrap();
    store.commit_in(&mut held, of(Change::app_created(&app(2, "b")))).await.unwrap();

    // when
    let waits = Box::pin(store.commit(of(Change::app_created(&app(3, "b")))));
    let others = Box::pin(at_once(&store, (1..=10).map(|id| new_version(id, 1)).collect()));
    let Either::Right((committed, waits)) = select(waits, others).await else {
        panic!("the name is not free, nor is it known to be taken")
    };

    // then
    assert!(committed.iter().all(Result::is_ok), "{committed:?}");
    held.commit().await.unwrap();
    let refused = tokio::time::timeout(Duration::from_secs(20), waits).await.expect("it is known now").unwrap_err();
    assert!(matches!(refused, StoreError::AlreadyExists(Unique::AppName(_))), "{refused:?}");
}
