//! Auto-deploy: each new version goes to the environments that the host has named.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    changeset::{Change, ConsumerName, Guard},
    domain::{Deployment, EnvironmentName, Event, EventData, Known, ParentId, SourceService},
};

use super::handler::{Effects, HandleError, Handled, Handler, HandlerContext, broken};

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
            if let Some(reason) = broken(event) {
                if place > 0 {
                    return Ok(Handled::nothing(place));
                }
                return Err(HandleError::Unprocessable { at: place, reason: reason.to_owned() });
            }
            let EventData::VersionCreated(version) = &event.data else { continue };
            let guard = if cx.is_elsewhere(event) {
                if cx.has(SourceService::VersionService) {
                    // It is about another's.
                    continue;
                }
                let parent = ParentId::Version(version.version_id);
                match cx.reader().known(parent).await? {
                    Some(Known::Gone) => continue,
                    Some(Known::Live { .. }) => Guard::ParentKnown(parent),
                    None => {
                        // The guard is about what is known before, so this comes first.
                        let mut effects = Effects::default();
                        effects.know(parent, version.app_id);
                        return Ok(Handled { count: place, effects });
                    }
                }
            } else {
                if cx.reader().version(version.version_id).await?.is_none() {
                    continue;
                }
                Guard::VersionExists(version.version_id)
            };
            let mut effects = Effects::of(event.clone());
            effects.guard(guard);
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
