//! A server that can't be heard is given up, and one that takes its time is not.

use std::{sync::Arc, time::Duration};

use alm_core::{
    changeset::{Change, Changeset},
    domain::Revision,
    ports::{AppFilter, BackendError, BackendErrorKind, Committer, Reader, StoreError},
    testing::fixtures::{app, of, of_all},
};
use alm_store_postgres::{
    PostgresOptions, PostgresStore,
    sqlx::{self, Connection, PgConnection},
};
use alm_test_support::{
    eventually,
    network::Network,
    postgres::{Durability, Server},
};
use futures_util::future::join_all;
use tokio::task::spawn_blocking;

/// How long a test waits for what it has stopped itself.
const PATIENT: Duration = Duration::from_secs(20);

/// So many connections are made when so many read at once.
const CONNECTIONS: u32 = 8;

async fn server() -> Server {
    let server = spawn_blocking(|| Server::start(Durability::None)).await.unwrap();
    PostgresStore::migrate(&options(&server.url())).await.unwrap();
    server
}

fn options(url: &str) -> PostgresOptions {
    PostgresOptions::parse(url).unwrap().max_connections(CONNECTIONS)
}

async fn patient(url: &str) -> Arc<PostgresStore> {
    let options = options(url).lock_timeout(PATIENT).statement_timeout(PATIENT);
    let store = PostgresStore::connect(&options).await.unwrap();
    Arc::new(store)
}

fn change(id: i64) -> Change {
    let mut changed = app(id, &format!("app-{id}"));
    changed.revision = Revision::FIRST.next();
    Change::app_updated(&changed, Revision::FIRST)
}

async fn create(store: &PostgresStore, id: i64) {
    store.commit(of(Change::app_created(&app(id, &format!("app-{id}"))))).await.unwrap();
}

/// Waits until a commit has waited so many milliseconds for a row.
async fn waits(server: &Server, millis: i32) {
    // Outside of transactions, in which it would see the same again and again.
    let mut watcher = PgConnection::connect(&server.url()).await.unwrap();
    let waits = "SELECT count(*) FROM pg_stat_activity \
                 WHERE wait_event_type = 'Lock' AND now() - query_start > $1 * interval '1 millisecond'";
    eventually("someone waits for a row", async || {
        let waiting: i64 = sqlx::query_scalar(waits).bind(millis).fetch_one(&mut watcher).await.unwrap();
        (waiting == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_long_on_a_server_that_is_there_gets_the_answer() {
    // given a host that holds a row
    let server = server().await;
    let store = patient(&server.url()).await;
    create(&store, 1).await;
    let mut host = PgConnection::connect(&server.url()).await.unwrap();
    let mut transaction = host.begin().await.unwrap();
    store.commit_in(&mut transaction, of(change(1))).await.unwrap();
    let committing = store.clone();
    let waiting = tokio::spawn(async move { committing.commit(of(change(1))).await });

    // when it has waited for so long that it has doubted more than once
    waits(&server, 2500).await;
    transaction.rollback().await.unwrap();

    // then
    waiting.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_a_time_of_silence_are_not_tried_again() {
    // given many connections that no one uses
    let server = server().await;
    let network = Network::to(server.socket());
    let store = PostgresStore::connect(&options(&network.url())).await.unwrap();
    let all = AppFilter::default();
    let read = |_| store.apps(&all, None, 10);
    assert!(join_all((0..CONNECTIONS).map(read)).await.iter().all(Result::is_ok));

    // when one of them is used at such a time
    network.swallows(true);
    let error = read(0).await.unwrap_err();
    network.swallows(false);

    // then the others are not, when it is over
    assert!(matches!(&error, StoreError::Backend(BackendError { kind: BackendErrorKind::Timeout, .. })), "{error:?}");
    for _ in 0..2 * CONNECTIONS {
        read(0).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_locked_by_someone_who_can_not_be_heard_is_free_again() {
    // given a commit that has changed an app, and waits for another that a host holds
    let server = server().await;
    let network = Network::to(server.socket());
    let (near, far) = (patient(&server.url()).await, patient(&network.url()).await);
    create(&near, 1).await;
    create(&near, 2).await;
    let mut host = PgConnection::connect(&server.url()).await.unwrap();
    let mut transaction = host.begin().await.unwrap();
    near.commit_in(&mut transaction, of(change(2))).await.unwrap();
    let both: Changeset = of_all(change(1), [change(2)]);
    let waiting = tokio::spawn(async move { far.commit(both).await });
    waits(&server, 0).await;

    // when it can't hear any more that it has got it
    network.swallows(true);
    transaction.rollback().await.unwrap();

    // then someone else gets the first
    near.commit(of(change(1))).await.unwrap();
    waiting.await.unwrap().unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_silent_when_it_is_given_back_is_missed_by_no_one() {
    // given a store whose one connection for reads is just given back, when no answer comes any more
    let server = server().await;
    let network = Network::to(server.socket());
    let options = PostgresOptions::parse(&network.url()).unwrap().max_connections(2);
    let store = PostgresStore::connect(&options).await.unwrap();
    let all = AppFilter::default();
    for _ in 0..3 {
        store.apps(&all, None, 10).await.unwrap();
        network.swallows(true);
        let _ = store.apps(&all, None, 10).await;
        network.swallows(false);

        // then there is another soon
        eventually("the store can read", async || store.apps(&all, None, 10).await.ok()).await;
    }
    create(&store, 1).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_go_together_again_after_a_silence() {
    // given
    let server = server().await;
    let network = Network::to(server.socket());
    let store = PostgresStore::connect(&options(&network.url())).await.unwrap();
    create(&store, 1).await;

    // when only reads meet the silence
    network.swallows(true);
    store.apps(&AppFilter::default(), None, 10).await.unwrap_err();
    network.swallows(false);

    // then those that come at the same time share a transaction, at the first attempt after the connection is made
    create(&store, 2).await;
    let commits = (10..20).map(|id| of(Change::app_created(&app(id, &format!("app-{id}")))));
    for committed in join_all(commits.map(|changeset| store.commit(changeset))).await {
        committed.unwrap();
    }
    let mut watcher = PgConnection::connect(&server.url()).await.unwrap();
    let transactions: i64 = sqlx::query_scalar("SELECT count(DISTINCT xmin::text) FROM alm.apps WHERE id >= 10")
        .fetch_one(&mut watcher)
        .await
        .unwrap();
    assert!(transactions < 10, "{transactions} transactions");
    store.close().await;
}
