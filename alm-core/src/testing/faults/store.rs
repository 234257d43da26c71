//! A store that fails on purpose.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{
    changeset::{Changeset, ConsumerName, DeadLetter, IdempotencyRecord, IdempotencyScope, Receipt},
    domain::{
        App, AppId, AuditEntry, AuditIndex, ChangesetId, Credential, CredentialId, Deployment, DeploymentId,
        EnvironmentName, Event, Known, LogId, ParentId, Position, RunningVersion, Timestamp, User, UserRecord,
        Username, Version, VersionId,
    },
    ports::{
        AppFilter, AuditFilter, Bucket, Committer, CredentialFilter, DeploymentFilter, EventLog, HeldCredential,
        IdBlock, Lease, Rate, Reader, Roles, Sequence, Store, StoreError, Trimmed, VersionFilter,
    },
};

use super::{Operation, Plan, injector::Injector};

/// A store before which stands a [`Plan`] that says what becomes of each call. Without faults it is the store itself, and one
/// may stand before another: give the outer one [`Fault::Delay`](super::Fault::Delay), say, and the inner one a
/// [`Script`](super::Script).
///
/// [`log_id`](EventLog::log_id) can't fail and is not asked about. The errors have the adapter `faulty` and the name of the
/// operation.
///
/// ```
/// use std::sync::Arc;
/// use alm_core::{Alm, Context, Principal, domain::NewApp, ports::{BackendErrorKind, Outcome}};
/// use alm_core::testing::{Fault, Faulty, Operation, Script};
/// use alm_store_memory::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // given a database that is busy once
/// let busy = Script::on(Operation::Commit, [Fault::Refused(BackendErrorKind::Overloaded)]);
/// let store = Faulty::over(Arc::new(MemoryStore::new()), busy).with_message("too many connections");
/// let alm = Alm::builder(Arc::new(store)).build();
///
/// // when a service that embeds ALM tries, and tries again
/// let me = Context::new(Principal::system());
/// let new = NewApp::parse("billing".into(), String::new(), Default::default())?;
/// let failed = alm.apps().create(&me, new.clone()).await.unwrap_err();
/// assert_eq!((failed.is_retryable(), failed.outcome()), (true, Outcome::NotApplied));
/// alm.apps().create(&me, new).await?;
/// # Ok(())
/// # }
/// ```
pub struct Faulty<S: ?Sized> {
    injector: Injector,
    store: Arc<S>,
}

impl<S: Store + ?Sized> Faulty<S> {
    /// `store` under a plan.
    pub fn over(store: Arc<S>, plan: impl Plan + 'static) -> Self {
        Self { injector: Injector::of(plan), store }
    }

    /// What its errors have as their source, and its panics as their message: what only logs may tell, say.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.injector.message = Some(message.into());
        self
    }

    /// When to try again, as its errors of the kind [`Overloaded`](crate::ports::BackendErrorKind::Overloaded) say.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.injector.retry_after = Some(wait);
        self
    }

    async fn call<T>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.injector.meet(self.injector.fault(operation), operation, call).await
    }
}

