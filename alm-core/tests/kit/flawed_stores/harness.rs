//! The flawed stores as the conformance kit wants them.

use std::{sync::Arc, time::Duration};

use alm_core::{
    changeset::Changeset,
    ports::{Committer, Store},
    testing::conformance::{HeldCommit, StoreCapability, StoreHarness, StoreSubject},
};

use super::{
    commit::Flawed,
    defect::Defect,
    disk::{Disk, new_log_id},
    toy::State,
};

/// Makes stores with this defect, which can do everything.
pub(super) struct Harness(pub(super) Defect);

impl StoreHarness for Harness {
    type Subject = InMemory;

    fn capabilities(&self) -> &[StoreCapability] {
        &StoreCapability::ALL
    }

    async fn fresh(&self) -> InMemory {
        let disk = Arc::new(Disk::new());
        InMemory { store: Flawed::open(self.0, &disk), disk }
    }

    /// What never comes is what some of them are about; without a flaw everything does, also on a machine that is busy.
    fn patience(&self) -> Duration {
        if self.0 == Defect::None { Duration::from_secs(20) } else { Duration::from_secs(1) }
    }
}

pub(super) struct InMemory {
    store: Arc<Flawed>,
    disk: Arc<Disk>,
}

impl StoreSubject for InMemory {
    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    async fn another_handle(&self) -> Option<Arc<dyn Store>> {
        Some(Flawed::open(self.store.defect, &self.disk))
    }

    async fn reopen(&mut self) -> Option<Arc<dyn Store>> {
        {
            let mut kept = self.disk.lock();
            let mut state = State::clone(&kept.state);
            match self.store.defect {
                Defect::LosesTheLastCommit => state = State::clone(&kept.before),
                Defect::ChangesTheLogId => state.log_id = new_log_id(),
                Defect::ForgetsWhereTheLogBegins if state.log.is_empty() => state.trimmed = 0,
                Defect::ForgetsParents => (state.known_apps, state.known_versions) = Default::default(),
                Defect::ForgetsCredentials => state.credentials.clear(),
                Defect::ForgetsRevocations => state.revoked.clear(),
                Defect::IdsStartAgain => state.next_ids = State::empty(state.log_id).next_ids,
                _ => {}
            }
            kept.replace(state);
        }
        self.store = Flawed::open(self.store.defect, &self.disk);
        Some(self.store.clone())
    }

    /// Nothing is written before the end: a commit that is open does not stand in the way of others.
    async fn hold(&self, changeset: Changeset) -> Option<HeldCommit> {
        let store = self.store.clone();
        if store.defect == Defect::PositionsGivenAtTheBeginning {
            store.reserve(changeset.events().len());
        }
        Some(HeldCommit::new(async move {
            let receipt = store.commit(changeset).await?;
            store.fill_reserved();
            Ok(receipt)
        }))
    }
}
