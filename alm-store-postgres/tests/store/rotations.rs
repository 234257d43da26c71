//! A log that gets another identity: what was done in the old one stays done, and everything else stays.

use std::error::Error as _;

use alm_core::{
    changeset::{Change, Changeset, Checkpoint},
    domain::{LogId, ParentId, Position},
    ports::{
        AppFilter, AuditFilter, BackendErrorKind, Committer, EventLog, Reader, Rotated, Rotation, Sequence, StoreError,
        TreeStore,
    },
    testing::{
        fixtures::{account, app, app_id, consumer, entry, growth, letter, of, progress, stamp, version, version_id},
        inspect::until,
    },
};
use alm_store_postgres::{
    PostgresStore,
    sqlx::{self, AssertSqlSafe, Connection, PgConnection},
};

use crate::place::Place;

const OTHER: &str = "\"018f0000-0000-7000-8000-000000000001\"";

fn moved(log: LogId, name: &str, to: u64) -> Changeset {
    let (from, to) = (Position::START, Position::new(to));
    Changeset::progress(stamp(0), Checkpoint { consumer: consumer(name), log, from, to })
}

/// Five events. The audit has done four of them, the relay three, someone who is gone one; and there is another service's log.
async fn restored() -> (Place, LogId) {
    let place = Place::migrated().await;
    let store = place.store().await;
    let (log, other) = (store.log_id(), serde_json::from_str(OTHER).unwrap());
    for id in 1..=2 {
        store.commit(of(Change::app_created(&app(id, &format!("app-{id}"))))).await.unwrap();
    }
    store.commit(of(Change::version_created(&version(1, 1, "v1")))).await.unwrap();
    store.commit(of(Change::user_created(&account("ada")))).await.unwrap();
    store.commit(of(Change::app_created(&app(3, "app-3")))).await.unwrap();
    until("all stand in the log", async || store.head().await.unwrap().get() == 5).await;
    store.commit(moved(log, "audit", 4).recording(entry("x"))).await.unwrap();
    store.commit(moved(log, "relay", 3)).await.unwrap();
    store.commit(moved(log, "gone", 1)).await.unwrap();
    store.commit(progress(other, 0, 9).burying(letter(log, 2, "of this log"))).await.unwrap();
    store.commit(progress(other, 9, 10).burying(letter(other, 2, "of another"))).await.unwrap();
    let parent = ParentId::App(app_id(7));
    store.commit(Changeset::learning(stamp(0), parent, app_id(7))).await.unwrap();
    store.grow(growth(0, 1)).await.unwrap();
    store.allocate(Sequence::Apps, 3).await.unwrap();
    store.close().await;
    (place, other)
}

/// All that is not of the log itself.
async fn everything_else(place: &Place, other: LogId) -> String {
    let store = place.store().await;
    let reader = consumer("reader");
    let state = (
        store.apps(&AppFilter::default(), None, 10).await.unwrap(),
        store.version(version_id(1)).await.unwrap(),
        store.users(None, 10).await.unwrap(),
        store.audit_entries(&AuditFilter::default(), None, 10).await.unwrap(),
        store.known(ParentId::App(app_id(7))).await.unwrap(),
        store.newest_checkpoint().await.unwrap(),
    );
    let letters = store.dead_letters(&reader, None, 10).await.unwrap();
    let of_others: Vec<_> = letters.iter().filter(|letter| letter.log == other).collect();
    let all = format!("{state:?} {:?} {of_others:?}", store.checkpoint(&reader, other).await.unwrap());
    store.close().await;
    all
}

/// What the tables are that a rotation is about.
async fn tables(place: &Place) -> Vec<(String, i64)> {
    let mut connection = PgConnection::connect_with(&place.host()).await.unwrap();
    let all = "SELECT id::text, 0::bigint FROM $.log_identity
        UNION ALL SELECT consumer || log, position FROM $.checkpoints
        UNION ALL SELECT consumer || log || event_id, position FROM $.dead_letters
        UNION ALL SELECT name, next FROM $.sequences
        UNION ALL SELECT id::text, position FROM $.events
        UNION ALL SELECT 'oldest', position FROM $.log_oldest ORDER BY 1, 2";
    sqlx::query_as(AssertSqlSafe(all.replace('$', place.schema()))).fetch_all(&mut connection).await.unwrap()
}

/// What kind of fault it is, and what to do about it.
fn fault(result: Result<Rotated, StoreError>) -> (BackendErrorKind, String) {
    match result {
        Err(StoreError::Backend(fault)) => (fault.kind, fault.source().unwrap().to_string()),
        other => panic!("{other:?} is no fault"),
    }
}

