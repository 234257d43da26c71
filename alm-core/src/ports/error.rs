//! What can go wrong in a store, as meanings.

use std::{error::Error, fmt, time::Duration};

use crate::{
    changeset::{ConsumerName, Guard},
    domain::{ApiKeyName, AppId, AppName, LogId, Position, Subject, Tag, Username},
};

/// Whether a call that failed had an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It certainly had none.
    NotApplied,
    /// It may have had its whole effect or none; for a commit, [`Reader::receipt`](super::Reader::receipt) tells.
    Unknown,
}

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Something that must be unique is taken.
    #[error("{0} is taken")]
    AlreadyExists(Unique),
    /// What was to be changed does not exist.
    #[error("{0} does not exist")]
    NotFound(Subject),
    /// Someone else was faster: load and decide again.
    #[error("{0}")]
    Conflict(Contention),
    /// What the changeset was decided on does not hold any more.
    #[error("it does not hold that {0}")]
    GuardFailed(Guard),
    /// The events that were asked for were trimmed from the log.
    #[error("the log begins at {oldest}: the events before it are gone")]
    Gone {
        /// Where the log begins.
        oldest: Position,
    },
    /// This store can't do that.
    #[error("this store does not support {0}")]
    Unsupported(&'static str),
    /// The machinery behind the store failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl StoreError {
    /// Whether the same intent may succeed later: for a conflict after deciding again, else as it is.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Conflict(_) => true,
            Self::Backend(error) => error.is_retryable(),
            Self::AlreadyExists(_)
            | Self::NotFound(_)
            | Self::GuardFailed(_)
            | Self::Gone { .. }
            | Self::Unsupported(_) => false,
        }
    }

    /// Whether the call had an effect.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Backend(error) => error.outcome,
            Self::AlreadyExists(_)
            | Self::NotFound(_)
            | Self::Conflict(_)
            | Self::GuardFailed(_)
            | Self::Gone { .. }
            | Self::Unsupported(_) => Outcome::NotApplied,
        }
    }

    /// A stable kebab-case name of the meaning.
    pub fn code(&self) -> &'static str {
        match self {
            Self::AlreadyExists(_) => "already-exists",
            Self::NotFound(_) => "not-found",
            Self::Conflict(_) => "conflict",
            Self::GuardFailed(_) => "guard-failed",
            Self::Gone { .. } => "gone",
            Self::Unsupported(_) => "unsupported",
            Self::Backend(_) => "backend",
        }
    }
}

/// What is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unique {
    /// The id of a new resource. Ids that [`allocate`](super::Committer::allocate) gave never collide.
    Id(Subject),
    /// The name of an app.
    AppName(AppName),
    /// The tag of a version in its app.
    VersionTag {
        /// The app.
        app_id: AppId,
        /// The tag.
        tag: Tag,
    },
    /// The name of an account.
    Username(Username),
    /// The name of an API key.
    ApiKeyName(ApiKeyName),
    /// An idempotency key whose answer is remembered.
    IdempotencyKey,
}

impl fmt::Display for Unique {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(subject) => write!(f, "the id of {subject}"),
            Self::AppName(name) => write!(f, "the app name \"{name}\""),
            Self::VersionTag { app_id, tag } => write!(f, "the tag \"{tag}\" of app {app_id}"),
            Self::Username(name) => write!(f, "the username \"{name}\""),
            Self::ApiKeyName(name) => write!(f, "the name \"{name}\" of an API key"),
            Self::IdempotencyKey => f.write_str("the idempotency key"),
        }
    }
}

/// Where someone else was faster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Contention {
    /// The resource is at another revision than expected.
    #[error("{0} has been changed meanwhile")]
    Revision(Subject),
    /// The consumer stands elsewhere than expected.
    #[error("the consumer {0} has moved on meanwhile")]
    Checkpoint(ConsumerName),
    /// There is no such letter: someone has settled it, or there never was one.
    #[error("the consumer {consumer} has no letter about the event at {position} of {log}")]
    DeadLetter {
        /// Who gave up on the event.
        consumer: ConsumerName,
        /// The log that it stands in.
        log: LogId,
        /// Its place there.
        position: Position,
    },
    /// The tree over the audit log has another size than expected.
    #[error("the tree over the audit log has grown to {size} meanwhile")]
    Tree {
        /// The size that it has.
        size: u64,
    },
}

/// What kind of fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackendErrorKind {
    /// It can't be reached, is starting or shutting down.
    Unavailable,
    /// It did not answer in time.
    Timeout,
    /// It has too much to do.
    Overloaded,
    /// It takes no writes now: read-only, or out of space.
    NotWritable,
    /// Its data or schema are not what they should be.
    Corrupt,
    /// Anything else.
    Internal,
}

/// A fault in the machinery behind a port.
#[derive(Debug, thiserror::Error)]
#[error("{adapter}: {operation} failed ({kind:?})")]
pub struct BackendError {
    /// What kind of fault it is.
    pub kind: BackendErrorKind,
    /// Which adapter met it, such as `postgres`.
    pub adapter: &'static str,
    /// What it was doing, such as `commit`.
    pub operation: &'static str,
    /// Whether what it was doing had an effect.
    pub outcome: Outcome,
    /// When it may be worth trying again.
    pub retry_after: Option<Duration>,
    /// What the machinery said.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl BackendError {
    /// Data that are not what they should be; nothing was changed.
    pub fn corrupt(adapter: &'static str, operation: &'static str) -> Self {
        Self::of(BackendErrorKind::Corrupt, adapter, operation)
    }

    /// A fault of the adapter itself; nothing was changed.
    pub fn internal(adapter: &'static str, operation: &'static str) -> Self {
        Self::of(BackendErrorKind::Internal, adapter, operation)
    }

    fn of(kind: BackendErrorKind, adapter: &'static str, operation: &'static str) -> Self {
        Self { kind, adapter, operation, outcome: Outcome::NotApplied, retry_after: None, source: None }
    }

    /// The same fault with what the machinery said.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Whether the fault may pass by itself.
    pub fn is_retryable(&self) -> bool {
        match self.kind {
            BackendErrorKind::Unavailable
            | BackendErrorKind::Timeout
            | BackendErrorKind::Overloaded
            | BackendErrorKind::NotWritable => true,
            BackendErrorKind::Corrupt | BackendErrorKind::Internal => false,
        }
    }
}
