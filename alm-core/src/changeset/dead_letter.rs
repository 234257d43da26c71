//! Events that a consumer could not handle.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::{EventId, LogId, Position, Timestamp};

use super::ConsumerName;

/// An event that a consumer gave up on, kept with the reason so that someone can look at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Who gave up.
    pub consumer: ConsumerName,
    /// The log that the event stands in.
    pub log: LogId,
    /// Its place there.
    pub position: Position,
    /// Its id.
    pub event_id: EventId,
    /// The event as a `CloudEvents` document.
    pub document: Value,
    /// Why the consumer gave up.
    pub reason: String,
    /// When it did.
    pub at: Timestamp,
}
