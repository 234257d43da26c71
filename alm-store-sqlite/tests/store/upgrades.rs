//! Files that earlier versions of the schema have made: nothing in them is lost on the way to the newest.
//!
//! `fixtures/v1.sql` makes a file as a store at version 1 left it that was filled with [`sample`], and so on. Before a
//! migration is added, the file of the version that is the newest until then is written by:
//!
//! ```sh
//! ALM_WRITE_FIXTURE=1 cargo nextest run -p alm-store-sqlite -E 'test(a_dump_holds)'
//! ```

use std::{env, fs, path::Path};

use alm_core::{
    changeset::Change,
    domain::{Credential, CredentialId, Revision, SecretHash, User},
    ports::{BackendErrorKind, Committer, Growth, HeldCredential, Reader, TreeStore},
    testing::{
        fixtures::{app, at, growth, of, username},
        inspect::log_with,
        sample,
    },
};
use alm_store_sqlite::SqliteStore;
use alm_test_support::migrations::{assert_released_migrations_are_kept, fixtures, newest, write_fixture};
use sqlx::{AssertSqlSafe, types::Uuid};

use crate::{
    in_folder::InFolder,
    migrations::{connect, refusal},
};

/// The folder of this package.
const PACKAGE: &str = env!("CARGO_MANIFEST_DIR");

/// The statements that make the file as it is.
async fn dump(path: &Path) -> String {
    let mut file = connect(path).await;
    let mut statements = Vec::new();
    let tables: Vec<(String, String)> =
        sqlx::query_as("SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name LIKE 'alm_%' ORDER BY rowid")
            .fetch_all(&mut file)
            .await
            .unwrap();
    for (table, sql) in &tables {
        statements.push(sql.clone());
        let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info(?1)")
            .bind(table)
            .fetch_all(&mut file)
            .await
            .unwrap();
        let quoted: Vec<_> = columns.iter().map(|column| format!("quote({column})")).collect();
        let rows = format!("SELECT {} FROM {table} ORDER BY {}", quoted.join(" || ', ' || "), columns.join(", "));
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(rows)).fetch_all(&mut file).await.unwrap();
        statements.extend(rows.iter().map(|row| format!("INSERT INTO {table} VALUES ({row})")));
    }
    // Triggers come last: what they would do is in the rows already.
    let rest = "SELECT sql FROM sqlite_schema WHERE type <> 'table' AND sql IS NOT NULL ORDER BY type, name";
    statements.extend(sqlx::query_scalar::<_, String>(rest).fetch_all(&mut file).await.unwrap());
    statements.iter().flat_map(|statement| [statement.as_str(), ";\n"]).collect()
}

/// A file that a dump has been loaded into.
async fn loaded(dump: &str, path: &Path) {
    let statements = format!("PRAGMA journal_mode = WAL; BEGIN; {dump} COMMIT");
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connect(path).await).await.unwrap();
}

#[tokio::test]
async fn a_file_of_every_earlier_version_is_brought_up_to_date_with_all_that_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    for (version, fixture) in fixtures(PACKAGE) {
        // given
        let path = folder.path().join(format!("v{version}.db"));
        loaded(&fs::read_to_string(fixture).unwrap(), &path).await;
        if version < newest(PACKAGE) {
            let (kind, told) = refusal(&path).await;
            assert_eq!(kind, BackendErrorKind::Corrupt);
            assert!(told.contains(&format!("schema version {version}")), "{told}");
        }

        // when
        SqliteStore::migrate(&path).await.unwrap();

        // then all of it is there, and goes on
        let store = SqliteStore::open(&path).await.unwrap();
        sample::check(&store).await;
        let events = log_with(&store, 0).await.len() as u64;
        store.commit(of(Change::app_created(&app(1000, "one more")))).await.unwrap();
        assert_eq!(log_with(&store, events + 1).await.len() as u64, events + 1);
        let size = store.newest_checkpoint().await.unwrap().map_or(0, |newest| newest.size);
        store.grow(growth(size, size + 1)).await.unwrap();
        let ada = store.user(&username("ada")).await.unwrap().unwrap().user;
        // Before, changes of accounts were not counted.
        assert!(version >= 5 || (ada.revision, ada.grants.len()) == (Revision::FIRST, 0), "{ada:?}");
        let session = session(1, &ada);
        store.commit(of(Change::credential_created(&session))).await.unwrap();
        let account = Some(ada);
        assert_eq!(store.credential(session.id).await.unwrap(), Some(HeldCredential { credential: session, account }));
        store.close().await;
        // and the schema is the one that a new file has
        let new = InFolder::new().await;
        assert_eq!(structure(&dump(&path).await), structure(&dump(&new.path()).await), "version {version}");
    }
}

