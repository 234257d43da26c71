//! How the cases get at a store.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use crate::{
    changeset::{Changeset, Receipt},
    ports::{Store, StoreError},
};

/// What a store can do. Of what it can't, the cases check that it says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StoreCapability {
    /// It keeps apps.
    Apps,
    /// It keeps versions.
    Versions,
    /// It keeps deployments. To tell what runs where it must keep versions too.
    Deployments,
    /// It keeps accounts.
    Accounts,
    /// It keeps the audit log.
    Audit,
    /// It keeps what is known of parents that live elsewhere.
    Parents,
    /// It lends roles.
    Roles,
    /// What was committed is still there after the store was closed and opened again.
    Durability,
    /// Several handles, as of several processes, can work on the same data.
    Handles,
    /// The harness can hold a commit open, as a slow transaction does.
    HeldCommits,
}

impl StoreCapability {
    /// Every capability.
    pub const ALL: [Self; 10] = [
        Self::Apps,
        Self::Versions,
        Self::Deployments,
        Self::Accounts,
        Self::Audit,
        Self::Parents,
        Self::Roles,
        Self::Durability,
        Self::Handles,
        Self::HeldCommits,
    ];

    /// Those of a store that keeps everything and lives in one process.
    pub const SERVICES: [Self; 7] =
        [Self::Apps, Self::Versions, Self::Deployments, Self::Accounts, Self::Audit, Self::Parents, Self::Roles];

    /// A name for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Apps => "apps",
            Self::Versions => "versions",
            Self::Deployments => "deployments",
            Self::Accounts => "accounts",
            Self::Audit => "audit log",
            Self::Parents => "parents elsewhere",
            Self::Roles => "roles",
            Self::Durability => "durability",
            Self::Handles => "several handles",
            Self::HeldCommits => "held commits",
        }
    }
}

impl fmt::Display for StoreCapability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Makes stores to test. Cases run at the same time, each in a tokio runtime of its own with every driver enabled.
pub trait StoreHarness: Send + Sync {
    /// What [`fresh`](Self::fresh) makes.
    type Subject: StoreSubject;

    /// What the stores can do.
    fn capabilities(&self) -> &[StoreCapability];

    /// A store that is empty and used by no one else.
    fn fresh(&self) -> impl Future<Output = Self::Subject> + Send;

    /// How long the cases wait for what must come before they fail.
    fn patience(&self) -> Duration {
        Duration::from_secs(20)
    }
}

/// One store under test. It is dropped at the end of the case, within its runtime.
pub trait StoreSubject: Send + Sync + 'static {
    /// The store.
    fn store(&self) -> Arc<dyn Store>;

    /// Another handle on the same data, opened as another process would; `None` without [`StoreCapability::Handles`].
    fn another_handle(&self) -> impl Future<Output = Option<Arc<dyn Store>>> + Send {
        async { None }
    }

    /// The store, opened again as after a crash: what the old handle has not done by now it must not do; `None` without
    /// [`StoreCapability::Durability`]. The case has dropped the handle that it had.
    fn reopen(&mut self) -> impl Future<Output = Option<Arc<dyn Store>>> + Send {
        async { None }
    }

    /// Takes away what was made for it. It is called when the case is over, also when it has failed.
    fn clean_up(self) -> impl Future<Output = ()> + Send
    where
        Self: Sized,
    {
        async {}
    }

    /// Begins to commit `changeset`, makes its writes, and holds it open before the end; `None` without
    /// [`StoreCapability::HeldCommits`].
    fn hold(&self, changeset: Changeset) -> impl Future<Output = Option<HeldCommit>> + Send {
        let _ = changeset;
        async { None }
    }
}

/// A commit whose writes are made and which is not committed yet. When it is dropped, it is rolled back.
pub struct HeldCommit(Pin<Box<dyn Future<Output = Result<Receipt, StoreError>> + Send>>);

impl HeldCommit {
    /// `commit` ends the transaction.
    pub fn new(commit: impl Future<Output = Result<Receipt, StoreError>> + Send + 'static) -> Self {
        Self(Box::pin(commit))
    }

    pub(super) async fn release(self) -> Result<Receipt, StoreError> {
        self.0.await
    }
}

impl fmt::Debug for HeldCommit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldCommit").finish_non_exhaustive()
    }
}
