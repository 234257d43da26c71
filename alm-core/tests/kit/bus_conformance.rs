//! The bus in memory keeps the promises of the port.

use std::sync::Arc;

use alm_core::{
    ports::EventBus,
    testing::{
        MemoryBus,
        conformance::{BusCapability, BusHarness, BusSubject},
    },
};

struct Harness;

impl BusHarness for Harness {
    type Subject = Subject;

    fn capabilities(&self) -> &[BusCapability] {
        &BusCapability::ALL
    }

    async fn fresh(&self) -> Subject {
        Subject(MemoryBus::new())
    }
}

struct Subject(MemoryBus);

impl BusSubject for Subject {
    fn bus(&self) -> Arc<dyn EventBus> {
        Arc::new(self.0.clone())
    }

    async fn another_connection(&self) -> Option<Arc<dyn EventBus>> {
        Some(self.bus())
    }

    async fn expire_deliveries(&self) {
        self.0.redeliver();
    }

    async fn interrupt(&self) -> bool {
        self.0.interrupt();
        true
    }

    async fn inject(&self, payload: &[u8]) -> bool {
        self.0.inject(payload);
        true
    }
}

alm_core::bus_conformance!(Harness);
