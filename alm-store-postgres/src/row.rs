//! Rows of tables, parsed into values of the domain. What can't be parsed is corrupt, and the error says where it stands.

use std::{cell::Cell, fmt::Display};

use alm_core::{
    changeset::{ConsumerName, DeadLetter, IdempotencyKey, IdempotencyRecord, IdempotencyScope},
    domain::{
        Actor, App, AppId, AppName, AuditEntry, AuditIndex, Changelog, ChangesetId, Credential, Deployment,
        DeploymentId, DeploymentStatus, Description, EnvironmentName, Event, EventData, EventId, EventType, Known,
        Labels, LogId, NewAuditEntry, NewEvent, PasswordHash, Position, Rejected, Revision, Role, Subject, Tag,
        Timestamp, TraceParent, User, UserRecord, Username, Version, VersionId,
    },
    policy::Action,
    ports::{HeldCredential, KeptCheckpoint, StoreError},
};
use serde::Serialize;
use serde_json::Value;
use sqlx::{Decode, Postgres, Row, Type, ValueRef, postgres::PgRow, types::Uuid};

use crate::error;

/// A number for a `bigint` column. By the contract of the ports numbers are below 2⁶³; what is not finds nothing.
pub(crate) fn bigint(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// At most how many rows.
pub(crate) fn at_most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// A value for a `json` column. JSON escapes NUL, which `text` refuses.
pub(crate) fn json_text(value: &impl Serialize) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

/// The columns of a row from left to right.
pub(crate) struct Columns<'r> {
    table: &'static str,
    row: &'r PgRow,
    first: usize,
    next: Cell<usize>,
}

impl<'r> Columns<'r> {
    pub(crate) fn of(table: &'static str, row: &'r PgRow) -> Self {
        Self { table, row, first: 0, next: Cell::new(0) }
    }

    /// Those that are left, which come from `table`.
    fn then(&self, table: &'static str) -> Self {
        Self { table, row: self.row, first: self.next.get(), next: self.next.clone() }
    }

    /// Whether a row was joined whose key is the next column.
    fn are_there(&self) -> Result<bool, StoreError> {
        let place = self.next.get();
        let key = self.row.try_get_raw(place).map_err(|error| self.corrupt(place, &error))?;
        Ok(!key.is_null())
    }

    /// The next column as it is.
    pub(crate) fn raw<T: Decode<'r, Postgres> + Type<Postgres>>(&self) -> Result<T, StoreError> {
        let place = self.next.get();
        self.next.set(place + 1);
        self.row.try_get(place).map_err(|error| self.corrupt(place, &error))
    }

    /// The next column, parsed.
    fn parsed<T, R, E: Display>(&self, parse: impl FnOnce(R) -> Result<T, E>) -> Result<T, StoreError>
    where
        R: Decode<'r, Postgres> + Type<Postgres>,
    {
        let place = self.next.get();
        parse(self.raw()?).map_err(|error| self.corrupt(place, &error))
    }

    fn corrupt(&self, place: usize, error: &dyn Display) -> StoreError {
        let name = self.row.try_column(place).map_or("?", sqlx::Column::name);
        error::corrupt("read", format!("{}.{name} of {}: {error}", self.table, self.key()))
    }

    /// The first column, which says which row it is.
    fn key(&self) -> String {
        let number = self.row.try_get::<i64, _>(self.first).map(|number| number.to_string());
        let uuid = || self.row.try_get::<Uuid, _>(self.first).map(|uuid| uuid.to_string());
        let text = || self.row.try_get::<String, _>(self.first);
        number.or_else(|_| uuid()).or_else(|_| text()).unwrap_or_else(|_| "a row".to_owned())
    }

    fn some<T>(&self, parse: impl FnOnce(i64) -> Option<T>) -> Result<T, StoreError> {
        self.parsed(|number| parse(number).ok_or("it is out of range"))
    }

    fn count<T>(&self, make: impl FnOnce(u64) -> T) -> Result<T, StoreError> {
        self.some(|number| u64::try_from(number).ok().map(make))
    }

    pub(crate) fn time(&self) -> Result<Timestamp, StoreError> {
        self.some(Timestamp::from_micros)
    }

    fn json(&self) -> Result<Value, StoreError> {
        self.parsed(|text: &str| serde_json::from_str(text))
    }

    fn text<T>(&self, parse: impl FnOnce(String) -> Result<T, Rejected>) -> Result<T, StoreError> {
        self.parsed(parse)
    }

    /// A text that is kept as bytes because it may hold NUL.
    fn bytes_of_text(&self) -> Result<String, StoreError> {
        self.parsed(|bytes: &[u8]| std::str::from_utf8(bytes).map(str::to_owned))
    }

    fn labels(&self) -> Result<Labels, StoreError> {
        // Most have none.
        self.parsed(|text: &str| if text == "{}" { Ok(Labels::default()) } else { serde_json::from_str(text) })
    }
}

