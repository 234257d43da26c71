//! Migrations: many at once, none at all, and those of the host.

use alm_core::{
    changeset::Change,
    ports::{BackendError, BackendErrorKind, Committer, StoreError},
    testing::fixtures::{app, of},
};
use alm_store_postgres::{
    PostgresOptions, PostgresStore,
    sqlx::{self, Connection, PgConnection},
};
use alm_test_support::{
    migrations::newest,
    postgres::{Durability, Server},
};

use crate::place::Place;

/// The kind of the fault that keeps the store from being opened, and what it says.
pub(crate) async fn refusal(place: &Place) -> (BackendErrorKind, String) {
    match PostgresStore::connect(&place.options()).await {
        Err(StoreError::Backend(BackendError { kind, source: Some(source), .. })) => (kind, source.to_string()),
        other => panic!("it must not be opened: {other:?}"),
    }
}

/// Brings the schema up to date, so many times at once.
pub(crate) async fn migrate_at_once(place: &Place, times: usize) {
    let migrating: Vec<_> = (0..times)
        .map(|_| {
            let options = place.options();
            tokio::spawn(async move { PostgresStore::migrate(&options).await })
        })
        .collect();
    for migrated in migrating {
        migrated.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_that_migrate_at_once_make_one_store() {
    let place = Place::fresh().await;
    migrate_at_once(&place, 10).await;
    let versions: Vec<i32> =
        sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT version FROM {}.alm_migrations", place.schema())))
            .fetch_all(&place.pool())
            .await
            .unwrap();
    assert!(versions.into_iter().eq(1..=newest(env!("CARGO_MANIFEST_DIR"))));
    place.store().await.commit(of(Change::app_created(&app(1, "a")))).await.unwrap();
}

#[tokio::test]
async fn a_store_that_is_not_migrated_is_refused_and_says_what_to_do() {
    let place = Place::fresh().await;
    let (kind, advice) = refusal(&place).await;
    assert_eq!(kind, BackendErrorKind::Corrupt);
    assert!(advice.contains("PostgresStore::migrate"), "{advice}");
    assert!(advice.contains(place.schema()), "{advice}");
}

#[tokio::test]
async fn a_schema_of_another_version_is_refused_and_says_what_to_do() {
    let place = Place::migrated().await;
    for (version, advice) in [(99, "run a newer program"), (0, "run PostgresStore::migrate")] {
        let only = "DELETE FROM $schema.alm_migrations; INSERT INTO $schema.alm_migrations (version) VALUES";
        place.execute(&format!("{only} ({version})")).await;
        let (kind, told) = refusal(&place).await;
        assert_eq!(kind, BackendErrorKind::Corrupt);
        assert!(told.contains(&format!("at version {version}")) && told.contains(advice), "{told}");
    }
}

#[tokio::test]
async fn what_is_migrated_is_not_migrated_again() {
    // given
    let place = Place::migrated().await;
    let store = place.store().await;
    store.commit(of(Change::app_created(&app(1, "a")))).await.unwrap();

    // when
    PostgresStore::migrate(&place.options()).await.unwrap();

    // then
    let error = place.store().await.commit(of(Change::app_created(&app(1, "a")))).await.unwrap_err();
    assert_eq!(error.code(), "already-exists", "what was there is there");
}

#[tokio::test]
async fn the_hosts_own_migrations_are_left_alone() {
    // given a host that keeps its migrations in the same schema, where sqlx does
    let place = Place::fresh().await;
    place
        .execute(
            "CREATE SCHEMA $schema; CREATE TABLE $schema._sqlx_migrations (version bigint); \
             INSERT INTO $schema._sqlx_migrations VALUES (20260101)",
        )
        .await;

    // when
    PostgresStore::migrate(&place.options()).await.unwrap();
    place.store().await;

    // then
    let statement = format!("SELECT version FROM {}._sqlx_migrations", place.schema());
    let versions: Vec<i64> = sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).fetch_all(&place.pool()).await.unwrap();
    assert_eq!(versions, [20_260_101]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hosts_tables_in_another_schema_are_not_taken_for_the_stores() {
    // given a host that has tables of those names where its sessions look first
    let server = tokio::task::block_in_place(|| Server::start(Durability::None));
    let mut host = PgConnection::connect(&server.url()).await.unwrap();
    let tables = "CREATE TABLE alm_migrations (version integer); INSERT INTO alm_migrations VALUES (99); \
                  CREATE TABLE _sqlx_migrations (version bigint); CREATE TABLE apps (name text)";
    sqlx::raw_sql(tables).execute(&mut host).await.unwrap();

    // when
    let options = PostgresOptions::parse(&server.url()).unwrap();
    PostgresStore::migrate(&options).await.unwrap();
    let store = PostgresStore::connect(&options).await.unwrap();
    store.commit(of(Change::app_created(&app(1, "a")))).await.unwrap();

    // then each has its own
    let all = "SELECT (SELECT array_agg(version) FROM public.alm_migrations), (SELECT count(*) FROM public._sqlx_migrations), \
               (SELECT count(*) FROM public.apps), (SELECT count(*) FROM alm.apps)";
    let found: (Vec<i32>, i64, i64, i64) = sqlx::query_as(all).fetch_one(&mut host).await.unwrap();
    assert_eq!(found, (vec![99], 0, 0, 1));
}

#[tokio::test]
async fn stores_in_two_schemas_know_nothing_of_each_other() {
    let (one, other) = (Place::migrated().await, Place::migrated().await);
    for place in [one, other] {
        place.store().await.commit(of(Change::app_created(&app(1, "a")))).await.unwrap();
    }
}
