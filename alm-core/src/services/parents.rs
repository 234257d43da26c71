//! Whether there is the parent that a new version or deployment names, and what its commit must hold on to.

use crate::{
    changeset::{Changeset, Guard},
    domain::{AppId, Known, ParentId, SourceService, VersionId},
    ports::{BackendError, BackendErrorKind, Outcome},
};

use super::{Alm, Context, Error};

impl Alm {
    /// The guard of what hangs on the app, or `None` when there is no such app.
    pub(super) async fn app_to_hold(&self, cx: &Context, id: AppId) -> Result<Option<Guard>, Error> {
        if self.inner.services.has(SourceService::AppService) {
            // The guard decides, so looking first would only cost a round trip.
            return Ok(Some(Guard::AppExists(id)));
        }
        let parent = ParentId::App(id);
        let app_id = match self.inner.store.known(parent).await? {
            Some(Known::Gone) => None,
            Some(Known::Live { app_id }) => Some(app_id),
            None => {
                let is_there = self.directory()?.app(id).await?;
                self.learn(cx, parent, is_there.then_some(id)).await?
            }
        };
        Ok(app_id.map(|_| Guard::ParentKnown(parent)))
    }

    /// The app of the version and the guard of what hangs on it, or `None` when there is no such version.
    pub(super) async fn version_to_hold(&self, cx: &Context, id: VersionId) -> Result<Option<(AppId, Guard)>, Error> {
        if self.inner.services.has(SourceService::VersionService) {
            let version = self.inner.store.version(id).await?;
            return Ok(version.map(|version| (version.app_id, Guard::VersionExists(id))));
        }
        let parent = ParentId::Version(id);
        let app_id = match self.inner.store.known(parent).await? {
            Some(Known::Gone) => None,
            Some(Known::Live { app_id }) => Some(app_id),
            None => {
                let app_id = self.directory()?.version(id).await?;
                self.learn(cx, parent, app_id).await?
            }
        };
        Ok(app_id.map(|app_id| (app_id, Guard::ParentKnown(parent))))
    }

    fn directory(&self) -> Result<&dyn crate::ports::Directory, Error> {
        self.inner.directory.as_deref().ok_or_else(|| {
            // Its event may come, so this may pass.
            Error::Backend(BackendError {
                kind: BackendErrorKind::Unavailable,
                adapter: "directory",
                operation: "look a parent up",
                outcome: Outcome::NotApplied,
                retry_after: None,
                source: Some("nothing was heard of it, and no directory is plugged in that could be asked".into()),
            })
        })
    }

    /// Remembers what the directory has said. That the parent is gone by now, and its event was faster, the guard will tell.
    async fn learn(&self, cx: &Context, parent: ParentId, app_id: Option<AppId>) -> Result<Option<AppId>, Error> {
        if let Some(app_id) = app_id {
            self.commit(cx, Changeset::learning(self.stamp(cx), parent, app_id)).await?;
        }
        Ok(app_id)
    }
}
