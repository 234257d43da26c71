//! The store: the current state, one writer at a time, and a bell for those who wait for events.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicI64, Ordering},
    },
};

use alm_core::{
    changeset::{Changeset, ConsumerName, DeadLetter, IdempotencyRecord, IdempotencyScope, Receipt},
    domain::{
        App, AppId, AuditEntry, AuditIndex, ChangesetId, Credential, CredentialId, Deployment, DeploymentId,
        EnvironmentName, Event, Known, LogId, ParentId, Position, RunningVersion, Timestamp, User, UserRecord,
        Username, Version, VersionId,
    },
    ports::{
        AppFilter, AuditFilter, Bucket, Committer, CredentialFilter, DeploymentFilter, EventLog, HeldCredential,
        IdBlock, Ids, Lease, Rate, Reader, Roles, Sequence, StoreError, SystemIds, Trimmed, VersionFilter,
    },
};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use tokio::sync::watch;

use crate::{state::State, tree::Tree};

/// A [`Store`](alm_core::ports::Store) in memory. Share it in an [`Arc`].
pub struct MemoryStore {
    log: LogId,
    state: ArcSwap<State>,
    // Held while the next state is made; readers never take it.
    writer: Mutex<()>,
    head: watch::Sender<Position>,
    next_ids: [AtomicI64; 3],
    taken: Arc<Mutex<BTreeSet<ConsumerName>>>,
    pub(crate) tree: RwLock<Tree>,
}

impl MemoryStore {
    /// An empty store, whose log has a new id.
    pub fn new() -> Self {
        Self::with_log_id(LogId::new(SystemIds.uuid_v7()))
    }

    /// An empty store, whose log has this id.
    pub fn with_log_id(log: LogId) -> Self {
        Self {
            log,
            state: ArcSwap::default(),
            writer: Mutex::default(),
            head: watch::Sender::new(Position::START),
            next_ids: [const { AtomicI64::new(1) }; 3],
            taken: Arc::default(),
            tree: RwLock::default(),
        }
    }

    /// Changes the state by what can't fail and makes no event.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = State::clone(&self.state.load());
        let answer = change(&mut next);
        self.state.store(Arc::new(next));
        answer
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("log", &self.log)
            .field("head", &*self.head.borrow())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Committer for MemoryStore {
    async fn commit(&self, changeset: Changeset) -> Result<Receipt, StoreError> {
        // A panic while the lock was held left the state as it was: it is swapped in whole.
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, receipt) = self.state.load().apply(changeset, self.log)?;
        if let Some(next) = next {
            let head = next.head;
            self.state.store(Arc::new(next));
            self.head.send_if_modified(|seen| std::mem::replace(seen, head) != head);
        }
        drop(writer);
        Ok(receipt)
    }

    async fn allocate(&self, sequence: Sequence, count: u32) -> Result<IdBlock, StoreError> {
        let next = match sequence {
            Sequence::Apps => &self.next_ids[0],
            Sequence::Versions => &self.next_ids[1],
            Sequence::Deployments => &self.next_ids[2],
        };
        Ok(IdBlock { first: next.fetch_add(i64::from(count), Ordering::Relaxed), count })
    }

    async fn admit(&self, bucket: &Bucket, rate: Rate, now: Timestamp) -> Result<Result<(), Timestamp>, StoreError> {
        Ok(self.change(|state| state.admit(bucket, rate, now)))
    }

    async fn trim(&self, up_to: Position, before: Timestamp, limit: usize) -> Result<Trimmed, StoreError> {
        Ok(self.change(|state| state.trim(up_to, before, limit)))
    }

    async fn forget_answers(&self, now: Timestamp, limit: usize) -> Result<u64, StoreError> {
        Ok(self.change(|state| state.forget_answers(now, limit)))
    }
}

#[async_trait]
impl EventLog for MemoryStore {
    fn log_id(&self) -> LogId {
        self.log
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<Event>>, StoreError> {
        self.state.load().events(after, limit)
    }

    async fn oldest(&self) -> Result<Position, StoreError> {
        Ok(self.state.load().oldest())
    }

    async fn head(&self) -> Result<Position, StoreError> {
        Ok(self.state.load().head)
    }

    async fn changed(&self, after: Position) -> Result<(), StoreError> {
        // The sender lives as long as `self`, so the wait can't end in an error.
        let _ = self.head.subscribe().wait_for(|head| *head > after).await;
        Ok(())
    }
}

#[async_trait]
impl Roles for MemoryStore {
    async fn lead(&self, role: &ConsumerName) -> Result<Option<Box<dyn Lease>>, StoreError> {
        if !self.taken.lock().unwrap_or_else(PoisonError::into_inner).insert(role.clone()) {
            return Ok(None);
        }
        Ok(Some(Box::new(Held { role: role.clone(), taken: self.taken.clone() })))
    }
}

/// A role that is among those that are taken, until this is dropped.
struct Held {
    role: ConsumerName,
    taken: Arc<Mutex<BTreeSet<ConsumerName>>>,
}

#[async_trait]
impl Lease for Held {
    async fn is_held(&mut self) -> bool {
        true
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.role);
    }
}