impl<S: ?Sized> fmt::Debug for Faulty<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty").field("injector", &self.injector).finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: Store + ?Sized> Committer for Faulty<S> {
    async fn commit(&self, changeset: Changeset) -> Result<Receipt, StoreError> {
        let fault = self.injector.fault_of_commit(&changeset);
        self.injector.meet(fault, Operation::Commit, self.store.commit(changeset)).await
    }

    async fn allocate(&self, sequence: Sequence, count: u32) -> Result<IdBlock, StoreError> {
        self.call(Operation::Allocate, self.store.allocate(sequence, count)).await
    }

    async fn admit(&self, bucket: &Bucket, rate: Rate, now: Timestamp) -> Result<Result<(), Timestamp>, StoreError> {
        self.call(Operation::Admit, self.store.admit(bucket, rate, now)).await
    }

    async fn trim(&self, up_to: Position, before: Timestamp, limit: usize) -> Result<Trimmed, StoreError> {
        self.call(Operation::Trim, self.store.trim(up_to, before, limit)).await
    }

    async fn forget_answers(&self, now: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.call(Operation::ForgetAnswers, self.store.forget_answers(now, limit)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: Store + ?Sized> Roles for Faulty<S> {
    async fn lead(&self, role: &ConsumerName) -> Result<Option<Box<dyn Lease>>, StoreError> {
        self.call(Operation::Lead, self.store.lead(role)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: Store + ?Sized> EventLog for Faulty<S> {
    fn log_id(&self) -> LogId {
        self.store.log_id()
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<Event>>, StoreError> {
        self.call(Operation::Read, self.store.read(after, limit)).await
    }

    async fn oldest(&self) -> Result<Position, StoreError> {
        self.call(Operation::Oldest, self.store.oldest()).await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        self.call(Operation::Head, self.store.head()).await
    }

    async fn changed(&self, after: Position) -> Result<(), StoreError> {
        self.call(Operation::Changed, self.store.changed(after)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: Store + ?Sized> Reader for Faulty<S> {
    async fn app(&self, id: AppId) -> Result<Option<App>, StoreError> {
        self.call(Operation::App, self.store.app(id)).await
    }

    async fn apps(&self, filter: &AppFilter, after: Option<AppId>, limit: usize) -> Result<Vec<App>, StoreError> {
        self.call(Operation::Apps, self.store.apps(filter, after, limit)).await
    }

    async fn version(&self, id: VersionId) -> Result<Option<Version>, StoreError> {
        self.call(Operation::Version, self.store.version(id)).await
    }

    async fn versions(
        &self,
        filter: &VersionFilter,
        after: Option<VersionId>,
        limit: usize,
    ) -> Result<Vec<Version>, StoreError> {
        self.call(Operation::Versions, self.store.versions(filter, after, limit)).await
    }

    async fn deployment(&self, id: DeploymentId) -> Result<Option<Deployment>, StoreError> {
        self.call(Operation::Deployment, self.store.deployment(id)).await
    }

    async fn deployments(
        &self,
        filter: &DeploymentFilter,
        after: Option<DeploymentId>,
        limit: usize,
    ) -> Result<Vec<Deployment>, StoreError> {
        self.call(Operation::Deployments, self.store.deployments(filter, after, limit)).await
    }

    async fn running(
        &self,
        app: AppId,
        after: Option<&EnvironmentName>,
        limit: usize,
    ) -> Result<Vec<RunningVersion>, StoreError> {
        self.call(Operation::Running, self.store.running(app, after, limit)).await
    }

    async fn audit_entry(&self, index: AuditIndex) -> Result<Option<AuditEntry>, StoreError> {
        self.call(Operation::AuditEntry, self.store.audit_entry(index)).await
    }

    async fn audit_entries(
        &self,
        filter: &AuditFilter,
        after: Option<AuditIndex>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        self.call(Operation::AuditEntries, self.store.audit_entries(filter, after, limit)).await
    }

    async fn user(&self, username: &Username) -> Result<Option<UserRecord>, StoreError> {
        self.call(Operation::User, self.store.user(username)).await
    }

    async fn users(&self, after: Option<&(Timestamp, Username)>, limit: usize) -> Result<Vec<User>, StoreError> {
        self.call(Operation::Users, self.store.users(after, limit)).await
    }

    async fn credential(&self, id: CredentialId) -> Result<Option<HeldCredential>, StoreError> {
        self.call(Operation::Credential, self.store.credential(id)).await
    }

    async fn credentials(
        &self,
        filter: &CredentialFilter,
        after: Option<CredentialId>,
        limit: usize,
    ) -> Result<Vec<Credential>, StoreError> {
        self.call(Operation::Credentials, self.store.credentials(filter, after, limit)).await
    }

    async fn is_revoked(&self, id: CredentialId) -> Result<bool, StoreError> {
        self.call(Operation::IsRevoked, self.store.is_revoked(id)).await
    }

    async fn remembered(&self, scope: &IdempotencyScope) -> Result<Option<IdempotencyRecord>, StoreError> {
        self.call(Operation::Remembered, self.store.remembered(scope)).await
    }

    async fn checkpoint(&self, consumer: &ConsumerName, log: LogId) -> Result<Option<Position>, StoreError> {
        self.call(Operation::Checkpoint, self.store.checkpoint(consumer, log)).await
    }

    async fn dead_letters(
        &self,
        consumer: &ConsumerName,
        after: Option<(LogId, Position)>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        self.call(Operation::DeadLetters, self.store.dead_letters(consumer, after, limit)).await
    }

    async fn known(&self, parent: ParentId) -> Result<Option<Known>, StoreError> {
        self.call(Operation::Known, self.store.known(parent)).await
    }

    async fn receipt(&self, changeset: ChangesetId) -> Result<Option<Receipt>, StoreError> {
        self.call(Operation::Receipt, self.store.receipt(changeset)).await
    }
}