/// A value that is read from columns in the order of a list beside it.
pub(crate) trait FromColumns: Sized {
    const TABLE: &'static str;

    fn from_columns(columns: &Columns<'_>) -> Result<Self, StoreError>;

    fn from_row(row: &PgRow) -> Result<Self, StoreError> {
        Self::from_columns(&Columns::of(Self::TABLE, row))
    }
}

/// What is known of a parent, of a row of `table` that has its id and its app.
pub(crate) fn known_parent(table: &'static str, row: &PgRow) -> Result<Known, StoreError> {
    let columns = Columns::of(table, row);
    columns.raw::<i64>()?;
    columns.parsed(|app_id: Option<i64>| match app_id {
        None => Ok(Known::Gone),
        Some(app_id) => AppId::new(app_id).map(|app_id| Known::Live { app_id }).ok_or("not the id of an app"),
    })
}

/// Each row as a value.
pub(crate) fn all<T: FromColumns>(rows: &[PgRow]) -> Result<Vec<T>, StoreError> {
    rows.iter().map(T::from_row).collect()
}

/// The row, if there is one, as a value.
pub(crate) fn one<T: FromColumns>(row: Option<&PgRow>) -> Result<Option<T>, StoreError> {
    row.map(T::from_row).transpose()
}

// Macros, because statements are literals.
macro_rules! app_columns {
    () => {
        "id, name, description, labels::text, created_at, updated_at, revision"
    };
}
macro_rules! version_columns {
    () => {
        "versions.id, versions.app_id, versions.tag, versions.changelog, versions.labels::text, versions.created_at, \
         versions.updated_at, versions.revision"
    };
}
macro_rules! deployment_columns {
    () => {
        "deployments.id, deployments.app_id, deployments.version_id, deployments.environment, deployments.status, \
         deployments.created_at, deployments.updated_at, deployments.finished_at, deployments.revision"
    };
}
macro_rules! user_columns {
    () => {
        "accounts.username, accounts.role, accounts.grants::text, accounts.created_at, accounts.revision"
    };
}
macro_rules! credential_columns {
    () => {
        "credentials.id, credentials.body::text"
    };
}
macro_rules! audit_columns {
    () => {
        "index, event_id, event_type, source_service, payload::text, occurred_at, recorded_at, actor, subject"
    };
}
macro_rules! answer_columns {
    () => {
        "principal, action, key, fingerprint, outcome::text, created_at, expires_at"
    };
}
macro_rules! letter_columns {
    () => {
        "consumer, log, position, event_id, document::text, reason, buried_at"
    };
}
macro_rules! event_columns {
    () => {
        "position, changeset_id, id, type, subject, time, actor, trace, data::text"
    };
}
pub(crate) use {
    answer_columns, app_columns, audit_columns, credential_columns, deployment_columns, event_columns, letter_columns,
    user_columns, version_columns,
};

impl FromColumns for App {
    const TABLE: &'static str = "apps";

    fn from_columns(columns: &Columns<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: columns.some(AppId::new)?,
            name: columns.text(AppName::parse)?,
            description: columns.text(Description::parse)?,
            labels: columns.labels()?,
            created_at: columns.time()?,
            updated_at: columns.time()?,
            revision: columns.count(Revision::new)?,
        })
    }
}

impl FromColumns for Version {
    const TABLE: &'static str = "versions";

    fn from_columns(columns: &Columns<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: columns.some(VersionId::new)?,
            app_id: columns.some(AppId::new)?,
            tag: columns.text(Tag::parse)?,
            changelog: columns.text(Changelog::parse)?,
            labels: columns.labels()?,
            created_at: columns.time()?,
            updated_at: columns.time()?,
            revision: columns.count(Revision::new)?,
        })
    }
}

impl FromColumns for Deployment {
    const TABLE: &'static str = "deployments";

    fn from_columns(columns: &Columns<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            id: columns.some(DeploymentId::new)?,
            app_id: columns.some(AppId::new)?,
            version_id: columns.some(VersionId::new)?,
            environment: columns.text(EnvironmentName::parse)?,
            status: columns.parsed(|name: &str| DeploymentStatus::parse(name).ok_or("there is no such status"))?,
            created_at: columns.time()?,
            updated_at: columns.time()?,
            finished_at: columns.parsed(|micros: Option<i64>| {
                let time = |micros| Timestamp::from_micros(micros).ok_or("it is out of range");
                micros.map(time).transpose()
            })?,
            revision: columns.count(Revision::new)?,
        })
    }
}

/// A deployment and its version if that is here, from the columns of either.
pub(crate) struct Deployed(pub(crate) Deployment, pub(crate) Option<Version>);

impl FromColumns for Deployed {
    const TABLE: &'static str = Deployment::TABLE;

