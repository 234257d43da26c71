//! The store keeps every promise; so does a bus that stands in for one of its own.

use std::sync::Arc;

use alm_core::{
    ports::{EventBus, Store},
    testing::{
        MemoryBus,
        conformance::{BusCapability, BusHarness, BusSubject, StoreCapability, StoreHarness, StoreSubject},
    },
};
use tempfile::TempDir;

use crate::store::JsonFileStore;

struct Files;

impl StoreHarness for Files {
    type Subject = InFolder;

    fn capabilities(&self) -> &[StoreCapability] {
        use StoreCapability::{Accounts, Apps, Audit, Deployments, Durability, Handles, Versions};
        &[Apps, Versions, Deployments, Accounts, Audit, Durability, Handles]
    }

    async fn fresh(&self) -> InFolder {
        let (store, folder) = super::a_store().await;
        InFolder { store, folder }
    }
}

struct InFolder {
    store: Arc<JsonFileStore>,
    folder: TempDir,
}

impl InFolder {
    async fn opened(&self) -> Arc<JsonFileStore> {
        Arc::new(JsonFileStore::open(self.folder.path().join("alm.json")).await.unwrap())
    }
}

impl StoreSubject for InFolder {
    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    async fn another_handle(&self) -> Option<Arc<dyn Store>> {
        Some(self.opened().await)
    }

    async fn reopen(&mut self) -> Option<Arc<dyn Store>> {
        self.store = self.opened().await;
        Some(self.store.clone())
    }
}

alm_core::store_conformance!(Files);

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
