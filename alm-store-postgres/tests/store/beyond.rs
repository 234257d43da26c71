//! What this store does beyond what the ports ask for.

use std::time::Duration;

use alm_core::{
    changeset::{Change, Changeset},
    domain::Position,
    ports::{BackendError, BackendErrorKind, Committer, EventLog, Reader, StoreError},
    testing::fixtures::{answer, app, app_id, event_id, of, of_all, scope, stamp, username},
};

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
