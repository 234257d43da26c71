//! The bus.

use std::sync::Arc;

use async_trait::async_trait;
use mockall::mock;

use crate::{
    changeset::ConsumerName,
    domain::{Event, LogId, Position},
    ports::{BusError, BusState, Delivery, DeliveryTag, EventBus, EventLog, Head, Heads, Subscription},
};

mock! {
    /// An [`EventBus`].
    #[derive(Debug)]
    pub EventBus {}

    #[async_trait]
    impl EventBus for EventBus {
        async fn publish(&self, events: &[Arc<Event>]) -> Result<(), BusError>;
        async fn subscribe(&self, consumer: &ConsumerName) -> Result<Box<dyn Subscription>, BusError>;
        async fn replay(&self, log: LogId, after: Position, limit: usize) -> Result<Vec<Arc<Event>>, BusError>;
        async fn serve_replays(&self, log: Arc<dyn EventLog>) -> Result<(), BusError>;
        async fn announce(&self, head: Head) -> Result<(), BusError>;
        async fn heads(&self) -> Result<Box<dyn Heads>, BusError>;
        fn max_event_bytes(&self) -> Option<usize>;
        fn state(&self) -> BusState;
    }
}

mock! {
    /// A [`Subscription`].
    #[derive(Debug)]
    pub Subscription {}

    #[async_trait]
    impl Subscription for Subscription {
        async fn next(&mut self, limit: usize) -> Result<Vec<Delivery>, BusError>;
        async fn ack(&mut self, deliveries: &[DeliveryTag]) -> Result<(), BusError>;
    }
}

mock! {
    /// [`Heads`].
    #[derive(Debug)]
    pub Heads {}

    #[async_trait]
    impl Heads for Heads {
        async fn next(&mut self) -> Result<Head, BusError>;
    }
}
