//! The store: a pool of connections to one schema, and a sealer.

use std::{fmt, sync::Arc, time::Duration};

use alm_core::{
    changeset::{Changeset, ConsumerName, Receipt},
    domain::{AppId, DeploymentId, Event, LogId, Position, Timestamp, VersionId},
    ports::{
        BackendError, Bucket, Committer, EventLog, IdBlock, Lease, Outcome, Rate, Roles, Rotated, Rotation, Sequence,
        StoreError, Trimmed,
    },
};
use async_trait::async_trait;
use sqlx::PgConnection;

use crate::{
    commit::{self, Groups, Joined, Line},
    error::Fault,
    options::PostgresOptions,
    pool::{Pool, with_connection},
    rate,
    read::{self, DeploymentsOf, Held, IsRevoked, Shared, VersionsOf},
    retention,
    role::RoleOptions,
    rotate, schema,
    schema::SchemaName,
    seal::Sealer,
};

/// So often whoever waits for events looks for them when the sealer is gone.
const LOOK: Duration = Duration::from_millis(100);

/// A [`Store`](alm_core::ports::Store) in `PostgreSQL`, which can keep a [tree](alm_core::ports::TreeStore) over its audit log. Share it
/// in an [`Arc`].
///
/// Any number of them may work on one schema, in one process or several. Each has a task that gives positions in the log to what
/// was committed; it ends when the store is dropped.
pub struct PostgresStore {
    pub(crate) pool: Pool,
    schema: SchemaName,
    log: LogId,
    sealer: Sealer,
    groups: Groups,
    roles: RoleOptions,
    pub(crate) shared: Reads,
}

/// Reads that share statements.
pub(crate) struct Reads {
    pub(crate) apps: Shared<AppId>,
    pub(crate) versions: Shared<VersionId>,
    pub(crate) deployments: Shared<DeploymentId>,
    pub(crate) credentials: Shared<Held>,
    pub(crate) revocations: Shared<IsRevoked>,
    pub(crate) versions_of: Shared<VersionsOf>,
    pub(crate) deployments_of: Shared<DeploymentsOf>,
}

impl PostgresStore {
    /// Makes the schema, or brings it to the version that this program needs. Nothing else ever changes it.
    ///
    /// It is safe to call from several processes at the same time: one does it, and the others wait. It needs a role that may
    /// create the schema, or owns it, unless there is nothing to do; the role that the store works under needs less, and [the crate's
    /// docs](crate) say where to find what.
    ///
    /// # Errors
    /// [`StoreError::Backend`]: the database can't be reached, is not encoded in UTF-8, is older than `PostgreSQL` 15, or refuses.
    /// Nothing was changed, and the source says what to do.
    pub async fn migrate(options: &PostgresOptions) -> Result<(), StoreError> {
        schema::migrate(options).await
    }

    /// Opens the store.
    ///
    /// # Errors
    /// [`StoreError::Backend`]: the database can't be reached or will not do, as above; or, of the kind `Corrupt`, the schema has not been migrated or
    /// is not of the version that this program needs, and the source says what to do.
    ///
    /// # Panics
    /// It is called where no tokio runtime runs.
    pub async fn connect(options: &PostgresOptions) -> Result<Self, StoreError> {
        let log = schema::open(options).await?;
        let pool = options.pool();
        let sealer = Sealer::start(pool.clone());
        let groups = Groups::start(Line::of(options, pool.clone()), sealer.publish().clone());
        let shared = Reads {
            apps: Shared::start(pool.clone()),
            versions: Shared::start(pool.clone()),
            deployments: Shared::start(pool.clone()),
            credentials: Shared::start(pool.clone()),
            revocations: Shared::start(pool.clone()),
            versions_of: Shared::start(pool.clone()),
            deployments_of: Shared::start(pool.clone()),
        };
        let roles = RoleOptions::of(options);
        Ok(Self { pool, schema: options.schema_name().clone(), log, sealer, groups, roles, shared })
    }

    /// Gives the log another identity, once the schema was restored from a backup: see [`Rotation`]. All of it is one transaction. It
    /// needs the role that owns the schema.
    ///
    /// The checkpoints and dead letters of this log are then of the new one, at the same positions. It begins behind the lowest of the
    /// checkpoints, and what is before that goes, so that no one who hears of the new log gets old events again. Without a
    /// checkpoint of this log none goes. Everything else stays, also what is known of the logs of other services.
    ///
    /// It keeps everyone from the log for some seconds, to see that no one works on it.
    ///
    /// # Errors
    /// [`StoreError::Backend`]: the database can't be reached or refuses, the schema has not been migrated or is not of the version that this
    /// program needs; or, of the kind `Overloaded`, a store is open on the schema. Nothing was changed, and the source says what to do.
    pub async fn rotate_log(options: &PostgresOptions, rotation: &Rotation) -> Result<Rotated, StoreError> {
        rotate::rotate(options, rotation).await
    }

    /// Commits a changeset within a transaction of the host, so that it is committed with what else is in there, or not at all.
    ///
    /// `connection` must be in a transaction, on the database of this store; its isolation is what the host has chosen, and
    /// `READ COMMITTED` will do. After an error the transaction goes on as if this had not been called, unless the connection
    /// is lost. If the future is dropped, roll the transaction back.
    ///
    /// The receipt says that the changeset is committed once the transaction is. Until then it holds locks on what it has
    /// changed, and on the end of the audit log if it records: be quick.
    ///
    /// # Errors
    /// Those of [`Committer::commit`]. What commits by itself is tried again when the database gave up one of two transactions
    /// for the other; here that is for the host to do, with the whole of its transaction.
    pub async fn commit_in(&self, connection: &mut PgConnection, changeset: Changeset) -> Result<Receipt, StoreError> {
        commit::commit_in(connection, &self.schema, &changeset).await
    }

