//! The store: alm-core's ports on a [`StateFile`].

use std::{fs::File, path::PathBuf, sync::Arc, time::Duration};

use alm_core::{
    changeset::{Changeset, ConsumerName, DeadLetter, IdempotencyRecord, IdempotencyScope, Receipt},
    domain::{
        App, AppId, AuditEntry, AuditIndex, ChangesetId, Credential, CredentialId, Deployment, DeploymentId,
        EnvironmentName, Event, Known, LogId, ParentId, Position, RunningVersion, Timestamp, User, UserRecord,
        Username, Version, VersionId,
    },
    ports::{
        AppFilter, AuditFilter, BackendError, Bucket, Committer, CredentialFilter, DeploymentFilter, EventLog,
        HeldCredential, IdBlock, Lease, Outcome, Rate, Reader, Roles, Sequence, StoreError, Trimmed, VersionFilter,
    },
};
use async_trait::async_trait;
use tokio::{sync::watch, task::spawn_blocking, time::timeout};

use super::{file::StateFile, state::State};

/// How long an event that another process has committed may go unnoticed by those who wait for it.
const POLL: Duration = Duration::from_millis(100);

/// A store in one JSON file. Several may be open on the same file, in the same process or in several.
pub(crate) struct JsonFileStore {
    file: Arc<StateFile>,
    log_id: LogId,
    committed: watch::Sender<()>,
}

impl JsonFileStore {
    /// The store in the file at `path`; if there is none, it is made.
    pub(crate) async fn open(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let path = path.into();
        let (file, log_id) = blocking(move || {
            let file = StateFile::open(&path)?;
            let log_id = file.read()?.log_id;
            Ok((file, log_id))
        })
        .await?;
        Ok(Self { file: Arc::new(file), log_id, committed: watch::Sender::new(()) })
    }

    async fn state(&self) -> Result<Arc<State>, StoreError> {
        let file = self.file.clone();
        blocking(move || file.read()).await
    }

    async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut State) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let file = self.file.clone();
        blocking(move || file.change(change)).await
    }
}

/// Does what blocks where it holds up no one. It goes on to its end even if whoever waits for it stops waiting.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match spawn_blocking(work).await {
        Ok(answer) => answer,
        Err(error) => {
            let fault = BackendError::internal("json-file", "wait for the file").with_source(error);
            Err(BackendError { outcome: Outcome::Unknown, ..fault }.into())
        }
    }
}

#[async_trait]
impl Committer for JsonFileStore {
    async fn commit(&self, changeset: Changeset) -> Result<Receipt, StoreError> {
        let (stamp, writes, guards, events, checkpoint) = changeset.into_parts();
        let receipt = self.change(move |state| state.apply(&stamp, writes, guards, events, checkpoint)).await?;
        self.committed.send_replace(());
        Ok(receipt)
    }

    async fn allocate(&self, sequence: Sequence, count: u32) -> Result<IdBlock, StoreError> {
        self.change(move |state| Ok(state.allocate(sequence, count))).await
    }

    async fn trim(&self, up_to: Position, before: Timestamp, limit: usize) -> Result<Trimmed, StoreError> {
        self.change(move |state| Ok(state.trim(up_to, before, limit))).await
    }

    async fn admit(&self, bucket: &Bucket, rate: Rate, now: Timestamp) -> Result<Result<(), Timestamp>, StoreError> {
        let bucket = bucket.clone();
        self.change(move |state| Ok(state.admit(&bucket, rate, now))).await
    }

    async fn forget_answers(&self, now: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.change(move |state| Ok(state.forget_answers(now, limit))).await
    }
}

