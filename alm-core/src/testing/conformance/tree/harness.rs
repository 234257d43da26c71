//! How the cases get at a store of a tree.

use std::{fmt, sync::Arc, time::Duration};

use crate::ports::TreeStore;

/// What a store of a tree can do. What it can't is not tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TreeCapability {
    /// What was kept is still there after the store was closed and opened again.
    Durability,
    /// Several handles, as of several processes, can work on the same tree.
    Handles,
}

impl TreeCapability {
    /// Every capability.
    pub const ALL: [Self; 2] = [Self::Durability, Self::Handles];

    /// A name for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Durability => "durability",
            Self::Handles => "several handles",
        }
    }
}

impl fmt::Display for TreeCapability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Makes stores to test. Cases run at the same time, each in a tokio runtime of its own with every driver enabled.
pub trait TreeHarness: Send + Sync {
    /// What [`fresh`](Self::fresh) makes.
    type Subject: TreeSubject;

    /// What the stores can do.
    fn capabilities(&self) -> &[TreeCapability];

    /// A store whose tree has never grown, used by no one else.
    fn fresh(&self) -> impl Future<Output = Self::Subject> + Send;

    /// How long the cases wait for what must come before they fail.
    fn patience(&self) -> Duration {
        Duration::from_secs(20)
    }
}

/// One store under test. It is dropped at the end of the case, within its runtime.
pub trait TreeSubject: Send + Sync + 'static {
    /// The store.
    fn store(&self) -> Arc<dyn TreeStore>;

    /// Another handle on the same tree, opened as another process would; `None` without [`TreeCapability::Handles`].
    fn another_handle(&self) -> impl Future<Output = Option<Arc<dyn TreeStore>>> + Send {
        async { None }
    }

    /// The store, opened again as after a crash; `None` without [`TreeCapability::Durability`]. The case has dropped the handle
    /// that it had.
    fn reopen(&mut self) -> impl Future<Output = Option<Arc<dyn TreeStore>>> + Send {
        async { None }
    }

    /// Takes away what was made for it. It is called when the case is over, also when it has failed.
    fn clean_up(self) -> impl Future<Output = ()> + Send
    where
        Self: Sized,
    {
        async {}
    }
}
