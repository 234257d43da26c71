//! How fast the relay tells the bus of a log, beside a bare publisher with 256 messages on their way on the same stream:
//! `cargo bench --bench relay`. The log is in memory, in `SQLite`, and in `PostgreSQL`. They take turns, and the medians count.

#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::{collections::VecDeque, future::IntoFuture, sync::Arc, time::Instant};

use alm_bus_nats::{NatsBus, NatsOptions};
use alm_core::{
    Alm,
    changeset::{Change, Changeset, Stamp},
    domain::{ChangesetId, CloudEvent, Event},
    ports::{EventBus, Ids, Store, SystemIds, TokioTimer},
    runtime::{Consumer, Relay},
    testing::{
        fixtures::{event_id, stamp, version},
        inspect::log_of,
    },
};
use alm_store_memory::MemoryStore;
use alm_store_postgres::{PostgresOptions, PostgresStore};
use alm_store_sqlite::SqliteOptions;
use alm_test_support::{
    nats::NatsServer,
    postgres::{Durability, Server},
};
use async_nats::jetstream::{self, context::ContextBuilder, message::PublishMessage};

const EVENTS: i64 = 50_000;
const IN_FLIGHT: usize = 256;
const ROUNDS: i64 = 5;

/// Adds events to the log, a hundred a commit, as versions that are created.
async fn fill(store: &dyn Store, round: i64) {
    for first in (0..EVENTS).step_by(100) {
        let change = |number: i64| {
            let id = round * EVENTS + number + 1;
            Change::version_created(&version(id, 1, &format!("v{id}")))
        };
        let stamp = Stamp { changeset: ChangesetId::new(SystemIds.uuid_v7()), ..stamp(1) };
        let mut changeset = Changeset::of(stamp, change(first), event_id());
        for number in first + 1..first + 100 {
            changeset = changeset.and(change(number), event_id());
        }
        store.commit(changeset).await.unwrap();
    }
}

fn rate(events: usize, started: Instant) -> f64 {
    f64::from(u32::try_from(events).unwrap()) / started.elapsed().as_secs_f64()
}

async fn relayed(alm: &Alm, bus: &Arc<dyn EventBus>) -> f64 {
    let relay = Consumer::new(alm.clone(), Arc::new(Relay::to(bus.clone())));
    let started = Instant::now();
    relay.catch_up(&TokioTimer).await.unwrap();
    rate(usize::try_from(EVENTS).unwrap(), started)
}

async fn bare(jetstream: &jetstream::Context, events: &[Arc<Event>]) -> f64 {
    let messages: Vec<_> =
        events.iter().map(|event| (SystemIds.uuid_v7().to_string(), CloudEvent::encode(event))).collect();
    let started = Instant::now();
    let mut acks = VecDeque::with_capacity(IN_FLIGHT);
    for (id, document) in messages {
        if acks.len() == IN_FLIGHT {
            let ack: jetstream::context::PublishAckFuture = acks.pop_front().unwrap();
            ack.into_future().await.unwrap();
        }
        let message = PublishMessage::build().message_id(id).payload(document.into());
        acks.push_back(jetstream.send_publish("alm.v1.versions.created", message).await.unwrap());
    }
    for ack in acks {
        ack.await.unwrap();
    }
    rate(events.len(), started)
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

#[tokio::main]
async fn main() {
    let server = NatsServer::start();
    let options: NatsOptions = server.url().parse().unwrap();
    let bus: Arc<dyn EventBus> = Arc::new(NatsBus::connect(options).await.unwrap());
    let client = async_nats::connect(server.url()).await.unwrap();
    let jetstream = ContextBuilder::new().max_ack_inflight(2 * IN_FLIGHT).backpressure_on_inflight(true).build(client);

    let folder = tempfile::tempdir().unwrap();
    let sqlite = SqliteOptions::new(folder.path().join("alm.db")).migrate(true).open().await.unwrap();
    let database = Server::start(Durability::None);
    let postgres = PostgresOptions::parse(&database.url()).unwrap();
    PostgresStore::migrate(&postgres).await.unwrap();
    let postgres = PostgresStore::connect(&postgres).await.unwrap();
    let stores: [(&str, Arc<dyn Store>); 3] =
        [("memory", Arc::new(MemoryStore::new())), ("SQLite", Arc::new(sqlite)), ("PostgreSQL", Arc::new(postgres))];
    for (name, store) in stores {
        let alm = Alm::builder(store.clone()).build();
        let (mut of_relay, mut of_bare) = (Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            fill(store.as_ref(), round).await;
            let relayed = relayed(&alm, &bus).await;
            let log = log_of(store.as_ref()).await;
            let bare = bare(&jetstream, &log[log.len() - usize::try_from(EVENTS).unwrap()..]).await;
            // The first one warms up.
            if round > 0 {
                of_relay.push(relayed);
                of_bare.push(bare);
            }
        }
        let (of_relay, of_bare) = (median(&mut of_relay), median(&mut of_bare));
        println!("{name}: {of_relay:.0} events/s relayed, {of_bare:.0} bare, ratio {:.2}", of_relay / of_bare);
    }
}
