//! Stores in folders of their own.

use std::path::PathBuf;

use alm_store_sqlite::{SqliteOptions, SqliteStore};
use tempfile::TempDir;

/// A store, and the folder that goes when it is dropped.
pub(crate) struct InFolder {
    pub(crate) store: SqliteStore,
    folder: TempDir,
}

impl InFolder {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path().join(FILE)).await;
        Self { store, folder }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join(FILE)
    }

    /// Another store on the same file, as another process would open it.
    pub(crate) async fn another(&self) -> SqliteStore {
        open(self.path()).await
    }

    /// The store, closed and opened again.
    pub(crate) async fn reopen(&mut self) -> SqliteStore {
        self.store.close().await;
        self.store = self.another().await;
        self.store.clone()
    }
}

const FILE: &str = "alm.db";

async fn open(path: PathBuf) -> SqliteStore {
    SqliteOptions::new(path).migrate(true).open().await.unwrap()
}
