//! Use cases of applications.

use std::future::ready;

use crate::{
    changeset::{Change, Changeset, Stamp},
    domain::{App, AppId, AppUpdate, EnvironmentName, EventId, NewApp, RunningVersion, SourceService, Subject},
    policy::{Action, Place},
    ports::AppFilter,
};

use super::{Alm, Context, Created, Error, Limit, Page, Precondition};

/// Applications. Got from [`Alm::apps`].
#[derive(Clone, Copy, Debug)]
pub struct Apps<'a>(pub(super) &'a Alm);

impl Apps<'_> {
    /// Creates an app.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] when the name is taken; those of every use case.
    pub async fn create(&self, cx: &Context, new: NewApp) -> Result<Created<App>, Error> {
        let alm = self.0;
        let principal = alm.authorize(cx, Action::CreateApp, Subject::Apps).await?;
        alm.once(cx, principal.name.as_str(), Action::CreateApp, async {
            let id = alm.new_app_id().await?;
            Ok(decide_create(new, id, alm.stamp(cx), alm.event_id()))
        })
        .await
    }

    /// The app with this id.
    ///
    /// # Errors
    /// [`Error::NotFound`]; those of every use case.
    pub async fn get(&self, cx: &Context, id: AppId) -> Result<App, Error> {
        self.0.authorize_in(cx, Action::GetApp, Subject::App(id), in_app(id)).await?;
        self.load(id).await
    }

    /// Apps, oldest first.
    ///
    /// # Errors
    /// Those of every use case.
    pub async fn list(
        &self,
        cx: &Context,
        filter: &AppFilter,
        after: Option<AppId>,
        limit: Limit,
    ) -> Result<Page<App, AppId>, Error> {
        self.0.authorize(cx, Action::ListApps, Subject::Apps).await?;
        let apps = self.0.inner.store.apps(filter, after, limit.and_one_more()).await?;
        Ok(Page::of(apps, limit, |app| app.id))
    }

    /// Replaces the changeable fields of an app. When they are what they were, nothing happens and no event tells of it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PreconditionFailed`], [`Error::AlreadyExists`] when the name is taken; those of every
    /// use case.
    pub async fn update(
        &self,
        cx: &Context,
        id: AppId,
        update: AppUpdate,
        precondition: &Precondition,
    ) -> Result<App, Error> {
        let alm = self.0;
        alm.authorize_in(cx, Action::UpdateApp, Subject::App(id), in_app(id)).await?;
        alm.with_retries(
            || Subject::App(id),
            || async {
                let app = self.load(id).await?;
                precondition.check(Subject::App(id), app.revision)?;
                match decide_update(&app, update.clone(), alm.stamp(cx), alm.event_id()) {
                    None => Ok(app),
                    Some((updated, changeset)) => alm.commit(cx, changeset).await.map(|_| updated),
                }
            },
        )
        .await
    }

    /// Deletes an app. Its versions, and their deployments, follow by the cascade.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PreconditionFailed`]; those of every use case.
    pub async fn delete(&self, cx: &Context, id: AppId, precondition: &Precondition) -> Result<(), Error> {
        let alm = self.0;
        alm.authorize_in(cx, Action::DeleteApp, Subject::App(id), in_app(id)).await?;
        alm.with_retries(
            || Subject::App(id),
            || async {
                let app = self.load(id).await?;
                precondition.check(Subject::App(id), app.revision)?;
                let changeset = Changeset::of(alm.stamp(cx), Change::app_deleted(&app), alm.event_id());
                alm.commit(cx, changeset).await.map(drop)
            },
        )
        .await
    }

    /// What runs in the environments of an app, by environment.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the apps are here and there is no such app; those of every use case.
    pub async fn environments(
        &self,
        cx: &Context,
        id: AppId,
        after: Option<&EnvironmentName>,
        limit: Limit,
    ) -> Result<Page<RunningVersion, EnvironmentName>, Error> {
        self.0.authorize_in(cx, Action::ListEnvironments, Subject::App(id), in_app(id)).await?;
        // The service that knows what runs may be another than that of the apps.
        if self.0.services().has(SourceService::AppService) {
            self.load(id).await?;
        }
        let running = self.0.inner.store.running(id, after, limit.and_one_more()).await?;
        Ok(Page::of(running, limit, |running| running.environment.clone()))
    }

    async fn load(&self, id: AppId) -> Result<App, Error> {
        self.0.inner.store.app(id).await?.ok_or(Error::NotFound(Subject::App(id)))
    }
}

fn in_app(id: AppId) -> impl Future<Output = Result<Option<Place>, Error>> + Send {
    ready(Ok(Some(Place::app(id))))
}

fn decide_create(new: NewApp, id: AppId, stamp: Stamp, event: EventId) -> (App, Changeset) {
    let app = App::create(new, id, stamp.at);
    let changeset = Changeset::of(stamp, Change::app_created(&app), event);
    (app, changeset)
}

fn decide_update(app: &App, update: AppUpdate, stamp: Stamp, event: EventId) -> Option<(App, Changeset)> {
    let updated = app.update(update, stamp.at)?;
    let changeset = Changeset::of(stamp, Change::app_updated(&updated, app.revision), event);
    Some((updated, changeset))
}
