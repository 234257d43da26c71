//! A store that does what a test tells it to.

use std::{sync::Arc, time::Duration};

use alm_core::{
    ports::{BackendErrorKind, Store},
    testing::{Call, Fault, Faulty, Operation, Plan, Switch},
};
use alm_store_memory::MemoryStore;

/// What only the log of the server may tell.
pub(crate) const INTERNALS: &str = "relation \"apps\" at db.internal:5432";

/// What becomes of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Commits fail, and nothing is changed.
    RefusesCommits,
    /// Commits are made, but their answer is lost.
    LosesAnswers,
    /// Reads of apps and accounts fail.
    FailsReads,
    /// Reads of apps find what can't be.
    IsCorrupt,
    /// Reads of apps panic.
    Panics,
    /// Commits panic, and nothing is changed.
    PanicsAtCommit,
    /// Nothing answers at all.
    IsGone,
    /// It can only be read.
    IsReadOnly,
    /// It has no space left, and notices only when it needs some.
    IsFull,
}

impl Plan for Fate {
    fn fault(&self, call: &Call<'_>) -> Fault {
        match (self, call.operation) {
            (Self::RefusesCommits, Operation::Commit) => Fault::Refused(BackendErrorKind::Overloaded),
            (Self::LosesAnswers, Operation::Commit) => Fault::AnswerLost(BackendErrorKind::Timeout),
            (Self::FailsReads, Operation::App | Operation::User) | (Self::IsGone, _) => {
                Fault::Refused(BackendErrorKind::Unavailable)
            }
            (Self::IsReadOnly, operation) if operation.changes() => Fault::Refused(BackendErrorKind::NotWritable),
            (Self::IsFull, Operation::Commit) => Fault::Refused(BackendErrorKind::NotWritable),
            (Self::IsCorrupt, Operation::App) => Fault::Refused(BackendErrorKind::Corrupt),
            (Self::Panics, Operation::App) | (Self::PanicsAtCommit, Operation::Commit) => Fault::Panic,
            _ => Fault::None,
        }
    }
}

/// An empty store, and the switch of its faults.
pub(crate) fn a_faulty_store() -> (Arc<dyn Store>, Switch) {
    let faults = Switch::default();
    let store = Faulty::over(Arc::new(MemoryStore::new()), faults.clone());
    (Arc::new(store.with_message(INTERNALS).with_retry_after(Duration::from_millis(6500))), faults)
}