    fn from_columns(columns: &Columns<'_>) -> Result<Self, StoreError> {
        let deployment = Deployment::from_columns(columns)?;
        let columns = columns.then(Version::TABLE);
        Ok(Self(deployment, if columns.are_there()? { Some(Version::from_columns(&columns)?) } else { None }))
    }
}

impl FromColumns for User {
    const TABLE: &'static str = "accounts";

    fn from_columns(columns: &Columns<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            username: columns.text(Username::parse)?,
            role: columns.parsed(|name: &str| Role::parse(name).ok_or("there is no such role"))?,
            grants: columns.parsed(|text: &str| serde_json::from_str(text))?,
            created_at: columns.time()?,
            revision: columns.count(Revision::new)?,
        })
    }
}

impl FromColumns for UserRecord {
    const TABLE: &'static str = User::TABLE;

    fn from_columns(columns: &Columns<'_>) -> Result<Self, StoreError> {
        let user = User::from_columns(columns)?;
        Ok(Self { user, password_hash: PasswordHash::new(columns.bytes_of_text()?) })
    }
}

impl FromColumns for Credential {
    const TABLE: &'static str = "credentials";

    fn from_columns(columns: &Columns<'_>) -> Result<Self, StoreError> {
        columns.raw::<Uuid>()?;
        columns.parsed(|text: &str| serde_json::from_str(text))
    }
}

impl FromColumns for HeldCredential {
    const TABLE: &'static str = Credential::TABLE;

    fn from_columns(columns: &Columns<'_>) -> Result<Self, StoreError> {
        let credential = Credential::from_columns(columns)?;
        let columns = columns.then(User::TABLE);
        let account = if columns.are_there()? { Some(User::from_columns(&columns)?) } else { None };
        Ok(Self { credential, account })
    }
}

impl FromColumns for AuditEntry {
    const TABLE: &'static str = "audit_entries";

    fn from_columns(columns: &Columns<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            index: columns.count(AuditIndex::new)?,
            entry: NewAuditEntry {
                event_id: EventId::new(columns.raw()?),
                event_type: columns.bytes_of_text()?,
                source_service: columns.bytes_of_text()?,
                payload: columns.json()?,
                timestamp: columns.raw()?,
                recorded_at: columns.time()?,
                actor: columns.text(Actor::parse)?,
                subject: columns.bytes_of_text()?,
            },
        })
    }
}

impl FromColumns for IdempotencyRecord {
    const TABLE: &'static str = "answers";

    fn from_columns(columns: &Columns<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            scope: IdempotencyScope {
                principal: columns.bytes_of_text()?,
                action: columns.parsed(|name: &str| Action::parse(name).ok_or("there is no such action"))?,
                key: columns.text(IdempotencyKey::parse)?,
            },
            fingerprint: columns.parsed(|bytes: Vec<u8>| bytes.try_into().map_err(|_| "it has not 32 bytes"))?,
            outcome: columns.json()?,
            created_at: columns.time()?,
            expires_at: columns.time()?,
        })
    }
}

impl FromColumns for DeadLetter {
    const TABLE: &'static str = "dead_letters";

    fn from_columns(columns: &Columns<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            consumer: columns.text(ConsumerName::parse)?,
            log: LogId::new(columns.raw()?),
            position: columns.count(Position::new)?,
            event_id: EventId::new(columns.raw()?),
            document: columns.json()?,
            reason: columns.bytes_of_text()?,
            at: columns.time()?,
        })
    }
}

impl FromColumns for KeptCheckpoint {
    const TABLE: &'static str = "tree_checkpoints";

    fn from_columns(columns: &Columns<'_>) -> Result<Self, StoreError> {
        Ok(Self { size: columns.count(|size| size)?, at: columns.time()?, note: columns.raw()? })
    }
}

/// An event that does not say in which log it stands.
pub(crate) struct Logged {
    position: Position,
    changeset: ChangesetId,
    event: NewEvent,
}

impl Logged {
    pub(crate) fn within(self, log: LogId) -> Event {
        Event { log, position: self.position, changeset: self.changeset, event: self.event }
    }
}

impl FromColumns for Logged {
    const TABLE: &'static str = "events";

    fn from_columns(columns: &Columns<'_>) -> Result<Self, StoreError> {
        let position = columns.count(Position::new)?;
        let changeset = ChangesetId::new(columns.raw()?);
        let id = EventId::new(columns.raw()?);
        let event_type = columns.parsed(|name: &str| EventType::parse(name).ok_or("there is no such event type"))?;
        let subject = columns.parsed(Subject::parse)?;
        let time = columns.time()?;
        let actor = columns.text(Actor::parse)?;
        let trace = columns.parsed(|text: Option<String>| text.map(TraceParent::parse).transpose())?;
        let data = columns.parsed(|text: &str| EventData::from_json(event_type, serde_json::from_str(text)?))?;
        Ok(Self { position, changeset, event: NewEvent { id, subject, data, time, actor, trace } })
    }
}