#[async_trait]
impl EventLog for JsonFileStore {
    fn log_id(&self) -> LogId {
        self.log_id
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<Event>>, StoreError> {
        self.state().await?.events(after, limit)
    }

    async fn oldest(&self) -> Result<Position, StoreError> {
        Ok(self.state().await?.oldest())
    }

    async fn head(&self) -> Result<Position, StoreError> {
        Ok(self.state().await?.head())
    }

    async fn changed(&self, after: Position) -> Result<(), StoreError> {
        // From before the look on, so that no commit falls between the look and the wait.
        let mut committed = self.committed.subscribe();
        while self.head().await? <= after {
            // Commits of this handle wake at once; for those of others it looks from time to time.
            let _ = timeout(POLL, committed.changed()).await;
        }
        Ok(())
    }
}

#[async_trait]
impl Roles for JsonFileStore {
    async fn lead(&self, role: &ConsumerName) -> Result<Option<Box<dyn Lease>>, StoreError> {
        let (file, role) = (self.file.clone(), role.clone());
        let taken = blocking(move || file.take(role.as_str())).await?;
        Ok(taken.map(|file| Box::new(Held { _file: file }) as Box<dyn Lease>))
    }
}

/// A role: the lock on a file, which goes when it is closed, also by the end of the process.
struct Held {
    _file: File,
}

#[async_trait]
impl Lease for Held {
    async fn is_held(&mut self) -> bool {
        // No one can take a lock away.
        true
    }
}

#[async_trait]
impl Reader for JsonFileStore {
    async fn app(&self, id: AppId) -> Result<Option<App>, StoreError> {
        Ok(self.state().await?.apps.get(&id).cloned())
    }

    async fn apps(&self, filter: &AppFilter, after: Option<AppId>, limit: usize) -> Result<Vec<App>, StoreError> {
        Ok(self.state().await?.list_apps(filter, after, limit))
    }

    async fn version(&self, id: VersionId) -> Result<Option<Version>, StoreError> {
        Ok(self.state().await?.versions.get(&id).cloned())
    }

    async fn versions(
        &self,
        filter: &VersionFilter,
        after: Option<VersionId>,
        limit: usize,
    ) -> Result<Vec<Version>, StoreError> {
        Ok(self.state().await?.list_versions(filter, after, limit))
    }

    async fn deployment(&self, id: DeploymentId) -> Result<Option<Deployment>, StoreError> {
        Ok(self.state().await?.deployments.get(&id).cloned())
    }

    async fn deployments(
        &self,
        filter: &DeploymentFilter,
        after: Option<DeploymentId>,
        limit: usize,
    ) -> Result<Vec<Deployment>, StoreError> {
        Ok(self.state().await?.list_deployments(filter, after, limit))
    }

    async fn running(
        &self,
        app: AppId,
        after: Option<&EnvironmentName>,
        limit: usize,
    ) -> Result<Vec<RunningVersion>, StoreError> {
        Ok(self.state().await?.list_running(app, after, limit))
    }

    async fn audit_entry(&self, index: AuditIndex) -> Result<Option<AuditEntry>, StoreError> {
        Ok(self.state().await?.entry(index))
    }

    async fn audit_entries(
        &self,
        filter: &AuditFilter,
        after: Option<AuditIndex>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        Ok(self.state().await?.list_audit(filter, after, limit))
    }

    async fn user(&self, username: &Username) -> Result<Option<UserRecord>, StoreError> {
        Ok(self.state().await?.users.get(username).cloned())
    }

    async fn users(&self, after: Option<&(Timestamp, Username)>, limit: usize) -> Result<Vec<User>, StoreError> {
        Ok(self.state().await?.list_users(after, limit))
    }

    async fn credential(&self, id: CredentialId) -> Result<Option<HeldCredential>, StoreError> {
        Ok(self.state().await?.held_credential(id))
    }

    async fn credentials(
        &self,
        filter: &CredentialFilter,
        after: Option<CredentialId>,
        limit: usize,
    ) -> Result<Vec<Credential>, StoreError> {
        Ok(self.state().await?.list_credentials(filter, after, limit))
    }

    async fn is_revoked(&self, id: CredentialId) -> Result<bool, StoreError> {
        Ok(self.state().await?.revoked.contains_key(&id))
    }

    async fn remembered(&self, scope: &IdempotencyScope) -> Result<Option<IdempotencyRecord>, StoreError> {
        Ok(self.state().await?.remembered(scope))
    }

    async fn checkpoint(&self, consumer: &ConsumerName, log: LogId) -> Result<Option<Position>, StoreError> {
        Ok(self.state().await?.checkpoint(consumer, log))
    }

    async fn dead_letters(
        &self,
        consumer: &ConsumerName,
        after: Option<(LogId, Position)>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        Ok(self.state().await?.list_dead_letters(consumer, after, limit))
    }

    async fn known(&self, parent: ParentId) -> Result<Option<Known>, StoreError> {
        Ok(self.state().await?.known(parent))
    }

    async fn receipt(&self, changeset: ChangesetId) -> Result<Option<Receipt>, StoreError> {
        Ok(self.state().await?.receipts.get(&changeset).copied())
    }
}
