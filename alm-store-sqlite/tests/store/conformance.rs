//! The store keeps the promises of the ports.

use std::sync::Arc;

use alm_core::{
    ports::{Store, TreeStore},
    testing::conformance::{StoreCapability, StoreHarness, StoreSubject, TreeCapability, TreeHarness, TreeSubject},
};

use crate::in_folder::InFolder;

struct Harness;

impl StoreHarness for Harness {
    type Subject = InFolder;

    fn capabilities(&self) -> &[StoreCapability] {
        use StoreCapability::{Accounts, Apps, Audit, Deployments, Durability, Handles, Parents, Roles, Versions};
        // No HeldCommits: SQLite has one writer, so whoever else commits would wait.
        &[Apps, Versions, Deployments, Accounts, Audit, Parents, Roles, Durability, Handles]
    }

    async fn fresh(&self) -> InFolder {
        InFolder::new().await
    }
}

impl StoreSubject for InFolder {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.store.clone())
    }

    async fn another_handle(&self) -> Option<Arc<dyn Store>> {
        Some(Arc::new(self.another().await))
    }

    async fn reopen(&mut self) -> Option<Arc<dyn Store>> {
        Some(Arc::new(self.reopen().await))
    }
}

alm_core::store_conformance!(Harness);

impl TreeHarness for Harness {
    type Subject = InFolder;

    fn capabilities(&self) -> &[TreeCapability] {
        &TreeCapability::ALL
    }

    async fn fresh(&self) -> InFolder {
        InFolder::new().await
    }
}

impl TreeSubject for InFolder {
    fn store(&self) -> Arc<dyn TreeStore> {
        Arc::new(self.store.clone())
    }

    async fn another_handle(&self) -> Option<Arc<dyn TreeStore>> {
        Some(Arc::new(self.another().await))
    }

    async fn reopen(&mut self) -> Option<Arc<dyn TreeStore>> {
        Some(Arc::new(self.reopen().await))
    }
}

mod tree {
    use super::*;

    alm_core::tree_conformance!(Harness);
}
