//! The store.

use std::sync::Arc;

use async_trait::async_trait;
use mockall::mock;

use crate::{
    changeset::{Changeset, ConsumerName, DeadLetter, IdempotencyRecord, IdempotencyScope, Receipt},
    domain::{
        App, AppId, AuditEntry, AuditIndex, ChangesetId, Credential, CredentialId, Deployment, DeploymentId,
        EnvironmentName, Event, Known, LogId, ParentId, Position, RunningVersion, Timestamp, User, UserRecord,
        Username, Version, VersionId,
    },
    ports::{
        AppFilter, AuditFilter, Bucket, Committer, CredentialFilter, DeploymentFilter, EventLog, HeldCredential,
        IdBlock, Lease, Rate, Reader, Roles, Sequence, StoreError, Trimmed, VersionFilter,
    },
};

// mockall gives an async method with a lifetime inside an argument a body that does not borrow-check, so it mocks this trait,
// which is not async, and the port is made of it.
trait Reads {
    fn app(&self, id: AppId) -> Result<Option<App>, StoreError>;
    fn apps(&self, filter: &AppFilter, after: Option<AppId>, limit: usize) -> Result<Vec<App>, StoreError>;
    fn version(&self, id: VersionId) -> Result<Option<Version>, StoreError>;
    fn versions(
        &self,
        filter: &VersionFilter,
        after: Option<VersionId>,
        limit: usize,
    ) -> Result<Vec<Version>, StoreError>;
    fn deployment(&self, id: DeploymentId) -> Result<Option<Deployment>, StoreError>;
    fn deployments(
        &self,
        filter: &DeploymentFilter,
        after: Option<DeploymentId>,
        limit: usize,
    ) -> Result<Vec<Deployment>, StoreError>;
    fn running(
        &self,
        app: AppId,
        after: Option<&EnvironmentName>,
        limit: usize,
    ) -> Result<Vec<RunningVersion>, StoreError>;
    fn audit_entry(&self, index: AuditIndex) -> Result<Option<AuditEntry>, StoreError>;
    fn audit_entries(
        &self,
        filter: &AuditFilter,
        after: Option<AuditIndex>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError>;
    fn user(&self, username: &Username) -> Result<Option<UserRecord>, StoreError>;
    fn users(&self, after: Option<&(Timestamp, Username)>, limit: usize) -> Result<Vec<User>, StoreError>;
    fn credential(&self, id: CredentialId) -> Result<Option<HeldCredential>, StoreError>;
    fn credentials(
        &self,
        filter: &CredentialFilter,
        after: Option<CredentialId>,
        limit: usize,
    ) -> Result<Vec<Credential>, StoreError>;
    fn is_revoked(&self, id: CredentialId) -> Result<bool, StoreError>;
    fn remembered(&self, scope: &IdempotencyScope) -> Result<Option<IdempotencyRecord>, StoreError>;
    fn checkpoint(&self, consumer: &ConsumerName, log: LogId) -> Result<Option<Position>, StoreError>;
    fn dead_letters(
        &self,
        consumer: &ConsumerName,
        after: Option<(LogId, Position)>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError>;
    fn known(&self, parent: ParentId) -> Result<Option<Known>, StoreError>;
    fn receipt(&self, changeset: ChangesetId) -> Result<Option<Receipt>, StoreError>;
}

mock! {
    /// A [`Store`](crate::ports::Store), which reads, commits and has a log.
    #[derive(Debug)]
    pub Store {}

    impl Reads for Store {
        fn app(&self, id: AppId) -> Result<Option<App>, StoreError>;
        fn apps(&self, filter: &AppFilter, after: Option<AppId>, limit: usize) -> Result<Vec<App>, StoreError>;
        fn version(&self, id: VersionId) -> Result<Option<Version>, StoreError>;
        fn versions(&self, filter: &VersionFilter, after: Option<VersionId>, limit: usize) -> Result<Vec<Version>, StoreError>;
        fn deployment(&self, id: DeploymentId) -> Result<Option<Deployment>, StoreError>;
        fn deployments(&self, filter: &DeploymentFilter, after: Option<DeploymentId>, limit: usize) -> Result<Vec<Deployment>, StoreError>;
        fn running<'a>(&self, app: AppId, after: Option<&'a EnvironmentName>, limit: usize) -> Result<Vec<RunningVersion>, StoreError>;
        fn audit_entry(&self, index: AuditIndex) -> Result<Option<AuditEntry>, StoreError>;
        fn audit_entries(&self, filter: &AuditFilter, after: Option<AuditIndex>, limit: usize) -> Result<Vec<AuditEntry>, StoreError>;
        fn user(&self, username: &Username) -> Result<Option<UserRecord>, StoreError>;
        fn users<'a>(&self, after: Option<&'a (Timestamp, Username)>, limit: usize) -> Result<Vec<User>, StoreError>;
        fn credential(&self, id: CredentialId) -> Result<Option<HeldCredential>, StoreError>;
        fn credentials(&self, filter: &CredentialFilter, after: Option<CredentialId>, limit: usize) -> Result<Vec<Credential>, StoreError>;
        fn is_revoked(&self, id: CredentialId) -> Result<bool, StoreError>;
        fn remembered(&self, scope: &IdempotencyScope) -> Result<Option<IdempotencyRecord>, StoreError>;
        fn checkpoint(&self, consumer: &ConsumerName, log: LogId) -> Result<Option<Position>, StoreError>;
        fn dead_letters(&self, consumer: &ConsumerName, after: Option<(LogId, Position)>, limit: usize) -> Result<Vec<DeadLetter>, StoreError>;
        fn known(&self, parent: ParentId) -> Result<Option<Known>, StoreError>;
        fn receipt(&self, changeset: ChangesetId) -> Result<Option<Receipt>, StoreError>;
    }

