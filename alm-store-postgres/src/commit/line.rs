//! The connection on which groups are committed: kept from one to the next, because to lend and give back costs a round trip.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, postgres::PgConnectOptions};
use tokio::{task::JoinHandle, time::timeout};

use crate::{options::PostgresOptions, pool::Pool};

/// How long a group waits for the connection to be made. After that each in it waits for itself, and the connection goes on being
/// made for those that come later.
const PATIENCE: Duration = Duration::from_millis(250);

/// How long a group waits for a row that someone holds: only one in it has to.
const LOCK_TIMEOUT: Duration = Duration::from_millis(25);

pub(crate) struct Line {
    options: PgConnectOptions,
    /// How long it may take to connect.
    patience: Duration,
    pool: Pool,
    connection: Option<(PgConnection, Instant)>,
    making: Option<JoinHandle<Option<PgConnection>>>,
}

impl Line {
    /// It is made when it is first needed. What is known of the server is what `pool` knows.
    pub(crate) fn of(options: &PostgresOptions, pool: Pool) -> Self {
        Self { options: options.connection(), patience: options.patience(), pool, connection: None, making: None }
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The connection, if there is one soon.
    pub(super) async fn ready(&mut self) -> Option<&mut PgConnection> {
        if self.connection.as_ref().is_some_and(|(_, made)| self.pool.was_silent_since(made.elapsed())) {
            self.connection = None;
        }
        if self.connection.is_none() {
            let making = self.making.get_or_insert_with(|| tokio::spawn(connect(self.options.clone(), self.patience)));
            let made = timeout(PATIENCE, making).await.ok()?;
            self.making = None;
            self.connection = Some((made.ok()??, Instant::now()));
        }
        self.connection.as_mut().map(|(connection, _)| connection)
    }

    /// Gives up the connection, which is of no use any more.
    pub(super) fn lose(&mut self) {
        self.connection = None;
    }

    pub(super) async fn close(self) {
        if let Some(making) = self.making {
            making.abort();
        }
        if let Some((connection, _)) = self.connection {
            // Whether the server hears the good-bye is no matter.
            let _ = timeout(PATIENCE, connection.close()).await;
        }
    }
}

/// A connection, unless it takes too long; whoever commits alone is told why there is none.
async fn connect(options: PgConnectOptions, patience: Duration) -> Option<PgConnection> {
    let connected = timeout(patience, async {
        let mut connection = PgConnection::connect_with(&options).await?;
        // Now, because a pooler in between may ignore how the session was to be started.
        let limit = format!("SET lock_timeout = {}", LOCK_TIMEOUT.as_millis());
        connection.execute(AssertSqlSafe(limit)).await?;
        Ok::<_, sqlx::Error>(connection)
    });
    connected
        .await
        .ok()?
        .inspect_err(|error| tracing::debug!(error = error as &dyn std::error::Error, "no connection"))
        .ok()
}
