//! What several handles share, and what survives a restart.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use alm_core::{
    domain::LogId,
    ports::{Ids, SystemIds},
};
use tokio::sync::watch;

use super::{roles::Taken, toy::State};

pub(super) struct Disk {
    kept: Mutex<Kept>,
    pub(super) committed: watch::Sender<()>,
    /// Roles that someone has.
    pub(super) taken: Arc<Taken>,
}

pub(super) struct Kept {
    pub(super) state: Arc<State>,
    /// As it was before the last commit.
    pub(super) before: Arc<State>,
    /// Positions that are given and not shown yet.
    pub(super) hidden: BTreeSet<u64>,
    /// Places in the log that belong to a transaction that is not committed: from where on, and how many.
    pub(super) reserved: Option<(usize, usize)>,
}

impl Disk {
    pub(super) fn new() -> Self {
        let state = Arc::new(State::empty(new_log_id()));
        let kept = Kept { before: state.clone(), state, hidden: BTreeSet::new(), reserved: None };
        Self { kept: Mutex::new(kept), committed: watch::Sender::new(()), taken: Arc::default() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> Arc<State> {
        self.lock().state.clone()
    }
}

impl Kept {
    pub(super) fn replace(&mut self, next: State) {
        self.before = std::mem::replace(&mut self.state, Arc::new(next));
    }
}

pub(super) fn new_log_id() -> LogId {
    LogId::new(SystemIds.uuid_v7())
}
