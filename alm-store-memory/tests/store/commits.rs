//! Commits: all or nothing, under guards, once.

use std::sync::Arc;

use alm_core::{
    changeset::{Change, Changeset, Guard},
    domain::{PasswordHash, Position, Revision, Subject},
    ports::{Committer, Contention, EventLog, Reader, Sequence, StoreError, Unique},
    testing::property,
};
use alm_store_memory::MemoryStore;
use proptest::{prelude::*, sample::subsequence, test_runner::TestRunner};

use crate::given::{
    account, answer, app, app_id, checkpoint, consumer, deployment, entry, event, letter, of, of_all, progress, scope,
    sight, stamp, username, version, version_id,
};

/// A store with something of everything.
async fn a_store() -> MemoryStore {
    let store = MemoryStore::new();
    let changes = [
        Change::app_created(&app(1, "a")),
        Change::app_created(&app(2, "b")),
        Change::app_created(&app(3, "c")),
        Change::version_created(&version(1, 1, "v1")),
        Change::version_created(&version(2, 1, "v2")),
        Change::version_created(&version(3, 2, "v1")),
        Change::deployment_created(&deployment(1, 1, 1, Some(1))),
        Change::deployment_created(&deployment(2, 2, 1, Some(2))),
        Change::deployment_created(&deployment(3, 3, 2, None)),
        Change::user_created(&account("ada")),
        Change::user_created(&account("bob")),
    ];
    let changeset = of_all(changes).remembering(answer("ada", "first", 0, 100)).recording(entry("first"));
    store.commit(changeset.burying(letter(store.log_id(), 1, "first"))).await.unwrap();
    store.commit(progress(&store, 0, 3)).await.unwrap();
    store
}

/// One part of a changeset.
#[expect(clippy::large_enum_variant, reason = "there are a handful of them")]
#[derive(Clone, Debug)]
enum Part {
    Change(Change),
    Audit,
    Letter,
    Remember(&'static str),
    Guard(Guard),
}

/// Parts that can all be committed together, in any order, to the store of [`a_store`].
fn sound_parts() -> Vec<Part> {
    let next = Revision::FIRST.next();
    let mut renamed = app(2, "renamed");
    renamed.revision = next;
    let mut changed = version(3, 2, "v1");
    changed.revision = next;
    let mut moved = deployment(3, 3, 2, Some(5));
    moved.revision = next;
    let previous = deployment(3, 3, 2, None).status;
    vec![
        Part::Change(Change::app_created(&app(4, "new"))),
        Part::Change(Change::app_updated(&renamed, Revision::FIRST)),
        Part::Change(Change::app_deleted(&app(3, "c"))),
        Part::Change(Change::version_created(&version(4, 1, "v3"))),
        Part::Change(Change::version_updated(&changed, Revision::FIRST)),
        Part::Change(Change::version_deleted(&version(2, 1, "v2"))),
        Part::Change(Change::deployment_created(&deployment(4, 1, 1, Some(9)))),
        Part::Change(Change::deployment_updated(&moved, Revision::FIRST, previous)),
        Part::Change(Change::deployment_deleted(&deployment(2, 2, 1, Some(2)))),
        Part::Change(Change::user_created(&account("new"))),
        Part::Change(Change::user_deleted(&username("bob"))),
        Part::Change(Change::password_changed(&username("ada"), PasswordHash::new("other"))),
        Part::Change(Change::login_failed(&username("ada"))),
        Part::Audit,
        Part::Letter,
        Part::Remember("new"),
        Part::Guard(Guard::AppExists(app_id(1))),
        Part::Guard(Guard::VersionExists(version_id(1))),
    ]
}

/// Parts that can't be committed to that store, whichever of the sound parts are beside them; with the code of the error.
fn broken_parts() -> Vec<(Part, &'static str)> {
    let other = Revision::new(7);
    let mut taken = app(1, "a");
    taken.name = "b".to_owned().try_into().unwrap();
    let mut stale = deployment(1, 1, 1, Some(1));
    stale.revision = other;
    let (missing_app, missing_version) = (app_id(77), version_id(77));
    vec![
        (Part::Change(Change::app_created(&app(9, "a"))), "already-exists"),
        (Part::Change(Change::app_created(&app(1, "free"))), "already-exists"),
        (Part::Change(Change::app_updated(&app(1, "free"), other)), "conflict"),
        (Part::Change(Change::app_updated(&app(77, "free"), other)), "not-found"),
        (Part::Change(Change::app_deleted(&app(77, "free"))), "not-found"),
        (Part::Change(Change::version_created(&version(9, 1, "v1"))), "already-exists"),
        (Part::Change(Change::version_created(&version(1, 1, "free"))), "already-exists"),
        (Part::Change(Change::version_updated(&version(1, 1, "v1"), other)), "conflict"),
        (Part::Change(Change::version_deleted(&version(77, 1, "free"))), "not-found"),
        (Part::Change(Change::deployment_created(&deployment(1, 1, 1, None))), "already-exists"),
        (Part::Change(Change::deployment_deleted(&stale)), "conflict"),
        (Part::Change(Change::deployment_deleted(&deployment(77, 1, 1, None))), "not-found"),
        (Part::Change(Change::user_created(&account("ada"))), "already-exists"),
        (Part::Change(Change::user_deleted(&username("nobody"))), "not-found"),
        (Part::Change(Change::password_changed(&username("nobody"), PasswordHash::new("x"))), "not-found"),
        (Part::Remember("ada"), "already-exists"),
        (Part::Guard(Guard::AppExists(missing_app)), "guard-failed"),
        (Part::Guard(Guard::VersionExists(missing_version)), "guard-failed"),
    ]
}

fn changeset(store: &MemoryStore, parts: &[Part], from: u64) -> Changeset {
    let start = Changeset::progress(stamp(0), checkpoint(store, from, 4));
    parts.iter().cloned().fold(start, |changeset, part| match part {
        Part::Change(change) => changeset.and(change, event()),
        Part::Audit => changeset.recording(entry("more")),
        Part::Letter => changeset.burying(letter(store.log_id(), 2, "more")),
        Part::Remember(key) => changeset.remembering(answer(key, "more", 0, 200)),
        Part::Guard(guard) => changeset.guarded(guard),
    })
}

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future);
}

