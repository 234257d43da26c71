//! How fast events are published, beside a bare publisher on the same stream: `cargo bench -p alm-bus-nats`.
//!
//! Both have 256 messages on their way at once. The bare one sends the same documents with the same ids, made beforehand; the
//! bus also has to make them. They take turns, and the medians count.

#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::{collections::VecDeque, future::IntoFuture, sync::Arc, time::Instant};

use alm_bus_nats::{NatsBus, NatsOptions};
use alm_core::{
    domain::{CloudEvent, Event, LogId},
    ports::{EventBus, Ids, SystemIds},
    testing::fixtures::event,
};
use alm_test_support::nats::NatsServer;
use async_nats::jetstream::{self, context::ContextBuilder, message::PublishMessage};

const BATCH: usize = 256;
const EVENTS: u64 = 40 * BATCH as u64;
const ROUNDS: usize = 11;

fn events() -> Vec<Arc<Event>> {
    let log = LogId::new(SystemIds.uuid_v7());
    (1..=EVENTS).map(|position| event(log, position)).collect()
}

/// Events a second.
fn rate(started: Instant) -> f64 {
    f64::from(u32::try_from(EVENTS).unwrap()) / started.elapsed().as_secs_f64()
}

async fn by_the_bus(bus: &NatsBus) -> f64 {
    let events = events();
    let started = Instant::now();
    for batch in events.chunks(BATCH) {
        bus.publish(batch).await.unwrap();
    }
    rate(started)
}

async fn bare(jetstream: &jetstream::Context) -> f64 {
    let documents: Vec<_> = events().iter().map(|event| (event.id.to_string(), CloudEvent::encode(event))).collect();
    let started = Instant::now();
    let mut acks = VecDeque::with_capacity(BATCH);
    for (id, document) in documents {
        if acks.len() == BATCH {
            let ack: jetstream::context::PublishAckFuture = acks.pop_front().unwrap();
            ack.into_future().await.unwrap();
        }
        let message = PublishMessage::build().message_id(id).payload(document.into());
        acks.push_back(jetstream.send_publish("alm.v1.users.login_failed", message).await.unwrap());
    }
    for ack in acks {
        ack.await.unwrap();
    }
    rate(started)
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

#[tokio::main]
async fn main() {
    let server = NatsServer::start();
    let options: NatsOptions = server.url().parse().unwrap();
    let bus = NatsBus::connect(options).await.unwrap();
    bus.publish(&events()[..1]).await.unwrap();
    let client = async_nats::connect(server.url()).await.unwrap();
    let jetstream = ContextBuilder::new().max_ack_inflight(2 * BATCH).backpressure_on_inflight(true).build(client);
    let (mut of_bus, mut of_bare) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let rates = (by_the_bus(&bus).await, bare(&jetstream).await);
        // The first one warms up.
        if round > 0 {
            of_bus.push(rates.0);
            of_bare.push(rates.1);
        }
    }
    let (of_bus, of_bare) = (median(of_bus), median(of_bare));
    println!("publish: {of_bus:.0} events/s by the bus, {of_bare:.0} bare, ratio {:.2}", of_bus / of_bare);
}
