//! The store: alm-core's ports on a file.

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use alm_core::{
    changeset::{Changeset, ConsumerName, DeadLetter, IdempotencyRecord, IdempotencyScope, Receipt},
    domain::{
        App, AppId, AuditEntry, AuditIndex, ChangesetId, Credential, CredentialId, Deployment, DeploymentId,
        EnvironmentName, Event, Known, LogId, ParentId, Position, RunningVersion, Timestamp, User, UserRecord,
        Username, Version, VersionId,
    },
    ports::{
        AppFilter, AuditFilter, Bucket, Committer, CredentialFilter, DeploymentFilter, EventLog, Growth,
        HeldCredential, IdBlock, KeptCheckpoint, Lease, Outcome, Rate, Reader, Roles, Rotated, Rotation, Sequence,
        StoreError, TileId, TreeStore, Trimmed, VersionFilter,
    },
};
use async_trait::async_trait;
use sqlx::{ConnectOptions as _, Connection as _, SqlitePool};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

use crate::{
    error::{closed, fault},
    options::SqliteOptions,
    read, role, rotate, schema,
    writer::{Job, Reply, Writer},
};

/// How long an event that another handle has committed may go unnoticed by those who wait for it.
const POLL: Duration = Duration::from_millis(100);

/// So many may wait for the writer before others wait to wait.
const QUEUE: usize = 1024;

/// A [`Store`](alm_core::ports::Store) in one `SQLite` file, which can keep a [tree](TreeStore) over its audit log. A clone is another handle on the same connections, and cheap.
///
/// What writes and whose future is dropped while it waits is not done, unless it has already begun; then all of it is.
#[derive(Clone)]
pub struct SqliteStore {
    shared: Arc<Shared>,
}

struct Shared {
    log: LogId,
    path: PathBuf,
    readers: SqlitePool,
    // None once the store is closed. The writer ends when the last sender is gone.
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    // The newest event that this store has committed or found. The writer has the sender until it ends.
    head: watch::Receiver<Position>,
    transactions: Arc<AtomicU64>,
}

