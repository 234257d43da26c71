//! Events to publish, and how they are received.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use tokio::time::timeout;

use crate::{
    domain::{Event, EventId, LogId, Position},
    ports::{Delivery, DeliveryTag, EventBus, EventLog, Ids, Message, StoreError, Subscription, SystemIds},
    testing::{
        conformance::{must::Must, tasks::patience},
        fixtures::{consumer, event},
    },
};

/// Another log each time.
pub(super) fn a_log() -> LogId {
    LogId::new(SystemIds.uuid_v7())
}

/// The events of a log at the positions from `first` to `last`.
pub(super) fn events(log: LogId, first: u64, last: u64) -> Vec<Arc<Event>> {
    (first..=last).map(|position| event(log, position)).collect()
}

pub(super) fn ids_of(events: &[Arc<Event>]) -> Vec<EventId> {
    events.iter().map(|event| event.id).collect()
}

pub(super) async fn subscribe(bus: &dyn EventBus, name: &str) -> Box<dyn Subscription> {
    bus.subscribe(&consumer(name)).await.must("subscribe")
}

pub(super) async fn publish(bus: &dyn EventBus, events: &[Arc<Event>]) {
    bus.publish(events).await.must("publish events");
}

/// What comes next, which something must.
pub(super) async fn next(subscription: &mut dyn Subscription, limit: usize) -> Vec<Delivery> {
    let coming = timeout(patience(), subscription.next(limit)).await;
    let deliveries =
        coming.unwrap_or_else(|_| panic!("nothing comes, though something must")).must("wait for deliveries");
    assert!(!deliveries.is_empty(), "a wait ends with at least one delivery");
    assert!(deliveries.len() <= limit, "{} deliveries come, and {limit} were asked for", deliveries.len());
    deliveries
}

/// The event of a delivery.
pub(super) fn event_of(delivery: &Delivery) -> Arc<Event> {
    match &delivery.message {
        Message::Event(event) => event.clone(),
        Message::Unreadable { reason, .. } => panic!("an event that was published can't be read: {reason}"),
    }
}

pub(super) async fn ack(subscription: &mut dyn Subscription, deliveries: &[Delivery]) {
    let tags: Vec<DeliveryTag> = deliveries.iter().map(|delivery| delivery.tag).collect();
    subscription.ack(&tags).await.must("acknowledge deliveries");
}

/// The next `count` events, acknowledged. One that comes again, because its acknowledgement came late, counts once.
pub(super) async fn take(subscription: &mut dyn Subscription, count: usize) -> Vec<Arc<Event>> {
    let mut taken: Vec<Arc<Event>> = Vec::with_capacity(count);
    while taken.len() < count {
        // Few at a time, so that none waits long for its acknowledgement.
        let deliveries = next(subscription, (count - taken.len()).min(16)).await;
        ack(subscription, &deliveries).await;
        for event in deliveries.iter().map(event_of) {
            if taken.iter().all(|known| known.id != event.id) {
                taken.push(event);
            }
        }
    }
    taken
}

/// The ids of those of `ids` that come, until all have come; `handle` says what becomes of the deliveries.
pub(super) async fn all_of(
    subscription: &mut dyn Subscription,
    ids: &[EventId],
    handle: Handling,
) -> BTreeSet<EventId> {
    let mut came = BTreeSet::new();
    while !ids.iter().all(|id| came.contains(id)) {
        let deliveries = next(subscription, 16).await;
        if matches!(handle, Handling::Acknowledged) {
            ack(subscription, &deliveries).await;
        }
        came.extend(deliveries.iter().map(|delivery| event_of(delivery).id));
    }
    came
}

/// What becomes of deliveries.
pub(super) enum Handling {
    Acknowledged,
    Ignored,
}

/// What is acknowledged until the event `last` comes, with it.
pub(super) async fn take_until(subscription: &mut dyn Subscription, last: EventId) -> Vec<Arc<Event>> {
    let mut taken = Vec::new();
    loop {
        let deliveries = next(subscription, 16).await;
        ack(subscription, &deliveries).await;
        taken.extend(deliveries.iter().map(event_of));
        if taken.iter().any(|event| event.id == last) {
            return taken;
        }
    }
}

/// A log that holds these events, from the first of them on, and gets no more.
pub(super) struct FixedLog {
    pub(super) log: LogId,
    pub(super) events: Vec<Arc<Event>>,
}

#[async_trait]
impl EventLog for FixedLog {
    fn log_id(&self) -> LogId {
        self.log
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<Event>>, StoreError> {
        let oldest = self.oldest().await?;
        if after.next() < oldest {
            return Err(StoreError::Gone { oldest });
        }
        Ok(self.events.iter().filter(|event| event.position > after).take(limit).cloned().collect())
    }

    async fn oldest(&self) -> Result<Position, StoreError> {
        Ok(self.events.first().map_or(Position::FIRST, |event| event.position))
    }

    async fn head(&self) -> Result<Position, StoreError> {
        Ok(self.events.last().map_or(Position::START, |event| event.position))
    }

    async fn changed(&self, _: Position) -> Result<(), StoreError> {
        std::future::pending().await
    }
}
