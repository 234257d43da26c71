//! Databases that earlier versions of the schema have made: nothing in them is lost on the way to the newest.
//!
//! `fixtures/v1.sql` is what `pg_dump` made of a store at version 1 that was filled with [`sample`], and so on. Before a
//! migration is added, the file of the version that is the newest until then is written by:
//!
//! ```sh
//! ALM_WRITE_FIXTURE=1 cargo nextest run -p alm-store-postgres -E 'test(a_dump_holds)'
//! ```

use std::{env, error::Error as _, fs, process::Command};

use alm_core::{
    changeset::{Change, Changeset, Guard},
    domain::{Credential, CredentialId, Known, Labels, ParentId, Revision, SecretHash, SessionEnd, User},
    ports::{
        AppFilter, BackendErrorKind, Committer, EventLog, Growth, HeldCredential, LabelFilter, Reader, Roles, Store,
        TreeStore,
    },
    testing::{
        fixtures::{app, app_id, at, consumer, growth, of, stamp, username, version_id},
        inspect::log_with,
        sample,
    },
};
use alm_store_postgres::{PostgresStore, sqlx::types::Uuid};
use alm_test_support::{
    migrations::{assert_released_migrations_are_kept, fixtures, newest, write_fixture},
    postgres::binary,
};

use crate::{
    migrations::{migrate_at_once, refusal},
    place::Place,
};

/// The schema of the fixtures.
const SCHEMA: &str = "alm_fixture";

/// The folder of this package.
const PACKAGE: &str = env!("CARGO_MANIFEST_DIR");

/// The statements that make the schema of `place` as it is, for [`SCHEMA`].
fn dump(place: &Place, arguments: &[&str]) -> String {
    let mut command = Command::new(binary("pg_dump"));
    command.args(["--no-owner", "--no-privileges", "--inserts", "--schema", place.schema()]).args(arguments);
    if let Ok(url) = env::var("ALM_TEST_POSTGRES_URL") {
        command.arg(url);
    } else {
        let host = place.host();
        command.arg("-h").arg(host.get_socket().unwrap()).args(["-U", host.get_username()]);
        command.args(["-p", &host.get_port().to_string(), host.get_database().unwrap()]);
    }
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = String::from_utf8(done.stdout).unwrap().replace(place.schema(), SCHEMA);
    // What comes before is about the session, and differs from one pg_dump to the other; so do the lines for psql.
    let lines = text.split_inclusive('\n').skip_while(|line| !line.starts_with("CREATE SCHEMA"));
    lines.filter(|line| !line.starts_with('\\')).collect()
}

