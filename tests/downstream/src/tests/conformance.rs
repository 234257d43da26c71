//! The store keeps every promise; so does a bus that stands in for one of its own.

use std::sync::Arc;

use alm_core::{
    ports::EventBus,
    testing::{
        MemoryBus,
        conformance::{BusCapability, BusHarness, BusSubject},
    },
};

use crate::harness::Harness;

alm_core::store_conformance!(Harness);

struct Memory;

impl BusHarness for Memory {
    type Subject = InMemory;

    fn capabilities(&self) -> &[BusCapability] {
        &[BusCapability::Replay]
    }

    async fn fresh(&self) -> InMemory {
        InMemory(MemoryBus::new())
    }
}

struct InMemory(MemoryBus);

impl BusSubject for InMemory {
    fn bus(&self) -> Arc<dyn EventBus> {
        Arc::new(self.0.clone())
    }

    async fn expire_deliveries(&self) {
        self.0.redeliver();
    }
}

mod bus {
    use super::Memory;

    alm_core::bus_conformance!(Memory);
}
