//! An audit entry as the bytes of a leaf.

use std::io::Write as _;

use uuid::fmt::Hyphenated;

use crate::domain::AuditEntry;

use super::jcs::{write_signed, write_string, write_unsigned, write_value};

/// Enough for most entries, so that the bytes are seldom moved while they are written.
const USUAL_LENGTH: usize = 1024;

/// The bytes of the entry's leaf; its hash is [`leaf_hash`](super::leaf_hash) of them.
///
/// # Rule
/// Anyone can compute them again from the entry as the HTTP API gives it:
///
/// 1. Take the JSON object with exactly these members: `actor`, `event`, `event_id`, `event_type`, `index`, `payload`,
///    `recorded_at`, `source_service`, `subject`, `timestamp`. `event` is the same as `event_type`; `event_id` is a UUID in lower
///    case with hyphens; `recorded_at` is in UTC with six decimals and `Z`, such as `2026-11-22T16:52:00.000000Z`;
///    `timestamp` is a number of milliseconds.
/// 2. Write it by RFC 8785 (JCS): no white space; the members of every object sorted by the UTF-16 code units of their names;
///    in texts only `"`, `\` and the characters below U+0020 escaped, as `\b \t \n \f \r` or `\u00xx` in lower case; UTF-8.
/// 3. Numbers that are integers from −2⁶³ to 2⁶⁴ − 1, written without fraction and exponent, are written in full digits. Every
///    other number is written as ECMAScript writes the nearest double, as RFC 8785 says: so −0.0 is `0`, and 1.0 is `1`.
///
/// The third step is the one difference from RFC 8785, which would write every number as a double. That would make two ids
/// that differ above 2⁵³ into the same bytes, and an entry could be exchanged for another one.
///
/// The bytes depend on the entry's meaning alone: not on the order of a payload's members, nor on how a store keeps it.
pub fn entry_bytes(entry: &AuditEntry) -> Vec<u8> {
    let mut out = Vec::with_capacity(USUAL_LENGTH);
    out.extend_from_slice(br#"{"actor":"#);
    write_string(&mut out, entry.actor.as_str());
    out.extend_from_slice(br#","event":"#);
    write_string(&mut out, &entry.event_type);
    out.extend_from_slice(br#","event_id":""#);
    let mut uuid = [0; Hyphenated::LENGTH];
    out.extend_from_slice(entry.event_id.get().hyphenated().encode_lower(&mut uuid).as_bytes());
    out.extend_from_slice(br#"","event_type":"#);
    write_string(&mut out, &entry.event_type);
    out.extend_from_slice(br#","index":"#);
    write_unsigned(&mut out, entry.index.get());
    out.extend_from_slice(br#","payload":"#);
    write_value(&mut out, &entry.payload);
    // Writing to a `Vec` never fails.
    let _ = write!(out, r#","recorded_at":"{}""#, entry.recorded_at);
    out.extend_from_slice(br#","source_service":"#);
    write_string(&mut out, &entry.source_service);
    out.extend_from_slice(br#","subject":"#);
    write_string(&mut out, &entry.subject);
    out.extend_from_slice(br#","timestamp":"#);
    write_signed(&mut out, entry.timestamp);
    out.push(b'}');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use crate::domain::{Actor, AuditIndex, EventId, NewAuditEntry, Timestamp};

    use super::*;

    fn sample() -> AuditEntry {
        AuditEntry {
            index: AuditIndex::new(7),
            entry: NewAuditEntry {
                event_id: EventId::new(Uuid::from_u128(0x019a_bcde_f012_7345_8678_9abc_def0_1234)),
                event_type: "VersionCreated".to_owned(),
                source_service: "VersionService".to_owned(),
                payload: json!({ "tag": "v1\n\"é\"", "id": 9_007_199_254_740_993_i64, "app_id": 42, "x": [1.0, -0.0, 1e300] }),
                timestamp: -1,
                recorded_at: Timestamp::from_micros(1_795_366_320_000_001).unwrap(),
                actor: Actor::parse("ada").unwrap(),
                subject: "versions/42".to_owned(),
            },
        }
    }

    /// As the HTTP API gives it.
    fn exported(entry: &AuditEntry) -> Value {
        json!({
            "index": entry.index,
            "event_id": entry.event_id,
            "event": entry.event_type,
            "event_type": entry.event_type,
            "source_service": entry.source_service,
            "payload": entry.payload,
            "timestamp": entry.timestamp,
            "recorded_at": entry.recorded_at,
            "actor": entry.actor,
            "subject": entry.subject,
        })
    }

    fn canonical(value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        write_value(&mut out, value);
        out
    }

    #[test]
    fn the_bytes_of_an_entry_are_fixed_for_ever() {
        let expected = concat!(
            r#"{"actor":"ada","event":"VersionCreated","event_id":"019abcde-f012-7345-8678-9abcdef01234","#,
            r#""event_type":"VersionCreated","index":7,"#,
            r#""payload":{"app_id":42,"id":9007199254740993,"tag":"v1\n\"é\"","x":[1,0,1e+300]},"#,
            r#""recorded_at":"2026-11-22T16:52:00.000001Z","source_service":"VersionService","subject":"versions/42","#,
            r#""timestamp":-1}"#
        );
        assert_eq!(String::from_utf8(entry_bytes(&sample())).unwrap(), expected);
    }

    #[test]
    fn every_field_counts() {
        let changes: [fn(&mut AuditEntry); 10] = [
            |entry| entry.index = AuditIndex::new(8),
            |entry| entry.entry.event_id = EventId::new(Uuid::nil()),
            |entry| entry.entry.event_type.push(' '),
            |entry| entry.entry.source_service.clear(),
            |entry| entry.entry.payload = Value::Null,
            |entry| entry.entry.payload["id"] = json!(9_007_199_254_740_992_i64),
            |entry| entry.entry.timestamp = 1,
            |entry| entry.entry.recorded_at = Timestamp::from_micros(1_795_366_320_000_000).unwrap(),
            |entry| entry.entry.actor = Actor::parse("Ada").unwrap(),
            |entry| entry.entry.subject = "versions/43".to_owned(),
        ];
        let mut all = vec![entry_bytes(&sample())];
        for change in changes {
            let mut entry = sample();
            change(&mut entry);
            all.push(entry_bytes(&entry));
        }
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    /// With what the strategies for stores leave out: fractions, and names of members in any script.
    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn an_export_and_the_rule_give_the_same_bytes(
            payload in any_json(), event_type: String, source_service: String, subject: String, index: u64, timestamp: i64,
            id: u128, micros in Timestamp::MIN.micros()..=Timestamp::MAX.micros(), actor in r#"[^\pC]{1,9}["\\]?"#,
        ) {
            let entry = AuditEntry {
                index: AuditIndex::new(index),
                entry: NewAuditEntry {
                    event_id: EventId::new(Uuid::from_u128(id)),
                    event_type,
                    source_service,
                    payload,
                    timestamp,
                    recorded_at: Timestamp::from_micros(micros).unwrap(),
                    actor: Actor::parse(actor).unwrap(),
                    subject,
                },
            };
            let bytes = entry_bytes(&entry);
            prop_assert_eq!(&bytes, &canonical(&exported(&entry)));
            let read_again: Value = serde_json::from_slice(&bytes).unwrap();
            prop_assert_eq!(&bytes, &canonical(&read_again));
            let stored: AuditEntry = serde_json::from_str(&serde_json::to_string(&entry).unwrap()).unwrap();
            prop_assert_eq!(&bytes, &entry_bytes(&stored));
        }
    }
}
