//! What goes wrong is told as what it means.

use std::{error::Error as _, time::Duration};

use alm_core::{
    changeset::{Change, Changeset},
    domain::Position,
    ports::{
        AuditFilter, BackendError, BackendErrorKind, Committer, EventLog, Outcome, Reader, Sequence, StoreError,
        TreeStore,
    },
    testing::fixtures::{app, app_id, entry, growth, of, progress},
};
use alm_store_sqlite::SqliteOptions;
use sqlx::{ConnectOptions as _, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::in_folder::InFolder;

fn created(id: i64, name: &str) -> Changeset {
    of(Change::app_created(&app(id, name)))
}

fn fault<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> BackendError {
    match answer {
        Err(StoreError::Backend(fault)) => fault,
        other => panic!("{other:?} is no fault"),
    }
}

/// A connection as someone who does not go through the store has it.
async fn behind(subject: &InFolder) -> SqliteConnection {
    SqliteConnectOptions::new().filename(subject.path()).connect().await.unwrap()
}

#[tokio::test]
async fn who_waits_too_long_for_another_writer_may_try_again() {
    // given someone else who writes, and a store that is in a hurry
    let subject = InFolder::new().await;
    let mut other = behind(&subject).await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let store = SqliteOptions::new(subject.path()).busy_timeout(Duration::from_millis(10)).open().await.unwrap();

    // when
    let (first, second) = tokio::join!(store.commit(created(1, "a")), store.allocate(Sequence::Apps, 1));

    // then
    for fault in [fault(first), fault(second)] {
        assert_eq!((fault.kind, fault.outcome), (BackendErrorKind::Overloaded, Outcome::NotApplied));
        assert!(fault.is_retryable() && fault.retry_after.is_some());
    }

    // and when the other is done
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    store.commit(created(1, "a")).await.unwrap();
    assert_eq!(store.head().await.unwrap(), Position::new(1));
}

#[tokio::test]
async fn a_row_that_can_not_be_read_is_named() {
    // given
    let subject = InFolder::new().await;
    subject.store.commit(created(7, "a")).await.unwrap();
    let spoil = "UPDATE alm_apps SET created_at = 9223372036854775807";
    sqlx::raw_sql(spoil).execute(&mut behind(&subject).await).await.unwrap();

    // when
    let fault = fault(subject.store.app(app_id(7)).await);

    // then
    assert_eq!(fault.kind, BackendErrorKind::Corrupt);
    let source = fault.source().unwrap().to_string();
    assert!(source.starts_with("table alm_apps, column created_at, row 7: "), "{source}");
}

#[tokio::test]
async fn a_closed_store_is_unavailable() {
    let subject = InFolder::new().await;
    let store = subject.store.clone();
    subject.store.close().await;
    for fault in [
        fault(store.commit(created(1, "a")).await),
        fault(store.app(app_id(1)).await),
        fault(store.changed(Position::START).await),
    ] {
        assert_eq!((fault.kind, fault.outcome), (BackendErrorKind::Unavailable, Outcome::NotApplied));
    }
    store.close().await;
}

#[tokio::test]
async fn the_logs_refuse_whoever_would_rewrite_them() {
    // given
    let subject = InFolder::new().await;
    let log = subject.store.log_id();
    subject.store.commit(created(1, "a")).await.unwrap();
    subject.store.commit(progress(log, 0, 1).recording(entry("x"))).await.unwrap();
    subject.store.grow(growth(0, 1)).await.unwrap();
    let mut other = behind(&subject).await;

    // when
    for sql in [
        "UPDATE alm_audit SET actor = 'eve'",
        "DELETE FROM alm_audit",
        "UPDATE alm_events SET actor = 'eve'",
        "DELETE FROM alm_events",
        "UPDATE alm_tree_checkpoints SET note = 'of another tree'",
        "DELETE FROM alm_tree_checkpoints",
    ] {
        let refused = sqlx::raw_sql(sql).execute(&mut other).await.unwrap_err();
        // SQLITE_CONSTRAINT_TRIGGER
        assert_eq!(refused.as_database_error().unwrap().code().unwrap(), "1811", "{sql}");
    }

    // then
    assert_eq!(subject.store.audit_entries(&AuditFilter::default(), None, 10).await.unwrap().len(), 1);
    assert_eq!(subject.store.head().await.unwrap(), Position::new(1));
    assert_eq!(subject.store.newest_checkpoint().await.unwrap(), Some(growth(0, 1).checkpoint));
}
