//! A store with an oddity, allowed or not.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use alm_core::{
    changeset::{Changeset, ConsumerName, DeadLetter, IdempotencyRecord, IdempotencyScope, Receipt},
    domain::{
        App, AppId, AuditEntry, AuditIndex, ChangesetId, Credential, CredentialId, Deployment, DeploymentId,
        EnvironmentName, Event, Known, LogId, ParentId, Position, RunningVersion, Timestamp, User, UserRecord,
        Username, Version, VersionId,
    },
    ports::{
        AppFilter, AuditFilter, BackendError, BackendErrorKind, Bucket, Committer, CredentialFilter, DeploymentFilter,
        EventLog, HeldCredential, IdBlock, Lease, Outcome, Rate, Reader, Roles, Sequence, StoreError, Trimmed,
        VersionFilter,
    },
};
use alm_store_memory::MemoryStore;
use async_trait::async_trait;

/// What is odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Oddity {
    /// Events stand in the log only some looks at it after their commit. That is allowed.
    SealsLate,
    /// Every third answer to a commit is lost, of every second one the commit as well. That is allowed.
    LosesAnswers,
    /// Every other read of an app gives what the read before it gave.
    ReadsStale,
    /// It takes every write to an app, whatever its revision is.
    LosesUpdates,
    /// A list of apps has nothing in it.
    ListsNoApps,
    /// A deployment that is deleted goes on to run.
    RunsWhatIsDeleted,
}

/// A [`MemoryStore`] with an oddity.
pub(crate) struct OddStore {
    store: MemoryStore,
    oddity: Oddity,
    counter: AtomicU64,
    sealed: AtomicU64,
    last: Mutex<Option<App>>,
    ran: Mutex<Vec<RunningVersion>>,
}

impl OddStore {
    pub(crate) fn with(oddity: Oddity) -> Arc<Self> {
        Arc::new(Self {
            store: MemoryStore::new(),
            oddity,
            counter: AtomicU64::new(0),
            sealed: AtomicU64::new(0),
            last: Mutex::default(),
            ran: Mutex::default(),
        })
    }

    fn every(&self, nth: u64) -> bool {
        self.counter.fetch_add(1, Ordering::Relaxed) % nth == nth - 1
    }

