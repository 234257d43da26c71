//! Use cases of deployments.

use crate::{
    changeset::{Change, Changeset, Guard, Stamp},
    domain::{AppId, Deployment, DeploymentId, DeploymentStatus, EventId, IllegalTransition, NewDeployment, Subject},
    policy::{Action, Place},
    ports::{DeploymentFilter, StoreError},
};

use super::{Alm, Context, Created, Error, Limit, Page, Precondition};

/// Deployments. Got from [`Alm::deployments`].
#[derive(Clone, Copy, Debug)]
pub struct Deployments<'a>(pub(super) &'a Alm);

impl Deployments<'_> {
    /// Creates a deployment, `pending`, of a version that exists.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no such version or it is of another app; those of every use case.
    pub async fn create(&self, cx: &Context, new: NewDeployment) -> Result<Created<Deployment>, Error> {
        let alm = self.0;
        let version_id = new.version_id;
        let place = async {
            let parent = alm.version_to_hold(cx, version_id).await?;
            Ok(parent.map(|(app_id, _)| Place::environment(app_id, new.environment.clone())))
        };
        let principal = alm.authorize_in(cx, Action::CreateDeployment, Subject::Deployments, place).await?;
        let created = alm.once(cx, principal.name.as_str(), Action::CreateDeployment, async {
            let parent = alm.version_to_hold(cx, version_id).await?;
            let (app_id, guard) = parent.ok_or_else(|| Error::unknown_parent("/version_id", "version", version_id))?;
            if new.app_id.is_some_and(|wanted| wanted != app_id) {
                let detail = format!("version {version_id} is of app {app_id}");
                return Err(Error::field("/app_id", "not-the-app-of-the-version", detail));
            }
            let id = alm.new_deployment_id().await?;
            Ok(decide_create(new, id, app_id, guard, alm.stamp(cx), alm.event_id()))
        });
        match created.await {
            Err(Error::Store(StoreError::GuardFailed(_))) => {
                Err(Error::unknown_parent("/version_id", "version", version_id))
            }
            done => done,
        }
    }

    /// The deployment with this id.
    ///
    /// # Errors
    /// [`Error::NotFound`]; those of every use case.
    pub async fn get(&self, cx: &Context, id: DeploymentId) -> Result<Deployment, Error> {
        self.0.authorize_in(cx, Action::GetDeployment, Subject::Deployment(id), self.place(id)).await?;
        self.load(id).await
    }

    /// Deployments, oldest first.
    ///
    /// # Errors
    /// Those of every use case.
    pub async fn list(
        &self,
        cx: &Context,
        filter: &DeploymentFilter,
        after: Option<DeploymentId>,
        limit: Limit,
    ) -> Result<Page<Deployment, DeploymentId>, Error> {
        self.0.authorize(cx, Action::ListDeployments, Subject::Deployments).await?;
        let deployments = self.0.inner.store.deployments(filter, after, limit.and_one_more()).await?;
        Ok(Page::of(deployments, limit, |deployment| deployment.id))
    }

    /// Moves the status of a deployment.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PreconditionFailed`], [`Error::IllegalTransition`]; those of every use case.
    pub async fn set_status(
        &self,
        cx: &Context,
        id: DeploymentId,
        status: DeploymentStatus,
        precondition: &Precondition,
    ) -> Result<Deployment, Error> {
        let alm = self.0;
        alm.authorize_in(cx, Action::UpdateDeployment, Subject::Deployment(id), self.place(id)).await?;
        alm.with_retries(
            || Subject::Deployment(id),
            || async {
                let deployment = self.load(id).await?;
                precondition.check(Subject::Deployment(id), deployment.revision)?;
                let (updated, changeset) = decide_status(deployment, status, alm.stamp(cx), alm.event_id())?;
                alm.commit(cx, changeset).await.map(|_| updated)
            },
        )
        .await
    }

    /// Deletes a deployment. What ran in its environment before it runs there again.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PreconditionFailed`]; those of every use case.
    pub async fn delete(&self, cx: &Context, id: DeploymentId, precondition: &Precondition) -> Result<(), Error> {
        let alm = self.0;
        alm.authorize_in(cx, Action::DeleteDeployment, Subject::Deployment(id), self.place(id)).await?;
        alm.with_retries(
            || Subject::Deployment(id),
            || async {
                let deployment = self.load(id).await?;
                precondition.check(Subject::Deployment(id), deployment.revision)?;
                let changeset = Changeset::of(alm.stamp(cx), Change::deployment_deleted(&deployment), alm.event_id());
                alm.commit(cx, changeset).await.map(drop)
            },
        )
        .await
    }

    async fn place(&self, id: DeploymentId) -> Result<Option<Place>, Error> {
        let deployment = self.0.inner.store.deployment(id).await?;
        Ok(deployment.map(|deployment| Place::environment(deployment.app_id, deployment.environment)))
    }

    async fn load(&self, id: DeploymentId) -> Result<Deployment, Error> {
        self.0.inner.store.deployment(id).await?.ok_or(Error::NotFound(Subject::Deployment(id)))
    }
}

fn decide_create(
    new: NewDeployment,
    id: DeploymentId,
    app_id: AppId,
    guard: Guard,
    stamp: Stamp,
    event: EventId,
) -> (Deployment, Changeset) {
    let deployment = Deployment::create(id, app_id, new.version_id, new.environment, stamp.at);
    let changeset = Changeset::of(stamp, Change::deployment_created(&deployment), event).guarded(guard);
    (deployment, changeset)
}

fn decide_status(
    deployment: Deployment,
    status: DeploymentStatus,
    stamp: Stamp,
    event: EventId,
) -> Result<(Deployment, Changeset), IllegalTransition> {
    let (revision, previous) = (deployment.revision, deployment.status);
    let moved = deployment.transition(status, stamp.at)?;
    let changeset = Changeset::of(stamp, Change::deployment_updated(&moved, revision, previous), event);
    Ok((moved, changeset))
}