/// A session of an account.
fn session(number: u128, account: &User) -> Credential {
    let id = CredentialId::new(Uuid::from_u128(number));
    Credential::session(id, account, SecretHash::new([1; 32]), at(0), at(9))
}

/// A dump without the rows.
fn structure(dump: &str) -> Vec<&str> {
    let mut statements: Vec<_> = dump.split(";\n").filter(|statement| statement.starts_with("CREATE")).collect();
    statements.sort_unstable();
    statements
}

/// Checks that the tree is as that growth has left it.
async fn has_grown(store: &dyn TreeStore, growth: &Growth) {
    assert_eq!(store.newest_checkpoint().await.unwrap().as_ref(), Some(&growth.checkpoint));
    for tile in &growth.tiles {
        assert_eq!(store.tiles(&[tile.id]).await.unwrap(), [Some(tile.hashes.clone())]);
    }
}

#[tokio::test]
async fn a_dump_holds_all_that_is_in_a_store() {
    // given
    let subject = InFolder::new().await;
    sample::fill(&subject.store).await;
    subject.store.grow(growth(0, 3)).await.unwrap();

    // when
    let dump = dump(&subject.path()).await;
    if env::var_os("ALM_WRITE_FIXTURE").is_some() {
        write_fixture(PACKAGE, &dump);
    }

    // then
    let copy = subject.path().with_file_name("copy.db");
    loaded(&dump, &copy).await;
    let store = SqliteStore::open(&copy).await.unwrap();
    sample::check(&store).await;
    has_grown(&store, &growth(0, 3)).await;
}

#[tokio::test]
async fn a_copy_made_while_the_store_works_holds_all_that_is_in_it() {
    // given
    let subject = InFolder::new().await;
    sample::fill(&subject.store).await;

    // when
    let copy = subject.path().with_file_name("copy.db");
    let statement = format!("VACUUM INTO '{}'", copy.display());
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connect(&subject.path()).await).await.unwrap();
    subject.store.commit(of(Change::app_created(&app(1000, "later")))).await.unwrap();

    // then
    sample::check(&SqliteStore::open(&copy).await.unwrap()).await;
}

#[tokio::test]
async fn a_migration_that_fails_changes_nothing() {
    // given a file of the first version, in which the host has a table of a name that a later migration wants
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alm.db");
    let first = fixtures(PACKAGE).remove(&1).unwrap();
    loaded(&fs::read_to_string(first).unwrap(), &path).await;
    sqlx::raw_sql("CREATE TABLE alm_log_oldest (of_the_host)").execute(&mut connect(&path).await).await.unwrap();
    let before = dump(&path).await;

    // when
    SqliteStore::migrate(&path).await.unwrap_err();

    // then
    assert_eq!(dump(&path).await, before);
    // and once the cause is gone, it goes through
    sqlx::raw_sql("DROP TABLE alm_log_oldest").execute(&mut connect(&path).await).await.unwrap();
    SqliteStore::migrate(&path).await.unwrap();
    sample::check(&SqliteStore::open(&path).await.unwrap()).await;
}

#[test]
fn a_released_migration_is_never_edited() {
    assert_released_migrations_are_kept(PACKAGE);
}
