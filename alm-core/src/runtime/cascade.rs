//! The cascade: the children of what was deleted are deleted too.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use crate::{
    changeset::{Change, ConsumerName},
    domain::{AppId, Event, EventData, EventType, Known, ParentId, Services, SourceService, VersionId},
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
            EventData::VersionCreated(version) if versions => {
                Some(News::Live(ParentId::Version(version.version_id), version.app_id))
            }
            _ => ended(event).map(News::Gone).filter(|news| match news {
                News::Gone(ParentId::App(_)) => apps,
                _ => versions,
            }),
        }
    }

    /// Whether `event` tells of what this process itself holds, and comes from a log that is not its own: it is about another's.
    fn is_of_another(self, event: &Event, cx: &HandlerContext<'_>) -> bool {
        let owner = match ended(event) {
            Some(ParentId::App(_)) => SourceService::AppService,
            Some(ParentId::Version(_)) => SourceService::VersionService,
            None => return false,
        };
        cx.is_elsewhere(event) && self.services.has(owner)
    }
}

/// What `event` tells the end of. Its id is enough, so that what a newer version tells of it besides need not be understood.
fn ended(event: &Event) -> Option<ParentId> {
    let id = |data: &Value, name: &str| data.get(name).and_then(Value::as_i64);
    match &event.data {
        EventData::AppDeleted(app) => Some(ParentId::App(app.id)),
        EventData::VersionDeleted(version) => Some(ParentId::Version(version.version_id)),
        EventData::Unread(unread) => match EventType::parse(&unread.event_type)? {
            EventType::AppDeleted => id(&unread.data, "id").and_then(AppId::new).map(ParentId::App),
            EventType::VersionDeleted => id(&unread.data, "version_id").and_then(VersionId::new).map(ParentId::Version),
            _ => None,
        },
        _ => None,
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
            if self.is_of_another(event, cx) {
                continue;
            }
            if let Some(reason) = broken(event).filter(|_| ended(event).is_none()) {
                if place > 0 {
                    return so_far(learned);
                }
                return Err(HandleError::Unprocessable { at: place, reason: reason.to_owned() });
            }
            match self.news(event) {
                Some(News::Live(parent, app_id)) => learned.know(parent, app_id),
                Some(News::Gone(parent)) if cx.reader().known(parent).await? != Some(Known::Gone) => {
                    learned.part(parent);
                    // The children are looked for once that is committed, and no other can come.
                    return so_far(learned);
                }
                _ => {}
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
    match ended(event) {
        Some(ParentId::App(id)) => {
            let filter = VersionFilter { app_id: Some(id), ..VersionFilter::default() };
            let versions = cx.reader().versions(&filter, None, STEP + 1).await?;
            Ok(versions.iter().map(Change::version_deleted).collect())
        }
        Some(ParentId::Version(id)) => {
            let filter = DeploymentFilter { version_id: Some(id), ..DeploymentFilter::default() };
            let deployments = cx.reader().deployments(&filter, None, STEP + 1).await?;
            Ok(deployments.iter().map(Change::deployment_deleted).collect())
        }
        None => Ok(Vec::new()),
    }
}
