//! Where a test works: a schema of its own, on a server that is started for the tests or that `ALM_TEST_POSTGRES_URL` names.

use std::{
    env,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use alm_store_postgres::{
    PostgresOptions, PostgresStore,
    sqlx::{
        AssertSqlSafe, Connection, Executor, PgConnection, PgPool,
        postgres::{PgConnectOptions, PgPoolOptions},
    },
};

use alm_test_support::postgres::Server;

/// The name of a schema that no one else uses; it goes with this or with the server.
pub(crate) struct Place {
    server: PgConnectOptions,
    schema: String,
    // The server of the tests ends with the last place; any other goes on.
    own: Option<Arc<Server>>,
}

impl Place {
    pub(crate) async fn fresh() -> Self {
        static PLACES: AtomicU32 = AtomicU32::new(0);
        let schema = format!("alm_test_{}_{}", std::process::id(), PLACES.fetch_add(1, Ordering::Relaxed));
        if let Ok(url) = env::var("ALM_TEST_POSTGRES_URL") {
            return Self { server: PgConnectOptions::from_str(&url).unwrap(), schema, own: None };
        }
        let own = tokio::task::spawn_blocking(Server::shared).await.unwrap();
        Self { server: PgConnectOptions::from_str(&own.url()).unwrap(), schema, own: Some(own) }
    }

    /// One with a store in it.
    pub(crate) async fn migrated() -> Self {
        let place = Self::fresh().await;
        PostgresStore::migrate(&place.options()).await.unwrap();
        place
    }

    pub(crate) fn schema(&self) -> &str {
        &self.schema
    }

    /// Enough connections for a few tasks, and few enough for many tests at once.
    pub(crate) fn options(&self) -> PostgresOptions {
        self.options_with(self.server.clone())
    }

    /// The same over other connections.
    pub(crate) fn options_with(&self, connections: PgConnectOptions) -> PostgresOptions {
        PostgresOptions::new(connections).schema(&self.schema).unwrap().max_connections(8)
    }

    pub(crate) async fn store(&self) -> Arc<PostgresStore> {
        Arc::new(PostgresStore::connect(&self.options()).await.unwrap())
    }

    /// How a host reaches the same database: it knows nothing of the schema.
    pub(crate) fn host(&self) -> PgConnectOptions {
        self.server.clone()
    }

    /// A pool as a host has one.
    pub(crate) fn pool(&self) -> PgPool {
        PgPoolOptions::new().max_connections(4).connect_lazy_with(self.host())
    }

    /// Makes statements, in each of which `$schema` stands for the name of the schema.
    pub(crate) async fn execute(&self, statements: &str) {
        let mut connection = PgConnection::connect_with(&self.server).await.unwrap();
        connection.execute(AssertSqlSafe(statements.replace("$schema", &self.schema))).await.unwrap();
        connection.close().await.unwrap();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.own.is_some() {
            return;
        }
        let (server, schema) = (self.server.clone(), self.schema.clone());
        // A thread of its own: this may be dropped within a runtime, where one must not wait.
        let gone = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut connection = PgConnection::connect_with(&server).await.unwrap();
                connection.execute(AssertSqlSafe(format!("DROP SCHEMA IF EXISTS {schema} CASCADE"))).await.unwrap();
            });
        });
        gone.join().unwrap();
    }
}
