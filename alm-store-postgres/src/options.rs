//! How a store reaches its database.

use std::{fmt, time::Duration};

use alm_core::ports::{BackendError, StoreError};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::{error, pool::Pool, schema::SchemaName, url};

/// So much longer than a statement may take its answer may be on its way.
const GRACE: Duration = Duration::from_secs(1);

/// The server undoes a transaction in which nothing comes for so long: whoever began it can't be heard of any more, and its locks
/// would stop others.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// Each statement has an index that it is made for, and the plan that uses it is the best one for all values and all sizes of a
/// table. The server would find others: it plans a page anew each time, because it does not know how long a page is, which costs
/// as much as reading it; it keeps the plan that was good for an empty table while the table grows; it would rather pass over a
/// whole table in its order on the disk than go to and fro for the few rows that are wanted; and it compiles what looks expensive.
const PLANNING: [(&str, &str); 5] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("seq_page_cost", "0"),
    ("random_page_cost", "0"),
    ("jit", "off"),
];

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
#[derive(Clone)]
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
    /// The database of this URL: `postgres://user:password@host:port/database?parameter=value&…`.
    ///
    /// Name the user; there is no default. The parameters are `schema` for [another schema](Self::schema), and those of `libpq`:
    /// `application_name`, `dbname`, `host`, `hostaddr`, `options`, `password`, `port`, `user`, and with the feature `tls`
    /// `sslmode` (`disable`, `prefer`, `require`, `verify-full`), `sslrootcert`, `sslcert` and `sslkey`. What the URL leaves out
    /// `sqlx` takes from where `libpq` does: `PGHOST`, `PGPASSWORD`, `PGSSLMODE` and their like, and the password file.
    ///
    /// # Errors
    /// [`StoreError::Backend`] of the kind `Internal`: it is not such a URL, or names a file that can't be read. The source says
    /// what is wrong, without the password.
    pub fn parse(url: &str) -> Result<Self, StoreError> {
        let url::Target { connect, schema } =
            url::parse(url).map_err(|why| BackendError::internal(error::ADAPTER, "parse the URL").with_source(why))?;
        let options = Self::new(connect);
        match schema {
            Some(name) => options.schema(&name),
            None => Ok(options),
        }
    }

    /// The database that `connect` reaches: for what a URL can't say.
    pub fn new(connect: PgConnectOptions) -> Self {
        let application_name = connect.get_application_name().unwrap_or("alm").to_owned();
        Self {
            connect,
            application_name,
            schema: SchemaName::default(),
            max_connections: 16,
            acquire_timeout: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(5),
            lock_timeout: Duration::from_secs(3),
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

    /// How many connections are open at most: 16, at least 2. One of them is for commits that come at the same time. Each
    /// [role](alm_core::ports::Roles::lead) that the store has lent takes one more.
    pub fn max_connections(mut self, connections: u32) -> Self {
        self.max_connections = connections.max(2);
        self
    }

    /// How long to wait for a connection, be it that it is made or that another task gives one back: 2 seconds.
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

    /// The name under which the server lists the connections: `alm` unless another is given, here or in the URL.
    pub fn application_name(mut self, name: impl Into<String>) -> Self {
        self.application_name = name.into();
        self
    }

    pub(crate) fn schema_name(&self) -> &SchemaName {
        &self.schema
    }

    /// How long to wait for a connection.
    pub(crate) fn patience(&self) -> Duration {
        self.acquire_timeout
    }

    pub(crate) fn connection(&self) -> PgConnectOptions {
        // As parameters of the start they cost no round trip, and a RESET of the session comes back to them.
        let timeouts = [
            ("statement_timeout", self.statement_timeout),
            ("lock_timeout", self.lock_timeout),
            ("idle_in_transaction_session_timeout", LONGEST_PAUSE),
        ]
        .map(|(name, timeout)| {
            // A part of a millisecond must not become zero, which is without end.
            let millis = if timeout.is_zero() { 0 } else { timeout.as_millis().clamp(1, 2_147_483_647) };
            (name, millis.to_string())
        });
        self.connect
            .clone()
            .application_name(&self.application_name)
            .options(timeouts)
            .options([("search_path", self.schema.search_path())])
            // What the store does is right in this one, and would only fail more often in a stricter one.
            .options([("default_transaction_isolation", "read committed")])
            .options(PLANNING)
    }

    /// The connections but one. None is made until it is needed.
    pub(crate) fn pool(&self) -> Pool {
        let pool = PgPoolOptions::new()
            .max_connections(self.max_connections - 1)
            .acquire_timeout(self.acquire_timeout)
            // It would be a round trip for each commit and each read; whoever finds a connection broken takes another.
            .test_before_acquire(false);
        Pool::new(pool, self.connection(), (!self.statement_timeout.is_zero()).then(|| self.statement_timeout + GRACE))
    }
}

/// Where the schema is: host or socket, port, database and schema, without who works on it and the password.
impl fmt::Display for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connect, schema, .. } = self;
        match connect.get_socket() {
            Some(socket) => write!(f, "the schema {schema} at the socket {}", socket.display())?,
            None => write!(f, "the schema {schema} at {}:{}", connect.get_host(), connect.get_port())?,
        }
        // As libpq has it.
        write!(f, ", database {}", connect.get_database().unwrap_or(connect.get_username()))
    }
}

/// Without the password, which `sqlx` would show.
impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("host", &self.connect.get_host())
            .field("port", &self.connect.get_port())
            .field("socket", &self.connect.get_socket())
            .field("user", &self.connect.get_username())
            .field("database", &self.connect.get_database())
            .field("ssl_mode", &self.connect.get_ssl_mode())
            .field("schema", &self.schema)
            .field("max_connections", &self.max_connections)
            .field("acquire_timeout", &self.acquire_timeout)
            .field("statement_timeout", &self.statement_timeout)
            .field("lock_timeout", &self.lock_timeout)
            .field("application_name", &self.application_name)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_not_shown() {
        let options = PostgresOptions::parse("postgres://alm:hunter2@localhost/alm").unwrap();
        assert!(!format!("{options} {options:?} {:#?}", options.pool()).contains("hunter2"));
    }

    #[test]
    fn it_is_shown_where_the_schema_is_whatever_the_url_says_first() {
        for (url, shown) in [
            (
                "postgres://alm:p%40ss@db.example.org/alm?schema=app",
                "the schema app at db.example.org:5432, database alm",
            ),
            ("postgres://alm@staging/db?host=prod&port=5433", "the schema alm at prod:5433, database db"),
            ("postgres://alm@localhost", "the schema alm at localhost:5432, database alm"),
        ] {
            assert_eq!(PostgresOptions::parse(url).unwrap().to_string(), shown);
        }
        let socket = PostgresOptions::parse("postgresql:///main?host=/run/postgresql&user=alm").unwrap().to_string();
        assert!(socket.contains("/run/postgresql") && socket.ends_with("database main"), "{socket}");
    }

    #[test]
    fn a_url_names_the_schema_and_the_application() {
        let options =
            PostgresOptions::parse("postgres://alm@localhost/alm?schema=app&application_name=billing").unwrap();
        assert_eq!((options.schema_name().to_string(), &*options.application_name), ("app".to_owned(), "billing"));
        assert!(PostgresOptions::parse("postgres://alm@localhost/alm?schema=App").is_err());
    }
}
