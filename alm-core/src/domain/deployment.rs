//! Deployments: a version on its way to an environment, and what runs there.

use serde::{Deserialize, Serialize};

use super::{
    AppId, DeploymentId, DeploymentStatus, EnvironmentName, IllegalTransition, Invalid, Revision, Timestamp, Version,
    VersionId,
};

/// One attempt to bring a version to an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// Given by the store, never reused.
    pub id: DeploymentId,
    /// The app of the version.
    pub app_id: AppId,
    /// What is deployed; never changes.
    pub version_id: VersionId,
    /// Where to; never changes.
    pub environment: EnvironmentName,
    /// How far it is; moves as [`TRANSITIONS`](super::TRANSITIONS) says.
    pub status: DeploymentStatus,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it reached a final status.
    pub finished_at: Option<Timestamp>,
    /// How often it has been changed, from 1.
    pub revision: Revision,
}

/// What it takes to create a [`Deployment`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDeployment {
    /// A version that exists.
    pub version_id: VersionId,
    /// The app of that version, when the caller wants it checked.
    pub app_id: Option<AppId>,
    /// Where to.
    pub environment: EnvironmentName,
}

impl NewDeployment {
    /// Checks every field.
    ///
    /// # Errors
    /// Every field that breaks its rule.
    pub fn parse(version_id: VersionId, app_id: Option<AppId>, environment: String) -> Result<Self, Invalid> {
        match EnvironmentName::parse(environment) {
            Ok(environment) => Ok(Self { version_id, app_id, environment }),
            Err(rejected) => Err(Invalid::field(rejected.at("/environment"))),
        }
    }
}

/// What runs in one environment of an app: the version whose deployment there was the last to become successful.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunningVersion {
    /// The environment.
    pub environment: EnvironmentName,
    /// What runs there; `None` when the version lives elsewhere: [`Deployment::version_id`] names it.
    pub version: Option<Version>,
    /// What brought it there.
    pub deployment: Deployment,
    /// Since when: the time at which the deployment became successful.
    pub since: Timestamp,
}

impl Deployment {
    pub(crate) fn create(
        id: DeploymentId,
        app_id: AppId,
        version_id: VersionId,
        environment: EnvironmentName,
        at: Timestamp,
    ) -> Self {
        Self {
            id,
            app_id,
            version_id,
            environment,
            status: DeploymentStatus::Pending,
            created_at: at,
            updated_at: at,
            finished_at: None,
            revision: Revision::FIRST,
        }
    }

    /// Moves on to `to`; the deployment as it was is gone.
    pub(crate) fn transition(self, to: DeploymentStatus, at: Timestamp) -> Result<Self, IllegalTransition> {
        let status = self.status.to(to)?;
        let at = at.max(self.updated_at);
        Ok(Self {
            status,
            updated_at: at,
            finished_at: status.is_final().then_some(at),
            revision: self.revision.next(),
            ..self
        })
    }
}
