//! What is stored, and who has got what of it.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use crate::{
    changeset::ConsumerName,
    domain::{Event, EventId, LogId, Position},
    ports::{Delivery, DeliveryTag, Ids, Message, Place, SystemIds},
};

/// Everything that was published, in this order, and the consumers that read it.
pub(super) struct Queue {
    /// Names this queue in the places of its messages.
    name: LogId,
    messages: Vec<Message>,
    ids: HashSet<EventId>,
    consumers: BTreeMap<ConsumerName, Cursor>,
    subscriptions: u64,
    deliveries: u64,
}

/// How far a consumer is. Messages are known by their index.
#[derive(Default)]
struct Cursor {
    /// The first message that no one of this name has got.
    next: usize,
    /// Those below that are to be delivered again.
    again: BTreeSet<usize>,
    /// Those that were delivered and not acknowledged, with the subscription that has them.
    in_flight: BTreeMap<usize, u64>,
}

/// Every delivery of one subscription, with the index of the message.
pub(super) type Given = BTreeMap<DeliveryTag, usize>;

impl Default for Queue {
    fn default() -> Self {
        Self {
            name: LogId::new(SystemIds.uuid_v7()),
            messages: Vec::new(),
            ids: HashSet::new(),
            consumers: BTreeMap::new(),
            subscriptions: 0,
            deliveries: 0,
        }
    }
}

impl Queue {
    pub(super) fn publish(&mut self, events: &[Arc<Event>]) {
        for event in events {
            if self.ids.insert(event.id) {
                self.messages.push(Message::Event(event.clone()));
            }
        }
    }

    pub(super) fn inject(&mut self, payload: Vec<u8>) {
        let place = Place { log: self.name, position: Position::new(self.messages.len() as u64 + 1) };
        self.messages.push(Message::Unreadable { place, payload, reason: "it is not an event".to_owned() });
    }

    pub(super) fn forget_ids(&mut self) {
        self.ids.clear();
    }

    pub(super) fn events(&self) -> Vec<Arc<Event>> {
        let event = |message: &Message| match message {
            Message::Event(event) => Some(event.clone()),
            Message::Unreadable { .. } => None,
        };
        self.messages.iter().filter_map(event).collect()
    }

    /// A new subscription of this name; gives its number.
    pub(super) fn subscribe(&mut self, consumer: &ConsumerName) -> u64 {
        self.consumers.entry(consumer.clone()).or_default();
        self.subscriptions += 1;
        self.subscriptions
    }

    /// What is due, at most `limit`: first what comes again, in its order, then what is new.
    pub(super) fn take(
        &mut self,
        consumer: &ConsumerName,
        subscription: u64,
        given: &mut Given,
        limit: usize,
    ) -> Vec<Delivery> {
        let cursor = self.consumers.entry(consumer.clone()).or_default();
        let mut batch = Vec::new();
        while batch.len() < limit {
            let index = match cursor.again.pop_first() {
                Some(index) => index,
                None if cursor.next < self.messages.len() => {
                    cursor.next += 1;
                    cursor.next - 1
                }
                None => break,
            };
            self.deliveries += 1;
            let tag = DeliveryTag::new(self.deliveries);
            cursor.in_flight.insert(index, subscription);
            given.insert(tag, index);
            batch.push(Delivery { tag, message: self.messages[index].clone() });
        }
        batch
    }

    /// The message is done, whoever has it now.
    pub(super) fn ack(&mut self, consumer: &ConsumerName, index: usize) {
        if let Some(cursor) = self.consumers.get_mut(consumer) {
            cursor.again.remove(&index);
            cursor.in_flight.remove(&index);
        }
    }

    /// What this subscription has not acknowledged goes back.
    pub(super) fn unsubscribe(&mut self, consumer: &ConsumerName, subscription: u64) {
        if let Some(cursor) = self.consumers.get_mut(consumer) {
            cursor
                .again
                .extend(cursor.in_flight.extract_if(.., |_, holder| *holder == subscription).map(|(index, _)| index));
        }
    }

    pub(super) fn redeliver(&mut self) {
        for cursor in self.consumers.values_mut() {
            cursor.again.extend(std::mem::take(&mut cursor.in_flight).into_keys());
        }
    }

    /// How many messages this consumer has not acknowledged.
    pub(super) fn unacknowledged(&self, consumer: &ConsumerName) -> usize {
        let done = self.consumers.get(consumer).map_or(0, |c| c.next - c.again.len() - c.in_flight.len());
        self.messages.len() - done
    }
}
