//! The store keeps the promises of the ports.

use std::sync::Arc;

use alm_core::{
    changeset::Changeset,
    ports::{BackendError, Store, TreeStore},
    testing::conformance::{
        HeldCommit, StoreCapability, StoreHarness, StoreSubject, TreeCapability, TreeHarness, TreeSubject,
    },
};
use alm_store_postgres::PostgresStore;

use crate::place::Place;

struct Harness;

impl StoreHarness for Harness {
    type Subject = Subject;

    fn capabilities(&self) -> &[StoreCapability] {
        &StoreCapability::ALL
    }

    async fn fresh(&self) -> Subject {
        Subject::fresh().await
    }
}

struct Subject {
    store: Arc<PostgresStore>,
    place: Place,
}

impl Subject {
    async fn fresh() -> Self {
        let place = Place::migrated().await;
        Self { store: place.store().await, place }
    }

    /// The store, closed and opened again.
    async fn reopen(&mut self) -> Arc<PostgresStore> {
        self.store.close().await;
        self.store = self.place.store().await;
        self.store.clone()
    }
}

impl StoreSubject for Subject {
    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    async fn another_handle(&self) -> Option<Arc<dyn Store>> {
        Some(self.place.store().await)
    }

    async fn reopen(&mut self) -> Option<Arc<dyn Store>> {
        Some(self.reopen().await)
    }

    async fn hold(&self, changeset: Changeset) -> Option<HeldCommit> {
        let mut transaction = self.place.pool().begin().await.unwrap();
        let receipt = self.store.commit_in(&mut transaction, changeset).await.unwrap();
        Some(HeldCommit::new(async move {
            transaction.commit().await.map_err(|error| BackendError::internal("host", "commit").with_source(error))?;
            Ok(receipt)
        }))
    }
}

alm_core::store_conformance!(Harness);

impl TreeHarness for Harness {
    type Subject = Subject;

    fn capabilities(&self) -> &[TreeCapability] {
        &TreeCapability::ALL
    }

    async fn fresh(&self) -> Subject {
        Subject::fresh().await
    }
}

impl TreeSubject for Subject {
    fn store(&self) -> Arc<dyn TreeStore> {
        self.store.clone()
    }

    async fn another_handle(&self) -> Option<Arc<dyn TreeStore>> {
        Some(self.place.store().await)
    }

    async fn reopen(&mut self) -> Option<Arc<dyn TreeStore>> {
        Some(self.reopen().await)
    }
}

mod tree {
    use super::*;

    alm_core::tree_conformance!(Harness);
}