fn sound() -> impl Strategy<Value = Vec<Part>> {
    let parts = sound_parts();
    let most = parts.len();
    subsequence(parts, 1..=most).prop_shuffle()
}

#[test]
fn a_commit_that_fails_anywhere_leaves_no_trace() {
    let broken = proptest::sample::select(broken_parts());
    let strategy = (sound(), broken, any::<prop::sample::Index>());
    let run = TestRunner::new(property(256)).run(&strategy, |(sound, (broken, code), place)| {
        block_on(async {
            let store = a_store().await;
            let mut parts = sound.clone();
            parts.insert(place.index(sound.len() + 1), broken);
            let failing = changeset(&store, &parts, 3);
            let ids = [failing.id()];
            let before = sight(&store, &ids).await;

            let error = store.commit(failing).await.unwrap_err();

            assert_eq!(error.code(), code);
            assert_eq!(sight(&store, &ids).await, before);
            // The others are sound: it was that one part.
            store.commit(changeset(&store, &sound, 3)).await.unwrap();
        });
        Ok(())
    });
    run.unwrap();
}

#[test]
fn a_commit_from_a_checkpoint_that_has_moved_leaves_no_trace() {
    let run = TestRunner::new(property(64)).run(&(sound(), 0..3_u64), |(sound, from)| {
        block_on(async {
            let store = a_store().await;
            let before = sight(&store, &[]).await;

            let error = store.commit(changeset(&store, &sound, from)).await.unwrap_err();

            assert!(matches!(error, StoreError::Conflict(Contention::Checkpoint(name)) if name == consumer()));
            assert_eq!(sight(&store, &[]).await, before);
        });
        Ok(())
    });
    run.unwrap();
}

#[test]
fn a_changeset_that_is_committed_twice_has_its_effect_once() {
    let run = TestRunner::new(property(64)).run(&sound(), |sound| {
        block_on(async {
            // given a changeset with at least one event, which all those that can be sent again have
            let store = a_store().await;
            let changeset = changeset(&store, &sound, 3).and(Change::login_failed(&username("ada")), event());
            let ids = [changeset.id()];
            assert_eq!(store.receipt(changeset.id()).await.unwrap(), None);

            // when
            let first = store.commit(changeset.clone()).await.unwrap();
            let after = sight(&store, &ids).await;
            let second = store.commit(changeset.clone()).await.unwrap();

            // then
            assert_eq!((first.changeset, first.at), (changeset.id(), changeset.at()));
            assert_eq!(first, second);
            assert_eq!(sight(&store, &ids).await, after);
            assert_eq!(store.receipt(changeset.id()).await.unwrap(), Some(first));
        });
        Ok(())
    });
    run.unwrap();
}

#[tokio::test]
async fn the_first_receipt_also_answers_when_the_changeset_would_fail_now() {
    let store = MemoryStore::new();
    let created = of(Change::app_created(&app(1, "a")));
    let first = store.commit(created.clone()).await.unwrap();
    store.commit(of(Change::app_deleted(&app(1, "a")))).await.unwrap();

    assert_eq!(store.commit(created).await.unwrap(), first);
    assert_eq!(store.app(app_id(1)).await.unwrap(), None, "it is not made again");
}

#[tokio::test]
async fn a_guard_is_about_what_was_there_before() {
    // given
    let store = MemoryStore::new();
    let exists = Guard::AppExists(app_id(1));
    let guarded = |change| of(change).guarded(exists);

    // when the changeset itself brings what the guard wants
    let error = store.commit(guarded(Change::app_created(&app(1, "a")))).await.unwrap_err();
    // then it does not help
    assert!(matches!(error, StoreError::GuardFailed(guard) if guard == exists));

    // when it takes it away
    store.commit(of(Change::app_created(&app(1, "a")))).await.unwrap();
    // then it was still there
    store.commit(guarded(Change::app_deleted(&app(1, "a")))).await.unwrap();
    store.commit(guarded(Change::login_failed(&username("ada")))).await.unwrap_err();
}