    /// Reports to the recorder of the `metrics` crate how many connections there are and may be (`alm_store_connections`,
    /// `alm_store_connections_max`), and how many events have no position yet and since when (`alm_log_unsealed_events`, counted up to
    /// 10,000, and `alm_log_sealer_lag_seconds`).
    ///
    /// # Errors
    /// Only [`StoreError::Backend`]. What needs no statement is reported.
    #[expect(clippy::cast_precision_loss, reason = "neither has 2⁵³ of them")]
    pub async fn report_metrics(&self) -> Result<(), StoreError> {
        let (idle, used, max) = self.pool.connections();
        metrics::gauge!("alm_store_connections", "state" => "idle").set(idle as f64);
        metrics::gauge!("alm_store_connections", "state" => "used").set(used as f64);
        metrics::gauge!("alm_store_connections_max").set(max);
        let (events, age) =
            with_connection!(&self.pool, "look at the sealer", connection => read::unsealed(&mut connection))?;
        metrics::gauge!("alm_log_unsealed_events").set(events as f64);
        metrics::gauge!("alm_log_sealer_lag_seconds").set(age);
        Ok(())
    }

    /// Closes the connections, once what uses them is done. The store can't be used after that.
    pub async fn close(&self) {
        self.groups.close().await;
        self.pool.close().await;
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("schema", &self.schema).field("log", &self.log).finish_non_exhaustive()
    }
}

#[async_trait]
impl Committer for PostgresStore {
    async fn commit(&self, changeset: Changeset) -> Result<Receipt, StoreError> {
        let changeset = Arc::new(changeset);
        let joined = self.groups.commit(&changeset).await;
        if joined == Joined::Committed {
            return Ok(changeset.receipt());
        }
        // In a box, because few come here, and all others would carry the room for it about.
        let (receipt, head) = match Box::pin(commit::commit(&self.pool, &changeset)).await {
            // What it was asked with others for may yet be done.
            Err(StoreError::Backend(fault)) if joined == Joined::InDoubt => {
                return Err(BackendError { outcome: Outcome::Unknown, ..fault }.into());
            }
            done => done?,
        };
        if !changeset.events().is_empty() {
            self.sealer.publish().reached(head);
        }
        Ok(receipt)
    }

    async fn allocate(&self, sequence: Sequence, count: u32) -> Result<IdBlock, StoreError> {
        let name = match sequence {
            Sequence::Apps => "apps",
            Sequence::Versions => "versions",
            Sequence::Deployments => "deployments",
        };
        // Done twice, it loses ids, which is allowed; it never gives one twice.
        let first: i64 = with_connection!(&self.pool, "allocate", connection => async {
            let taken = sqlx::query_scalar("UPDATE sequences SET next = next + $2 WHERE name = $1 RETURNING next - $2");
            Ok::<_, Fault>(taken.bind(name).bind(i64::from(count)).fetch_one(&mut *connection).await?)
        })?;
        Ok(IdBlock { first, count })
    }

    // Either, done twice, takes more than was asked for at once, and never what it must not.
    async fn trim(&self, up_to: Position, before: Timestamp, limit: usize) -> Result<Trimmed, StoreError> {
        with_connection!(&self.pool, "trim the log", connection => {
            retention::trim(&mut connection, up_to, before, limit)
        })
    }

    async fn admit(&self, bucket: &Bucket, rate: Rate, now: Timestamp) -> Result<Result<(), Timestamp>, StoreError> {
        with_connection!(&self.pool, "count an attempt", connection => {
            rate::admit(&mut connection, bucket, rate, now)
        })
    }

    async fn forget_answers(&self, now: Timestamp, limit: usize) -> Result<u64, StoreError> {
        with_connection!(&self.pool, "forget answers", connection => {
            retention::forget_answers(&mut connection, now, limit)
        })
    }
}

#[async_trait]
impl Roles for PostgresStore {
    /// The role is held by a session of its own, beside the connections that [`PostgresOptions::max_connections`] counts. It stays until
    /// the lease is dropped, also when the store is closed.
    async fn lead(&self, role: &ConsumerName) -> Result<Option<Box<dyn Lease>>, StoreError> {
        self.roles.take(&self.pool, role).await
    }
}

#[async_trait]
impl EventLog for PostgresStore {
    fn log_id(&self) -> LogId {
        self.log
    }

    async fn read(&self, after: Position, limit: usize) -> Result<Vec<Arc<Event>>, StoreError> {
        with_connection!(&self.pool, "read the log", connection => {
            read::events(&mut connection, self.log, after, limit)
        })
    }

    async fn oldest(&self) -> Result<Position, StoreError> {
        with_connection!(&self.pool, "read where the log begins", connection => read::oldest(&mut connection))
    }

    async fn head(&self) -> Result<Position, StoreError> {
        with_connection!(&self.pool, "read the head", connection => read::head(&mut connection))
    }

    async fn changed(&self, after: Position) -> Result<(), StoreError> {
        if self.sealer.is_behind(after).await {
            return Ok(());
        }
        while self.head().await? <= after {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }
}
