//! Reads: each is one statement, and so sees one state of the store.

mod apps;
mod audit;
mod consumers;
mod credentials;
mod deployments;
mod log;
mod parents;
#[cfg(test)]
mod plans;
mod shared;
mod users;
mod versions;

use alm_core::{
    changeset::{ConsumerName, DeadLetter, IdempotencyRecord, IdempotencyScope, Receipt},
    domain::{
        App, AppId, AuditEntry, AuditIndex, ChangesetId, Credential, CredentialId, Deployment, DeploymentId,
        EnvironmentName, Known, LogId, ParentId, Position, RunningVersion, Timestamp, User, UserRecord, Username,
        Version, VersionId,
    },
    ports::{
        AppFilter, AuditFilter, CredentialFilter, DeploymentFilter, HeldCredential, Reader, StoreError, VersionFilter,
    },
};
use async_trait::async_trait;

use crate::{commit, pool::with_connection, store::PostgresStore};

pub(crate) use log::{events, head, oldest, unsealed};
pub(crate) use shared::{DeploymentsOf, Held, IsRevoked, Shared, VersionsOf};

#[async_trait]
impl Reader for PostgresStore {
    async fn app(&self, id: AppId) -> Result<Option<App>, StoreError> {
        self.shared.apps.ask(id).await
    }

    async fn apps(&self, filter: &AppFilter, after: Option<AppId>, limit: usize) -> Result<Vec<App>, StoreError> {
        with_connection!(&self.pool, "list apps", connection => apps::list(&mut connection, filter, after, limit))
    }

    async fn version(&self, id: VersionId) -> Result<Option<Version>, StoreError> {
        self.shared.versions.ask(id).await
    }

    async fn versions(
        &self,
        filter: &VersionFilter,
        after: Option<VersionId>,
        limit: usize,
    ) -> Result<Vec<Version>, StoreError> {
        if let VersionFilter { app_id: Some(app), labels } = filter
            && labels.is_empty()
        {
            let page = VersionsOf { app: *app, after, limit };
            return VersionsOf::of(&self.shared.versions_of.ask(page).await?);
        }
        with_connection!(&self.pool, "list versions", connection => {
            versions::list(&mut connection, filter, after, limit)
        })
    }

    async fn deployment(&self, id: DeploymentId) -> Result<Option<Deployment>, StoreError> {
        self.shared.deployments.ask(id).await
    }

    async fn deployments(
        &self,
        filter: &DeploymentFilter,
        after: Option<DeploymentId>,
        limit: usize,
    ) -> Result<Vec<Deployment>, StoreError> {
        if let DeploymentFilter { app_id: Some(app), version_id: None, environment: None, status: None } = filter {
            let page = DeploymentsOf { app: *app, after, limit };
            return DeploymentsOf::of(&self.shared.deployments_of.ask(page).await?);
        }
        with_connection!(&self.pool, "list deployments", connection => {
            deployments::list(&mut connection, filter, after, limit)
        })
    }

    async fn running(
        &self,
        app: AppId,
        after: Option<&EnvironmentName>,
        limit: usize,
    ) -> Result<Vec<RunningVersion>, StoreError> {
        with_connection!(&self.pool, "tell what runs", connection => {
            deployments::running(&mut connection, app, after, limit)
        })
    }

    async fn audit_entry(&self, index: AuditIndex) -> Result<Option<AuditEntry>, StoreError> {
        with_connection!(&self.pool, "read an audit entry", connection => audit::get(&mut connection, index))
    }

    async fn audit_entries(
        &self,
        filter: &AuditFilter,
        after: Option<AuditIndex>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        with_connection!(&self.pool, "list audit entries", connection => {
            audit::list(&mut connection, filter, after, limit)
        })
    }

    async fn user(&self, username: &Username) -> Result<Option<UserRecord>, StoreError> {
        with_connection!(&self.pool, "read an account", connection => users::get(&mut connection, username))
    }

    async fn users(&self, after: Option<&(Timestamp, Username)>, limit: usize) -> Result<Vec<User>, StoreError> {
        with_connection!(&self.pool, "list accounts", connection => users::list(&mut connection, after, limit))
    }

    async fn credential(&self, id: CredentialId) -> Result<Option<HeldCredential>, StoreError> {
        self.shared.credentials.ask(Held(id)).await
    }

    async fn credentials(
        &self,
        filter: &CredentialFilter,
        after: Option<CredentialId>,
        limit: usize,
    ) -> Result<Vec<Credential>, StoreError> {
        with_connection!(&self.pool, "list credentials", connection => {
            credentials::list(&mut connection, filter, after, limit)
        })
    }

    async fn is_revoked(&self, id: CredentialId) -> Result<bool, StoreError> {
        self.shared.revocations.ask(IsRevoked(id)).await
    }

    async fn remembered(&self, scope: &IdempotencyScope) -> Result<Option<IdempotencyRecord>, StoreError> {
        with_connection!(&self.pool, "read an answer", connection => consumers::remembered(&mut connection, scope))
    }

    async fn checkpoint(&self, consumer: &ConsumerName, log: LogId) -> Result<Option<Position>, StoreError> {
        with_connection!(&self.pool, "read a checkpoint", connection => {
            consumers::checkpoint(&mut connection, consumer, log)
        })
    }

    async fn dead_letters(
        &self,
        consumer: &ConsumerName,
        after: Option<(LogId, Position)>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        with_connection!(&self.pool, "list dead letters", connection => {
            consumers::dead_letters(&mut connection, consumer, after, limit)
        })
    }

    async fn known(&self, parent: ParentId) -> Result<Option<Known>, StoreError> {
        with_connection!(&self.pool, "tell what is known of a parent", connection => {
            parents::known(&mut connection, parent)
        })
    }

    async fn receipt(&self, changeset: ChangesetId) -> Result<Option<Receipt>, StoreError> {
        with_connection!(&self.pool, "read a receipt", connection => commit::receipt(&mut *connection, changeset))
    }
}