impl SqliteStore {
    /// Opens the store in the file at `path`, which [`migrate`](Self::migrate) has prepared, with the options of
    /// [`SqliteOptions::new`].
    ///
    /// # Errors
    /// A [`Backend`](StoreError::Backend) fault: there is no such file, it can't be read or is no database, or, of kind
    /// [`Corrupt`](alm_core::ports::BackendErrorKind::Corrupt) with the advice as its source, its schema is older or newer
    /// than the one that this store knows.
    ///
    /// # Panics
    /// It is called outside of a tokio runtime.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        SqliteOptions::new(path).open().await
    }

    /// Makes the file at `path` if there is none, and brings its schema up to date. Several may do so at once, and stores may be
    /// open meanwhile.
    ///
    /// # Errors
    /// A [`Backend`](StoreError::Backend) fault, as for [`open`](Self::open); nothing has been changed.
    pub async fn migrate(path: impl Into<PathBuf>) -> Result<(), StoreError> {
        let options = SqliteOptions::new(path).migrate(true);
        let mut connection = options.writer()?.connect().await.map_err(|error| fault("open", error))?;
        schema::write_ahead(&mut connection, options.patience()).await?;
        schema::migrate(&mut connection).await?;
        schema::check(&mut connection).await?;
        connection.close().await.map_err(|error| fault("close", error))
    }

    /// Gives the log another identity, once the file was restored from a backup: see [`Rotation`]. All of it is one transaction.
    ///
    /// The checkpoints and dead letters of this log are then of the new one, at the same positions. It begins behind the lowest of the
    /// checkpoints, and what is before that goes, so that no one who hears of the new log gets old events again. Without a
    /// checkpoint of this log none goes. Everything else stays, also what is known of the logs of other services.
    ///
    /// # Errors
    /// A [`Backend`](StoreError::Backend) fault, as for [`open`](Self::open), or, of kind
    /// [`Overloaded`](alm_core::ports::BackendErrorKind::Overloaded), because someone has the file open; nothing has been changed.
    pub async fn rotate_log(path: impl Into<PathBuf>, rotation: &Rotation) -> Result<Rotated, StoreError> {
        rotate::rotate(&SqliteOptions::new(path), rotation).await
    }

    pub(crate) async fn open_with(options: &SqliteOptions) -> Result<Self, StoreError> {
        let writer = options.writer()?;
        let mut connection = writer.connect().await.map_err(|error| fault("open", error))?;
        if options.migrates() {
            schema::write_ahead(&mut connection, options.patience()).await?;
            schema::migrate(&mut connection).await?;
        }
        let log = schema::check(&mut connection).await?;
        // Someone may have put it into another mode since it was migrated.
        schema::write_ahead(&mut connection, options.patience()).await?;
        let readers = options.readers_pool()?;
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let (head, seen) = watch::channel(read::events::head(&readers).await?);
        let transactions = Arc::new(AtomicU64::new(0));
        let writer = Writer {
            // It is opened again after a fault, and then must be there.
            options: writer.create_if_missing(false),
            connection: Some(connection),
            jobs: waiting,
            head,
            transactions: transactions.clone(),
        };
        tokio::spawn(writer.run());
        let shared =
            Shared { log, path: options.path()?, readers, jobs: Mutex::new(Some(jobs)), head: seen, transactions };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// How many transactions this store has committed. Of commits that wait at the same time many share one, so there are fewer.
    pub fn transactions(&self) -> u64 {
        self.shared.transactions.load(Ordering::Relaxed)
    }

    /// Reports how many connections read, how many have nothing to do, and how many there may be, to the recorder of the `metrics`
    /// crate: `alm_store_connections`, `alm_store_connections_max`.
    #[expect(clippy::cast_precision_loss, reason = "no one has 2⁵³ connections")]
    pub fn report_metrics(&self) {
        let idle = self.shared.readers.num_idle();
        let used = (self.shared.readers.size() as usize).saturating_sub(idle);
        metrics::gauge!("alm_store_connections", "state" => "idle").set(idle as f64);
        metrics::gauge!("alm_store_connections", "state" => "used").set(used as f64);
        metrics::gauge!("alm_store_connections_max").set(self.shared.readers.options().get_max_connections());
    }

    /// Commits what waits, and closes the file. Whatever is asked of the store or its clones afterwards is
    /// [`Unavailable`](alm_core::ports::BackendErrorKind::Unavailable).
    pub async fn close(&self) {
        drop(self.shared.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
        // It ends in an error, when the writer has dropped the sender.
        let _ = self.shared.head.clone().wait_for(|_| false).await;
        self.shared.readers.close().await;
    }

    #[cfg(test)]
    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.shared.readers
    }

    /// Has the writer do something.
    async fn ask<T>(&self, operation: &'static str, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, StoreError> {
        let jobs = self.shared.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let jobs = jobs.ok_or_else(|| closed(operation, Outcome::NotApplied))?;
        let (reply, answer) = oneshot::channel();
        jobs.send(job(reply)).await.map_err(|_| closed(operation, Outcome::NotApplied))?;
        // The writer answers everything, unless its runtime goes down while it works.
        answer.await.unwrap_or_else(|_| Err(closed(operation, Outcome::Unknown)))
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("log", &self.shared.log)
            .field("head", &*self.shared.head.borrow())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Committer for SqliteStore {
    async fn commit(&self, changeset: Changeset) -> Result<Receipt, StoreError> {
        self.ask("commit", |reply| Job::Commit(changeset, reply)).await
    }

    async fn allocate(&self, sequence: Sequence, count: u32) -> Result<IdBlock, StoreError> {
        self.ask("allocate", |reply| Job::Allocate(sequence, count, reply)).await
    }

    async fn trim(&self, up_to: Position, before: Timestamp, limit: usize) -> Result<Trimmed, StoreError> {
        self.ask("trim", |reply| Job::Trim(up_to, before, limit, reply)).await
    }

    async fn admit(&self, bucket: &Bucket, rate: Rate, now: Timestamp) -> Result<Result<(), Timestamp>, StoreError> {
        self.ask("count an attempt", |reply| Job::Admit(bucket.clone(), rate, now, reply)).await
    }

    async fn forget_answers(&self, now: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.ask("forget answers", |reply| Job::ForgetAnswers(now, limit, reply)).await
    }
}

#[async_trait]
impl EventLog for SqliteStore {
    fn log_id(&self) -> LogId {
        self.shared.log
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<Event>>, StoreError> {
        read::events::page(&self.shared.readers, self.shared.log, after, limit).await
    }

    async fn oldest(&self) -> Result<Position, StoreError> {
        read::events::oldest(&self.shared.readers).await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        read::events::head(&self.shared.readers).await
    }

    async fn changed(&self, after: Position) -> Result<(), StoreError> {
        let mut head = self.shared.head.clone();
        loop {
            let waited = timeout(POLL, head.wait_for(|head| *head > after)).await.map(|found| found.map(drop));
            match waited {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(_)) => return Err(closed("wait", Outcome::NotApplied)),
                Err(_) if self.head().await? > after => return Ok(()),
                Err(_) => {}
            }
        }
    }
}

#[async_trait]
impl Roles for SqliteStore {
    /// The role is the lock on a file beside the database, whose name ends in the name of the role and `.lock`. The file stays; it may
    /// be taken away when no process has the role.
    async fn lead(&self, role: &ConsumerName) -> Result<Option<Box<dyn Lease>>, StoreError> {
        role::take(self.shared.path.clone(), role).await
    }
}

#[async_trait]
impl Reader for SqliteStore {
    async fn app(&self, id: AppId) -> Result<Option<App>, StoreError> {
        read::apps::by_id(&self.shared.readers, id).await
    }

    async fn apps(&self, filter: &AppFilter, after: Option<AppId>, limit: usize) -> Result<Vec<App>, StoreError> {
        read::apps::page(&self.shared.readers, filter, after, limit).await
    }

    async fn version(&self, id: VersionId) -> Result<Option<Version>, StoreError> {
        read::versions::by_id(&self.shared.readers, id).await
    }

    async fn versions(
        &self,
        filter: &VersionFilter,
        after: Option<VersionId>,
        limit: usize,
    ) -> Result<Vec<Version>, StoreError> {
        read::versions::page(&self.shared.readers, filter, after, limit).await
    }

    async fn deployment(&self, id: DeploymentId) -> Result<Option<Deployment>, StoreError> {
        read::deployments::by_id(&self.shared.readers, id).await
    }

    async fn deployments(
        &self,
        filter: &DeploymentFilter,
        after: Option<DeploymentId>,
        limit: usize,
    ) -> Result<Vec<Deployment>, StoreError> {
        read::deployments::page(&self.shared.readers, filter, after, limit).await
    }

    async fn running(
        &self,
        app: AppId,
        after: Option<&EnvironmentName>,
        limit: usize,
    ) -> Result<Vec<RunningVersion>, StoreError> {
        read::running::page(&self.shared.readers, app, after, limit).await
    }

    async fn audit_entry(&self, index: AuditIndex) -> Result<Option<AuditEntry>, StoreError> {
        read::audit::by_index(&self.shared.readers, index).await
    }

    async fn audit_entries(
        &self,
        filter: &AuditFilter,
        after: Option<AuditIndex>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        read::audit::page(&self.shared.readers, filter, after, limit).await
    }

    async fn user(&self, username: &Username) -> Result<Option<UserRecord>, StoreError> {
        read::users::by_name(&self.shared.readers, username).await
    }

    async fn users(&self, after: Option<&(Timestamp, Username)>, limit: usize) -> Result<Vec<User>, StoreError> {
        read::users::page(&self.shared.readers, after, limit).await
    }

    async fn credential(&self, id: CredentialId) -> Result<Option<HeldCredential>, StoreError> {
        read::credentials::held(&self.shared.readers, id).await
    }

    async fn credentials(
        &self,
        filter: &CredentialFilter,
        after: Option<CredentialId>,
        limit: usize,
    ) -> Result<Vec<Credential>, StoreError> {
        read::credentials::page(&self.shared.readers, filter, after, limit).await
    }

    async fn is_revoked(&self, id: CredentialId) -> Result<bool, StoreError> {
        read::revocations::is_revoked(&self.shared.readers, id).await
    }

    async fn remembered(&self, scope: &IdempotencyScope) -> Result<Option<IdempotencyRecord>, StoreError> {
        read::answers::of_scope(&self.shared.readers, scope).await
    }

    async fn checkpoint(&self, consumer: &ConsumerName, log: LogId) -> Result<Option<Position>, StoreError> {
        read::consumers::checkpoint(&self.shared.readers, consumer, log).await
    }

    async fn dead_letters(
        &self,
        consumer: &ConsumerName,
        after: Option<(LogId, Position)>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        read::consumers::dead_letters(&self.shared.readers, consumer, after, limit).await
    }

    async fn known(&self, parent: ParentId) -> Result<Option<Known>, StoreError> {
        read::parents::known(&self.shared.readers, parent).await
    }

    async fn receipt(&self, changeset: ChangesetId) -> Result<Option<Receipt>, StoreError> {
        let statement = read::receipts::query(changeset);
        read::one(&self.shared.readers, statement, read::receipts::parse).await
    }
}

#[async_trait]
impl TreeStore for SqliteStore {
    async fn tiles(&self, ids: &[TileId]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        read::tree::tiles(&self.shared.readers, ids).await
    }

    async fn newest_checkpoint(&self) -> Result<Option<KeptCheckpoint>, StoreError> {
        read::tree::newest_checkpoint(&self.shared.readers).await
    }

    async fn checkpoints(&self, after: u64, limit: usize) -> Result<Vec<KeptCheckpoint>, StoreError> {
        read::tree::checkpoints(&self.shared.readers, after, limit).await
    }

    async fn grow(&self, growth: Growth) -> Result<(), StoreError> {
        self.ask("grow the tree", |reply| Job::Grow(growth, reply)).await
    }
}
