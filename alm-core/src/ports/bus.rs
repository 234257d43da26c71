//! The way of events to other processes.

use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::{Event, EventId};

use super::{BackendError, Outcome};

/// Carries events to other processes. The log stays the truth: a bus that loses what it was given has lost nothing that
/// can't be published again.
#[async_trait]
pub trait EventBus: Send + Sync {
    /// Publishes events, in this order.
    ///
    /// # Contract
    /// - When it returns, the bus has stored all of them.
    /// - An event that was published before has no second effect: its id tells.
    /// - After an error, any of them may have been stored.
    ///
    /// # Errors
    /// - [`Rejected`](BusError::Rejected): the bus will never take one of them; those before it are stored.
    /// - [`Backend`](BusError::Backend): a fault; publish them again.
    async fn publish(&self, events: &[Arc<Event>]) -> Result<(), BusError>;
}

/// Why a bus has not taken what it was given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BusError {
    /// The bus will never take this event: it is too large, say.
    #[error("the bus does not take event {event}: {reason}")]
    Rejected {
        /// Which one.
        event: EventId,
        /// Why.
        reason: String,
    },
    /// The machinery behind the bus failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl BusError {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Rejected { .. } => false,
            Self::Backend(error) => error.is_retryable(),
        }
    }

    /// Whether the call had an effect.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Rejected { .. } => Outcome::Unknown,
            Self::Backend(error) => error.outcome,
        }
    }

    /// A stable kebab-case name of the meaning.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Rejected { .. } => "rejected",
            Self::Backend(_) => "backend",
        }
    }
}
