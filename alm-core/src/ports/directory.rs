//! Who knows whether a parent exists: the store itself when it holds the parents, else their owner.

use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::{AppId, VersionId};

use super::{BackendError, Store, StoreError};

/// Looks up the parents of new versions and deployments.
#[async_trait]
pub trait Directory: Send + Sync {
    /// Whether there is an app with this id.
    ///
    /// # Errors
    /// It can't be known now.
    async fn app(&self, id: AppId) -> Result<Existence<()>, DirectoryError>;

    /// Whether there is a version with this id, and of which app it is.
    ///
    /// # Errors
    /// It can't be known now.
    async fn version(&self, id: VersionId) -> Result<Existence<AppId>, DirectoryError>;
}

/// What a [`Directory`] knows of a parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existence<T> {
    /// It exists, here: the commit's guard must hold too.
    Guarded(T),
    /// It exists, elsewhere.
    Elsewhere(T),
    /// It does not exist.
    Absent,
}

/// Why a [`Directory`] does not know.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The owner of the parents failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// The directory of a store that holds the parents itself.
#[derive(Clone)]
pub struct StoreDirectory(Arc<dyn Store>);

impl StoreDirectory {
    /// The directory of `store`.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }
}

#[async_trait]
impl Directory for StoreDirectory {
    async fn app(&self, _id: AppId) -> Result<Existence<()>, DirectoryError> {
        // The guard in the commit decides, so looking first would only cost a round trip.
        Ok(Existence::Guarded(()))
    }

    async fn version(&self, id: VersionId) -> Result<Existence<AppId>, DirectoryError> {
        let version = self.0.version(id).await?;
        Ok(version.map_or(Existence::Absent, |version| Existence::Guarded(version.app_id)))
    }
}
