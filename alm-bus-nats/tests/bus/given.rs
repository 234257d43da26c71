//! Buses to test, and what is published on them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use alm_bus_nats::{NatsBus, NatsOptions};
use alm_core::{
    domain::{Event, EventId, LogId},
    ports::{BackendError, BusError, BusState, Delivery, EventBus, Ids, Message, Subscription, SystemIds},
    testing::fixtures::{consumer, event},
};
use alm_test_support::{LONG, eventually};

/// A name that no other test uses, on whichever server.
pub(crate) fn a_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("t{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// What reaches the server of this URL, with a stream and subjects of this name.
pub(crate) fn options(url: &str, name: &str) -> NatsOptions {
    let options: NatsOptions = url.parse().unwrap();
    options.stream(name).subject_prefix(format!("{name}.v1")).ack_wait(Duration::from_secs(2))
}

pub(crate) async fn connect(options: NatsOptions) -> NatsBus {
    NatsBus::connect(options).await.unwrap()
}

pub(crate) fn a_log() -> LogId {
    LogId::new(SystemIds.uuid_v7())
}

pub(crate) fn events(log: LogId, first: u64, last: u64) -> Vec<Arc<Event>> {
    (first..=last).map(|position| event(log, position)).collect()
}

pub(crate) fn ids_of(events: &[Arc<Event>]) -> Vec<EventId> {
    events.iter().map(|event| event.id).collect()
}

pub(crate) async fn subscribe(bus: &NatsBus, name: &str) -> Box<dyn Subscription> {
    bus.subscribe(&consumer(name)).await.unwrap()
}

/// Publishes until it is stored, whatever fails meanwhile.
pub(crate) async fn publish(bus: &NatsBus, events: &[Arc<Event>]) {
    eventually("the events are stored", async || match bus.publish(events).await {
        Ok(()) => Some(()),
        Err(error) => {
            assert!(error.is_retryable(), "{error:?}");
            None
        }
    })
    .await;
}

pub(crate) async fn is(bus: &NatsBus, state: BusState) {
    eventually("the bus has noticed", async || (bus.state() == state).then_some(())).await;
}

/// The next `count` events, acknowledged, each once, whatever fails meanwhile.
pub(crate) async fn take(subscription: &mut dyn Subscription, count: usize) -> Vec<Arc<Event>> {
    let mut taken: Vec<Arc<Event>> = Vec::new();
    let taking = async {
        while taken.len() < count {
            let Ok(deliveries) = subscription.next(64).await else { continue };
            let tags: Vec<_> = deliveries.iter().map(|delivery| delivery.tag).collect();
            // It may be acknowledged though the answer was lost, and what is not comes again.
            let _ = subscription.ack(&tags).await;
            for event in deliveries.iter().map(event_of) {
                if taken.iter().all(|known| known.id != event.id) {
                    taken.push(event);
                }
            }
        }
    };
    let in_time = tokio::time::timeout(LONG, taking).await;
    assert!(in_time.is_ok(), "{} of {count} came", taken.len());
    taken
}

pub(crate) fn event_of(delivery: &Delivery) -> Arc<Event> {
    match &delivery.message {
        Message::Event(event) => event.clone(),
        other => panic!("not an event: {other:?}"),
    }
}

pub(crate) fn fault(error: BusError) -> BackendError {
    match error {
        BusError::Backend(error) => error,
        error => panic!("not a fault: {error:?}"),
    }
}

/// All that an error says, of which nothing may be a secret.
pub(crate) fn told(error: &BackendError) -> String {
    let source = error.source.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("{error}: {source}")
}