    /// How many events can be seen: at every third look one more.
    async fn seal(&self) -> Result<u64, StoreError> {
        let head = self.store.head().await?.get();
        if self.oddity != Oddity::SealsLate {
            return Ok(head);
        }
        let sealed = self.sealed.load(Ordering::Relaxed);
        if sealed < head && self.every(3) {
            self.sealed.store(sealed + 1, Ordering::Relaxed);
        }
        Ok(self.sealed.load(Ordering::Relaxed))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Committer for OddStore {
    async fn commit(&self, changeset: Changeset) -> Result<Receipt, StoreError> {
        if self.oddity == Oddity::LosesAnswers && self.every(3) {
            if self.counter.load(Ordering::Relaxed).is_multiple_of(2) {
                self.store.commit(changeset).await?;
            }
            let (kind, outcome) = (BackendErrorKind::Timeout, Outcome::Unknown);
            return Err(BackendError { kind, outcome, ..BackendError::internal("odd", "commit") }.into());
        }
        if self.oddity == Oddity::LosesUpdates {
            let receipt = changeset.receipt();
            return match self.store.commit(changeset).await {
                Err(StoreError::Conflict(_)) => Ok(receipt),
                done => done,
            };
        }
        self.store.commit(changeset).await
    }

    async fn allocate(&self, sequence: Sequence, count: u32) -> Result<IdBlock, StoreError> {
        self.store.allocate(sequence, count).await
    }

    async fn admit(&self, bucket: &Bucket, rate: Rate, now: Timestamp) -> Result<Result<(), Timestamp>, StoreError> {
        self.store.admit(bucket, rate, now).await
    }

    async fn trim(&self, up_to: Position, before: Timestamp, limit: usize) -> Result<Trimmed, StoreError> {
        self.store.trim(up_to, before, limit).await
    }

    async fn forget_answers(&self, now: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.store.forget_answers(now, limit).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Roles for OddStore {
    async fn lead(&self, role: &ConsumerName) -> Result<Option<Box<dyn Lease>>, StoreError> {
        self.store.lead(role).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl EventLog for OddStore {
    fn log_id(&self) -> LogId {
        self.store.log_id()
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<Event>>, StoreError> {
        let sealed = self.seal().await?;
        let mut events = self.store.read(after, limit).await?;
        events.retain(|event| event.position.get() <= sealed);
        Ok(events)
    }

    async fn oldest(&self) -> Result<Position, StoreError> {
        self.store.oldest().await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        Ok(Position::new(self.seal().await?))
    }

    async fn changed(&self, after: Position) -> Result<(), StoreError> {
        self.store.changed(after).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Reader for OddStore {
    async fn app(&self, id: AppId) -> Result<Option<App>, StoreError> {
        let now = self.store.app(id).await?;
        let before = std::mem::replace(&mut *self.last.lock().unwrap(), now.clone());
        let stale =
            self.oddity == Oddity::ReadsStale && self.every(2) && before.as_ref().is_some_and(|app| app.id == id);
        Ok(if stale { before } else { now })
    }

    async fn apps(&self, filter: &AppFilter, after: Option<AppId>, limit: usize) -> Result<Vec<App>, StoreError> {
        let limit = if self.oddity == Oddity::ListsNoApps { 0 } else { limit };
        self.store.apps(filter, after, limit).await
    }

    async fn version(&self, id: VersionId) -> Result<Option<Version>, StoreError> {
        self.store.version(id).await
    }

    async fn versions(
        &self,
        filter: &VersionFilter,
        after: Option<VersionId>,
        limit: usize,
    ) -> Result<Vec<Version>, StoreError> {
        self.store.versions(filter, after, limit).await
    }

    async fn deployment(&self, id: DeploymentId) -> Result<Option<Deployment>, StoreError> {
        self.store.deployment(id).await
    }

    async fn deployments(
        &self,
        filter: &DeploymentFilter,
        after: Option<DeploymentId>,
        limit: usize,
    ) -> Result<Vec<Deployment>, StoreError> {
        self.store.deployments(filter, after, limit).await
    }

    async fn running(
        &self,
        app: AppId,
        after: Option<&EnvironmentName>,
        limit: usize,
    ) -> Result<Vec<RunningVersion>, StoreError> {
        let running = self.store.running(app, after, limit).await?;
        if self.oddity != Oddity::RunsWhatIsDeleted {
            return Ok(running);
        }
        let mut ran = self.ran.lock().unwrap();
        let since = |running: &[RunningVersion]| running.first().map(|running| (running.since, running.deployment.id));
        if since(&ran) < since(&running) || ran.iter().any(|running| running.deployment.app_id != app) {
            *ran = running;
        }
        Ok(ran.clone())
    }

    async fn audit_entry(&self, index: AuditIndex) -> Result<Option<AuditEntry>, StoreError> {
        self.store.audit_entry(index).await
    }

    async fn audit_entries(
        &self,
        filter: &AuditFilter,
        after: Option<AuditIndex>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        self.store.audit_entries(filter, after, limit).await
    }

    async fn user(&self, username: &Username) -> Result<Option<UserRecord>, StoreError> {
        self.store.user(username).await
    }

    async fn users(&self, after: Option<&(Timestamp, Username)>, limit: usize) -> Result<Vec<User>, StoreError> {
        self.store.users(after, limit).await
    }

    async fn credential(&self, id: CredentialId) -> Result<Option<HeldCredential>, StoreError> {
        self.store.credential(id).await
    }

    async fn credentials(
        &self,
        filter: &CredentialFilter,
        after: Option<CredentialId>,
        limit: usize,
    ) -> Result<Vec<Credential>, StoreError> {
        self.store.credentials(filter, after, limit).await
    }

    async fn is_revoked(&self, id: CredentialId) -> Result<bool, StoreError> {
        self.store.is_revoked(id).await
    }

    async fn remembered(&self, scope: &IdempotencyScope) -> Result<Option<IdempotencyRecord>, StoreError> {
        self.store.remembered(scope).await
    }

    async fn checkpoint(&self, consumer: &ConsumerName, log: LogId) -> Result<Option<Position>, StoreError> {
        self.store.checkpoint(consumer, log).await
    }

    async fn dead_letters(
        &self,
        consumer: &ConsumerName,
        after: Option<(LogId, Position)>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        self.store.dead_letters(consumer, after, limit).await
    }

    async fn known(&self, parent: ParentId) -> Result<Option<Known>, StoreError> {
        self.store.known(parent).await
    }

    async fn receipt(&self, changeset: ChangesetId) -> Result<Option<Receipt>, StoreError> {
        self.store.receipt(changeset).await
    }
}
