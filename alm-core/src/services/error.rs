//! Why a use case did not happen, as meanings. Whatever the error, nothing was changed unless [`Error::outcome`] says
//! that it can't be known.

use std::time::Duration;

use crate::{
    domain::{FieldError, IllegalTransition, Invalid, Position, Rejected, Revision, Subject},
    policy::Action,
    ports::{AuthError, BackendError, Outcome, PasswordError, StoreError, Unique},
};

/// Why a use case did not happen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Fields of the input break their rules, or name a parent that does not exist.
    #[error("the input is not valid: {0}")]
    Invalid(#[from] Invalid),
    /// No one has said who they are.
    #[error("this needs a token")]
    Unauthenticated,
    /// The token does not count.
    #[error(transparent)]
    Token(AuthError),
    /// The token is of no session that could be ended: it was not got by a log-in.
    #[error("this token is of no session; it counts until it expires")]
    NoSession,
    /// There is no such account, or the password is another one; which of them is not told.
    #[error("the username or the password is wrong")]
    WrongCredentials,
    /// The principal may not do that. The refusal stands in the audit log.
    #[error("you may not {action} on {subject}")]
    Denied {
        /// What was asked for.
        action: Action,
        /// On what.
        subject: Subject,
    },
    /// It does not exist.
    #[error("{0} does not exist")]
    NotFound(Subject),
    /// A name, a tag or a username is taken.
    #[error("{0} is taken")]
    AlreadyExists(Unique),
    /// The deployment's status can't move like that.
    #[error(transparent)]
    IllegalTransition(#[from] IllegalTransition),
    /// An account can't delete itself or change its role: it takes another to lock it out.
    #[error("an account cannot delete itself or change its own role")]
    OwnAccount,
    /// The resource is at another revision than the caller requires.
    #[error("{subject} is at revision {actual}")]
    PreconditionFailed {
        /// The resource.
        subject: Subject,
        /// Its revision.
        actual: Revision,
    },
    /// The idempotency key was used before, for another request.
    #[error("this idempotency key was used for another request")]
    IdempotencyMismatch,
    /// A request with this idempotency key is still running.
    #[error("a request with this idempotency key is still running")]
    IdempotencyInProgress,
    /// Others changed the same thing again and again; nothing was changed.
    #[error("{0} is being changed by many at once")]
    Contended(Subject),
    /// There were too many attempts to log in.
    #[error("too many attempts to log in; try again later")]
    Throttled {
        /// When the next may be made.
        retry_after: Duration,
    },
    /// Too many passwords are being checked at once.
    #[error("too many passwords are being checked")]
    Busy,
    /// The event that would tell of it is larger than the bus takes.
    #[error("its event would have more than the {limit} bytes that the bus takes")]
    EventTooLarge {
        /// How many bytes an event may have.
        limit: usize,
    },
    /// The events that were asked for are not kept any more.
    #[error("the log begins at {oldest}: the events before it are gone")]
    Gone {
        /// Where the log begins.
        oldest: Position,
    },
    /// The host has not plugged in what this needs.
    #[error("this service is built without {0}")]
    NotConfigured(&'static str),
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
    /// Something else behind a port failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl Error {
    /// A single refused field.
    pub(crate) fn field(pointer: &str, code: &'static str, detail: impl Into<String>) -> Self {
        Self::Invalid(Invalid::field(Rejected::new(code, detail).at(pointer)))
    }

    /// The parent that the field at `pointer` names does not exist.
    pub(crate) fn unknown_parent(pointer: &str, what: &str, id: impl Into<i64>) -> Self {
        Self::field(pointer, "unknown-parent", format!("there is no {what} {}", id.into()))
    }

    /// A stable kebab-case name of the meaning.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid(invalid) => match invalid.errors() {
                [FieldError { code, .. }] if code == "unknown-parent" => "unknown-parent",
                _ => "invalid-field",
            },
            Self::Unauthenticated => "unauthenticated",
            Self::Token(error) => error.code(),
            Self::NoSession => "no-session",
            Self::WrongCredentials => "wrong-credentials",
            Self::Denied { .. } => "forbidden",
            Self::NotFound(_) => "not-found",
            Self::AlreadyExists(Unique::AppName(_)) => "app-name-taken",
            Self::AlreadyExists(Unique::VersionTag { .. }) => "version-tag-taken",
            Self::AlreadyExists(Unique::Username(_)) => "username-taken",
            Self::AlreadyExists(Unique::ApiKeyName(_)) => "api-key-name-taken",
            Self::AlreadyExists(Unique::Id(_) | Unique::IdempotencyKey) => "already-exists",
            Self::IllegalTransition(_) => "illegal-transition",
            Self::OwnAccount => "own-account",
            Self::PreconditionFailed { .. } => "precondition-failed",
            Self::IdempotencyMismatch => "idempotency-key-reused",
            Self::IdempotencyInProgress => "idempotency-key-in-progress",
            Self::Contended(_) => "contended",
            Self::Throttled { .. } => "too-many-logins",
            Self::Busy => "busy",
            Self::EventTooLarge { .. } => "event-too-large",
            Self::Gone { .. } => "gone",
            Self::NotConfigured(_) => "not-configured",
            Self::Store(error) => error.code(),
            Self::Backend(_) => "backend",
        }
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::IdempotencyInProgress | Self::Contended(_) | Self::Throttled { .. } | Self::Busy => true,
            Self::Store(error) => error.is_retryable(),
            Self::Backend(error) | Self::Token(AuthError::Backend(error)) => error.is_retryable(),
            Self::Invalid(_)
            | Self::Unauthenticated
            | Self::Token(_)
            | Self::NoSession
            | Self::WrongCredentials
            | Self::Denied { .. }
            | Self::NotFound(_)
            | Self::AlreadyExists(_)
            | Self::IllegalTransition(_)
            | Self::OwnAccount
            | Self::PreconditionFailed { .. }
            | Self::IdempotencyMismatch
            | Self::EventTooLarge { .. }
            | Self::Gone { .. }
            | Self::NotConfigured(_) => false,
        }
    }

    /// Whether the call had an effect.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Store(error) => error.outcome(),
            Self::Backend(error) | Self::Token(AuthError::Backend(error)) => error.outcome,
            Self::Invalid(_)
            | Self::Unauthenticated
            | Self::Token(_)
            | Self::NoSession
            | Self::WrongCredentials
            | Self::Denied { .. }
            | Self::NotFound(_)
            | Self::AlreadyExists(_)
            | Self::IllegalTransition(_)
            | Self::OwnAccount
            | Self::PreconditionFailed { .. }
            | Self::IdempotencyMismatch
            | Self::IdempotencyInProgress
            | Self::Contended(_)
            | Self::Throttled { .. }
            | Self::Busy
            | Self::EventTooLarge { .. }
            | Self::Gone { .. }
            | Self::NotConfigured(_) => Outcome::NotApplied,
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::AlreadyExists(unique) => Self::AlreadyExists(unique),
            StoreError::NotFound(subject) => Self::NotFound(subject),
            StoreError::Gone { oldest } => Self::Gone { oldest },
            other => Self::Store(other),
        }
    }
}

impl From<AuthError> for Error {
    fn from(error: AuthError) -> Self {
        Self::Token(error)
    }
}

impl From<PasswordError> for Error {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => Self::Busy,
            PasswordError::Backend(error) => Self::Backend(error),
        }
    }
}
