//! A store that does what a test tells it to.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use alm_core::{
    changeset::{Changeset, ConsumerName, DeadLetter, IdempotencyRecord, IdempotencyScope, Receipt},
    domain::{
        App, AppId, AuditEntry, AuditIndex, ChangesetId, Deployment, DeploymentId, EnvironmentName, Event, LogId,
        Position, RunningVersion, Timestamp, User, UserRecord, Username, Version, VersionId,
    },
    ports::{
        AppFilter, AuditFilter, BackendError, BackendErrorKind, Committer, DeploymentFilter, EventLog, IdBlock,
        Outcome, Reader, Sequence, StoreError, VersionFilter,
    },
};
use alm_store_memory::MemoryStore;
use async_trait::async_trait;
use tokio::sync::RwLock;

/// What only the log of the server may tell.
pub(crate) const INTERNALS: &str = "relation \"apps\" at db.internal:5432";

/// What becomes of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Works,
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
}

/// A [`MemoryStore`] over which a test has power.
pub(crate) struct ScriptedStore {
    store: MemoryStore,
    fate: Mutex<Fate>,
    /// Whoever locks it for writing holds every commit.
    pub(crate) gate: RwLock<()>,
}

impl ScriptedStore {
    pub(crate) fn new() -> Arc<Self> {
        let store = MemoryStore::new();
        Arc::new(Self { store, fate: Mutex::new(Fate::Works), gate: RwLock::default() })
    }

    pub(crate) fn now(&self, fate: Fate) {
        *self.fate.lock().unwrap() = fate;
    }

    fn fate(&self) -> Fate {
        *self.fate.lock().unwrap()
    }

    /// What a read meets on its way.
    fn reach(&self) -> Result<(), StoreError> {
        match self.fate() {
            Fate::IsGone => Err(fault(BackendErrorKind::Unavailable, Outcome::NotApplied)),
            _ => Ok(()),
        }
    }
}

fn fault(kind: BackendErrorKind, outcome: Outcome) -> StoreError {
    let retry_after = (kind == BackendErrorKind::Overloaded).then_some(Duration::from_millis(6500));
    let error = BackendError { kind, adapter: "scripted", operation: "test", outcome, retry_after, source: None };
    error.with_source(INTERNALS).into()
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Committer for ScriptedStore {
    async fn commit(&self, changeset: Changeset) -> Result<Receipt, StoreError> {
        match self.fate() {
            Fate::RefusesCommits => Err(fault(BackendErrorKind::Overloaded, Outcome::NotApplied)),
            Fate::LosesAnswers => {
                self.store.commit(changeset).await?;
                Err(fault(BackendErrorKind::Timeout, Outcome::Unknown))
            }
            Fate::IsGone => Err(fault(BackendErrorKind::Unavailable, Outcome::NotApplied)),
            Fate::PanicsAtCommit => panic!("{INTERNALS}"),
            _ => {
                let _open = self.gate.read().await;
                self.store.commit(changeset).await
            }
        }
    }

    async fn allocate(&self, sequence: Sequence, count: u32) -> Result<IdBlock, StoreError> {
        self.reach()?;
        self.store.allocate(sequence, count).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl EventLog for ScriptedStore {
    fn log_id(&self) -> LogId {
        self.store.log_id()
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<Event>>, StoreError> {
        self.reach()?;
        self.store.read(after, limit).await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        self.reach()?;
        self.store.head().await
    }

    async fn changed(&self, after: Position) -> Result<(), StoreError> {
        self.reach()?;
        self.store.changed(after).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Reader for ScriptedStore {
    async fn app(&self, id: AppId) -> Result<Option<App>, StoreError> {
        self.reach()?;
        match self.fate() {
            Fate::FailsReads => Err(fault(BackendErrorKind::Unavailable, Outcome::NotApplied)),
            Fate::IsCorrupt => Err(fault(BackendErrorKind::Corrupt, Outcome::NotApplied)),
            Fate::Panics => panic!("{INTERNALS}"),
            _ => self.store.app(id).await,
        }
    }

    async fn apps(&self, filter: &AppFilter, after: Option<AppId>, limit: usize) -> Result<Vec<App>, StoreError> {
        self.reach()?;
        self.store.apps(filter, after, limit).await
    }

    async fn version(&self, id: VersionId) -> Result<Option<Version>, StoreError> {
        self.reach()?;
        self.store.version(id).await
    }

    async fn versions(
        &self,
        filter: &VersionFilter,
        after: Option<VersionId>,
        limit: usize,
    ) -> Result<Vec<Version>, StoreError> {
        self.reach()?;
        self.store.versions(filter, after, limit).await
    }

    async fn deployment(&self, id: DeploymentId) -> Result<Option<Deployment>, StoreError> {
        self.reach()?;
        self.store.deployment(id).await
    }

    async fn deployments(
        &self,
        filter: &DeploymentFilter,
        after: Option<DeploymentId>,
        limit: usize,
    ) -> Result<Vec<Deployment>, StoreError> {
        self.reach()?;
        self.store.deployments(filter, after, limit).await
    }

    async fn running(
        &self,
        app: AppId,
        after: Option<&EnvironmentName>,
        limit: usize,
    ) -> Result<Vec<RunningVersion>, StoreError> {
        self.reach()?;
        self.store.running(app, after, limit).await
    }

    async fn audit_entry(&self, index: AuditIndex) -> Result<Option<AuditEntry>, StoreError> {
        self.reach()?;
        self.store.audit_entry(index).await
    }

    async fn audit_entries(
        &self,
        filter: &AuditFilter,
        after: Option<AuditIndex>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        self.reach()?;
        self.store.audit_entries(filter, after, limit).await
    }

    async fn user(&self, username: &Username) -> Result<Option<UserRecord>, StoreError> {
        self.reach()?;
        match self.fate() {
            Fate::FailsReads => Err(fault(BackendErrorKind::Unavailable, Outcome::NotApplied)),
            _ => self.store.user(username).await,
        }
    }

    async fn users(&self, after: Option<&(Timestamp, Username)>, limit: usize) -> Result<Vec<User>, StoreError> {
        self.reach()?;
        self.store.users(after, limit).await
    }

    async fn remembered(&self, scope: &IdempotencyScope) -> Result<Option<IdempotencyRecord>, StoreError> {
        self.reach()?;
        self.store.remembered(scope).await
    }

    async fn checkpoint(&self, consumer: &ConsumerName, log: LogId) -> Result<Option<Position>, StoreError> {
        self.reach()?;
        self.store.checkpoint(consumer, log).await
    }

    async fn dead_letters(
        &self,
        consumer: &ConsumerName,
        after: Option<(LogId, Position)>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        self.reach()?;
        self.store.dead_letters(consumer, after, limit).await
    }

    async fn receipt(&self, changeset: ChangesetId) -> Result<Option<Receipt>, StoreError> {
        self.reach()?;
        self.store.receipt(changeset).await
    }
}
