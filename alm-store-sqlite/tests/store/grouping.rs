//! Commits that wait at the same time share a transaction, and nothing else.
//!
//! These tests run on one thread, so what is asked for in one go waits together: the writer's turn comes after it.

use alm_core::{
    changeset::{Change, Changeset},
    domain::{AppId, Position, Subject},
    ports::{AppFilter, Committer, Contention, EventLog, Reader, Sequence, StoreError, TreeStore, Unique},
    testing::fixtures::{app, app_id, growth, of, of_all},
};
use futures_util::{FutureExt, future::join_all};

use crate::in_folder::InFolder;

fn created(id: i64, name: &str) -> Changeset {
    of(Change::app_created(&app(id, name)))
}

#[tokio::test]
async fn commits_that_wait_together_are_one_transaction() {
    // given
    let subject = InFolder::new().await;
    let store = &subject.store;

    // when
    let commits = (1..=64).map(|id| store.commit(created(id, &format!("app-{id}"))));
    let receipts = join_all(commits).await;

    // then
    assert!(receipts.iter().all(Result::is_ok));
    assert_eq!(store.head().await.unwrap(), Position::new(64));
    assert_eq!(store.transactions(), 1);
}

#[tokio::test]
async fn a_refused_changeset_leaves_the_others_of_its_group_alone() {
    // given
    let subject = InFolder::new().await;
    let store = &subject.store;

    // when the second fails at its second write
    let half = of_all(Change::app_created(&app(2, "b")), [Change::app_created(&app(3, "a"))]);
    let (first, refused, ids, last) = tokio::join!(
        store.commit(created(1, "a")),
        store.commit(half),
        store.allocate(Sequence::Apps, 5),
        store.commit(created(4, "b")),
    );

    // then
    assert!(first.is_ok() && last.is_ok());
    assert_eq!(ids.unwrap().first, 1);
    let Err(StoreError::AlreadyExists(Unique::AppName(name))) = refused else { panic!("{refused:?}") };
    assert_eq!(name.as_str(), "a");
    let there: Vec<AppId> =
        store.apps(&AppFilter::default(), None, 10).await.unwrap().into_iter().map(|app| app.id).collect();
    assert_eq!(there, [app_id(1), app_id(4)]);
    let subjects: Vec<_> = store.read(Position::START, 10).await.unwrap().iter().map(|e| e.subject.clone()).collect();
    assert_eq!(subjects, [Subject::App(app_id(1)), Subject::App(app_id(4))]);
    assert_eq!(store.transactions(), 1);
}

#[tokio::test]
async fn a_tree_grows_in_the_transaction_of_commits_and_by_one_of_two_who_want_it_to() {
    // given
    let subject = InFolder::new().await;
    let store = &subject.store;

    // when
    let (created_app, grown, refused, created_other) = tokio::join!(
        store.commit(created(1, "a")),
        store.grow(growth(0, 1)),
        store.grow(growth(0, 2)),
        store.commit(created(2, "b")),
    );

    // then
    assert!(created_app.is_ok() && grown.is_ok() && created_other.is_ok());
    assert!(matches!(refused, Err(StoreError::Conflict(Contention::Tree { size: 1 }))), "{refused:?}");
    assert_eq!(store.checkpoints(0, 10).await.unwrap(), [growth(0, 1).checkpoint]);
    assert_eq!(store.transactions(), 1);
}

#[tokio::test]
async fn what_no_one_waits_for_any_more_is_not_begun() {
    // given commits that wait, before and after one whose caller stays
    let subject = InFolder::new().await;
    let store = &subject.store;
    assert!(store.commit(created(1, "a")).now_or_never().is_none());
    let mut stays = store.commit(created(2, "b"));
    assert!((&mut stays).now_or_never().is_none());
    assert!(store.commit(created(3, "c")).now_or_never().is_none());

    // when
    stays.await.unwrap();

    // then
    let there = store.apps(&AppFilter::default(), None, 10).await.unwrap();
    assert_eq!(there, [app(2, "b")]);
}

#[tokio::test]
async fn closing_commits_what_waits() {
    // given
    let mut subject = InFolder::new().await;
    let store = subject.store.clone();

    // when
    let (first, second, ()) = tokio::join!(store.commit(created(1, "a")), store.commit(created(2, "b")), store.close());

    // then
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(subject.reopen().await.head().await.unwrap(), Position::new(2));
}
