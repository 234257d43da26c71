//! A reader of the bus.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    changeset::ConsumerName,
    ports::{BackendError, BusError, Delivery, DeliveryTag, Subscription},
};

use super::{ADAPTER, Shared, connection, queue::Given};

pub(super) struct MemorySubscription {
    shared: Arc<Shared>,
    consumer: ConsumerName,
    number: u64,
    given: Given,
    noticed: u64,
}

impl MemorySubscription {
    pub(super) fn of(shared: Arc<Shared>, consumer: &ConsumerName) -> Self {
        let mut state = shared.lock();
        let (number, noticed) = (state.queue.subscribe(consumer), state.interruptions);
        drop(state);
        Self { shared, consumer: consumer.clone(), number, given: Given::new(), noticed }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Subscription for MemorySubscription {
    async fn next(&mut self, limit: usize) -> Result<Vec<Delivery>, BusError> {
        loop {
            // Listens before it looks, or what comes in between would not wake it.
            let rung = self.shared.bell.notified();
            let batch = {
                let mut state = self.shared.lock();
                connection(state.interruptions, &mut self.noticed, "next")?;
                state.queue.take(&self.consumer, self.number, &mut self.given, limit)
            };
            if !batch.is_empty() {
                return Ok(batch);
            }
            rung.await;
        }
    }

    async fn ack(&mut self, deliveries: &[DeliveryTag]) -> Result<(), BusError> {
        let mut state = self.shared.lock();
        connection(state.interruptions, &mut self.noticed, "ack")?;
        let index = |tag: &DeliveryTag| {
            self.given.get(tag).copied().ok_or_else(|| {
                let reason = format!("this subscription has not given the delivery {}", tag.get());
                BackendError::internal(ADAPTER, "ack").with_source(reason)
            })
        };
        let done: Vec<_> = deliveries.iter().map(index).collect::<Result<_, _>>()?;
        for index in done {
            state.queue.ack(&self.consumer, index);
        }
        Ok(())
    }
}

impl Drop for MemorySubscription {
    fn drop(&mut self) {
        self.shared.lock().queue.unsubscribe(&self.consumer, self.number);
        self.shared.bell.notify_waiters();
    }
}