    #[async_trait]
    impl Committer for Store {
        async fn commit(&self, changeset: Changeset) -> Result<Receipt, StoreError>;
        async fn allocate(&self, sequence: Sequence, count: u32) -> Result<IdBlock, StoreError>;
        async fn admit(&self, bucket: &Bucket, rate: Rate, now: Timestamp) -> Result<Result<(), Timestamp>, StoreError>;
        async fn trim(&self, up_to: Position, before: Timestamp, limit: usize) -> Result<Trimmed, StoreError>;
        async fn forget_answers(&self, now: Timestamp, limit: usize) -> Result<u64, StoreError>;
    }

    #[async_trait]
    impl EventLog for Store {
        fn log_id(&self) -> LogId;
        async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<Event>>, StoreError>;
        async fn oldest(&self) -> Result<Position, StoreError>;
        async fn head(&self) -> Result<Position, StoreError>;
        async fn changed(&self, after: Position) -> Result<(), StoreError>;
    }

    #[async_trait]
    impl Roles for Store {
        async fn lead(&self, role: &ConsumerName) -> Result<Option<Box<dyn Lease>>, StoreError>;
    }
}

mock! {
    /// A [`Lease`] of a role.
    #[derive(Debug)]
    pub Lease {}

    #[async_trait]
    impl Lease for Lease {
        async fn is_held(&mut self) -> bool;
    }
}

#[async_trait]
impl Reader for MockStore {
    async fn app(&self, id: AppId) -> Result<Option<App>, StoreError> {
        Reads::app(self, id)
    }

    async fn apps(&self, filter: &AppFilter, after: Option<AppId>, limit: usize) -> Result<Vec<App>, StoreError> {
        Reads::apps(self, filter, after, limit)
    }

    async fn version(&self, id: VersionId) -> Result<Option<Version>, StoreError> {
        Reads::version(self, id)
    }

    async fn versions(
        &self,
        filter: &VersionFilter,
        after: Option<VersionId>,
        limit: usize,
    ) -> Result<Vec<Version>, StoreError> {
        Reads::versions(self, filter, after, limit)
    }

    async fn deployment(&self, id: DeploymentId) -> Result<Option<Deployment>, StoreError> {
        Reads::deployment(self, id)
    }

    async fn deployments(
        &self,
        filter: &DeploymentFilter,
        after: Option<DeploymentId>,
        limit: usize,
    ) -> Result<Vec<Deployment>, StoreError> {
        Reads::deployments(self, filter, after, limit)
    }

    async fn running(
        &self,
        app: AppId,
        after: Option<&EnvironmentName>,
        limit: usize,
    ) -> Result<Vec<RunningVersion>, StoreError> {
        Reads::running(self, app, after, limit)
    }

    async fn audit_entry(&self, index: AuditIndex) -> Result<Option<AuditEntry>, StoreError> {
        Reads::audit_entry(self, index)
    }

    async fn audit_entries(
        &self,
        filter: &AuditFilter,
        after: Option<AuditIndex>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        Reads::audit_entries(self, filter, after, limit)
    }

    async fn user(&self, username: &Username) -> Result<Option<UserRecord>, StoreError> {
        Reads::user(self, username)
    }

    async fn users(&self, after: Option<&(Timestamp, Username)>, limit: usize) -> Result<Vec<User>, StoreError> {
        Reads::users(self, after, limit)
    }

    async fn credential(&self, id: CredentialId) -> Result<Option<HeldCredential>, StoreError> {
        Reads::credential(self, id)
    }

    async fn credentials(
        &self,
        filter: &CredentialFilter,
        after: Option<CredentialId>,
        limit: usize,
    ) -> Result<Vec<Credential>, StoreError> {
        Reads::credentials(self, filter, after, limit)
    }

    async fn is_revoked(&self, id: CredentialId) -> Result<bool, StoreError> {
        Reads::is_revoked(self, id)
    }

    async fn remembered(&self, scope: &IdempotencyScope) -> Result<Option<IdempotencyRecord>, StoreError> {
        Reads::remembered(self, scope)
    }

    async fn checkpoint(&self, consumer: &ConsumerName, log: LogId) -> Result<Option<Position>, StoreError> {
        Reads::checkpoint(self, consumer, log)
    }

    async fn dead_letters(
        &self,
        consumer: &ConsumerName,
        after: Option<(LogId, Position)>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        Reads::dead_letters(self, consumer, after, limit)
    }

    async fn known(&self, parent: ParentId) -> Result<Option<Known>, StoreError> {
        Reads::known(self, parent)
    }

    async fn receipt(&self, changeset: ChangesetId) -> Result<Option<Receipt>, StoreError> {
        Reads::receipt(self, changeset)
    }
}
