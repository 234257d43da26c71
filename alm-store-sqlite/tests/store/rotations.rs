//! A log that gets another identity: what was done in the old one stays done, and everything else stays.

use std::error::Error as _;

use alm_core::{
    changeset::{Change, Changeset, Checkpoint},
    domain::{LogId, ParentId, Position},
    ports::{
        AppFilter, AuditFilter, BackendErrorKind, Committer, EventLog, Reader, Rotated, Rotation, Sequence, StoreError,
        TreeStore,
    },
    testing::fixtures::{
        account, app, app_id, consumer, entry, growth, letter, of, progress, stamp, version, version_id,
    },
};
use alm_store_sqlite::SqliteStore;

use crate::{in_folder::InFolder, migrations::connect};

fn moved(log: LogId, name: &str, to: u64) -> Changeset {
    let (from, to) = (Position::START, Position::new(to));
    Changeset::progress(stamp(0), Checkpoint { consumer: consumer(name), log, from, to })
}

/// Five events. The audit has done four of them, the relay three, someone who is gone one; and there is another service's log.
async fn restored() -> (InFolder, LogId) {
    let subject = InFolder::new().await;
    let (log, other) = (subject.store.log_id(), event_log());
    for id in 1..=2 {
        subject.store.commit(of(Change::app_created(&app(id, &format!("app-{id}"))))).await.unwrap();
    }
    subject.store.commit(of(Change::version_created(&version(1, 1, "v1")))).await.unwrap();
    subject.store.commit(of(Change::user_created(&account("ada")))).await.unwrap();
    subject.store.commit(of(Change::app_created(&app(3, "app-3")))).await.unwrap();
    subject.store.commit(moved(log, "audit", 4).recording(entry("x"))).await.unwrap();
    subject.store.commit(moved(log, "relay", 3)).await.unwrap();
    subject.store.commit(moved(log, "gone", 1)).await.unwrap();
    subject.store.commit(progress(other, 0, 9).burying(letter(log, 2, "of this log"))).await.unwrap();
    subject.store.commit(progress(other, 9, 10).burying(letter(other, 2, "of another"))).await.unwrap();
    let parent = ParentId::App(app_id(7));
    subject.store.commit(Changeset::learning(stamp(0), parent, app_id(7))).await.unwrap();
    subject.store.grow(growth(0, 1)).await.unwrap();
    subject.store.allocate(Sequence::Apps, 3).await.unwrap();
    subject.store.close().await;
    (subject, other)
}

fn event_log() -> LogId {
    serde_json::from_str("\"018f0000-0000-7000-8000-000000000001\"").unwrap()
}

/// All that is not of the log itself.
async fn everything_else(store: &SqliteStore, other: LogId) -> String {
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
    format!("{state:?} {:?} {of_others:?}", store.checkpoint(&reader, other).await.unwrap())
}

/// What the tables are that a rotation is about, to the last byte.
async fn tables(subject: &InFolder) -> Vec<(String, i64)> {
    let mut connection = connect(&subject.path()).await;
    let all = "SELECT hex(log_id), 0 FROM alm_meta
        UNION ALL SELECT consumer || hex(log), position FROM alm_checkpoints
        UNION ALL SELECT consumer || hex(log) || hex(event_id), position FROM alm_dead_letters
        UNION ALL SELECT name, next FROM alm_sequences
        UNION ALL SELECT hex(id), position FROM alm_events
        UNION ALL SELECT 'oldest', position FROM alm_log_oldest";
    sqlx::query_as(all).fetch_all(&mut connection).await.unwrap()
}

fn fault(result: Result<Rotated, StoreError>) -> (BackendErrorKind, String) {
    match result {
        Err(StoreError::Backend(fault)) => (fault.kind, fault.source().unwrap().to_string()),
        other => panic!("{other:?} is no fault"),
    }
}

