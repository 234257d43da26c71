//! The database server, and the way to it.

use alm_store_postgres::sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use alm_test_support::{
    network::Network,
    postgres::{Durability, Server},
    process::Process,
    small_disk::{self, Ballast},
};

use super::{AtWork, Shows, at_work::settings};

/// Does what waits for processes where it hinders no one.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

async fn durable() -> Server {
    blocking(|| Server::start(Durability::Crash)).await
}

async fn at_work(url: &str) -> AtWork {
    AtWork::on(Process::spawn(&[], &settings(url))).await
}

async fn is_waited_out(end: fn(&mut Server)) {
    // given
    let mut database = durable().await;
    let mut work = at_work(&database.url()).await;

    // when
    database = blocking(move || {
        end(&mut database);
        database
    })
    .await;
    work.is_out(Shows::Down).await;
    let _database = blocking(|| {
        database.begin();
        database
    })
    .await;

    // then
    work.comes_back().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_is_waited_out() {
    is_waited_out(Server::crash).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_is_waited_out() {
    is_waited_out(Server::stop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_refuses_connections_is_waited_out() {
    // given
    let database = durable().await;
    let mut network = Network::to(database.socket());
    let mut work = at_work(&network.url()).await;

    // when
    network.refuses().await;
    work.is_out(Shows::Down).await;
    network.connects();

    // then
    work.comes_back().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_swallows_everything_is_waited_out() {
    // given
    let database = durable().await;
    let network = Network::to(database.socket());
    let mut work = at_work(&network.url()).await;

    // when
    network.swallows(true);
    work.is_out(Shows::Down).await;
    network.swallows(false);

    // then
    work.comes_back().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_read_only_is_waited_out() {
    // given
    let database = durable().await;
    let mut host = PgConnection::connect(&database.url()).await.unwrap();
    let mut work = at_work(&database.url()).await;
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'alm'";

    // when
    host.execute("ALTER DATABASE template1 SET default_transaction_read_only = on").await.unwrap();
    host.execute(cut).await.unwrap();
    work.is_out(Shows::ReadOnly).await;
    host.execute("ALTER DATABASE template1 RESET default_transaction_read_only").await.unwrap();
    host.execute(cut).await.unwrap();

    // then
    work.comes_back().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_waited_out() {
    if !small_disk::is_possible() {
        return;
    }
    // given a database whose tables are on a small disk, and what is written ahead on another, or it would crash
    let database = blocking(|| Server::start_with_small_disk(64 * 1024)).await;
    let mut host = PgConnection::connect(&database.url()).await.unwrap();
    let tablespace = format!("CREATE TABLESPACE small LOCATION '{}'", database.disk().display());
    host.execute(AssertSqlSafe(tablespace)).await.unwrap();
    host.execute("CREATE DATABASE small TABLESPACE small").await.unwrap();
    let mut work = at_work(&database.url().replace("/template1", "/small")).await;

    // when
    let full = Ballast::of_process(database.id(), &database.disk());
    work.is_out(Shows::ReadOnly).await;
    drop(full);

    // then
    work.comes_back().await;
}
