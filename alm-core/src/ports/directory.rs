//! Who knows whether a parent exists that lives elsewhere: the service that holds it.

use async_trait::async_trait;

use crate::domain::{AppId, VersionId};

use super::BackendError;

/// Asks the services that hold them for the parents of new versions and deployments, where a process runs
/// [some services](crate::AlmBuilder::services) only. It is asked for what was not learned from events; what it says to exist is
/// remembered in the store, so the answer need not be about this very moment: an end that it did not know of is heard of by its
/// event, and what was created meanwhile goes with it.
#[async_trait]
pub trait Directory: Send + Sync {
    /// Whether there is an app with this id.
    ///
    /// # Errors
    /// It can't be known now.
    async fn app(&self, id: AppId) -> Result<bool, BackendError>;

    /// The app of the version with this id, or `None` when there is no such version.
    ///
    /// # Errors
    /// It can't be known now.
    async fn version(&self, id: VersionId) -> Result<Option<AppId>, BackendError>;
}
