//! Messages that no service has published.

use alm_test_support::journal::Injected;
use async_nats::jetstream::message::StreamMessage;
use serde_json::{Value, json};

use crate::bus::{Bus, ID};

const SUBJECT: &str = "alm.v1.teams.created";

/// What their ids begin with.
const PREFIX: &str = "injected-";
/// So many old messages come again.
const AGAIN: usize = 150;
/// Of a huge one. NATS takes 1 MiB.
const HUGE: usize = 900 * 1024;
/// So far ahead no log comes.
const FAR: u64 = 1_000_000;

/// What was put on the bus.
#[derive(Default)]
pub(crate) struct Put {
    pub(crate) injected: Vec<Injected>,
    /// How many messages stand behind a gap that no one can fill.
    pub(crate) hopeless: usize,
    count: u64,
}

impl Put {
    /// Old events again, backwards and under other ids; what can't be read; events of logs that no service has; claims to a place
    /// in a real log.
    pub(crate) async fn on(&mut self, bus: &Bus, random: &mut fastrand::Rng) {
        let messages = bus.messages().await;
        let is_real =
            |message: &&StreamMessage| !message.headers.get(ID).is_some_and(|id| id.as_str().starts_with(PREFIX));
        let real: Vec<_> = messages.iter().filter(is_real).collect();
        for message in real.iter().rev().take(AGAIN) {
            self.put(bus, &message.subject, message.payload.to_vec()).await;
        }
        let old = random.choice(&real).expect("there are some").payload.to_vec();
        let number = self.count;

        self.unreadable(bus, format!("garbage {number} {}", random.u64(..))).await;
        let mut cut = String::from_utf8(old.clone()).unwrap();
        cut.truncate(cut.len() / 2);
        self.unreadable(bus, format!("{cut} {number}")).await;

        let log = uuid(random);
        self.event(bus, team(random, &log, 1, &json!({"members": ["bob"]}))).await;
        self.event(bus, team(random, &log, 2, &json!({"members": []}))).await;
        let other = uuid(random);
        self.event(bus, team(random, &other, 1, &json!({"text": "x".repeat(HUGE)}))).await;
        let other = uuid(random);
        let lost = team(random, &other, 7, &json!({}));
        self.put(bus, SUBJECT, lost.to_string().into_bytes()).await;
        self.hopeless += 1;

        // Broken ones that claim a place of a real log: one that comes, and one that never does.
        let event: Value = serde_json::from_slice(&old).unwrap();
        let claim = |random: &mut fastrand::Rng, position: u64| {
            json!({
                "specversion": "1.0", "id": uuid(random), "type": "AppDeleted", "almlog": event["almlog"],
                "sequence": format!("{position:020}"), "data": {"broken": number},
            })
            .to_string()
        };
        let newest = real.iter().filter_map(|message| {
            let message: Value = serde_json::from_slice(&message.payload).ok()?;
            (message["almlog"] == event["almlog"]).then(|| message["sequence"].as_str()?.parse::<u64>().ok())?
        });
        let next = newest.max().unwrap_or_default() + random.u64(1..20);
        let payload = claim(random, next);
        self.put(bus, SUBJECT, payload.clone().into_bytes()).await;
        self.injected.push(Injected::Claim { payload });
        let far = FAR + random.u64(..FAR);
        let payload = claim(random, far);
        self.unreadable(bus, payload).await;
    }

    async fn put(&mut self, bus: &Bus, subject: &str, payload: Vec<u8>) {
        self.count += 1;
        assert!(bus.put(subject, &format!("{PREFIX}{}", self.count), payload).await, "it is a new message");
    }

    async fn unreadable(&mut self, bus: &Bus, payload: String) {
        self.put(bus, SUBJECT, payload.clone().into_bytes()).await;
        self.injected.push(Injected::Unreadable { payload });
    }

    async fn event(&mut self, bus: &Bus, event: Value) {
        self.put(bus, SUBJECT, event.to_string().into_bytes()).await;
        let text = |name: &str| event[name].as_str().unwrap().to_owned();
        self.injected.push(Injected::Event { id: text("id"), event_type: text("type") });
    }
}

/// An event of a type that no one knows.
fn team(random: &mut fastrand::Rng, log: &str, position: u64, data: &Value) -> Value {
    json!({
        "specversion": "1.0", "id": uuid(random), "source": "/alm/TeamService", "type": "TeamCreated",
        "subject": "teams/1", "time": "2026-01-01T00:00:00Z", "datacontenttype": "application/json", "almlog": log,
        "sequence": format!("{position:020}"), "almchangeset": uuid(random), "almactor": "ada", "data": data,
    })
}

fn uuid(random: &mut fastrand::Rng) -> String {
    let mut digits = || random.u128(..);
    let hex = format!("{:032x}", digits());
    format!("{}-{}-7{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}
