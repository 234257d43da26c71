//! Auto-deploy: each new version goes to the environments that the host has named.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    changeset::{Change, ConsumerName, Guard},
    domain::{Deployment, EnvironmentName, Event, EventData},
};

use super::handler::{Effects, HandleError, Handled, Handler, HandlerContext};

/// Creates a pending deployment of each new version to each of some environments, by the actor who created the version.
///
/// It also runs when there is no environment: so an environment that is named later gets the versions that come later, not all
/// there ever were.
#[derive(Clone, Debug, Default)]
pub struct AutoDeploy {
    environments: Vec<EnvironmentName>,
}

impl AutoDeploy {
    /// Deploys to each of `environments`, once if one is named twice.
    pub fn to(environments: impl IntoIterator<Item = EnvironmentName>) -> Self {
        let mut unique = Vec::new();
        for environment in environments {
            if !unique.contains(&environment) {
                unique.push(environment);
            }
        }
        Self { environments: unique }
    }
}

#[async_trait]
impl Handler for AutoDeploy {
    fn name(&self) -> ConsumerName {
        ConsumerName::built_in("auto-deploy")
    }

    async fn handle(&self, events: &[Arc<Event>], cx: &HandlerContext<'_>) -> Result<Handled, HandleError> {
        if self.environments.is_empty() {
            return Ok(Handled::nothing(events.len()));
        }
        for (place, event) in events.iter().enumerate() {
            let EventData::VersionCreated(version) = &event.data else { continue };
            if cx.reader().version(version.version_id).await?.is_none() {
                continue;
            }
            let mut effects = Effects::of(event.clone());
            effects.guard(Guard::VersionExists(version.version_id));
            for environment in &self.environments {
                let id = cx.new_deployment_id().await?;
                let (app_id, version_id) = (version.app_id, version.version_id);
                let deployment = Deployment::create(id, app_id, version_id, environment.clone(), cx.now());
                effects.change(Change::deployment_created(&deployment));
            }
            return Ok(Handled { count: place + 1, effects });
        }
        Ok(Handled::nothing(events.len()))
    }
}
