//! The store keeps the promises of the ports.

use std::sync::Arc;

use alm_core::{
    ports::{Store, TreeStore},
    testing::conformance::{StoreCapability, StoreHarness, StoreSubject, TreeCapability, TreeHarness, TreeSubject},
};
use alm_store_memory::MemoryStore;

struct Harness;

impl StoreHarness for Harness {
    type Subject = Subject;

    fn capabilities(&self) -> &[StoreCapability] {
        &StoreCapability::SERVICES
    }

    async fn fresh(&self) -> Subject {
        Subject(Arc::default())
    }
}

struct Subject(Arc<MemoryStore>);

impl StoreSubject for Subject {
    fn store(&self) -> Arc<dyn Store> {
        self.0.clone()
    }
}

alm_core::store_conformance!(Harness);

impl TreeHarness for Harness {
    type Subject = Subject;

    fn capabilities(&self) -> &[TreeCapability] {
        &[]
    }

    async fn fresh(&self) -> Subject {
        Subject(Arc::default())
    }
}

impl TreeSubject for Subject {
    fn store(&self) -> Arc<dyn TreeStore> {
        self.0.clone()
    }
}

mod tree {
    use super::*;

    alm_core::tree_conformance!(Harness);
}
