//! What errors of the database mean: told by SQLSTATE and names of constraints, never by the text of a message.

use std::{io, time::Duration};

use alm_core::{
    changeset::Write,
    domain::{Credential, Holder, Subject},
    ports::{BackendError, BackendErrorKind, Outcome, StoreError, Unique},
};
use sqlx::error::DatabaseError;

pub(crate) const ADAPTER: &str = "postgres";

/// What stopped something in the middle of a transaction.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The store says no; the transaction may go on.
    Refused(StoreError),
    /// The database failed.
    Sql(sqlx::Error),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl Fault {
    /// The fault as the port tells it; nothing was changed.
    pub(crate) fn told(self, operation: &'static str) -> StoreError {
        match self {
            Self::Refused(error) => error,
            Self::Sql(error) => backend(operation, error, Outcome::NotApplied),
        }
    }

    /// The fault of a write: what it is refused for, if its constraints say so.
    pub(crate) fn of_write(error: sqlx::Error, write: &Write) -> Self {
        let taken = violated(&error).and_then(|constraint| taken(constraint, write));
        taken.map_or(Self::Sql(error), |unique| Self::Refused(StoreError::AlreadyExists(unique)))
    }
}

/// What is taken when `write` violates the unique constraint of that name.
fn taken(constraint: &str, write: &Write) -> Option<Unique> {
    Some(match (constraint, write) {
        ("apps_id", Write::InsertApp(app)) => Unique::Id(Subject::App(app.id)),
        ("apps_name", Write::InsertApp(app) | Write::UpdateApp { app, .. }) => Unique::AppName(app.name.clone()),
        ("versions_id", Write::InsertVersion(version)) => Unique::Id(Subject::Version(version.id)),
        ("versions_tag", Write::InsertVersion(version)) => {
            Unique::VersionTag { app_id: version.app_id, tag: version.tag.clone() }
        }
        ("deployments_id", Write::InsertDeployment(deployment)) => Unique::Id(Subject::Deployment(deployment.id)),
        ("accounts_username", Write::InsertUser(record)) => Unique::Username(record.user.username.clone()),
        ("credentials_id", Write::InsertCredential(credential)) => Unique::Id(credential.subject()),
        ("credentials_api_key_name", Write::InsertCredential(Credential { holder: Holder::ApiKey(key), .. })) => {
            Unique::ApiKeyName(key.name.clone())
        }
        _ => return None,
    })
}

/// The unique constraint that was violated.
fn violated(error: &sqlx::Error) -> Option<&str> {
    let error = error.as_database_error()?;
    if code(error) == "23505" { error.constraint() } else { None }
}

/// Whether a row was refused for what is in it or beside it, which another row need not be.
pub(crate) fn is_about_a_row(error: &sqlx::Error) -> bool {
    // Integrity constraint violation; data exception; cardinality violation, which is one row that comes twice.
    error.as_database_error().is_some_and(|error| matches!(code(error).get(..2), Some("23" | "22" | "21")))
}

/// Whether the same changeset was committed by another session in the meantime.
pub(crate) fn is_known_changeset(error: &sqlx::Error) -> bool {
    violated(error) == Some("events_changeset")
}

/// Whether it has taken a number that another session took before, which its snapshot, that of a host, does not show.
fn is_behind_another(error: &sqlx::Error) -> bool {
    matches!(violated(error), Some("audit_entries_pkey" | "events_position"))
}

/// Whether the transaction was undone for the sake of another, so that the whole of it may be tried again.
pub(crate) fn is_serialization_failure(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| matches!(code(error).as_ref(), "40001" | "40P01"))
}

/// Whether the connection is gone, and with it every transaction on it that was not being committed.
pub(crate) fn is_connection_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() != io::ErrorKind::TimedOut,
        sqlx::Error::Database(error) => {
            let code = code(error.as_ref());
            // 57P05 and 25P03: the server has ended a session that did nothing.
            code.starts_with("08") || matches!(code.as_ref(), "57P01" | "57P02" | "57P05" | "25P03")
        }
        _ => false,
    }
}

/// Whether the server was not heard of in time; what it was asked for it may still do.
pub(crate) fn is_unanswered(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut)
}

/// A fault of the database as the port tells it.
pub(crate) fn backend(operation: &'static str, error: sqlx::Error, outcome: Outcome) -> StoreError {
    let kind = kind(&error);
    let retry_after = (kind == BackendErrorKind::Overloaded).then_some(Duration::from_millis(100));
    StoreError::Backend(BackendError {
        kind,
        adapter: ADAPTER,
        operation,
        outcome,
        retry_after,
        source: Some(Box::new(error)),
    })
}

/// Stored data that are not what they should be.
pub(crate) fn corrupt(operation: &'static str, what: String) -> StoreError {
    BackendError::corrupt(ADAPTER, operation).with_source(what).into()
}

fn code<'e>(error: &'e (dyn DatabaseError + 'static)) -> std::borrow::Cow<'e, str> {
    error.code().unwrap_or_default()
}

fn kind(error: &sqlx::Error) -> BackendErrorKind {
    match error {
        error if is_unanswered(error) => BackendErrorKind::Timeout,
        // Its receipt can't be seen in the snapshot of a host's transaction, but will be in another.
        error if is_known_changeset(error) || is_behind_another(error) => BackendErrorKind::Overloaded,
        sqlx::Error::Database(error) => kind_of_code(&code(error.as_ref())),
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolClosed => BackendErrorKind::Unavailable,
        sqlx::Error::PoolTimedOut => BackendErrorKind::Overloaded,
        sqlx::Error::RowNotFound
        | sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::Decode(_)
        | sqlx::Error::TypeNotFound { .. }
        | sqlx::Error::ColumnNotFound(_) => BackendErrorKind::Corrupt,
        _ => BackendErrorKind::Internal,
    }
}

// https://www.postgresql.org/docs/current/errcodes-appendix.html
fn kind_of_code(code: &str) -> BackendErrorKind {
    match code {
        // query_canceled: statement_timeout; lock_not_available: lock_timeout.
        "57014" | "55P03" => BackendErrorKind::Timeout,
        // read_only_sql_transaction; disk_full.
        "25006" | "53100" => BackendErrorKind::NotWritable,
        // Rivals were faster, again and again.
        "40001" | "40P01" => BackendErrorKind::Overloaded,
        // undefined_table, undefined_column, undefined_function, invalid_schema_name; index_corrupted and its like.
        "42P01" | "42703" | "42883" | "3F000" | "XX001" | "XX002" => BackendErrorKind::Corrupt,
        _ if code.starts_with("53") => BackendErrorKind::Overloaded,
        _ if code.starts_with("08") || code.starts_with("57P") || code == "25P03" => BackendErrorKind::Unavailable,
        _ => BackendErrorKind::Internal,
    }
}
