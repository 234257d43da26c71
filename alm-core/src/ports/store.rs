//! The store: state, log and checkpoints behind one commit.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    changeset::{Changeset, ConsumerName, DeadLetter, IdempotencyRecord, IdempotencyScope, Receipt},
    domain::{
        App, AppId, AuditEntry, AuditIndex, ChangesetId, Deployment, DeploymentId, EnvironmentName, Event, LogId,
        Position, RunningVersion, Timestamp, User, UserRecord, Username, Version, VersionId,
    },
};

use super::{AppFilter, AuditFilter, DeploymentFilter, StoreError, VersionFilter};

/// Everything that ALM keeps. Implement [`Reader`], [`Committer`] and [`EventLog`]; this follows.
pub trait Store: Reader + Committer + EventLog {}

impl<S: Reader + Committer + EventLog + ?Sized> Store for S {}

/// Reads of the state.
///
/// # Contract
/// - A read sees every commit whose receipt was given before the read began, by whichever handle.
/// - A read sees each commit whole or not at all.
/// - A list is in ascending order of its key, begins after `after` and has at most `limit` items, fewer only when no more
///   follow. A list that is read page by page gives each item that exists the whole time exactly once, whatever is inserted
///   and deleted meanwhile.
/// - Values come back as they went: every character, times to the microsecond. Numbers are below 2⁶³.
///
/// # Errors
/// [`StoreError::Unsupported`] for what this store does not keep, else only [`StoreError::Backend`].
#[async_trait]
pub trait Reader: Send + Sync {
    /// The app with this id.
    async fn app(&self, id: AppId) -> Result<Option<App>, StoreError>;

    /// Apps by id.
    async fn apps(&self, filter: &AppFilter, after: Option<AppId>, limit: usize) -> Result<Vec<App>, StoreError>;

    /// The version with this id.
    async fn version(&self, id: VersionId) -> Result<Option<Version>, StoreError>;

    /// Versions by id.
    async fn versions(
        &self,
        filter: &VersionFilter,
        after: Option<VersionId>,
        limit: usize,
    ) -> Result<Vec<Version>, StoreError>;

    /// The deployment with this id.
    async fn deployment(&self, id: DeploymentId) -> Result<Option<Deployment>, StoreError>;

    /// Deployments by id.
    async fn deployments(
        &self,
        filter: &DeploymentFilter,
        after: Option<DeploymentId>,
        limit: usize,
    ) -> Result<Vec<Deployment>, StoreError>;

    /// What runs in the environments of an app, by environment: of the successful deployments there the one that finished
    /// last, of several at the same time the one with the highest id.
    async fn running(
        &self,
        app: AppId,
        after: Option<&EnvironmentName>,
        limit: usize,
    ) -> Result<Vec<RunningVersion>, StoreError>;

    /// The audit entry at this index.
    async fn audit_entry(&self, index: AuditIndex) -> Result<Option<AuditEntry>, StoreError>;

    /// Audit entries by index.
    async fn audit_entries(
        &self,
        filter: &AuditFilter,
        after: Option<AuditIndex>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError>;

    /// The account of this name, with its password hash.
    async fn user(&self, username: &Username) -> Result<Option<UserRecord>, StoreError>;

    /// Accounts by time of creation, then by name.
    async fn users(&self, after: Option<&(Timestamp, Username)>, limit: usize) -> Result<Vec<User>, StoreError>;

    /// The answer that is remembered for `scope`, also when it has expired but is still there.
    async fn remembered(&self, scope: &IdempotencyScope) -> Result<Option<IdempotencyRecord>, StoreError>;

    /// Where `consumer` stands in `log`, or `None` if it has never stood anywhere.
    async fn checkpoint(&self, consumer: &ConsumerName, log: LogId) -> Result<Option<Position>, StoreError>;

    /// What `consumer` gave up on, by log and position.
    async fn dead_letters(
        &self,
        consumer: &ConsumerName,
        after: Option<(LogId, Position)>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError>;

    /// Whether a changeset was committed: its receipt if so. It answers for changesets that have at least one event.
    async fn receipt(&self, changeset: ChangesetId) -> Result<Option<Receipt>, StoreError>;
}

/// Changes of the state.
#[async_trait]
pub trait Committer: Send + Sync {
    /// Makes all of a changeset true at once: writes, events, checkpoint.
    ///
    /// # Contract
    /// - All or nothing. After an error whose outcome is `NotApplied`, nothing is there; after one whose outcome is `Unknown`,
    ///   after a panic, and when the future is dropped before it is done, either all of it is there or nothing.
    /// - Guards and expected revisions hold at the moment of the commit: commits behave as if made one after the other.
    /// - A changeset with events whose id was committed before has no effect; the answer is the first receipt.
    /// - When the receipt is given, the changeset survives whatever the store is made to survive.
    /// - Its events get positions in the log in the order of the commits, those of one commit together, also when they get them
    ///   later than the receipt.
    ///
    /// # Errors
    /// - [`AlreadyExists`](StoreError::AlreadyExists): an id, a name, a tag or a live idempotency key is taken.
    /// - [`NotFound`](StoreError::NotFound): what is updated or deleted is not there.
    /// - [`Conflict`](StoreError::Conflict): a revision or the checkpoint is not the expected one.
    /// - [`GuardFailed`](StoreError::GuardFailed): a guard does not hold.
    /// - [`Unsupported`](StoreError::Unsupported): a write or guard that this store does not know.
    /// - [`Backend`](StoreError::Backend): a fault; its outcome may be unknown.
    async fn commit(&self, changeset: Changeset) -> Result<Receipt, StoreError>;

    /// Takes `count` ids, to be used for new resources.
    ///
    /// # Contract
    /// No id is given twice, by whichever handle and also after a restart. Ids that are not used are lost.
    ///
    /// # Errors
    /// [`StoreError::Unsupported`] for resources that this store does not keep, else only [`StoreError::Backend`].
    async fn allocate(&self, sequence: Sequence, count: u32) -> Result<IdBlock, StoreError>;
}

/// Which ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sequence {
    /// Of apps.
    Apps,
    /// Of versions.
    Versions,
    /// Of deployments.
    Deployments,
}

/// Ids `first`, `first + 1`, … that belong to whoever allocated them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdBlock {
    /// The first id; positive.
    pub first: i64,
    /// How many there are.
    pub count: u32,
}

/// The log of everything that happened.
///
/// # Contract
/// - Positions are gapless from 1 and follow the order of the commits. An event never moves and never changes.
/// - Whoever has seen position *n* sees every position below it.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Which log this is. It stays the same as long as the store lives.
    fn log_id(&self) -> LogId;

    /// Events after `after`, in order, at most `limit`.
    ///
    /// # Errors
    /// Only [`StoreError::Backend`].
    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<Event>>, StoreError>;

    /// The position of the newest event, [`Position::START`] in an empty log.
    ///
    /// # Errors
    /// Only [`StoreError::Backend`].
    async fn head(&self) -> Result<Position, StoreError>;

    /// Waits until there are events after `after`.
    ///
    /// # Contract
    /// It may wake too early, so look again; and a store may miss what other processes commit, so do not rely on it alone.
    /// It is safe to drop.
    ///
    /// # Errors
    /// Only [`StoreError::Backend`].
    async fn changed(&self, after: Position) -> Result<(), StoreError>;
}
