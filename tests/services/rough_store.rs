//! A store that is slow and fails.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
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
use tokio::task::yield_now;

/// What becomes of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is made.
    Made,
    /// It is refused; nothing happens.
    Refused,
    /// The answer is lost, and the commit with it.
    LostBefore,
    /// It is made, but the answer is lost.
    LostAfter,
}

/// What happens between a decision and its commit.
type Meanwhile = dyn Fn(&Changeset, &MemoryStore) + Send + Sync;

/// A [`MemoryStore`] as it looks over a bad network: each call takes a turn to get there and a turn to come back, in which
/// others work and the caller may be dropped; commits meet the fates of a script, and then are made.
pub(crate) struct RoughStore {
    store: Arc<MemoryStore>,
    fates: Mutex<VecDeque<Fate>>,
    meanwhile: Option<Box<Meanwhile>>,
    sent: Mutex<Vec<Changeset>>,
}

impl RoughStore {
    pub(crate) fn over(store: Arc<MemoryStore>) -> Self {
        Self { store, fates: Mutex::default(), meanwhile: None, sent: Mutex::default() }
    }

    pub(crate) fn with_fates(self, fates: impl IntoIterator<Item = Fate>) -> Self {
        Self { fates: Mutex::new(fates.into_iter().collect()), ..self }
    }

    pub(crate) fn with_meanwhile(self, meanwhile: impl Fn(&Changeset, &MemoryStore) + Send + Sync + 'static) -> Self {
        Self { meanwhile: Some(Box::new(meanwhile)), ..self }
    }

    /// Every changeset that was sent, whatever became of it.
    pub(crate) fn sent(&self) -> Vec<Changeset> {
        self.sent.lock().unwrap().clone()
    }
}

fn fault(outcome: Outcome) -> StoreError {
    let (kind, adapter, operation) = (BackendErrorKind::Unavailable, "rough", "commit");
    BackendError { kind, adapter, operation, outcome, retry_after: None, source: None }.into()
}

/// A turn to get there, a turn to come back.
async fn far<T>(call: impl Future<Output = T> + Send) -> T {
    yield_now().await;
    let answer = call.await;
    yield_now().await;
    answer
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Committer for RoughStore {
    async fn commit(&self, changeset: Changeset) -> Result<Receipt, StoreError> {
        far(async {
            self.sent.lock().unwrap().push(changeset.clone());
            if let Some(meanwhile) = &self.meanwhile {
                meanwhile(&changeset, &self.store);
            }
            let fate = self.fates.lock().unwrap().pop_front().unwrap_or(Fate::Made);
            match fate {
                Fate::Made => self.store.commit(changeset).await,
                Fate::Refused => Err(fault(Outcome::NotApplied)),
                Fate::LostBefore => Err(fault(Outcome::Unknown)),
                Fate::LostAfter => self.store.commit(changeset).await.and(Err(fault(Outcome::Unknown))),
            }
        })
        .await
    }

    async fn allocate(&self, sequence: Sequence, count: u32) -> Result<IdBlock, StoreError> {
        far(self.store.allocate(sequence, count)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl EventLog for RoughStore {
    fn log_id(&self) -> LogId {
        self.store.log_id()
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<Event>>, StoreError> {
        far(self.store.read(after, limit)).await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        far(self.store.head()).await
    }

    async fn changed(&self, after: Position) -> Result<(), StoreError> {
        far(self.store.changed(after)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Reader for RoughStore {
    async fn app(&self, id: AppId) -> Result<Option<App>, StoreError> {
        far(self.store.app(id)).await
    }

    async fn apps(&self, filter: &AppFilter, after: Option<AppId>, limit: usize) -> Result<Vec<App>, StoreError> {
        far(self.store.apps(filter, after, limit)).await
    }

    async fn version(&self, id: VersionId) -> Result<Option<Version>, StoreError> {
        far(self.store.version(id)).await
    }

    async fn versions(
        &self,
        filter: &VersionFilter,
        after: Option<VersionId>,
        limit: usize,
    ) -> Result<Vec<Version>, StoreError> {
        far(self.store.versions(filter, after, limit)).await
    }

    async fn deployment(&self, id: DeploymentId) -> Result<Option<Deployment>, StoreError> {
        far(self.store.deployment(id)).await
    }

    async fn deployments(
        &self,
        filter: &DeploymentFilter,
        after: Option<DeploymentId>,
        limit: usize,
    ) -> Result<Vec<Deployment>, StoreError> {
        far(self.store.deployments(filter, after, limit)).await
    }

    async fn running(
        &self,
        app: AppId,
        after: Option<&EnvironmentName>,
        limit: usize,
    ) -> Result<Vec<RunningVersion>, StoreError> {
        far(self.store.running(app, after, limit)).await
    }

    async fn audit_entry(&self, index: AuditIndex) -> Result<Option<AuditEntry>, StoreError> {
        far(self.store.audit_entry(index)).await
    }

    async fn audit_entries(
        &self,
        filter: &AuditFilter,
        after: Option<AuditIndex>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        far(self.store.audit_entries(filter, after, limit)).await
    }

    async fn user(&self, username: &Username) -> Result<Option<UserRecord>, StoreError> {
        far(self.store.user(username)).await
    }

    async fn users(&self, after: Option<&(Timestamp, Username)>, limit: usize) -> Result<Vec<User>, StoreError> {
        far(self.store.users(after, limit)).await
    }

    async fn remembered(&self, scope: &IdempotencyScope) -> Result<Option<IdempotencyRecord>, StoreError> {
        far(self.store.remembered(scope)).await
    }

    async fn checkpoint(&self, consumer: &ConsumerName, log: LogId) -> Result<Option<Position>, StoreError> {
        far(self.store.checkpoint(consumer, log)).await
    }

    async fn dead_letters(
        &self,
        consumer: &ConsumerName,
        after: Option<(LogId, Position)>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        far(self.store.dead_letters(consumer, after, limit)).await
    }

    async fn receipt(&self, changeset: ChangesetId) -> Result<Option<Receipt>, StoreError> {
        far(self.store.receipt(changeset)).await
    }
}
