//! How a file is opened.

use std::{
    num::NonZeroU32,
    path::{Path, PathBuf, absolute},
    time::Duration,
};

use alm_core::ports::StoreError;
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteLockingMode, SqlitePoolOptions, SqliteSynchronous},
};

use crate::{SqliteStore, error::fault};

/// When a commit counts as done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// Once the disk has it: it survives that the machine loses power.
    #[default]
    Full,
    /// Once the operating system has it: it survives that the process ends, and the newest commits may be lost when the machine
    /// does. What is left is whole.
    Normal,
}

/// How a [`SqliteStore`] is opened.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// use alm_store_sqlite::{SqliteOptions, Synchronous};
///
/// let options = SqliteOptions::new(folder.path().join("alm.db")).migrate(true).synchronous(Synchronous::Normal);
/// let store = options.open().await?;
/// # store.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "`open` opens the store"]
pub struct SqliteOptions {
    path: PathBuf,
    migrate: bool,
    synchronous: Synchronous,
    busy_timeout: Duration,
    readers: NonZeroU32,
}

impl SqliteOptions {
    /// The file at `path`, not migrated, with [`Synchronous::Full`], a busy timeout of five seconds, four readers.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            migrate: false,
            synchronous: Synchronous::default(),
            busy_timeout: Duration::from_secs(5),
            readers: NonZeroU32::MIN.saturating_add(3),
        }
    }

    /// Whether to make the file if there is none, and to bring its schema up to date.
    pub fn migrate(self, migrate: bool) -> Self {
        Self { migrate, ..self }
    }

    /// When a commit counts as done.
    pub fn synchronous(self, synchronous: Synchronous) -> Self {
        Self { synchronous, ..self }
    }

    /// How long to wait for another process that writes to the file, or for a reader that is free, before giving up with a
    /// fault that is retryable.
    pub fn busy_timeout(self, busy_timeout: Duration) -> Self {
        Self { busy_timeout, ..self }
    }

    /// How many connections may read at the same time.
    pub fn readers(self, readers: NonZeroU32) -> Self {
        Self { readers, ..self }
    }

    /// Opens the store.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    ///
    /// # Panics
    /// It is called outside of a tokio runtime.
    pub async fn open(self) -> Result<SqliteStore, StoreError> {
        SqliteStore::open_with(&self).await
    }

    pub(crate) fn migrates(&self) -> bool {
        self.migrate
    }

    pub(crate) fn patience(&self) -> Duration {
        self.busy_timeout
    }

    /// Where the file is, also when the process changes its folder.
    pub(crate) fn path(&self) -> Result<PathBuf, StoreError> {
        absolute::<&Path>(&self.path).map_err(|error| fault("open", sqlx::Error::Io(error)))
    }

    /// The connection that writes.
    pub(crate) fn writer(&self) -> Result<SqliteConnectOptions, StoreError> {
        let options = match self.synchronous {
            // `fullfsync` makes a Mac's disk write what it holds in its cache; elsewhere it means nothing.
            Synchronous::Full => self.connection()?.synchronous(SqliteSynchronous::Full).pragma("fullfsync", "ON"),
            Synchronous::Normal => self.connection()?.synchronous(SqliteSynchronous::Normal),
        };
        Ok(options.thread_name(|_| "alm-sqlite-writer".to_owned()).create_if_missing(self.migrate))
    }

    /// The one connection that there is: while others have the file open, it finds the file locked.
    pub(crate) fn alone(&self) -> Result<SqliteConnectOptions, StoreError> {
        Ok(self.writer()?.locking_mode(SqliteLockingMode::Exclusive))
    }

    /// The connections that read.
    pub(crate) fn readers_pool(&self) -> Result<SqlitePool, StoreError> {
        // Not opened read-only: whoever opens a file in write-ahead mode first must be able to set up its shared memory.
        let options = self.connection()?.pragma("query_only", "ON");
        let pool = SqlitePoolOptions::new()
            .max_connections(self.readers.get())
            .acquire_timeout(self.busy_timeout)
            // A connection to a file does not break by itself.
            .test_before_acquire(false);
        Ok(pool.connect_lazy_with(options.thread_name(|_| "alm-sqlite-reader".to_owned())))
    }

    fn connection(&self) -> Result<SqliteConnectOptions, StoreError> {
        // The absolute path, so that ":memory:" is a file as any other.
        let options =
            SqliteConnectOptions::new().filename(self.path()?).busy_timeout(self.busy_timeout).foreign_keys(false);
        // What a statement may have to undo is as large as its group. In a file it would cost calls of the system, and a process
        // that is killed at the wrong moment would leave the file behind.
        Ok(options.pragma("temp_store", "MEMORY"))
    }
}
