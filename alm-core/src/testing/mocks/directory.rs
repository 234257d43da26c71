//! The directory.

use async_trait::async_trait;
use mockall::mock;

use crate::{
    domain::{AppId, VersionId},
    ports::{BackendError, Directory},
};

mock! {
    /// A [`Directory`].
    #[derive(Debug)]
    pub Directory {}

    #[async_trait]
    impl Directory for Directory {
        async fn app(&self, id: AppId) -> Result<bool, BackendError>;
        async fn version(&self, id: VersionId) -> Result<Option<AppId>, BackendError>;
    }
}
