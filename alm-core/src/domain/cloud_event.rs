//! Events as `CloudEvents` 1.0 JSON documents (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>):
//! the form that they leave a process in.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{
    Actor, ChangesetId, Event, EventData, EventId, EventType, LogId, NewEvent, Position, Rejected, Subject, Timestamp,
    TraceParent, Unread,
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
        let (source, subject) = match &event.data {
            EventData::Unread(unread) => (unread.source.clone(), unread.subject.clone()),
            data => (format!("/alm/{}", data.source_name()), event.subject.to_string()),
        };
        Self {
            specversion: SPEC_VERSION.to_owned(),
            id: event.id,
            source,
            event_type: event.data.type_name().to_owned(),
            subject,
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
        let position = position(&document.sequence).ok_or_else(|| unreadable("sequence"))?;
        Ok(Self {
            log: document.almlog,
            position,
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

impl CloudEvent {
    /// No document of an event of this version has more bytes.
    pub const MAX_BYTES: usize = 256 * 1024;

    /// The document of `event` as JSON text.
    pub fn encode(event: &Event) -> Vec<u8> {
        // It consists of strings, numbers and what was JSON before, which always have a JSON form.
        serde_json::to_vec(&Self::from(event)).unwrap_or_default()
    }

    /// The event that `document` tells of.
    ///
    /// # Errors
    /// It is not the document of an event that this version of ALM knows.
    pub fn decode(document: &[u8]) -> Result<Event, Rejected> {
        let unreadable = |why: String| Rejected::new("unreadable-event", why);
        if !is_object(document) {
            return Err(unreadable("an event is a JSON object".to_owned()));
        }
        serde_json::from_slice::<Self>(document).map_err(|error| unreadable(error.to_string()))?.try_into()
    }

    /// The event that `document` tells of, as [`EventData::Unread`] if this version of ALM does not know more than which event it is
    /// and where it stands.
    ///
    /// # Errors
    /// It does not say that.
    pub fn decode_as_is(document: &[u8]) -> Result<Event, Rejected> {
        Self::decode(document).or_else(|rejected| unread(document, &rejected).ok_or(rejected))
    }

    /// Where the event stands that `document` tells of, if it says so, whether it can be read or not.
    pub fn place(document: &[u8]) -> Option<(LogId, Position)> {
        /// Read as [`decode`](CloudEvent::decode) reads them: no matter what stands beside them.
        #[derive(Deserialize)]
        struct Place {
            almlog: LogId,
            sequence: String,
        }

        let Place { almlog, sequence } = is_object(document).then(|| serde_json::from_slice(document).ok())??;
        Some((almlog, position(&sequence)?))
    }
}

/// serde reads a JSON array into a struct, member by member: one that no other reader of the document takes for an event.
fn is_object(document: &[u8]) -> bool {
    document.trim_ascii_start().starts_with(b"{")
}

/// Where an event can stand, and a store can say that it stands.
fn position(sequence: &str) -> Option<Position> {
    sequence.parse().ok().map(Position::new).filter(|position| position.is_of_event())
}

fn unread(document: &[u8], why: &Rejected) -> Option<Event> {
    let (log, position) = CloudEvent::place(document)?;
    let document: Value = serde_json::from_slice(document).ok()?;
    let id = EventId::deserialize(document.get("id")?).ok()?;
    let text = |name: &str| document.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let changeset = document.get("almchangeset").and_then(|id| ChangesetId::deserialize(id).ok());
    let time = document.get("time").and_then(|time| Timestamp::deserialize(time).ok());
    let unread = Unread {
        event_type: text("type"),
        source: text("source"),
        subject: text("subject"),
        data: document.get("data").cloned().unwrap_or_default(),
        reason: why.detail.clone(),
    };
    let event = NewEvent {
        id,
        subject: Subject::Events,
        data: EventData::Unread(Box::new(unread)),
        time: time.unwrap_or(Timestamp::MIN),
        actor: Actor::parse(text("almactor")).unwrap_or_else(|_| Actor::anonymous()),
        trace: TraceParent::parse(text("traceparent")).ok(),
    };
    Some(Event { log, position, changeset: changeset.unwrap_or(ChangesetId::new(Uuid::nil())), event })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AppData, AppId, AppName, Changelog, Description, Tag, VersionData, VersionId};

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

    #[test]
    fn an_event_at_a_position_that_no_log_can_have_is_refused() {
        let event = Event {
            log: LogId::new(Uuid::from_u128(1)),
            position: Position::MAX,
            changeset: ChangesetId::new(Uuid::from_u128(2)),
            event: NewEvent {
                id: EventId::new(Uuid::from_u128(3)),
                subject: Subject::Events,
                data: EventData::AppDeleted(AppData {
                    id: AppId::new(1).unwrap(),
                    name: AppName::parse("billing").unwrap(),
                    description: Description::parse("").unwrap(),
                }),
                time: Timestamp::MIN,
                actor: Actor::anonymous(),
                trace: None,
            },
        };
        assert_eq!(CloudEvent::place(&CloudEvent::encode(&event)), Some((event.log, Position::MAX)));
        assert_eq!(CloudEvent::decode(&CloudEvent::encode(&event)).unwrap(), event);
        for position in [0, Position::MAX.get() + 1, u64::MAX] {
            let bytes = CloudEvent::encode(&Event { position: Position::new(position), ..event.clone() });
            assert_eq!(CloudEvent::decode(&bytes).unwrap_err().code, "unreadable-event");
            assert!(CloudEvent::decode_as_is(&bytes).is_err());
            assert_eq!(CloudEvent::place(&bytes), None, "{position}");
        }
    }

    #[test]
    fn what_a_newer_version_tells_is_kept_as_it_came() {
        let document = serde_json::json!({
            "specversion": "1.0", "id": "00000000-0000-0000-0000-000000000003", "source": "/alm/TeamService",
            "type": "TeamCreated", "subject": "teams/1", "time": "1970-01-01T00:00:00.000001Z",
            "datacontenttype": "application/json", "almlog": "00000000-0000-0000-0000-000000000001",
            "sequence": "00000000000000000042", "almchangeset": "00000000-0000-0000-0000-000000000002",
            "almactor": "ada", "data": {"id": 1, "members": ["bob"]},
        });
        let bytes = serde_json::to_vec(&document).unwrap();
        assert!(CloudEvent::decode(&bytes).is_err());
        let event = CloudEvent::decode_as_is(&bytes).unwrap();
        assert_eq!((event.data.type_name(), event.data.source_name()), ("TeamCreated", "TeamService"));
        assert_eq!(event.data.event_type(), None);
        assert_eq!(serde_json::to_value(CloudEvent::from(&event)).unwrap(), document);
        assert_eq!(CloudEvent::decode_as_is(&CloudEvent::encode(&event)).unwrap(), event);
    }

    #[test]
    fn what_does_not_say_which_event_it_is_and_where_it_stands_is_refused() {
        let whole = serde_json::json!({
            "id": "00000000-0000-0000-0000-000000000003", "almlog": "00000000-0000-0000-0000-000000000001",
            "sequence": "00000000000000000042",
        });
        assert!(CloudEvent::decode_as_is(&serde_json::to_vec(&whole).unwrap()).is_ok());
        for (member, broken) in [
            ("id", Value::Null),
            ("id", "no uuid".into()),
            ("almlog", 1.into()),
            ("sequence", 42.into()),
            ("sequence", "-1".into()),
            ("sequence", "0".into()),
            ("sequence", "9223372036854775808".into()),
            ("sequence", "18446744073709551615".into()),
        ] {
            let mut document = whole.clone();
            document[member] = broken;
            let bytes = serde_json::to_vec(&document).unwrap();
            assert!(CloudEvent::decode_as_is(&bytes).is_err(), "{document}");
        }
        let listed = br#"["00000000-0000-0000-0000-000000000001","00000000000000000042"]"#;
        for bytes in [&b""[..], b"\xff", b"[]", b"null", b"{", listed] {
            assert!(CloudEvent::decode_as_is(bytes).is_err());
            assert_eq!(CloudEvent::place(bytes), None);
        }
    }

    #[test]
    fn an_event_stands_where_its_document_says_whatever_else_that_says() {
        let event = br#"{"specversion":"1.0","id":"00000000-0000-0000-0000-000000000003","source":"/alm/AppService","type":"AppDeleted","subject":"apps/1","time":"1970-01-01T00:00:00.000001Z","datacontenttype":"application/json","almlog":"00000000-0000-0000-0000-000000000001","sequence":"00000000000000000042","almchangeset":"00000000-0000-0000-0000-000000000002","almactor":"ada","data":{"id":1,"name":"billing","description":""},"more":"#;
        for more in [&b"1"[..], b"1e999", br#""\ud800""#, b"\"\xff\"", &[&[b'['; 200][..], &[b']'; 200]].concat()] {
            let document = [&event[..], more, b"}"].concat();
            let event = CloudEvent::decode(&document).unwrap();
            assert_eq!(CloudEvent::place(&document), Some((event.log, event.position)), "{}", more.escape_ascii());
        }
    }

    #[test]
    fn the_largest_event_there_can_be_is_within_the_bound() {
        let version = VersionData {
            version_id: VersionId::new(i64::MAX).unwrap(),
            app_id: AppId::new(i64::MAX).unwrap(),
            tag: Tag::parse("🦀".repeat(128)).unwrap(),
            // JSON makes six bytes of such a character.
            changelog: Changelog::parse("\u{1}".repeat(32 * 1024)).unwrap(),
        };
        let event = Event {
            log: LogId::new(Uuid::max()),
            position: Position::new(u64::MAX),
            changeset: ChangesetId::new(Uuid::max()),
            event: NewEvent {
                id: EventId::new(Uuid::max()),
                subject: Subject::Version(version.version_id),
                data: EventData::VersionCreated(version),
                time: Timestamp::MAX,
                actor: Actor::parse("\\".repeat(256)).unwrap(),
                trace: TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").ok(),
            },
        };
        assert!(CloudEvent::encode(&event).len() < CloudEvent::MAX_BYTES);
    }
}