#[tokio::test]
async fn a_log_goes_on_under_another_identity_behind_what_all_have_done() {
    // given
    let (mut subject, other) = restored().await;
    let old = subject.store.log_id();
    let before = everything_else(&subject.reopen().await, other).await;
    subject.store.close().await;

    // when
    let rotation = Rotation { skip_ids: 1000, forget: vec![consumer("gone")], is_trial: false };
    let rotated = SqliteStore::rotate_log(subject.path(), &rotation).await.unwrap();

    // then
    let stood = [("audit", 4), ("gone", 1), ("relay", 3)].map(|(name, at)| (consumer(name), Position::new(at)));
    assert_eq!((rotated.old, rotated.consumers), (old, stood.to_vec()));
    assert_eq!((rotated.oldest, rotated.head), (Position::new(4), Position::new(5)));
    let store = subject.reopen().await;
    let log = store.log_id();
    assert!(log == rotated.new && log != old);
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
    assert_eq!(everything_else(&store, other).await, before);
    // The next event follows.
    store.commit(of_app(1004)).await.unwrap();
    assert_eq!(store.head().await.unwrap(), Position::new(6));
}

fn of_app(id: i64) -> Changeset {
    of(Change::app_created(&app(id, "next")))
}

#[tokio::test]
async fn a_log_that_no_one_has_read_keeps_all_its_events_however_often_it_is_rotated() {
    let mut subject = InFolder::new().await;
    subject.store.commit(of_app(1)).await.unwrap();
    let mut identities = vec![subject.store.log_id()];
    for _ in 0..2 {
        subject.store.close().await;
        let rotated = SqliteStore::rotate_log(subject.path(), &Rotation::default()).await.unwrap();
        assert_eq!((rotated.old, rotated.consumers, rotated.oldest.get()), (identities[0], vec![], 1));
        let store = subject.reopen().await;
        assert_eq!(store.read(Position::START, 10).await.unwrap().len(), 1);
        assert!(!identities.contains(&store.log_id()));
        identities.insert(0, store.log_id());
    }
}

#[tokio::test]
async fn a_log_that_all_have_read_goes_on_empty() {
    let mut subject = InFolder::new().await;
    let log = subject.store.log_id();
    subject.store.commit(of_app(1)).await.unwrap();
    subject.store.commit(moved(log, "relay", 1)).await.unwrap();
    subject.store.close().await;

    let rotated = SqliteStore::rotate_log(subject.path(), &Rotation::default()).await.unwrap();

    assert_eq!((rotated.oldest.get(), rotated.head.get()), (2, 1));
    let store = subject.reopen().await;
    assert!(matches!(store.read(Position::START, 10).await, Err(StoreError::Gone { .. })));
    assert!(store.read(Position::new(1), 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_rotation_that_is_tried_or_interrupted_changes_nothing() {
    // given
    let (subject, _) = restored().await;
    let before = tables(&subject).await;
    let rotation = Rotation { skip_ids: 1000, ..Rotation::default() };

    // when it is only tried
    let tried = SqliteStore::rotate_log(subject.path(), &Rotation { is_trial: true, ..rotation.clone() }).await;
    assert_eq!(tried.unwrap().oldest.get(), 2);
    assert_eq!(tables(&subject).await, before);

    // when its last step fails
    let broken = "CREATE TRIGGER broken BEFORE UPDATE ON alm_sequences WHEN old.name = 'deployments' BEGIN
        SELECT RAISE(ABORT, 'it breaks'); END";
    sqlx::raw_sql(broken).execute(&mut connect(&subject.path()).await).await.unwrap();
    SqliteStore::rotate_log(subject.path(), &rotation).await.unwrap_err();
    assert_eq!(tables(&subject).await, before);

    // when it is asked again
    sqlx::raw_sql("DROP TRIGGER broken").execute(&mut connect(&subject.path()).await).await.unwrap();
    SqliteStore::rotate_log(subject.path(), &rotation).await.unwrap();
    assert_ne!(tables(&subject).await, before);
}

#[tokio::test]
async fn no_log_is_rotated_while_a_store_is_open_on_it() {
    // given a store that does nothing
    let (mut subject, _) = restored().await;
    let before = tables(&subject).await;
    let store = subject.reopen().await;

    // when, then
    let (kind, source) = fault(SqliteStore::rotate_log(subject.path(), &Rotation::default()).await);
    assert_eq!(kind, BackendErrorKind::Overloaded);
    assert!(source.contains("stop every server"), "{source}");
    assert_eq!(tables(&subject).await, before);

    // and when it is closed
    store.close().await;
    SqliteStore::rotate_log(subject.path(), &Rotation::default()).await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_not_there_is_not_made_to_be_rotated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alm.db");
    assert_eq!(fault(SqliteStore::rotate_log(&path, &Rotation::default()).await).0, BackendErrorKind::Unavailable);
    assert!(!path.exists());
}
