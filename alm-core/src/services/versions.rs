//! Use cases of versions.

use std::future::ready;

use crate::{
    changeset::{Change, Changeset, Guard, Stamp},
    domain::{EventId, NewVersion, Subject, Version, VersionId, VersionUpdate},
    policy::{Action, Place},
    ports::{StoreError, VersionFilter},
};

use super::{Alm, Context, Created, Error, Limit, Page, Precondition};

/// Versions. Got from [`Alm::versions`].
#[derive(Clone, Copy, Debug)]
pub struct Versions<'a>(pub(super) &'a Alm);

impl Versions<'_> {
    /// Creates a version of an app that exists.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no such app, [`Error::AlreadyExists`] when the tag is taken in it; those of every
    /// use case.
    pub async fn create(&self, cx: &Context, new: NewVersion) -> Result<Created<Version>, Error> {
        let alm = self.0;
        let app_id = new.app_id;
        let place = ready(Ok(Some(Place::app(app_id))));
        let principal = alm.authorize_in(cx, Action::CreateVersion, Subject::Versions, place).await?;
        let created = alm.once(cx, principal.name.as_str(), Action::CreateVersion, async {
            let guard = alm.app_to_hold(cx, app_id).await?;
            let guard = guard.ok_or_else(|| Error::unknown_parent("/app_id", "app", app_id))?;
            let id = alm.new_version_id().await?;
            Ok(decide_create(new, id, guard, alm.stamp(cx), alm.event_id()))
        });
        match created.await {
            Err(Error::Store(StoreError::GuardFailed(_))) => Err(Error::unknown_parent("/app_id", "app", app_id)),
            done => done,
        }
    }

    /// The version with this id.
    ///
    /// # Errors
    /// [`Error::NotFound`]; those of every use case.
    pub async fn get(&self, cx: &Context, id: VersionId) -> Result<Version, Error> {
        self.0.authorize_in(cx, Action::GetVersion, Subject::Version(id), self.place(id)).await?;
        self.load(id).await
    }

    /// Versions, oldest first.
    ///
    /// # Errors
    /// Those of every use case.
    pub async fn list(
        &self,
        cx: &Context,
        filter: &VersionFilter,
        after: Option<VersionId>,
        limit: Limit,
    ) -> Result<Page<Version, VersionId>, Error> {
        self.0.authorize(cx, Action::ListVersions, Subject::Versions).await?;
        let versions = self.0.inner.store.versions(filter, after, limit.and_one_more()).await?;
        Ok(Page::of(versions, limit, |version| version.id))
    }

    /// Replaces the changeable fields of a version. When they are what they were, nothing happens and no event tells of it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PreconditionFailed`]; those of every use case.
    pub async fn update(
        &self,
        cx: &Context,
        id: VersionId,
        update: VersionUpdate,
        precondition: &Precondition,
    ) -> Result<Version, Error> {
        let alm = self.0;
        alm.authorize_in(cx, Action::UpdateVersion, Subject::Version(id), self.place(id)).await?;
        alm.with_retries(
            || Subject::Version(id),
            || async {
                let version = self.load(id).await?;
                precondition.check(Subject::Version(id), version.revision)?;
                match decide_update(&version, update.clone(), alm.stamp(cx), alm.event_id()) {
                    None => Ok(version),
                    Some((updated, changeset)) => alm.commit(cx, changeset).await.map(|_| updated),
                }
            },
        )
        .await
    }

    /// Deletes a version. Its deployments follow by the cascade.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PreconditionFailed`]; those of every use case.
    pub async fn delete(&self, cx: &Context, id: VersionId, precondition: &Precondition) -> Result<(), Error> {
        let alm = self.0;
        alm.authorize_in(cx, Action::DeleteVersion, Subject::Version(id), self.place(id)).await?;
        alm.with_retries(
            || Subject::Version(id),
            || async {
                let version = self.load(id).await?;
                precondition.check(Subject::Version(id), version.revision)?;
                let changeset = Changeset::of(alm.stamp(cx), Change::version_deleted(&version), alm.event_id());
                alm.commit(cx, changeset).await.map(drop)
            },
        )
        .await
    }

    async fn place(&self, id: VersionId) -> Result<Option<Place>, Error> {
        Ok(self.0.inner.store.version(id).await?.map(|version| Place::app(version.app_id)))
    }

    async fn load(&self, id: VersionId) -> Result<Version, Error> {
        self.0.inner.store.version(id).await?.ok_or(Error::NotFound(Subject::Version(id)))
    }
}

fn decide_create(new: NewVersion, id: VersionId, guard: Guard, stamp: Stamp, event: EventId) -> (Version, Changeset) {
    let version = Version::create(new, id, stamp.at);
    let changeset = Changeset::of(stamp, Change::version_created(&version), event).guarded(guard);
    (version, changeset)
}

fn decide_update(
    version: &Version,
    update: VersionUpdate,
    stamp: Stamp,
    event: EventId,
) -> Option<(Version, Changeset)> {
    let updated = version.update(update, stamp.at)?;
    let changeset = Changeset::of(stamp, Change::version_updated(&updated, version.revision), event);
    Some((updated, changeset))
}
