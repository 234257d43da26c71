use std::collections::BTreeMap;

use serde_json::Value;

use super::ask::{Effect, effect_of};

/// Everything there is to see once nothing moves any more.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// What there is: the body of each resource, by its subject, such as `apps/7`.
    pub rows: BTreeMap<String, Value>,
    /// The event log of each service, in its order, by a name.
    pub logs: BTreeMap<String, Vec<Fact>>,
    /// The audit log, in its order.
    pub audit: Vec<Fact>,
    /// What the test has put on the bus that is of no log.
    pub injected: Vec<Injected>,
}

impl Seen {
    /// The events of all logs.
    pub(super) fn logged(&self) -> impl Iterator<Item = &Fact> {
        self.logs.values().flatten()
    }
}

/// A message of the test's own, and what must become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Injected {
    /// An event: it is audited once, as what it says it is.
    Event {
        /// Its id.
        id: String,
        /// Its type.
        event_type: String,
    },
    /// What can't be read: it is audited as it is. Nothing keeps it from being audited again when it comes again.
    Unreadable {
        /// Its text.
        payload: String,
    },
    /// What can't be read and claims the place of an event that may come: it is audited as it is, or not at all.
    Claim {
        /// Its text.
        payload: String,
    },
}

impl Injected {
    /// Whether the audit log tells of this here.
    pub(super) fn is(&self, fact: &Fact) -> bool {
        match self {
            Self::Event { id, event_type } => fact.id == *id && fact.event_type == *event_type,
            Self::Unreadable { payload } | Self::Claim { payload } => {
                fact.data["reason"].is_string() && fact.data["payload"] == payload.as_str()
            }
        }
    }
}

/// An event in the log, or an entry of the audit log about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Where it stands.
    pub place: u64,
    /// The event.
    pub id: String,
    /// Such as `AppCreated`.
    pub event_type: String,
    /// Such as `apps/7`.
    pub subject: String,
    /// What the event tells.
    pub data: Value,
}

impl Fact {
    /// An event as `GET /events` shows it.
    pub fn of_event(event: &Value) -> Self {
        let place = event["sequence"].as_str().and_then(|sequence| sequence.parse().ok());
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        Self {
            place: place.unwrap_or_default(),
            id: text("id"),
            event_type: text("type"),
            subject: text("subject"),
            data: event["data"].clone(),
        }
    }

    /// An entry as `GET /audit/events` shows it.
    pub fn of_entry(entry: &Value) -> Self {
        let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        Self {
            place: entry["index"].as_u64().unwrap_or_default(),
            id: text("event_id"),
            event_type: text("event_type"),
            subject: text("subject"),
            data: entry["payload"].clone(),
        }
    }

    /// What it tells of; `None` if no request of the journal asks for such a thing.
    pub(super) fn effect(&self) -> Option<Effect> {
        effect_of(&self.event_type, &self.data)
    }

    pub(super) fn is_creation(&self) -> bool {
        self.event_type.ends_with("Created")
    }

    pub(super) fn is_deletion(&self) -> bool {
        self.event_type.ends_with("Deleted")
    }

    /// What it belongs to: a version to its app, a deployment to both.
    pub(super) fn parents(&self) -> Vec<String> {
        let parent = |kind: &str, name: &str| self.data[name].as_i64().map(|id| format!("{kind}/{id}"));
        match self.subject.split('/').next() {
            Some("versions") => parent("apps", "app_id").into_iter().collect(),
            Some("deployments") => {
                parent("apps", "app_id").into_iter().chain(parent("versions", "version_id")).collect()
            }
            _ => Vec::new(),
        }
    }
}
