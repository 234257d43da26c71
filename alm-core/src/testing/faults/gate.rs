//! A gate that holds calls.

use std::sync::Arc;

use tokio::sync::watch;

/// Holds the calls that meet [`Fault::Hold`](super::Fault::Hold) until it is open. Clones are the same gate.
///
/// ```
/// use std::sync::Arc;
/// use alm_core::{changeset::Change, ports::Committer, testing::{Fault, Faulty, Gate, fixtures::{app, of}}};
/// use alm_store_memory::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let gate = Gate::closed();
/// let store = Faulty::over(Arc::new(MemoryStore::new()), Fault::Hold(gate.clone()));
/// let commit = store.commit(of(Change::app_created(&app(1, "billing"))));
/// let meanwhile = async {
///     gate.holds(1).await; // Now the commit is under way, and this is the time to get in between.
///     gate.open();
/// };
/// tokio::join!(commit, meanwhile).0?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Gate(Arc<State>);

#[derive(Debug)]
struct State {
    open: watch::Sender<bool>,
    held: watch::Sender<usize>,
}

impl Gate {
    /// A gate that holds whoever comes.
    pub fn closed() -> Self {
        Self(Arc::new(State { open: watch::Sender::new(false), held: watch::Sender::new(0) }))
    }

    /// Lets everyone through, from now on.
    pub fn open(&self) {
        self.0.open.send_replace(true);
    }

    /// Holds whoever comes from now on.
    pub fn close(&self) {
        self.0.open.send_replace(false);
    }

    /// Waits until it holds at least so many calls. It is safe to drop.
    pub async fn holds(&self, calls: usize) {
        // The sender lives as long as `self`, so the wait can't end in an error.
        let _ = self.0.held.subscribe().wait_for(|held| *held >= calls).await;
    }

    pub(super) async fn pass(&self) {
        let _held = Held::at(self);
        let _ = self.0.open.subscribe().wait_for(|open| *open).await;
    }
}

impl PartialEq for Gate {
    /// Whether it is the same gate.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Gate {}

/// A call that waits, until it is let through or dropped.
struct Held<'a>(&'a Gate);

impl<'a> Held<'a> {
    fn at(gate: &'a Gate) -> Self {
        gate.0.held.send_modify(|held| *held += 1);
        Self(gate)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.0.held.send_modify(|held| *held -= 1);
    }
}