/// A place that a dump has been loaded into.
async fn loaded(dump: &str) -> Place {
    let place = Place::fresh().await;
    place.execute(&dump.replace(SCHEMA, place.schema())).await;
    place
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_every_earlier_version_is_brought_up_to_date_with_all_that_is_in_it() {
    for (version, fixture) in fixtures(PACKAGE) {
        // given
        let place = loaded(&fs::read_to_string(fixture).unwrap()).await;
        if version < newest(PACKAGE) {
            let (kind, told) = refusal(&place).await;
            assert_eq!(kind, BackendErrorKind::Corrupt);
            assert!(told.contains(&format!("at version {version}")), "{told}");
        }

        // when several do it at once
        migrate_at_once(&place, 3).await;

        // then all of it is there, and goes on
        let store = place.store().await;
        sample::check(store.as_ref()).await;
        let events = log_with(store.as_ref(), 0).await.len() as u64;
        store.commit(of(Change::app_created(&app(1000, "one more")))).await.unwrap();
        assert_eq!(log_with(store.as_ref(), events + 1).await.len() as u64, events + 1);
        let size = store.newest_checkpoint().await.unwrap().map_or(0, |newest| newest.size);
        store.grow(growth(size, size + 1)).await.unwrap();
        let ada = store.user(&username("ada")).await.unwrap().unwrap().user;
        // Before, changes of accounts were not counted.
        assert!(version >= 8 || (ada.revision, ada.grants.len()) == (Revision::FIRST, 0), "{ada:?}");
        has_sessions(store.as_ref(), ada).await;
        // and the schema is the one that a new store has
        let new = Place::migrated().await;
        assert_eq!(dump(&place, &["--schema-only"]), dump(&new, &["--schema-only"]), "version {version}");
    }
}

/// Checks that a session of the account is kept, renewed, and kept as gone.
async fn has_sessions(store: &dyn Store, account: User) {
    let id = CredentialId::new(Uuid::from_u128(1));
    let session = Credential::session(id, &account, SecretHash::new([1; 32]), at(0), at(9));
    store.commit(of(Change::credential_created(&session))).await.unwrap();
    let renewed = session.renewed(SecretHash::new([2; 32]), at(1), at(1));
    store.commit(of(Change::credential_renewed(&renewed, session.revision))).await.unwrap();
    let held = HeldCredential { credential: renewed.clone(), account: Some(account) };
    assert_eq!(store.credential(id).await.unwrap(), Some(held));
    store.commit(of(Change::credential_ended(&renewed, SessionEnd::Logout, at(1))).revoking(id, at(-1))).await.unwrap();
    // What has expired goes when another comes.
    let other = CredentialId::new(Uuid::from_u128(2));
    store.commit(of(Change::login_failed(&username("ada"))).revoking(other, at(9))).await.unwrap();
    assert_eq!(store.credential(id).await.unwrap(), None);
    assert!(!store.is_revoked(id).await.unwrap() && store.is_revoked(other).await.unwrap());
}

/// Checks that the tree is as that growth has left it.
async fn has_grown(store: &dyn TreeStore, growth: &Growth) {
    assert_eq!(store.newest_checkpoint().await.unwrap().as_ref(), Some(&growth.checkpoint));
    for tile in &growth.tiles {
        assert_eq!(store.tiles(&[tile.id]).await.unwrap(), [Some(tile.hashes.clone())]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_holds_all_that_is_in_a_store() {
    // given
    let place = Place::migrated().await;
    let store = place.store().await;
    sample::fill(store.as_ref()).await;
    store.grow(growth(0, 3)).await.unwrap();

    // when
    let dump = dump(&place, &[]);
    if env::var_os("ALM_WRITE_FIXTURE").is_some() {
        write_fixture(PACKAGE, &dump);
    }

    // then
    let place = loaded(&dump).await;
    let store = place.store().await;
    sample::check(store.as_ref()).await;
    has_grown(store.as_ref(), &growth(0, 3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_fails_changes_nothing_and_says_what_to_do() {
    // given a database of the first version, in which the host has a function of a name that a later migration wants
    let first = fixtures(PACKAGE).remove(&1).unwrap();
    let place = loaded(&fs::read_to_string(first).unwrap()).await;
    place.execute("CREATE TABLE $schema.log_oldest (of_the_host integer)").await;
    let before = dump(&place, &[]);

    // when
    let error = PostgresStore::migrate(&place.options()).await.unwrap_err();

    // then
    let told = error.source().unwrap().to_string();
    assert!(told.contains("migration 2 failed") && told.contains("nothing was changed"), "{told}");
    assert_eq!(dump(&place, &[]), before);
    // and once the cause is gone, it goes through
    place.execute("DROP TABLE $schema.log_oldest").await;
    PostgresStore::migrate(&place.options()).await.unwrap();
    sample::check(place.store().await.as_ref()).await;
}

#[test]
fn a_released_migration_is_never_edited() {
    assert_released_migrations_are_kept(PACKAGE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_works_on_with_the_rights_that_it_had_before_a_migration() {
    // The second migration has brought a table that is read without a right to it.
    for (version, fixture) in fixtures(PACKAGE).into_iter().filter(|(version, _)| *version > 2) {
        // given the rights of the guide, on the tables that there were then, but for one that no store needs
        let place = loaded(&fs::read_to_string(fixture).unwrap()).await;
        let role = format!("{}_service", place.schema());
        place
            .execute(&format!(
                "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA $schema TO {role}; \
                 GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA $schema TO {role}; \
                 GRANT USAGE ON ALL SEQUENCES IN SCHEMA $schema TO {role}; \
                 REVOKE DELETE ON $schema.checkpoints FROM {role}"
            ))
            .await;

        // when
        PostgresStore::migrate(&place.options()).await.unwrap();

        // then
        let store = PostgresStore::connect(&place.options_with(place.host().username(&role))).await.unwrap();
        let mut labelled = app(900, "labelled");
        labelled.labels = Labels::parse([("a".to_owned(), "b".to_owned())].into()).unwrap();
        let head = store.head().await.unwrap_or_else(|error| panic!("from version {version}: {error:?}"));
        store.commit(of(Change::app_created(&labelled))).await.unwrap();
        log_with(&store, head.get() + 1).await;
        let label = LabelFilter { key: "a".to_owned(), value: "b".to_owned() };
        let filter = AppFilter { labels: vec![label], ..AppFilter::default() };
        assert!(store.apps(&filter, None, 10).await.unwrap().contains(&labelled));
        let parent = ParentId::Version(version_id(900));
        store.commit(Changeset::learning(stamp(0), parent, app_id(900))).await.unwrap();
        store.commit(of(Change::app_created(&app(901, "guarded"))).guarded(Guard::ParentKnown(parent))).await.unwrap();
        store.commit(of(Change::app_created(&app(902, "parted"))).parting(parent)).await.unwrap();
        assert_eq!(store.known(parent).await.unwrap(), Some(Known::Gone));
        let ada = store.user(&username("ada")).await.unwrap().unwrap().user;
        has_sessions(&store, ada).await;
        assert!(store.lead(&consumer("relay")).await.unwrap().is_some());
        let size = store.newest_checkpoint().await.unwrap().map_or(0, |newest| newest.size);
        store.grow(growth(size, size + 1)).await.unwrap();
        store.grow(growth(size + 1, size + 2)).await.unwrap();
        has_grown(&store, &growth(size + 1, size + 2)).await;
        store.close().await;
        place.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    }
}
