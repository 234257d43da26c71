//! What this store does beyond what the ports ask for.

use std::{sync::Arc, time::Duration};

use alm_core::{
    changeset::{Change, Changeset},
    domain::Position,
    ports::{Committer, EventLog, Reader, Sequence},
    testing::fixtures::{answer, event_id, of, progress, scope, stamp, username},
};
use alm_store_memory::MemoryStore;

fn failed() -> Change {
    Change::login_failed(&username("ada"))
}

#[tokio::test]
async fn expired_answers_go_as_others_come() {
    // given twenty answers, of which the even ones expire at once
    let store = MemoryStore::new();
    let remember = async |key: String, at: i64, until: i64| {
        let changeset = Changeset::of(stamp(at), failed(), event_id());
        store.commit(changeset.remembering(answer(&key, "x", at, until))).await.unwrap();
    };
    for i in 0..20 {
        remember(format!("old{i}"), 0, if i % 2 == 0 { 10 } else { 1000 }).await;
    }
    // one of which comes again
    remember("old18".to_owned(), 10, 1000).await;

    // when
    for i in 0..10 {
        remember(format!("new{i}"), 20, 1000).await;
    }

    // then
    let mut kept = Vec::new();
    for i in 0..20 {
        kept.push(store.remembered(&scope(&format!("old{i}"))).await.unwrap().is_some());
    }
    assert_eq!(kept, (0..20).map(|i| i == 18 || i % 2 == 1).collect::<Vec<_>>());
}

#[tokio::test]
async fn whoever_waits_for_events_is_woken_by_nothing_else() {
    // given
    let store = Arc::new(MemoryStore::new());
    let waiting = {
        let store = store.clone();
        tokio::spawn(async move { store.changed(Position::new(1)).await.unwrap() })
    };
    tokio::task::yield_now().await;

    // when there is nothing new after the position
    store.commit(progress(store.log_id(), 0, 0)).await.unwrap();
    store.commit(of(failed())).await.unwrap();
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());

    // when there is
    store.commit(of(failed())).await.unwrap();
    let woken = tokio::time::timeout(Duration::from_secs(10), waiting).await;

    // then
    woken.expect("it is woken").unwrap();
}

#[tokio::test]
async fn each_sequence_of_ids_goes_from_1_without_a_gap() {
    let store = MemoryStore::new();
    for sequence in [Sequence::Apps, Sequence::Versions, Sequence::Deployments] {
        let mut next = 1;
        for count in [1, 2, 7, 64, 1] {
            let block = store.allocate(sequence, count).await.unwrap();
            assert_eq!((block.first, block.count), (next, count));
            next += i64::from(count);
        }
    }
}

#[tokio::test]
async fn an_event_is_in_the_log_when_its_receipt_is_given() {
    let store = MemoryStore::new();
    for position in 1..10 {
        let changeset = of(failed());
        let id = changeset.events()[0].id;
        store.commit(changeset).await.unwrap();
        assert_eq!(store.head().await.unwrap(), Position::new(position));
        let log = store.read(Position::new(position - 1), 10).await.unwrap();
        assert_eq!(log.iter().map(|event| event.id).collect::<Vec<_>>(), [id]);
    }
}
