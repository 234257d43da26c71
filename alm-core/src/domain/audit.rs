//! The audit log's entries.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Actor, AuditIndex, Event, EventData, EventId, Timestamp};

/// An entry that is about to be recorded; the store gives its index.
///
/// The texts are kept as they came, not as parsed types: an audit log also records what this version of ALM cannot read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewAuditEntry {
    /// The event that it records.
    pub event_id: EventId,
    /// The event's type.
    pub event_type: String,
    /// The part of ALM that the event came from.
    pub source_service: String,
    /// The event's data.
    pub payload: Value,
    /// When the event happened, in milliseconds since the Unix epoch.
    pub timestamp: i64,
    /// When the entry was recorded.
    pub recorded_at: Timestamp,
    /// Who did it.
    pub actor: Actor,
    /// What it is about, such as `versions/42`.
    pub subject: String,
}

impl NewAuditEntry {
    /// The record of `event`, made at `recorded_at`.
    pub fn of(event: &Event, recorded_at: Timestamp) -> Self {
        Self {
            event_id: event.id,
            event_type: event.data.type_name().to_owned(),
            source_service: event.data.source_name().to_owned(),
            payload: event.data.to_json(),
            timestamp: event.time.millis(),
            recorded_at,
            actor: event.actor.clone(),
            subject: match &event.data {
                EventData::Unread(unread) => unread.subject.clone(),
                _ => event.subject.to_string(),
            },
        }
    }
}

/// An entry of the audit log. It never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its place: gapless, from 1.
    pub index: AuditIndex,
    /// What it records.
    #[serde(flatten)]
    pub entry: NewAuditEntry,
}

impl std::ops::Deref for AuditEntry {
    type Target = NewAuditEntry;

    fn deref(&self) -> &NewAuditEntry {
        &self.entry
    }
}