#[async_trait]
impl Reader for MemoryStore {
    async fn app(&self, id: AppId) -> Result<Option<App>, StoreError> {
        Ok(self.state.load().apps.get(&id).map(|app| app.as_ref().clone()))
    }

    async fn apps(&self, filter: &AppFilter, after: Option<AppId>, limit: usize) -> Result<Vec<App>, StoreError> {
        Ok(self.state.load().list_apps(filter, after, limit))
    }

    async fn version(&self, id: VersionId) -> Result<Option<Version>, StoreError> {
        Ok(self.state.load().versions.get(&id).map(|version| version.as_ref().clone()))
    }

    async fn versions(
        &self,
        filter: &VersionFilter,
        after: Option<VersionId>,
        limit: usize,
    ) -> Result<Vec<Version>, StoreError> {
        Ok(self.state.load().list_versions(filter, after, limit))
    }

    async fn deployment(&self, id: DeploymentId) -> Result<Option<Deployment>, StoreError> {
        Ok(self.state.load().deployments.get(&id).map(|deployment| deployment.as_ref().clone()))
    }

    async fn deployments(
        &self,
        filter: &DeploymentFilter,
        after: Option<DeploymentId>,
        limit: usize,
    ) -> Result<Vec<Deployment>, StoreError> {
        Ok(self.state.load().list_deployments(filter, after, limit))
    }

    async fn running(
        &self,
        app: AppId,
        after: Option<&EnvironmentName>,
        limit: usize,
    ) -> Result<Vec<RunningVersion>, StoreError> {
        Ok(self.state.load().list_running(app, after, limit))
    }

    async fn audit_entry(&self, index: AuditIndex) -> Result<Option<AuditEntry>, StoreError> {
        Ok(self.state.load().entry(index).map(|entry| entry.as_ref().clone()))
    }

    async fn audit_entries(
        &self,
        filter: &AuditFilter,
        after: Option<AuditIndex>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        Ok(self.state.load().list_audit(filter, after, limit))
    }

    async fn user(&self, username: &Username) -> Result<Option<UserRecord>, StoreError> {
        Ok(self.state.load().users.get(username).map(|record| record.as_ref().clone()))
    }

    async fn users(&self, after: Option<&(Timestamp, Username)>, limit: usize) -> Result<Vec<User>, StoreError> {
        Ok(self.state.load().list_users(after, limit))
    }

    async fn credential(&self, id: CredentialId) -> Result<Option<HeldCredential>, StoreError> {
        Ok(self.state.load().held_credential(id))
    }

    async fn credentials(
        &self,
        filter: &CredentialFilter,
        after: Option<CredentialId>,
        limit: usize,
    ) -> Result<Vec<Credential>, StoreError> {
        Ok(self.state.load().list_credentials(filter, after, limit))
    }

    async fn is_revoked(&self, id: CredentialId) -> Result<bool, StoreError> {
        Ok(self.state.load().revoked.contains_key(&id))
    }

    async fn remembered(&self, scope: &IdempotencyScope) -> Result<Option<IdempotencyRecord>, StoreError> {
        Ok(self.state.load().remembered.get(scope).map(|record| record.as_ref().clone()))
    }

    async fn checkpoint(&self, consumer: &ConsumerName, log: LogId) -> Result<Option<Position>, StoreError> {
        Ok(self.state.load().checkpoints.get(&(consumer.clone(), log)).copied())
    }

    async fn dead_letters(
        &self,
        consumer: &ConsumerName,
        after: Option<(LogId, Position)>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        Ok(self.state.load().list_dead_letters(consumer, after, limit))
    }

    async fn known(&self, parent: ParentId) -> Result<Option<Known>, StoreError> {
        Ok(self.state.load().parents.get(&parent).copied())
    }

    async fn receipt(&self, changeset: ChangesetId) -> Result<Option<Receipt>, StoreError> {
        Ok(self.state.load().receipts.get(&changeset).copied())
    }
}
