//! The database fails while the store works: what the store says of it is true, and it works again afterwards.

use std::{collections::BTreeSet, future::poll_fn, sync::Arc, task::Poll, time::Duration};

use alm_core::{
    changeset::{Change, Changeset, Receipt},
    domain::{EventId, PasswordHash, Position, Revision},
    ports::{AppFilter, BackendError, BackendErrorKind, Committer, EventLog, Outcome, Reader, StoreError, TreeStore},
    testing::fixtures::{account, app, app_id, at, growth, of, of_all, username},
};
use alm_store_postgres::{
    PostgresOptions, PostgresStore,
    sqlx::{self, PgPool},
};
use alm_test_support::{
    eventually,
    postgres::{Durability, Server},
};
use tokio::{sync::watch, task::JoinHandle};

use crate::place::Place;

/// What was committed, and what came of it.
type Told = Vec<(Changeset, Result<Receipt, StoreError>)>;

fn event() -> Changeset {
    let failed = || Change::login_failed(&username("ada"));
    of_all(failed(), [failed()])
}

/// Commits from several tasks, one after the other in each, until `end`.
fn writers(store: &Arc<PostgresStore>, end: &watch::Receiver<bool>) -> Vec<JoinHandle<Told>> {
    let write = |store: Arc<PostgresStore>, end: watch::Receiver<bool>| async move {
        let mut told = Told::new();
        while !*end.borrow() {
            let changeset = event();
            let answer = store.commit(changeset.clone()).await;
            told.push((changeset, answer));
        }
        told
    };
    (0..4).map(|_| tokio::spawn(write(store.clone(), end.clone()))).collect()
}

async fn all(writers: Vec<JoinHandle<Told>>) -> Told {
    let mut told = Told::new();
    for writer in writers {
        told.extend(writer.await.unwrap());
    }
    told
}

/// The ids of the log's events, once there are so many.
async fn log_with(store: &PostgresStore, events: usize) -> Vec<EventId> {
    let mut ids = Vec::new();
    let coming = async {
        while ids.len() < events {
            let after = Position::new(ids.len() as u64);
            // It may fail for a moment: the database has just come back.
            for event in store.read(after, 1000).await.unwrap_or_default() {
                assert_eq!(event.position.get(), ids.len() as u64 + 1, "the log has a gap");
                ids.push(event.id);
            }
            let _ = store.changed(Position::new(ids.len() as u64 - u64::from(!ids.is_empty()))).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), coming).await.expect("what was committed gets positions");
    ids
}

/// Checks that each answer was true, and that the log has what was committed and nothing else.
async fn was_honest(store: &PostgresStore, told: &Told) {
    let mut made = BTreeSet::new();
    for (changeset, answer) in told {
        let receipt = store.receipt(changeset.id()).await.unwrap();
        match answer {
            Ok(answer) => assert_eq!(receipt.as_ref(), Some(answer), "what was acknowledged is there"),
            Err(error) if error.outcome() == Outcome::NotApplied => {
                assert_eq!(receipt, None, "it was said that nothing was applied: {error}");
            }
            Err(error) => assert!(error.is_retryable(), "{error}"),
        }
        if receipt.is_some() {
            made.extend(changeset.events().iter().map(|event| event.id));
        }
    }
    let log = log_with(store, made.len()).await;
    assert_eq!(log.len(), made.len(), "the log has what was committed, each event once");
    assert_eq!(log.into_iter().collect::<BTreeSet<_>>(), made);
}

/// Cuts the connections of that name; gives how many there were.
async fn cut(pool: &PgPool, name: &str) -> usize {
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1";
    sqlx::query(cut).bind(name).fetch_all(pool).await.unwrap().len()
}

fn named(place: &Place) -> PostgresOptions {
    place.options().application_name(place.schema())
}

