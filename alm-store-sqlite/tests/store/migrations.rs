//! The schema comes when asked for, once, beside what the host has in the file.

use std::{error::Error as _, path::Path};

use alm_core::{
    changeset::Change,
    ports::{BackendErrorKind, Committer, EventLog, StoreError},
    testing::fixtures::{app, of},
};
use alm_store_sqlite::{SqliteOptions, SqliteStore};
use futures_util::future::join_all;
use sqlx::{ConnectOptions as _, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::in_folder::InFolder;

/// The kind of the fault that opening gives, and what it advises.
pub(crate) async fn refusal(path: &Path) -> (BackendErrorKind, String) {
    let Err(StoreError::Backend(fault)) = SqliteStore::open(path).await else { panic!("it must not be opened") };
    (fault.kind, fault.source().map(ToString::to_string).unwrap_or_default())
}

pub(crate) async fn connect(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_may_open_and_migrate_at_once() {
    // given
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alm.db");

    // when
    let options = SqliteOptions::new(&path).migrate(true);
    let opened = join_all((0..10).map(|_| tokio::spawn(options.clone().open()))).await;
    let stores: Vec<SqliteStore> = opened.into_iter().map(|store| store.unwrap().unwrap()).collect();

    // then
    for (store, id) in stores.iter().zip(1..) {
        assert_eq!(store.log_id(), stores[0].log_id());
        store.commit(of(Change::app_created(&app(id, &format!("app-{id}"))))).await.unwrap();
    }
    assert_eq!(stores[0].head().await.unwrap().get(), 10);
}

#[tokio::test]
async fn migrating_again_changes_nothing() {
    // given
    let mut subject = InFolder::new().await;
    let log = subject.store.log_id();
    subject.store.commit(of(Change::app_created(&app(1, "a")))).await.unwrap();

    // when
    SqliteStore::migrate(subject.path()).await.unwrap();

    // then
    let store = subject.reopen().await;
    assert_eq!((store.log_id(), store.head().await.unwrap().get()), (log, 1));
}

#[tokio::test]
async fn a_file_that_is_not_there_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alm.db");
    assert_eq!(refusal(&path).await.0, BackendErrorKind::Unavailable);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_file_that_was_not_migrated_is_refused_with_advice_and_left_as_it_is() {
    // given the host's own file
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("host.db");
    sqlx::raw_sql("CREATE TABLE apps (id INTEGER)").execute(&mut connect(&path).await).await.unwrap();

    // when
    let (kind, advice) = refusal(&path).await;

    // then
    assert_eq!(kind, BackendErrorKind::Corrupt);
    assert!(advice.contains("SqliteStore::migrate"), "{advice}");
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut connect(&path).await).await.unwrap();
    assert_eq!(mode, "delete");
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_with_advice() {
    // given
    let subject = InFolder::new().await;
    let newer = "INSERT INTO alm_migrations (version, name, migrated_at) VALUES (99, 'later', '')";
    sqlx::raw_sql(newer).execute(&mut connect(&subject.path()).await).await.unwrap();

    // when
    let (kind, advice) = refusal(&subject.path()).await;

    // then
    assert_eq!(kind, BackendErrorKind::Corrupt);
    assert!(advice.contains("newer alm-store-sqlite"), "{advice}");
    assert!(SqliteStore::migrate(subject.path()).await.is_err());
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alm.db");
    std::fs::write(&path, "Dear diary, ".repeat(1000)).unwrap();
    assert_eq!(refusal(&path).await.0, BackendErrorKind::Corrupt);
}

#[tokio::test]
async fn the_tables_of_the_host_stay_as_they_are() {
    // given a host with tables of names that ALM could want too
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("host.db");
    let mut host = connect(&path).await;
    let tables = "
        CREATE TABLE _sqlx_migrations (version INTEGER PRIMARY KEY, description TEXT);
        INSERT INTO _sqlx_migrations VALUES (7, 'of the host');
        CREATE TABLE apps (id INTEGER PRIMARY KEY);";
    sqlx::raw_sql(tables).execute(&mut host).await.unwrap();

    // when
    let store = SqliteOptions::new(&path).migrate(true).open().await.unwrap();
    store.commit(of(Change::app_created(&app(1, "a")))).await.unwrap();

    // then
    let migrations: Vec<(i64, String)> =
        sqlx::query_as("SELECT version, description FROM _sqlx_migrations").fetch_all(&mut host).await.unwrap();
    assert_eq!(migrations, [(7, "of the host".to_owned())]);
    let foreign: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_schema WHERE name NOT LIKE 'alm\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
        ORDER BY name",
    )
    .fetch_all(&mut host)
    .await
    .unwrap();
    assert_eq!(foreign, ["_sqlx_migrations", "apps"]);
}
