//! Roles: advisory locks of sessions, each on a connection of its own, which end with it.

use std::{io, time::Duration};

use alm_core::{
    changeset::ConsumerName,
    ports::{Lease, Outcome, StoreError},
};
use async_trait::async_trait;
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::time::timeout;

use crate::{
    connect::connect,
    error::{Fault, backend},
    options::PostgresOptions,
    pool::{Pool, with_connection},
    schema::SchemaName,
};

const OPERATION: &str = "take a role";

/// How soon the server notices that whoever has a role can't be heard of any more: after the first pause, and so many more without
/// an answer, in seconds. When a process ends, its system says so, and it is noticed at once.
const KEEPALIVES: [(&str, &str); 3] =
    [("tcp_keepalives_idle", "5"), ("tcp_keepalives_interval", "2"), ("tcp_keepalives_count", "3")];

/// Whether some session of this database, or by `$2` this very one, has the lock with the key of the role `$1`. The key is of the schema,
/// too, so that stores in other schemas have roles of their own.
const IS_LOCKED: &str = "
    SELECT EXISTS (
        SELECT FROM pg_locks, hashtextextended('alm role ' || $1 || ' ' || current_schema(), 0) AS role(key)
        WHERE locktype = 'advisory' AND granted AND objsubid = 1
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND classid = (key >> 32 & 4294967295)::oid AND objid = (key & 4294967295)::oid
            AND (NOT $2 OR pid = pg_backend_pid())
    )";

const LOCK: &str = "SELECT pg_try_advisory_lock(hashtextextended('alm role ' || $1 || ' ' || current_schema(), 0))";

/// How roles are taken.
pub(crate) struct RoleOptions {
    connection: PgConnectOptions,
    schema: SchemaName,
    /// How long the database may take to let someone in or to answer.
    patience: Duration,
}

impl RoleOptions {
    pub(crate) fn of(options: &PostgresOptions) -> Self {
        Self {
            connection: options.connection().options(KEEPALIVES),
            schema: options.schema_name().clone(),
            patience: options.patience(),
        }
    }

    /// Takes a role, unless someone has it.
    pub(crate) async fn take(&self, pool: &Pool, role: &ConsumerName) -> Result<Option<Box<dyn Lease>>, StoreError> {
        // Whoever waits for a role asks often, and a connection is dear.
        let is_taken: bool = with_connection!(pool, "take a role", connection => async {
            Ok::<_, Fault>(is_locked(&mut connection, role, false).await?)
        })?;
        if is_taken {
            return Ok(None);
        }
        // To connect, and to be answered: each may take so long.
        let connection = timeout(2 * self.patience, self.connection_with(role)).await.unwrap_or_else(|_| {
            let silent = sqlx::Error::Io(io::ErrorKind::TimedOut.into());
            Err(backend(OPERATION, silent, Outcome::NotApplied))
        })?;
        Ok(connection.map(|connection| {
            let held = Held { role: role.clone(), connection: Some(connection), patience: self.patience };
            Box::new(held) as Box<dyn Lease>
        }))
    }

    /// A session that has the lock of a role, unless another has it.
    async fn connection_with(&self, role: &ConsumerName) -> Result<Option<PgConnection>, StoreError> {
        let search_path = self.schema.search_path();
        let mut connection = connect(&self.connection, &search_path, self.patience, OPERATION).await?;
        let locking = sqlx::query_scalar(LOCK).bind(role.as_str()).fetch_one(&mut connection);
        if locking.await.map_err(|error| backend(OPERATION, error, Outcome::NotApplied))? {
            return Ok(Some(connection));
        }
        // Whether the server hears the good-bye is no matter.
        let _ = connection.close().await;
        Ok(None)
    }
}

async fn is_locked(connection: &mut PgConnection, role: &ConsumerName, by_us: bool) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(IS_LOCKED).bind(role.as_str()).bind(by_us).fetch_one(connection).await
}

/// A session that has the lock.
struct Held {
    role: ConsumerName,
    // None once the role was lost: then the session must not come back.
    connection: Option<PgConnection>,
    patience: Duration,
}

#[async_trait]
impl Lease for Held {
    /// Asks the session itself, and whether it still has the lock: a pooler may have given its session to others.
    async fn is_held(&mut self) -> bool {
        // Taken out, so that it is lost when whoever asks gives up before the answer has come.
        let Some(mut connection) = self.connection.take() else { return false };
        let answer = timeout(self.patience, is_locked(&mut connection, &self.role, true)).await;
        match answer {
            Ok(Ok(true)) => self.connection = Some(connection),
            Ok(Ok(false)) => tracing::warn!(role = %self.role, "a role is lost: its session does not have the lock"),
            Ok(Err(error)) => {
                tracing::warn!(role = %self.role, error = &error as &dyn std::error::Error, "a role is lost");
            }
            Err(_) => tracing::warn!(role = %self.role, "a role is lost: the database does not answer"),
        }
        self.connection.is_some()
    }
}
