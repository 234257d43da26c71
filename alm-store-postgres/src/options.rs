//! How a store reaches its database.

use std::{str::FromStr, time::Duration};

use alm_core::ports::{BackendError, StoreError};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::{error, pool::Pool, schema::SchemaName};

/// So much longer than a statement may take its answer may be on its way.
const GRACE: Duration = Duration::from_secs(1);

/// Each statement has an index that it is made for, and the plan that uses it is the best one for all values and all sizes of a
/// table. The server would find others: it plans a page anew each time, because it does not know how long a page is, which costs
/// as much as reading it; it keeps the plan that was good for an empty table while the table grows; and it compiles what looks
/// expensive.
const PLANNING: [(&str, &str); 3] =
    [("plan_cache_mode", "force_generic_plan"), ("enable_seqscan", "off"), ("jit", "off")];

/// Which database and schema, and how much of it may be used.
///
/// ```
/// # fn main() -> Result<(), alm_core::ports::StoreError> {
/// use std::time::Duration;
/// use alm_store_postgres::PostgresOptions;
///
/// let options = PostgresOptions::parse("postgres://alm@db.example.org/alm")?
///     .schema("alm_staging")?
///     .max_connections(32)
///     .statement_timeout(Duration::from_secs(2));
/// # Ok(())
/// # }
/// ```
///
/// Each connection needs a session of its own: a pooler in between must not lend them by transaction, or the settings that are
/// made when it connects are lost.
#[derive(Clone, Debug)]
#[must_use = "options have no effect until a store is opened with them"]
pub struct PostgresOptions {
    connect: PgConnectOptions,
    schema: SchemaName,
    max_connections: u32,
    acquire_timeout: Duration,
    statement_timeout: Duration,
    lock_timeout: Duration,
    application_name: String,
}

impl PostgresOptions {
    /// The database of this URL: `postgres://user:password@host:port/database`. Name the user; there is no default.
    ///
    /// # Errors
    /// [`StoreError::Backend`] of the kind `Internal`: it is not such a URL.
    pub fn parse(url: &str) -> Result<Self, StoreError> {
        let connect = PgConnectOptions::from_str(url)
            .map_err(|error| BackendError::internal(error::ADAPTER, "parse the URL").with_source(error))?;
        Ok(Self::new(connect))
    }

    /// The database that `connect` reaches: for what a URL can't say, such as certificates.
    pub fn new(connect: PgConnectOptions) -> Self {
        Self {
            connect,
            schema: SchemaName::default(),
            max_connections: 16,
            acquire_timeout: Duration::from_secs(3),
            statement_timeout: Duration::from_secs(5),
            lock_timeout: Duration::from_secs(3),
            application_name: "alm".to_owned(),
        }
    }

    /// The schema that the store lives in: `alm` unless another is named. Stores in different schemas know nothing of each other.
    ///
    /// # Errors
    /// [`StoreError::Backend`] of the kind `Internal`: it does not consist of 1 to 63 of a-z, 0-9 and `_`, begins with a
    /// digit, or with `pg_`, which `PostgreSQL` keeps for itself.
    pub fn schema(mut self, name: &str) -> Result<Self, StoreError> {
        self.schema = SchemaName::parse(name)?;
        Ok(self)
    }

    /// How many connections are open at most: 16, at least 1.
    pub fn max_connections(mut self, connections: u32) -> Self {
        self.max_connections = connections.max(1);
        self
    }

    /// How long to wait for a connection: 3 seconds.
    pub fn acquire_timeout(mut self, timeout: Duration) -> Self {
        self.acquire_timeout = timeout;
        self
    }

    /// How long a statement may take: 5 seconds; zero is without end. Migrations take as long as they need.
    pub fn statement_timeout(mut self, timeout: Duration) -> Self {
        self.statement_timeout = timeout;
        self
    }

    /// How long a statement may wait for a row that another transaction holds: 3 seconds; zero is without end.
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// The name under which the server lists the connections: `alm` unless another is given.
    pub fn application_name(mut self, name: impl Into<String>) -> Self {
        self.application_name = name.into();
        self
    }

    pub(crate) fn schema_name(&self) -> &SchemaName {
        &self.schema
    }

    pub(crate) fn connection(&self) -> PgConnectOptions {
        // As parameters of the start they cost no round trip, and a RESET of the session comes back to them.
        let timeouts = [("statement_timeout", self.statement_timeout), ("lock_timeout", self.lock_timeout)].map(
            |(name, timeout)| {
                // A part of a millisecond must not become zero, which is without end.
                let millis = if timeout.is_zero() { 0 } else { timeout.as_millis().clamp(1, 2_147_483_647) };
                (name, millis.to_string())
            },
        );
        self.connect
            .clone()
            .application_name(&self.application_name)
            .options(timeouts)
            .options([("search_path", self.schema.search_path())])
            // What the store does is right in this one, and would only fail more often in a stricter one.
            .options([("default_transaction_isolation", "read committed")])
            .options(PLANNING)
    }

    /// No connection is made until one is needed.
    pub(crate) fn pool(&self) -> Pool {
        let connections = PgPoolOptions::new()
            .max_connections(self.max_connections)
            .acquire_timeout(self.acquire_timeout)
            // It would be a round trip for each commit and each read; whoever finds a connection broken takes another.
            .test_before_acquire(false)
            .connect_lazy_with(self.connection());
        Pool::new(connections, (!self.statement_timeout.is_zero()).then(|| self.statement_timeout + GRACE))
    }
}
