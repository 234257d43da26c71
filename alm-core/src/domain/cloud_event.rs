//! Events as `CloudEvents` 1.0 JSON documents (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>):
//! the form that they leave a process in.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Actor, ChangesetId, Event, EventData, EventId, EventType, LogId, NewEvent, Position, Rejected, Subject, Timestamp,
    TraceParent,
};

/// An event as a `CloudEvents` 1.0 document. The extension attributes `almlog`, `almchangeset`, `almactor` and `sequence`
/// carry what ALM needs beyond the specification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloudEvent {
    /// Always `1.0`.
    pub specversion: String,
    /// The event's id.
    pub id: EventId,
    /// `/alm/` and the service that it came from.
    pub source: String,
    /// The event's type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// What it is about, such as `versions/42`.
    pub subject: String,
    /// When it happened.
    pub time: Timestamp,
    /// Always `application/json`.
    pub datacontenttype: String,
    /// The log that it stands in.
    pub almlog: LogId,
    /// Its position in that log, padded with zeros to 20 digits, so that it sorts as text.
    pub sequence: String,
    /// The changeset that it was committed with.
    pub almchangeset: ChangesetId,
    /// Who did it.
    pub almactor: Actor,
    /// The trace that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<TraceParent>,
    /// The event's data.
    pub data: Value,
}

const SPEC_VERSION: &str = "1.0";

impl From<&Event> for CloudEvent {
    fn from(event: &Event) -> Self {
        let event_type = event.data.event_type();
        Self {
            specversion: SPEC_VERSION.to_owned(),
            id: event.id,
            source: format!("/alm/{}", event_type.source()),
            event_type: event_type.as_str().to_owned(),
            subject: event.subject.to_string(),
            time: event.time,
            datacontenttype: "application/json".to_owned(),
            almlog: event.log,
            sequence: format!("{:020}", event.position.get()),
            almchangeset: event.changeset,
            almactor: event.actor.clone(),
            traceparent: event.trace.clone(),
            data: event.data.to_json(),
        }
    }
}

impl TryFrom<CloudEvent> for Event {
    type Error = Rejected;

    fn try_from(document: CloudEvent) -> Result<Self, Self::Error> {
        let unreadable = |what: &str| Rejected::new("unreadable-event", format!("{what} is not one that ALM knows"));
        if document.specversion != SPEC_VERSION {
            return Err(unreadable("specversion"));
        }
        let event_type = EventType::parse(&document.event_type).ok_or_else(|| unreadable("type"))?;
        let position = document.sequence.parse().map_err(|_| unreadable("sequence"))?;
        Ok(Self {
            log: document.almlog,
            position: Position::new(position),
            changeset: document.almchangeset,
            event: NewEvent {
                id: document.id,
                subject: Subject::parse(&document.subject)?,
                data: EventData::from_json(event_type, document.data).map_err(|_| unreadable("data"))?,
                time: document.time,
                actor: document.almactor,
                trace: document.traceparent,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{AppData, AppId, AppName, Description};

    #[test]
    fn an_event_is_read_back_from_the_document_of_the_contract() {
        let event = Event {
            log: LogId::new(Uuid::from_u128(1)),
            position: Position::new(42),
            changeset: ChangesetId::new(Uuid::from_u128(2)),
            event: NewEvent {
                id: EventId::new(Uuid::from_u128(3)),
                subject: Subject::App(AppId::new(1).unwrap()),
                data: EventData::AppCreated(AppData {
                    id: AppId::new(1).unwrap(),
                    name: AppName::parse("billing").unwrap(),
                    description: Description::parse("handles invoicing").unwrap(),
                }),
                time: Timestamp::from_micros(1).unwrap(),
                actor: Actor::parse("ada").unwrap(),
                trace: None,
            },
        };
        let json = serde_json::to_value(CloudEvent::from(&event)).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "specversion": "1.0", "id": "00000000-0000-0000-0000-000000000003", "source": "/alm/AppService",
                "type": "AppCreated", "subject": "apps/1", "time": "1970-01-01T00:00:00.000001Z",
                "datacontenttype": "application/json", "almlog": "00000000-0000-0000-0000-000000000001",
                "sequence": "00000000000000000042", "almchangeset": "00000000-0000-0000-0000-000000000002",
                "almactor": "ada", "data": {"id": 1, "name": "billing", "description": "handles invoicing"},
            })
        );
        let document: CloudEvent = serde_json::from_value(json).unwrap();
        assert_eq!(Event::try_from(document).unwrap(), event);
    }
}
