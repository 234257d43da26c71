//! Whole histories: changesets that can be committed one after the other.

use proptest::{collection::vec, prelude::*};

use crate::{changeset::Changeset, domain::LogId};

use super::{
    intents::{Step, step},
    world::World,
};

arbitrary! {
    History => history();
}

/// Changesets that an empty store takes one after the other, each with success, made by accounts and by consumers. They hold
/// every event, and every kind of write but those about what lives elsewhere and about letters that are settled; a few names and tags
/// come again and again, also after what had them is gone. Sessions may outlive their accounts, as they do in a store.
///
/// The same history always gives the same changesets. Ids of apps, versions and deployments count from 1 and are not
/// [allocated](crate::ports::Committer::allocate), so nothing else may be created in the same store.
///
/// ```
/// use alm_core::{ports::{Committer, EventLog}, testing::strategies::{History, history}};
/// use alm_store_memory::MemoryStore;
/// use proptest::{strategy::{Strategy, ValueTree}, test_runner::TestRunner};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let history: History = history().new_tree(&mut TestRunner::default()).unwrap().current();
/// let store = MemoryStore::new();
/// for changeset in history.for_log(store.log_id()) {
///     store.commit(changeset).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct History {
    steps: Vec<Step>,
}

impl History {
    /// The log that [`changesets`](Self::changesets) are for.
    pub const LOG: LogId = LogId::new(uuid::Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0000));

    /// The changesets for a store whose log is [`History::LOG`].
    pub fn changesets(&self) -> Vec<Changeset> {
        self.for_log(Self::LOG)
    }

    /// The changesets for a store with this log: its id stands in checkpoints and dead letters.
    pub fn for_log(&self, log: LogId) -> Vec<Changeset> {
        let mut world = World::new(log);
        self.steps.iter().filter_map(|step| world.take(step)).collect()
    }
}

/// A history of at most 32 changesets. It shrinks to fewer and smaller changes; what can't be done without those that are gone
/// goes with them.
pub fn history() -> impl Strategy<Value = History> {
    vec(step(), 0..=32).prop_map(|steps| History { steps })
}
