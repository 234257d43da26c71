//! Messages that no service has published, on a real NATS server: what becomes of them is told in `docs/nats.md`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use alm_bus_nats::{NatsBus, NatsOptions};
use alm_core::{
    Alm, Context, Principal,
    changeset::ConsumerName,
    domain::{Actor, AppId, CredentialId, NewApp, NewVersion, ParentId, Role},
    ports::{Directory, TokioTimer, VersionFilter},
    testing::{QuickTimer, inspect::audit_of},
};
use alm_store_memory::MemoryStore;
use alm_test_support::{LONG, eventually, nats::NatsServer};
use async_nats::{
    HeaderMap,
    jetstream::{self, stream::Stream},
};
use async_trait::async_trait;
use futures_util::TryStreamExt;
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// A message that someone puts on the bus.
pub(crate) struct Message {
    pub(crate) name: &'static str,
    /// By which subject, without the prefix.
    subject: &'static str,
    says: fn(&World) -> Vec<u8>,
    becomes: Becomes,
}

/// What becomes of a message. The state of no service is another because of it, whatever it says.
enum Becomes {
    /// It is acknowledged, and nothing follows.
    Nothing,
    /// The audit log has it as an entry of this type, with what came and why it can't be read; the other services put it aside as a dead
    /// letter.
    PutAside(&'static str),
    /// The audit log has it as an entry of this type; nothing follows for the others.
    Recorded(&'static str),
    /// It waits for whoever has the log that it says to stand in.
    Waits,
}
use Becomes::{Nothing, PutAside, Recorded, Waits};

const fn message(name: &'static str, subject: &'static str, says: fn(&World) -> Vec<u8>, becomes: Becomes) -> Message {
    Message { name, subject, says, becomes }
}

const UNREADABLE: Becomes = PutAside("Unreadable");
/// Where no log comes.
const FAR: u64 = 1_000_000;

#[rustfmt::skip]
pub(crate) const MESSAGES: &[Message] = &[
    message("an empty message", "apps.deleted", |_| Vec::new(), UNREADABLE),
    message("a message that is no JSON", "apps.deleted", |_| b"garbage".to_vec(), UNREADABLE),
    message("a message that is no UTF-8", "apps.deleted", |_| b"\xff\xfe".to_vec(), UNREADABLE),
    message("a message that is null", "apps.deleted", |_| b"null".to_vec(), UNREADABLE),
    message("JSON of another kind", "apps.deleted", |_| b"{\"hello\":\"world\"}".to_vec(), UNREADABLE),
    message("a message of 3,000 arrays in one another", "apps.deleted", |_| b"[".repeat(3000), UNREADABLE),
    message("a message of 900 KiB", "apps.deleted", |_| b"x".repeat(900 * 1024), UNREADABLE),
    message("half an event", "apps.deleted", |world| { let whole = gone(world, FAR).to_string(); whole[..whole.len() / 2].into() }, UNREADABLE),
    message("an event as a list", "apps.deleted", listed, UNREADABLE),
    message("an event of a log that is no UUID", "apps.deleted", |world| with(gone(world, 1), "almlog", json!("../../etc")), UNREADABLE),
    message("an event without a log", "apps.deleted", |world| with(gone(world, 1), "almlog", json!(null)), UNREADABLE),
    message("an event without a position", "apps.deleted", |world| with(gone(world, 1), "sequence", json!(null)), UNREADABLE),
    message("an event at position 0", "apps.deleted", |world| with(gone(world, 1), "sequence", json!("0")), UNREADABLE),
    message("an event at position -1", "apps.deleted", |world| with(gone(world, 1), "sequence", json!("-1")), UNREADABLE),
    message("an event at position 1e3", "apps.deleted", |world| with(gone(world, 1), "sequence", json!("1e3")), UNREADABLE),
    message("an event at a position of 63 bits and one", "apps.deleted", |world| with(gone(world, 1), "sequence", json!("9223372036854775808")), UNREADABLE),
    message("an event at the last position of 64 bits", "apps.deleted", |world| with(gone(world, 1), "sequence", json!("18446744073709551615")), UNREADABLE),
    message("an event at a position beyond 64 bits", "apps.deleted", |world| with(gone(world, 1), "sequence", json!("99999999999999999999")), UNREADABLE),
    message("an event at a position that is a number", "apps.deleted", |world| with(gone(world, 1), "sequence", json!(1)), UNREADABLE),

    message("an old event again, under another id of the message", "apps.created", |world| world.old.to_string().into(), Nothing),
    message("another event at the position of an old one", "apps.deleted", |world| gone(world, 1).to_string().into(), Nothing),
    message("another event with the id of an old one", "apps.deleted", |world| with(gone(world, 1), "id", world.old["id"].clone()), Nothing),
    message("garbage at the position of an old one", "apps.deleted", |world| with(gone(world, 1), "data", json!("garbage")), Nothing),
    message("an event of a newer version at the position of an old one", "teams.created", |world| with(gone(world, 1), "type", json!("TeamCreated")), Nothing),

    message("an app is gone, says an event far behind the end of the log", "apps.deleted", |world| gone(world, FAR).to_string().into(), PutAside("AppDeleted")),
    message("an app is gone, says an event at the next position, by the subject of versions", "versions.deleted", |world| gone(world, world.next).to_string().into(), PutAside("AppDeleted")),
    message("an app is gone, says an event at the next position, by the subject of refusals", "users.access_denied", |world| gone(world, world.next).to_string().into(), PutAside("AppDeleted")),
    message("an app is gone, says an event of a log of its own, by the subject of versions", "versions.deleted", |world| with(gone(world, 1), "almlog", json!(OTHER_LOG)), Waits),
    message("a session is over, says an event far behind the end of the log", "users.session_ended", |world| session_ended(world, FAR), PutAside("SessionEnded")),
    message("a session is over, says an event by the subject of versions", "versions.updated", |world| session_ended(world, world.next), PutAside("SessionEnded")),
    message("an account is gone, says an event by the subject of versions", "versions.deleted", |world| told(world, world.next, "UserDeleted", "users/admin", &json!({"user": "admin"})), PutAside("UserDeleted")),
    message("an event with the data of another type", "apps.deleted", |world| with(gone(world, FAR), "data", json!({"version_id": 1, "app_id": 1, "tag": "v1", "changelog": ""})), PutAside("AppDeleted")),
    message("an event of another version of CloudEvents", "apps.deleted", |world| with(gone(world, FAR), "specversion", json!("0.3")), PutAside("AppDeleted")),
    message("an event about a subject that is none", "apps.deleted", |world| with(gone(world, FAR), "subject", json!("apps/../users")), PutAside("AppDeleted")),
    message("an event by someone with a line break in his name", "apps.deleted", |world| with(gone(world, FAR), "almactor", json!("ada\nroot")), PutAside("AppDeleted")),
    message("an event of this very log, which is not in it", "versions.created", |world| with(own(world), "sequence", json!("00000000000000000001")), Nothing),

    message("an event of a newer version, of a log of its own", "teams.created", |world| with(with_json(gone(world, 1), "almlog", json!("00000000-0000-4000-8000-00000000000a")), "type", json!("TeamCreated")), Recorded("TeamCreated")),
    message("a broken event of a log that no one has", "apps.deleted", |world| with(with_json(gone(world, 7), "almlog", json!("00000000-0000-4000-8000-00000000000b")), "data", json!(1)), Waits),
    message("an event of a newer version, behind a gap in a log that no one has", "teams.created", |world| with(with_json(gone(world, 7), "almlog", json!("00000000-0000-4000-8000-00000000000c")), "type", json!("TeamCreated")), Waits),
];

const OTHER_LOG: &str = "00000000-0000-4000-8000-00000000000d";

/// What can be said of the services that are attacked.
pub(crate) struct World {
    /// The log of the app service.
    log: String,
    /// The first event in it.
    old: Value,
    /// The position of the next event in it.
    next: u64,
    /// The log of the version service.
    version_log: String,
}

/// That app 1, which has a version, is gone; with an id of its own.
fn gone(world: &World, position: u64) -> Value {
    json!({
        "specversion": "1.0", "id": uuid::Uuid::now_v7(), "source": "/alm/AppService", "type": "AppDeleted",
        "subject": "apps/1", "time": "2026-01-01T00:00:00Z", "datacontenttype": "application/json", "almlog": world.log,
        "sequence": format!("{position:020}"), "almchangeset": uuid::Uuid::now_v7(), "almactor": "mallory",
        "data": {"id": 1, "name": "app 1", "description": ""},
    })
}

fn told(world: &World, position: u64, event_type: &str, subject: &str, data: &Value) -> Vec<u8> {
    let event = with_json(with_json(gone(world, position), "type", json!(event_type)), "subject", json!(subject));
    with(event, "data", data.clone())
}

const SESSION: &str = "00000000-0000-4000-8000-000000000001";

fn session_ended(world: &World, position: u64) -> Vec<u8> {
    let data = json!({"user": "admin", "session": SESSION, "reason": "logout", "tokens_until": "2100-01-01T00:00:00Z"});
    told(world, position, "SessionEnded", "users/admin", &data)
}

/// An event that says to stand in the log of the version service.
fn own(world: &World) -> Value {
    let data = json!({"version_id": 7, "app_id": 1, "tag": "forged", "changelog": ""});
    let event = with_json(with_json(gone(world, 1), "type", json!("VersionCreated")), "data", data);
    with_json(with_json(event, "almlog", json!(world.version_log)), "subject", json!("versions/7"))
}

fn listed(world: &World) -> Vec<u8> {
    let event = gone(world, FAR);
    let names = [
        "specversion",
        "id",
        "source",
        "type",
        "subject",
        "time",
        "datacontenttype",
        "almlog",
        "sequence",
        "almchangeset",
        "almactor",
        "traceparent",
        "data",
    ];
    Value::from(names.map(|name| event[name].clone()).to_vec()).to_string().into()
}

fn with_json(mut event: Value, member: &str, value: Value) -> Value {
    event[member] = value;
    event
}

fn with(event: Value, member: &str, value: Value) -> Vec<u8> {
    with_json(event, member, value).to_string().into()
}

/// Looks again and again until there is something to see, or it takes too long.
async fn comes<T>(mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let looking = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(LONG / 2, looking).await.ok()
}

/// Knows every app.
struct Knows;

#[async_trait]
impl Directory for Knows {
    async fn app(&self, _: AppId) -> Result<bool, alm_core::ports::BackendError> {
        Ok(true)
    }

    async fn version(&self, _: alm_core::domain::VersionId) -> Result<Option<AppId>, alm_core::ports::BackendError> {
        Ok(None)
    }
}

/// An app service, a version service and an audit service, and the bus between them.
struct System {
    app: Alm,
    version: Alm,
    audit: Alm,
    prefix: String,
    jetstream: jetstream::Context,
    stream: Stream,
    /// How many messages wait for ever.
    waiting: usize,
    apps: usize,
    _running: JoinSet<()>,
}

impl System {
    async fn start(server: &NatsServer) -> Self {
        let name = format!("t{:x}", fastrand::u64(..));
        let prefix = format!("{name}.v1");
        let mut running = JoinSet::new();
        let mut service = async |names: &str| {
            let options: NatsOptions = server.url().parse().unwrap();
            let bus = NatsBus::connect(options.stream(name.clone()).subject_prefix(prefix.clone())).await.unwrap();
            let consumer = ConsumerName::parse(names.replace(',', "-")).unwrap();
            let alm = Alm::builder(Arc::new(MemoryStore::new())).services(names.parse().unwrap());
            let alm = alm.bus(Arc::new(bus)).inbox(consumer).directory(Arc::new(Knows)).build();
            let runs = alm.clone();
            running.spawn(async move { runs.run(QuickTimer(TokioTimer), std::future::pending()).await });
            alm
        };
        let (app, version, audit) = (service("app,auth").await, service("version").await, service("audit").await);
        let jetstream = jetstream::new(async_nats::connect(server.url()).await.unwrap());
        let stream = eventually("there is a stream", async || jetstream.get_stream(&name).await.ok()).await;
        let mut system =
            Self { app, version, audit, prefix, jetstream, stream, waiting: 0, apps: 0, _running: running };
        let first = system.honest().await.expect("it is heard of");
        let new = NewVersion::parse(first, "v1".to_owned(), String::new(), BTreeMap::new()).unwrap();
        system.version.versions().create(&ada(), new).await.unwrap();
        eventually("both are audited", async || (system.recorded(0).await.len() == 2).then_some(())).await;
        system.read().await.expect("it is read");
        system
    }

    async fn world(&self) -> World {
        let log = self.app.store();
        let old = log.read(alm_core::domain::Position::START, 1).await.unwrap().remove(0);
        World {
            log: log.log_id().to_string(),
            old: serde_json::to_value(alm_core::domain::CloudEvent::from(old.as_ref())).unwrap(),
            next: log.head().await.unwrap().get() + 1,
            version_log: self.version.store().log_id().to_string(),
        }
    }

    /// An app that is made as it should be, once the version service has heard of it.
    async fn honest(&mut self) -> Option<AppId> {
        self.apps += 1;
        let new = NewApp::parse(format!("app {}", self.apps), String::new(), BTreeMap::new()).unwrap();
        let id = self.app.apps().create(&ada(), new).await.unwrap().value.id;
        let store = self.version.store();
        comes(async || store.known(ParentId::App(id)).await.unwrap().map(drop)).await?;
        self.read().await?;
        Some(id)
    }

    /// Puts a message on the bus, as whoever may.
    async fn put(&self, subject: &str, message: Vec<u8>) {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", uuid::Uuid::now_v7().to_string());
        let subject = format!("{}.{subject}", self.prefix);
        let stored = self.jetstream.publish_with_headers(subject, headers, message.into()).await.unwrap();
        assert!(!stored.await.unwrap().duplicate);
    }

    /// Waits until each service has acknowledged every message but those that wait for ever.
    async fn read(&self) -> Option<()> {
        comes(async || {
            let consumers: Vec<_> = self.stream.consumers().try_collect().await.ok()?;
            let done = consumers.iter().all(|reader| reader.num_pending == 0 && reader.num_ack_pending <= self.waiting);
            (consumers.len() >= 2 && done).then_some(())
        })
        .await
    }

    /// What the services have of what they should have, whatever came.
    async fn state(&self) -> String {
        let store = self.version.store();
        let versions = store.versions(&VersionFilter::default(), None, 10).await.unwrap();
        let known = store.known(ParentId::App(AppId::new(1).unwrap())).await.unwrap();
        let session = CredentialId::new(SESSION.parse().unwrap());
        let revoked = (store.is_revoked(session).await.unwrap(), self.audit.store().is_revoked(session).await.unwrap());
        let heads = (store.head().await.unwrap(), self.app.store().head().await.unwrap());
        format!("{versions:?} {known:?} {revoked:?} {heads:?}")
    }

    /// What is in the audit log behind so many entries: the types, and whether it could not be read.
    async fn recorded(&self, after: usize) -> Vec<(String, bool)> {
        let entries = audit_of(self.audit.store().as_ref()).await;
        let put_aside = |payload: &Value| payload["reason"].is_string() && payload["payload"].is_string();
        entries[after..].iter().map(|entry| (entry.event_type.clone(), put_aside(&entry.payload))).collect()
    }

    /// How many messages the version service has put aside.
    async fn letters(&self) -> usize {
        let mut letters = 0;
        for consumer in self.version.consumers() {
            letters += self.version.dead_letters(&consumer, None, 1000).await.unwrap().len();
        }
        letters
    }

    /// What goes wrong with a message.
    async fn faults(&mut self, Message { name: _, subject, says, becomes }: &Message) -> Vec<String> {
        let mut faults = Vec::new();
        let (state, letters) = (self.state().await, self.letters().await);
        let entries = audit_of(self.audit.store().as_ref()).await.len();
        self.waiting += usize::from(matches!(becomes, Waits));
        self.put(subject, says(&self.world().await)).await;
        if self.read().await.is_none() {
            faults.push("it is not acknowledged".to_owned());
        }
        let (recorded, put_aside) = (self.recorded(entries).await, self.letters().await - letters);
        let expected = match becomes {
            Nothing | Waits => vec![],
            PutAside(event_type) => vec![((*event_type).to_owned(), true)],
            Recorded(event_type) => vec![((*event_type).to_owned(), false)],
        };
        if recorded != expected {
            faults.push(format!("the audit log has {recorded:?} of it, and not {expected:?}"));
        }
        if (put_aside > 0) != matches!(becomes, PutAside(_)) {
            faults.push(format!("the version service has put {put_aside} aside"));
        }
        let now = self.state().await;
        if now != state {
            faults.push(format!("{state} became {now}"));
        }
        if self.honest().await.is_none() {
            faults.push("an honest event is not heard of afterwards".to_owned());
        }
        let afterwards = self.recorded(entries + expected.len()).await;
        if afterwards != [("AppCreated".to_owned(), false)] {
            faults.push(format!("of an honest event the audit log has {afterwards:?}"));
        }
        faults
    }
}

fn ada() -> Context {
    Context::new(Principal::new(Actor::parse("ada").unwrap(), Role::Admin))
}

#[tokio::test]
async fn no_message_does_what_it_must_not() {
    let server = NatsServer::start();
    let mut system = System::start(&server).await;
    let mut failures = Vec::new();
    for message in MESSAGES {
        let faults = system.faults(message).await;
        if !faults.is_empty() {
            // Those that come next begin anew.
            system = System::start(&server).await;
        }
        failures.extend(faults.into_iter().map(|fault| format!("{}: {fault}", message.name)));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
