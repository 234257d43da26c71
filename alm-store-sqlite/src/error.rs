//! What `SQLite` says, as the meanings of the port: by result codes, never by the text of a message.

use std::{sync::Arc, time::Duration};

use alm_core::ports::{BackendError, BackendErrorKind, Outcome, StoreError, Unique};

pub(crate) const ADAPTER: &str = "sqlite";

/// A fault met in `operation`, which had no effect.
pub(crate) fn fault(operation: &'static str, error: impl Into<Arc<sqlx::Error>>) -> StoreError {
    fault_with(operation, Outcome::NotApplied, error)
}

/// A fault met in `operation`, which may have had an effect, as `outcome` says.
pub(crate) fn fault_with(operation: &'static str, outcome: Outcome, error: impl Into<Arc<sqlx::Error>>) -> StoreError {
    let error = error.into();
    let kind = kind_of(&error);
    let retry_after = (kind == BackendErrorKind::Overloaded).then_some(Duration::from_millis(100));
    BackendError { kind, adapter: ADAPTER, operation, outcome, retry_after, source: Some(error.into()) }.into()
}

/// The store was closed, or the task that writes has ended with its runtime.
pub(crate) fn closed(operation: &'static str, outcome: Outcome) -> StoreError {
    let source = Some("the store is closed".into());
    let kind = BackendErrorKind::Unavailable;
    BackendError { kind, adapter: ADAPTER, operation, outcome, retry_after: None, source }.into()
}

/// The file is not what it should be; `what` says what to do.
pub(crate) fn corrupt(operation: &'static str, what: String) -> StoreError {
    BackendError::corrupt(ADAPTER, operation).with_source(what).into()
}

/// Whoever breaks a primary key is told that `key` is taken, and of any other index `other`.
pub(crate) fn taken(operation: &'static str, error: sqlx::Error, key: Unique, other: Option<Unique>) -> StoreError {
    match (result_code(&error), other) {
        (Some(CONSTRAINT_PRIMARYKEY), _) => StoreError::AlreadyExists(key),
        (Some(CONSTRAINT_UNIQUE), Some(other)) => StoreError::AlreadyExists(other),
        _ => fault(operation, error),
    }
}

/// Whether someone else holds a lock for longer than this store waits.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    result_code(error).is_some_and(|code| matches!(code & PRIMARY, BUSY | LOCKED))
}

/// What the database has said that a fault of this store comes from.
pub(crate) fn said(error: &StoreError) -> Option<Arc<sqlx::Error>> {
    match error {
        StoreError::Backend(fault) => fault.source.as_ref()?.downcast_ref::<Arc<sqlx::Error>>().cloned(),
        _ => None,
    }
}

/// Whether there was no space for something, which therefore was not written.
pub(crate) fn is_full(error: &sqlx::Error) -> bool {
    result_code(error).is_some_and(|code| code & PRIMARY == FULL)
}

/// Whether a statement that is right could not be done with the values that it met.
pub(crate) fn is_not_done(error: &sqlx::Error) -> bool {
    result_code(error).is_some_and(|code| matches!(code & PRIMARY, ERROR | TOOBIG | MISMATCH))
}

// https://www.sqlite.org/rescode.html: the low byte of an extended code is its primary code.
const PRIMARY: i32 = 0xff;
const ERROR: i32 = 1;
const PERM: i32 = 3;
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const NOMEM: i32 = 7;
const READONLY: i32 = 8;
const INTERRUPT: i32 = 9;
const IOERR: i32 = 10;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CANTOPEN: i32 = 14;
const TOOBIG: i32 = 18;
const MISMATCH: i32 = 20;
const FORMAT: i32 = 24;
const NOTADB: i32 = 26;
const IOERR_WRITE: i32 = 778;
const IOERR_FSYNC: i32 = 1034;
const IOERR_SHMSIZE: i32 = 4874;
const CONSTRAINT_PRIMARYKEY: i32 = 1555;
const CONSTRAINT_UNIQUE: i32 = 2067;

fn result_code(error: &sqlx::Error) -> Option<i32> {
    error.as_database_error()?.code()?.parse().ok()
}

fn kind_of(error: &sqlx::Error) -> BackendErrorKind {
    use BackendErrorKind::{Corrupt, Internal, NotWritable, Overloaded, Unavailable};
    if let Some(code) = result_code(error) {
        return match (code, code & PRIMARY) {
            (_, BUSY | LOCKED | NOMEM) => Overloaded,
            (IOERR_WRITE | IOERR_FSYNC | IOERR_SHMSIZE, _) | (_, FULL | READONLY | PERM) => NotWritable,
            (_, IOERR | CANTOPEN | INTERRUPT) => Unavailable,
            (_, CORRUPT | NOTADB | FORMAT) => Corrupt,
            _ => Internal,
        };
    }
    match error {
        sqlx::Error::PoolTimedOut => Overloaded,
        sqlx::Error::Io(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => Unavailable,
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Corrupt,
        _ => Internal,
    }
}
