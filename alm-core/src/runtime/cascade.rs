//! The cascade: the children of what was deleted are deleted too.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    changeset::{Change, ConsumerName},
    domain::{AppId, Event, EventData, Known, ParentId, Services, SourceService},
    ports::{DeploymentFilter, StoreError, VersionFilter},
};

use super::handler::{Effects, HandleError, Handled, Handler, HandlerContext, broken};

/// How many children go in one commit.
const STEP: usize = 100;

/// Deletes the versions of a deleted app and the deployments of a deleted version, each with an event of its own by the actor
/// who deleted the parent. No child can come after its parent's end: its guard fails.
///
/// Of parents that another service holds it keeps what their events tell, for the guards of their children: first that a parent
/// is gone, and then what children it still has. So there is no moment in which one could come unseen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cascade {
    services: Services,
}

impl Cascade {
    /// The cascade of a process that runs these services.
    pub fn of(services: Services) -> Self {
        Self { services }
    }

    /// What `event` tells of a parent that another service holds.
    fn news(self, event: &Event) -> Option<News> {
        let lives_elsewhere = |parent, child| self.services.has(child) && !self.services.has(parent);
        let apps = lives_elsewhere(SourceService::AppService, SourceService::VersionService);
        let versions = lives_elsewhere(SourceService::VersionService, SourceService::DeploymentService);
        match &event.data {
            EventData::AppCreated(app) if apps => Some(News::Live(ParentId::App(app.id), app.id)),
            EventData::AppDeleted(app) if apps => Some(News::Gone(ParentId::App(app.id))),
            EventData::VersionCreated(version) if versions => {
                Some(News::Live(ParentId::Version(version.version_id), version.app_id))
            }
            EventData::VersionDeleted(version) if versions => Some(News::Gone(ParentId::Version(version.version_id))),
            _ => None,
        }
    }
}

enum News {
    Live(ParentId, AppId),
    Gone(ParentId),
}

#[async_trait]
impl Handler for Cascade {
    fn name(&self) -> ConsumerName {
        ConsumerName::built_in("cascade")
    }

    async fn handle(&self, events: &[Arc<Event>], cx: &HandlerContext<'_>) -> Result<Handled, HandleError> {
        let mut learned = Effects::default();
        for (place, event) in events.iter().enumerate() {
            // What the events before tell is committed first.
            let so_far = |learned| Ok(Handled { count: place, effects: learned });
            if let Some(reason) = broken(event) {
                if place > 0 {
                    return so_far(learned);
                }
                return Err(HandleError::Unprocessable { at: place, reason: reason.to_owned() });
            }
            if cx.is_elsewhere(event) {
                match self.news(event) {
                    Some(News::Live(parent, app_id)) => learned.know(parent, app_id),
                    Some(News::Gone(parent)) if cx.reader().known(parent).await? != Some(Known::Gone) => {
                        learned.part(parent);
                        // The children are looked for once that is committed, and no other can come.
                        return so_far(learned);
                    }
                    _ => {}
                }
            }
            let mut deletions = children(event, cx).await?;
            if deletions.is_empty() {
                continue;
            }
            if !learned.is_empty() {
                return so_far(learned);
            }
            let all = deletions.len() <= STEP;
            deletions.truncate(STEP);
            let mut effects = Effects::of(event.clone());
            for deletion in deletions {
                effects.change(deletion);
            }
            return Ok(Handled { count: if all { place + 1 } else { place }, effects });
        }
        Ok(Handled { count: events.len(), effects: learned })
    }
}

/// The deletions of the children of what `event` tells the end of: one more than a step if there are more.
async fn children(event: &Event, cx: &HandlerContext<'_>) -> Result<Vec<Change>, StoreError> {
    match &event.data {
        EventData::AppDeleted(app) => {
            let filter = VersionFilter { app_id: Some(app.id), ..VersionFilter::default() };
            let versions = cx.reader().versions(&filter, None, STEP + 1).await?;
            Ok(versions.iter().map(Change::version_deleted).collect())
        }
        EventData::VersionDeleted(version) => {
            let filter = DeploymentFilter { version_id: Some(version.version_id), ..DeploymentFilter::default() };
            let deployments = cx.reader().deployments(&filter, None, STEP + 1).await?;
            Ok(deployments.iter().map(Change::deployment_deleted).collect())
        }
        _ => Ok(Vec::new()),
    }
}
