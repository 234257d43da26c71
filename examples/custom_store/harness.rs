//! The store as the conformance kit wants it: fresh ones, further handles, and the same one opened again.

use std::sync::Arc;

use alm_core::{
    ports::Store,
    testing::conformance::{StoreCapability, StoreHarness, StoreSubject},
};
use tempfile::TempDir;

use super::store::JsonFileStore;

/// Makes stores in folders of their own.
pub(crate) struct Harness;

impl StoreHarness for Harness {
    type Subject = InFolder;

    fn capabilities(&self) -> &[StoreCapability] {
        use StoreCapability::{Accounts, Apps, Audit, Deployments, Durability, Handles, Parents, Roles, Versions};
        // No HeldCommits: whoever commits has the lock, so that everyone else would wait.
        &[Apps, Versions, Deployments, Accounts, Audit, Parents, Roles, Durability, Handles]
    }

    async fn fresh(&self) -> InFolder {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let store = open(&folder).await;
        InFolder { store, folder }
    }
}

/// A store, and the folder that goes when it is dropped.
pub(crate) struct InFolder {
    store: Arc<JsonFileStore>,
    folder: TempDir,
}

impl StoreSubject for InFolder {
    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    async fn another_handle(&self) -> Option<Arc<dyn Store>> {
        Some(open(&self.folder).await)
    }

    async fn reopen(&mut self) -> Option<Arc<dyn Store>> {
        self.store = open(&self.folder).await;
        Some(self.store.clone())
    }
}

async fn open(folder: &TempDir) -> Arc<JsonFileStore> {
    Arc::new(JsonFileStore::open(folder.path().join("alm.json")).await.expect("the store can be opened"))
}