#[tokio::test]
async fn a_log_goes_on_under_another_identity_behind_what_all_have_done() {
    // given
    let (place, other) = restored().await;
    let before = everything_else(&place, other).await;

    // when
    let rotation = Rotation { skip_ids: 1000, forget: vec![consumer("gone")], is_trial: false };
    let rotated = PostgresStore::rotate_log(&place.options(), &rotation).await.unwrap();

    // then
    let (old, log) = (rotated.old, rotated.new);
    let stood = [("audit", 4), ("gone", 1), ("relay", 3)].map(|(name, at)| (consumer(name), Position::new(at)));
    assert_eq!(rotated.consumers, stood);
    assert_eq!((rotated.oldest, rotated.head), (Position::new(4), Position::new(5)));
    let store = place.store().await;
    assert!(store.log_id() == log && log != old);
    assert_eq!((store.oldest().await.unwrap(), store.head().await.unwrap()), (Position::new(4), Position::new(5)));
    let left = store.read(Position::new(3), 10).await.unwrap();
    assert_eq!(left.iter().map(|event| (event.log, event.position.get())).collect::<Vec<_>>(), [(log, 4), (log, 5)]);
    for (name, new) in [("audit", Some(4)), ("relay", Some(3)), ("gone", None)] {
        let stands = store.checkpoint(&consumer(name), log).await.unwrap();
        assert_eq!(stands, new.map(Position::new), "{name}");
        assert_eq!(store.checkpoint(&consumer(name), old).await.unwrap(), None, "{name}");
    }
    let letters = store.dead_letters(&consumer("reader"), None, 10).await.unwrap();
    let mut of: Vec<_> = letters.iter().map(|letter| (letter.log, letter.position.get(), &*letter.reason)).collect();
    of.sort_by_key(|(.., reason)| *reason);
    assert_eq!(of, [(other, 2, "of another"), (log, 2, "of this log")]);
    for (sequence, next) in [(Sequence::Apps, 1004), (Sequence::Versions, 1001), (Sequence::Deployments, 1001)] {
        assert_eq!(store.allocate(sequence, 1).await.unwrap().first, next);
    }
    assert_eq!(everything_else(&place, other).await, before);

    // and the next event follows
    store.commit(of_app(1004)).await.unwrap();
    until("it stands in the log", async || store.head().await.unwrap().get() == 6).await;
    store.close().await;

    // and it may be rotated again
    let again = PostgresStore::rotate_log(&place.options(), &Rotation::default()).await.unwrap();
    assert_eq!((again.old, again.oldest.get(), again.head.get()), (log, 4, 6));
}

fn of_app(id: i64) -> Changeset {
    of(Change::app_created(&app(id, "next")))
}

#[tokio::test]
async fn a_log_that_all_have_read_goes_on_empty_and_one_that_no_one_has_read_whole() {
    for (has_reader, oldest) in [(true, 2), (false, 1)] {
        let place = Place::migrated().await;
        let store = place.store().await;
        store.commit(of_app(1)).await.unwrap();
        if has_reader {
            store.commit(moved(store.log_id(), "relay", 1)).await.unwrap();
        }
        store.close().await;

        let rotated = PostgresStore::rotate_log(&place.options(), &Rotation::default()).await.unwrap();

        assert_eq!((rotated.oldest.get(), rotated.head.get()), (oldest, 1));
        let store = place.store().await;
        assert_eq!((store.oldest().await.unwrap().get(), store.head().await.unwrap().get()), (oldest, 1));
    }
}

#[tokio::test]
async fn a_rotation_that_is_tried_or_interrupted_changes_nothing() {
    // given
    let (place, _) = restored().await;
    let before = tables(&place).await;
    let rotation = Rotation { skip_ids: 1000, ..Rotation::default() };

    // when it is only tried
    let trial = Rotation { is_trial: true, ..rotation.clone() };
    assert_eq!(PostgresStore::rotate_log(&place.options(), &trial).await.unwrap().oldest.get(), 2);
    assert_eq!(tables(&place).await, before);

    // when its last step fails
    place.execute("ALTER TABLE $schema.sequences ADD CONSTRAINT broken CHECK (next < 1000)").await;
    let (_, advice) = fault(PostgresStore::rotate_log(&place.options(), &rotation).await);
    assert!(advice.contains("nothing was changed"), "{advice}");
    assert_eq!(tables(&place).await, before);

    // when it is asked again
    place.execute("ALTER TABLE $schema.sequences DROP CONSTRAINT broken").await;
    PostgresStore::rotate_log(&place.options(), &rotation).await.unwrap();
    assert_ne!(tables(&place).await, before);
}

#[tokio::test]
async fn no_log_is_rotated_while_a_store_is_open_on_it() {
    // given a store that does nothing, and one in another schema of the same database
    let (place, _) = restored().await;
    let before = tables(&place).await;
    let beside = Place::migrated().await;
    let _beside = beside.store().await;
    let store = place.store().await;

    // when, then
    let (kind, advice) = fault(PostgresStore::rotate_log(&place.options(), &Rotation::default()).await);
    assert_eq!(kind, BackendErrorKind::Overloaded);
    assert!(advice.contains("stop every server"), "{advice}");
    assert_eq!(tables(&place).await, before);
    store.head().await.unwrap();

    // and when it is closed
    store.close().await;
    PostgresStore::rotate_log(&place.options(), &Rotation::default()).await.unwrap();
}

#[tokio::test]
async fn a_role_that_owns_nothing_is_told_who_may() {
    let place = Place::migrated().await;
    let role = format!("{}_reader", place.schema());
    place.execute(&format!("CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA $schema TO {role}")).await;
    place.execute(&format!("GRANT SELECT ON ALL TABLES IN SCHEMA $schema TO {role}")).await;
    let options = place.options_with(place.host().username(&role));
    let (_, advice) = fault(PostgresStore::rotate_log(&options, &Rotation::default()).await);
    assert!(advice.contains("as the role that owns the schema"), "{advice}");
    place.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[tokio::test]
async fn a_schema_that_is_not_there_is_not_made_to_be_rotated() {
    let place = Place::fresh().await;
    let (kind, advice) = fault(PostgresStore::rotate_log(&place.options(), &Rotation::default()).await);
    assert_eq!(kind, BackendErrorKind::Corrupt);
    assert!(advice.contains("migrate"), "{advice}");
}