#[tokio::test]
async fn names_and_tags_are_free_again_once_their_owner_is_gone_or_renamed() {
    // given
    let store = a_store().await;
    let mut renamed = app(1, "renamed");
    renamed.revision = Revision::new(2);

    // when
    store.commit(of(Change::app_updated(&renamed, Revision::FIRST))).await.unwrap();
    store.commit(of(Change::app_deleted(&app(2, "b")))).await.unwrap();
    store.commit(of(Change::version_deleted(&version(1, 1, "v1")))).await.unwrap();

    // then
    store.commit(of(Change::app_created(&app(5, "a")))).await.unwrap();
    store.commit(of(Change::app_created(&app(6, "b")))).await.unwrap();
    store.commit(of(Change::version_created(&version(5, 1, "v1")))).await.unwrap();
    let error = store.commit(of(Change::app_created(&app(7, "renamed")))).await.unwrap_err();
    assert!(matches!(error, StoreError::AlreadyExists(Unique::AppName(name)) if name.as_str() == "renamed"));
    let error = store.commit(of(Change::version_created(&version(8, 1, "v1")))).await.unwrap_err();
    assert!(matches!(error, StoreError::AlreadyExists(Unique::VersionTag { app_id: id, .. }) if id == app_id(1)));
    let error = store.commit(of(Change::version_created(&version(5, 2, "v9")))).await.unwrap_err();
    assert!(matches!(error, StoreError::AlreadyExists(Unique::Id(Subject::Version(id))) if id == version_id(5)));
}

#[tokio::test]
async fn an_answer_is_kept_until_it_expires_and_then_makes_room() {
    // given
    let store = MemoryStore::new();
    let remember = |outcome, at, until| {
        let changeset = Changeset::of(stamp(at), Change::login_failed(&username("ada")), event());
        store.commit(changeset.remembering(answer("k", outcome, at, until)))
    };
    remember("first", 0, 100).await.unwrap();

    // when it still counts
    let error = remember("second", 99, 199).await.unwrap_err();
    // then
    assert!(matches!(error, StoreError::AlreadyExists(Unique::IdempotencyKey)));
    assert_eq!(store.remembered(&scope("k")).await.unwrap().unwrap().outcome, "first");

    // when it does not
    remember("second", 100, 200).await.unwrap();
    // then
    assert_eq!(store.remembered(&scope("k")).await.unwrap().unwrap().outcome, "second");
    remember("third", 150, 250).await.unwrap_err();
}

#[tokio::test]
async fn expired_answers_go_as_others_come_and_live_ones_stay() {
    // given twenty answers, of which the even ones expire at once
    let store = MemoryStore::new();
    let remember = async |key: String, at: i64, until: i64| {
        let changeset = Changeset::of(stamp(at), Change::login_failed(&username("ada")), event());
        store.commit(changeset.remembering(answer(&key, "x", at, until))).await.unwrap();
    };
    for i in 0..20 {
        remember(format!("old{i}"), 0, if i % 2 == 0 { 10 } else { 1000 }).await;
    }
    // one of which comes again
    remember("old0".to_owned(), 10, 1000).await;

    // when
    for i in 0..10 {
        remember(format!("new{i}"), 20, 1000).await;
    }

    // then
    let mut kept = Vec::new();
    for i in 0..20 {
        kept.push(store.remembered(&scope(&format!("old{i}"))).await.unwrap().is_some());
    }
    assert_eq!(kept, (0..20).map(|i| i == 0 || i % 2 == 1).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_those_who_move_one_checkpoint_one_wins_each_time() {
    let store = Arc::new(MemoryStore::new());
    for from in 0..50 {
        let rivals: Vec<_> = (0..8)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.commit(progress(&store, from, from + 1)).await.is_ok() })
            })
            .collect();
        let mut winners = 0;
        for rival in rivals {
            winners += usize::from(rival.await.unwrap());
        }
        assert_eq!(winners, 1);
        let stands = store.checkpoint(&consumer(), store.log_id()).await.unwrap();
        assert_eq!(stands, Some(Position::new(from + 1)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_id_is_given_twice() {
    let store = Arc::new(MemoryStore::new());
    let takers: Vec<_> = (1..=8_u32)
        .map(|count| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut ids = Vec::new();
                for _ in 0..50 {
                    let block = store.allocate(Sequence::Versions, count).await.unwrap();
                    assert_eq!(block.count, count);
                    ids.extend((block.first..).take(count as usize));
                }
                ids
            })
        })
        .collect();
    let mut ids = Vec::new();
    for taker in takers {
        ids.extend(taker.await.unwrap());
    }
    ids.sort_unstable();
    assert_eq!(ids, (1..=50 * (1..=8).sum::<i64>()).collect::<Vec<_>>());
    assert_eq!(store.allocate(Sequence::Apps, 1).await.unwrap().first, 1, "each sequence counts by itself");
}
