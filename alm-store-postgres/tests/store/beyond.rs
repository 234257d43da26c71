//! What this store does beyond what the ports ask for.

use std::time::Duration;

use alm_core::{
    changeset::{Change, Changeset, Guard},
    domain::Position,
    ports::{BackendError, BackendErrorKind, Committer, EventLog, Reader, StoreError},
    testing::fixtures::{answer, app, app_id, entry, event_id, of, of_all, progress, scope, stamp, username, version},
};

use alm_store_postgres::sqlx;

use crate::place::Place;

fn failed() -> Change {
    Change::login_failed(&username("ada"))
}

#[tokio::test]
async fn a_row_that_can_not_be_parsed_is_corrupt_and_the_error_says_where_it_stands() {
    let place = Place::migrated().await;
    let store = place.store().await;
    store.commit(of(Change::app_created(&app(7, "a")))).await.unwrap();
    place.execute("UPDATE $schema.apps SET name = ''").await;
    match store.app(app_id(7)).await {
        Err(StoreError::Backend(BackendError { kind: BackendErrorKind::Corrupt, source: Some(source), .. })) => {
            assert!(source.to_string().contains("apps.name of 7"), "{source}");
        }
        other => panic!("it can't be parsed: {other:?}"),
    }
}

#[tokio::test]
async fn expired_answers_go_as_others_come() {
    // given ten answers, of which the even ones expire at once
    let place = Place::migrated().await;
    let store = place.store().await;
    let remember = async |key: String, at: i64, until: i64| {
        let changeset = Changeset::of(stamp(at), failed(), event_id());
        store.commit(changeset.remembering(answer(&key, "x", at, until))).await.unwrap();
    };
    for i in 0..10 {
        remember(format!("old{i}"), 0, if i % 2 == 0 { 10 } else { 1000 }).await;
    }

    // when
    for i in 0..5 {
        remember(format!("new{i}"), 20, 1000).await;
    }

    // then
    let mut kept = Vec::new();
    for i in 0..10 {
        kept.push(store.remembered(&scope(&format!("old{i}"))).await.unwrap().is_some());
    }
    assert_eq!(kept, (0..10).map(|i| i % 2 == 1).collect::<Vec<_>>());
}

#[tokio::test]
async fn more_events_than_are_sealed_at_once_stand_in_the_order_of_their_commits() {
    // given more than two batches of events that become visible in one moment
    let place = Place::migrated().await;
    let store = place.store().await;
    let changesets: Vec<_> = (0..4).map(|_| of_all(failed(), (1..3000).map(|_| failed()))).collect();
    let mut transaction = place.pool().begin().await.unwrap();
    for changeset in &changesets {
        store.commit_in(&mut transaction, changeset.clone()).await.unwrap();
    }
    transaction.commit().await.unwrap();

    // when
    let coming = async {
        while store.head().await.unwrap() < Position::new(12_000) {
            store.changed(Position::new(11_999)).await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(30), coming).await.expect("all of them get positions");

    // then
    let log = store.read(Position::START, usize::MAX).await.unwrap();
    let expected: Vec<_> = changesets.iter().flat_map(Changeset::events).map(|event| event.id).collect();
    assert_eq!(log.iter().map(|event| event.position.get()).collect::<Vec<_>>(), (1..=12_000).collect::<Vec<_>>());
    assert_eq!(log.iter().map(|event| event.id).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn no_row_is_changed_by_each_commit() {
    // given someone who looks at the database as it was, so that no version of a row that was there then or later can go
    let place = Place::migrated().await;
    let store = place.store().await;
    store.commit(of(Change::app_created(&app(1, "a")))).await.unwrap();
    let mut looking = place.pool().begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ").await.unwrap();
    sqlx::query("SELECT 1").execute(&mut *looking).await.unwrap();
    let sizes = async || {
        let sizes = "SELECT relname::text, pg_relation_size(oid) FROM pg_class \
                     WHERE relnamespace = $1::regnamespace AND relkind = 'r' \
                           AND relname NOT IN ('versions', 'events', 'audit_entries', 'checkpoints') ORDER BY relname";
        let sizes = sqlx::query_as::<_, (String, i64)>(sizes).bind(place.schema());
        sizes.fetch_all(&place.pool()).await.unwrap()
    };
    let before = sizes().await;

    // when
    for id in 1..=300 {
        let created = Change::version_created(&version(id, 1, &format!("v{id}")));
        store.commit(of(created).guarded(Guard::AppExists(app_id(1)))).await.unwrap();
        let at = id.unsigned_abs();
        store.commit(progress(store.log_id(), at - 1, at).recording(entry("payload"))).await.unwrap();
    }

    // then
    assert_eq!(sizes().await, before);
    assert_eq!(store.head().await.unwrap(), Position::new(301));
    looking.rollback().await.unwrap();
}
