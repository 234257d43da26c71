//! The directory.

use async_trait::async_trait;
use mockall::mock;

use crate::{
    domain::{AppId, VersionId},
    ports::{Directory, DirectoryError, Existence},
};

mock! {
    /// A [`Directory`].
    #[derive(Debug)]
    pub Directory {}

    #[async_trait]
    impl Directory for Directory {
        async fn app(&self, id: AppId) -> Result<Existence<()>, DirectoryError>;
        async fn version(&self, id: VersionId) -> Result<Existence<AppId>, DirectoryError>;
    }
}