/// The kind of a fault that is said to have had no effect.
fn kind(error: &StoreError) -> BackendErrorKind {
    match error {
        StoreError::Backend(BackendError { kind, outcome: Outcome::NotApplied, .. }) => *kind,
        other => panic!("it must be a fault without an effect: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_while_they_commit_make_no_one_lie() {
    // given
    let place = Place::migrated().await;
    let store = Arc::new(PostgresStore::connect(&named(&place)).await.unwrap());
    let (end, ends) = watch::channel(false);
    let writers = writers(&store, &ends);

    // when
    let (pool, mut cuts) = (place.pool(), 0);
    while cuts < 60 {
        cuts += cut(&pool, place.schema()).await;
    }
    end.send(true).unwrap();
    let told = all(writers).await;

    // then
    was_honest(&store, &told).await;
    store.commit(event()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_while_a_tree_grows_make_no_one_lie() {
    // given someone who grows it, by a checkpoint of another time at each attempt
    let place = Place::migrated().await;
    let store = Arc::new(PostgresStore::connect(&named(&place)).await.unwrap());
    let (end, ends) = watch::channel(false);
    let growing = tokio::spawn({
        let store = store.clone();
        async move {
            let (mut told, mut times) = (Vec::new(), 0..);
            while !*ends.borrow() {
                let Ok(newest) = store.newest_checkpoint().await else { continue };
                let size = newest.map_or(0, |newest| newest.size);
                let mut growth = growth(size, size + 1);
                growth.checkpoint.at = at(times.next().unwrap());
                told.push((growth.checkpoint.clone(), store.grow(growth).await));
            }
            told
        }
    });

    // when
    let (pool, mut cuts) = (place.pool(), 0);
    while cuts < 60 {
        cuts += cut(&pool, place.schema()).await;
    }
    end.send(true).unwrap();
    let told = growing.await.unwrap();

    // then
    let kept = store.checkpoints(0, usize::MAX).await.unwrap();
    for (checkpoint, answer) in told {
        match answer {
            Ok(()) => assert!(kept.contains(&checkpoint), "what was acknowledged is there"),
            Err(error) if error.outcome() == Outcome::NotApplied => {
                assert!(!kept.contains(&checkpoint), "it was said that nothing was applied: {error}");
            }
            Err(error) => assert!(error.is_retryable(), "{error}"),
        }
    }
    let sizes: Vec<_> = kept.iter().map(|checkpoint| checkpoint.size).collect();
    assert_eq!(sizes, (1..=sizes.len() as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn whoever_waits_too_long_for_another_to_grow_the_tree_is_told_so() {
    // given someone who grows it and does not come to an end
    let place = Place::migrated().await;
    let store = PostgresStore::connect(&place.options().lock_timeout(Duration::from_millis(50))).await.unwrap();
    let mut other = place.pool().begin().await.unwrap();
    let lock = "SELECT pg_advisory_xact_lock(hashtextextended('alm tree ' || $1, 0))";
    sqlx::query(lock).bind(place.schema()).execute(&mut *other).await.unwrap();

    // when
    let error = store.grow(growth(0, 1)).await.unwrap_err();

    // then
    assert_eq!(kind(&error), BackendErrorKind::Timeout);
    other.rollback().await.unwrap();
    store.grow(growth(0, 1)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_were_cut_while_idle_fail_no_one() {
    // given a pool full of connections
    let place = Place::migrated().await;
    let store = Arc::new(PostgresStore::connect(&named(&place)).await.unwrap());
    let fill = async || {
        let filling: Vec<_> = (0..8)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.commit(event()).await })
            })
            .collect();
        for filled in filling {
            filled.await.unwrap().unwrap();
        }
    };
    for size in 0..3 {
        fill().await;
        // when
        cut(&place.pool(), place.schema()).await;
        // then no commit, read or growth tells of it
        store.commit(event()).await.unwrap();
        fill().await;
        cut(&place.pool(), place.schema()).await;
        store.apps(&AppFilter::default(), None, 10).await.unwrap();
        fill().await;
        cut(&place.pool(), place.schema()).await;
        store.grow(growth(size, size + 1)).await.unwrap();
    }
}

#[tokio::test]
async fn a_database_that_takes_no_writes_is_not_writable_and_can_be_read() {
    // given
    let place = Place::migrated().await;
    place.store().await.commit(of(Change::app_created(&app(1, "a")))).await.unwrap();
    let read_only = place.host().options([("default_transaction_read_only", "on")]);

    // when
    let store = PostgresStore::connect(&place.options_with(read_only)).await.unwrap();
    let changeset = of(Change::app_created(&app(2, "b")));
    let error = store.commit(changeset.clone()).await.unwrap_err();

    // then
    assert_eq!(kind(&error), BackendErrorKind::NotWritable);
    let nothing = store.forget_answers(at(0), 0).await.unwrap_err();
    assert_eq!(kind(&nothing), BackendErrorKind::NotWritable, "also what would change nothing");
    assert_eq!(kind(&store.grow(growth(0, 1)).await.unwrap_err()), BackendErrorKind::NotWritable);
    assert_eq!(store.app(app_id(1)).await.unwrap(), Some(app(1, "a")));
    assert_eq!(store.receipt(changeset.id()).await.unwrap(), None);
}

#[tokio::test]
async fn whoever_waits_for_a_row_too_long_is_told_so() {
    // given a host that holds a row
    let place = Place::migrated().await;
    let store = PostgresStore::connect(&place.options().lock_timeout(Duration::from_millis(50))).await.unwrap();
    store.commit(of(Change::app_created(&app(1, "a")))).await.unwrap();
    let mut changed = app(1, "a");
    changed.revision = Revision::FIRST.next();
    let change = || of(Change::app_updated(&changed, Revision::FIRST));
    let mut transaction = place.pool().begin().await.unwrap();
    store.commit_in(&mut transaction, change()).await.unwrap();

    // when
    let error = store.commit(change()).await.unwrap_err();

    // then
    assert_eq!(kind(&error), BackendErrorKind::Timeout);
    transaction.rollback().await.unwrap();
    store.commit(change()).await.unwrap();
}

#[tokio::test]
async fn a_store_without_a_free_connection_is_overloaded() {
    // given a store of one connection, which waits for a row
    let place = Place::migrated().await;
    let options = place.options().max_connections(1).acquire_timeout(Duration::from_millis(200));
    let store = Arc::new(PostgresStore::connect(&options.lock_timeout(Duration::ZERO)).await.unwrap());
    let mut transaction = place.pool().begin().await.unwrap();
    store.commit_in(&mut transaction, of(Change::app_created(&app(1, "a")))).await.unwrap();
    let waiting = {
        let store = store.clone();
        tokio::spawn(async move { store.commit(of(Change::app_created(&app(2, "a")))).await })
    };

    // when, as soon as it waits
    let error = loop {
        if let Err(error) = store.app(app_id(1)).await {
            break error;
        }
    };

    // then
    assert_eq!(kind(&error), BackendErrorKind::Overloaded);
    transaction.rollback().await.unwrap();
    waiting.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_before_a_crash_is_there_after_it() {
    // given a server that keeps what it commits
    let mut server = tokio::task::spawn_blocking(|| Server::start(Durability::Crash)).await.unwrap();
    let options = PostgresOptions::parse(&server.url()).unwrap().acquire_timeout(Duration::from_millis(300));
    PostgresStore::migrate(&options).await.unwrap();
    let store = Arc::new(PostgresStore::connect(&options).await.unwrap());
    let mut told = Told::new();
    for _ in 0..2 {
        let (end, ends) = watch::channel(false);
        let writers = writers(&store, &ends);
        log_with(&store, 2 * told.len() + 20).await;

        // when it is killed while tasks commit
        server = tokio::task::spawn_blocking(|| {
            server.crash();
            server
        })
        .await
        .unwrap();
        let changeset = event();
        let error = store.commit(changeset.clone()).await.unwrap_err();
        assert_eq!(kind(&error), BackendErrorKind::Unavailable);
        told.push((changeset, Err(error)));
        end.send(true).unwrap();
        told.extend(all(writers).await);
        server = tokio::task::spawn_blocking(|| {
            server.begin();
            server
        })
        .await
        .unwrap();

        // then
        was_honest(&store, &told).await;
        let changeset = event();
        let answer = store.commit(changeset.clone()).await;
        assert!(answer.is_ok(), "it works again: {answer:?}");
        told.push((changeset, answer));
    }
}

#[tokio::test]
async fn a_commit_that_is_given_up_at_any_point_leaves_no_transaction_open() {
    // given
    let place = Place::migrated().await;
    let store = PostgresStore::connect(&named(&place)).await.unwrap();
    let observer = place.pool();
    store.commit(of(Change::user_created(&account("ada")))).await.unwrap();

    // when it is given up after it was asked once, twice and so on, until it is done before that
    let (mut times, mut was_given_up) = (1, false);
    loop {
        let ada = store.user(&username("ada")).await.unwrap().unwrap();
        let mut commit = Box::pin(store.commit(of(Change::password_changed(&ada, hash()))));
        let mut left = times;
        let done = poll_fn(|context| {
            if left == 0 {
                return Poll::Ready(None);
            }
            left -= 1;
            commit.as_mut().poll(context).map(Some)
        });
        if let Some(done) = done.await {
            done.unwrap();
            if was_given_up {
                break;
            }
            // The system let the server work while this was asked for the first time: that says nothing, so once more.
            continue;
        }
        drop(commit);
        (times, was_given_up) = (times + 1, true);

        // then
        eventually("no session is in a transaction", async || {
            let busy = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND state <> 'idle'";
            let busy: i64 = sqlx::query_scalar(busy).bind(place.schema()).fetch_one(&observer).await.unwrap();
            (busy == 0).then_some(())
        })
        .await;
    }
}

fn hash() -> PasswordHash {
    PasswordHash::new("x".to_owned())
}
