//! Commits within a transaction of the host: with what else is in there, or not at all.

use std::time::Duration;

use alm_core::{
    changeset::{Change, Guard},
    domain::Position,
    ports::{Committer, Contention, EventLog, Reader, StoreError},
    testing::fixtures::{account, app, app_id, entry, event_id, of, of_all, progress, username},
};
use alm_store_postgres::{
    PostgresStore,
    sqlx::{self, AssertSqlSafe, PgConnection, PgPool},
};

use crate::place::Place;

/// A host's own table, beside the store.
struct Host {
    pool: PgPool,
    table: String,
}

impl Host {
    async fn at(place: &Place) -> Self {
        let table = format!("apps_{}", place.schema());
        place.execute(&format!("CREATE TABLE {table} (name text)")).await;
        Self { pool: place.pool(), table }
    }

    async fn note(&self, connection: &mut PgConnection) {
        let insert = format!("INSERT INTO {} VALUES ('noted')", self.table);
        sqlx::query(AssertSqlSafe(insert)).execute(connection).await.unwrap();
    }

    async fn notes(&self) -> i64 {
        let count = format!("SELECT count(*) FROM {}", self.table);
        sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&self.pool).await.unwrap()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // The table is in no schema of a test: on a server that goes on it has to go by itself.
        let (pool, drop) = (self.pool.clone(), format!("DROP TABLE IF EXISTS {}", self.table));
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                sqlx::query(AssertSqlSafe(drop)).execute(&pool).await.unwrap();
            });
        });
    }
}

async fn sealed(store: &PostgresStore, head: u64) {
    let coming = async {
        while store.head().await.unwrap() < Position::new(head) {
            store.changed(Position::new(head - 1)).await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(20), coming).await.expect("what was committed gets positions");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_host_commits_is_there_with_the_changeset() {
    // given
    let place = Place::migrated().await;
    let (store, host) = (place.store().await, Host::at(&place).await);
    let changeset = of(Change::app_created(&app(1, "a"))).recording(entry("payload"));

    // when
    let mut transaction = host.pool.begin().await.unwrap();
    host.note(&mut transaction).await;
    // beside a table of the host that has the name of one of the store
    sqlx::query("CREATE TEMPORARY TABLE apps (name text) ON COMMIT DROP").execute(&mut *transaction).await.unwrap();
    let receipt = store.commit_in(&mut transaction, changeset.clone()).await.unwrap();
    // then its own statements mean what they meant
    host.note(&mut transaction).await;
    sqlx::query("INSERT INTO apps (name) VALUES ('temporary')").execute(&mut *transaction).await.unwrap();
    assert_eq!(store.app(app_id(1)).await.unwrap(), None, "it is not committed yet");
    transaction.commit().await.unwrap();

    // then
    assert_eq!((receipt.changeset, receipt.at), (changeset.id(), changeset.at()));
    assert_eq!(host.notes().await, 2);
    assert_eq!(store.app(app_id(1)).await.unwrap(), Some(app(1, "a")));
    assert_eq!(store.receipt(changeset.id()).await.unwrap(), Some(receipt));
    sealed(&store, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_host_rolls_back_was_never_there() {
    let place = Place::migrated().await;
    let (store, host) = (place.store().await, Host::at(&place).await);
    let undone = of(Change::app_created(&app(1, "a"))).recording(entry("undone"));

    let mut transaction = host.pool.begin().await.unwrap();
    host.note(&mut transaction).await;
    store.commit_in(&mut transaction, undone.clone()).await.unwrap();
    transaction.rollback().await.unwrap();

    assert_eq!(host.notes().await, 0);
    assert_eq!(store.app(app_id(1)).await.unwrap(), None);
    assert_eq!(store.receipt(undone.id()).await.unwrap(), None);
    // Neither a position nor an index is lost.
    store.commit(of(Change::app_created(&app(1, "a"))).recording(entry("done"))).await.unwrap();
    sealed(&store, 1).await;
    let audit = store.audit_entries(&alm_core::ports::AuditFilter::default(), None, 10).await.unwrap();
    assert_eq!(audit.iter().map(|entry| entry.index.get()).collect::<Vec<_>>(), [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changeset_that_is_refused_leaves_the_hosts_transaction_as_it_was() {
    // given
    let place = Place::migrated().await;
    let (store, host) = (place.store().await, Host::at(&place).await);
    store.commit(of(Change::user_created(&account("ada")))).await.unwrap();
    let mut transaction = host.pool.begin().await.unwrap();
    host.note(&mut transaction).await;

    // when it fails after its first write: by what the store looks at, and by what the database refuses
    let create = || Change::app_created(&app(1, "a"));
    let guarded = of(create()).guarded(Guard::AppExists(app_id(7)));
    let error = store.commit_in(&mut transaction, guarded).await.unwrap_err();
    assert!(matches!(error, StoreError::GuardFailed(_)), "{error}");
    let missing = of_all(create(), [Change::user_deleted(&username("bob"))]);
    let error = store.commit_in(&mut transaction, missing).await.unwrap_err();
    assert_eq!(error.code(), "not-found", "{error}");
    let taken = of_all(create(), [Change::user_created(&account("ada"))]);
    let error = store.commit_in(&mut transaction, taken).await.unwrap_err();
    assert_eq!(error.code(), "already-exists", "{error}");

    // then the transaction goes on, and nothing of them is in it
    host.note(&mut transaction).await;
    transaction.commit().await.unwrap();
    assert_eq!(host.notes().await, 2);
    assert_eq!(store.app(app_id(1)).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changeset_that_was_committed_before_gives_the_first_receipt_here_too() {
    let place = Place::migrated().await;
    let (store, host) = (place.store().await, Host::at(&place).await);
    let changeset = progress(store.log_id(), 0, 1).and(Change::login_failed(&username("ada")), event_id());
    let first = store.commit(changeset.clone()).await.unwrap();

    let mut transaction = host.pool.begin().await.unwrap();
    assert_eq!(store.commit_in(&mut transaction, changeset).await.unwrap(), first);
    let stale = progress(store.log_id(), 0, 1);
    let error = store.commit_in(&mut transaction, stale).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict(Contention::Checkpoint(_))), "{error}");
    host.note(&mut transaction).await;
    transaction.commit().await.unwrap();
    assert_eq!(host.notes().await, 1);
    sealed(&store, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_transaction_it_is_refused() {
    let place = Place::migrated().await;
    let (store, pool) = (place.store().await, place.pool());
    let mut connection = pool.acquire().await.unwrap();
    let error = store.commit_in(&mut connection, of(Change::app_created(&app(1, "a")))).await.unwrap_err();
    assert_eq!(error.code(), "backend", "{error}");
    assert_eq!(store.app(app_id(1)).await.unwrap(), None);
}
