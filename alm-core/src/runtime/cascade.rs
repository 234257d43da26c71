//! The cascade: the children of what was deleted are deleted too.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    changeset::{Change, ConsumerName},
    domain::{Event, EventData},
    ports::{DeploymentFilter, StoreError, VersionFilter},
};

use super::handler::{Effects, HandleError, Handled, Handler, HandlerContext};

/// How many children go in one commit.
const STEP: usize = 100;

/// Deletes the versions of a deleted app and the deployments of a deleted version, each with an event of its own by the actor
/// who deleted the parent. No child can come after its parent's end: its guard fails.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cascade;

#[async_trait]
impl Handler for Cascade {
    fn name(&self) -> ConsumerName {
        ConsumerName::built_in("cascade")
    }

    async fn handle(&self, events: &[Arc<Event>], cx: &HandlerContext<'_>) -> Result<Handled, HandleError> {
        for (place, event) in events.iter().enumerate() {
            let mut deletions = children(event, cx).await?;
            if deletions.is_empty() {
                continue;
            }
            let all = deletions.len() <= STEP;
            deletions.truncate(STEP);
            let mut effects = Effects::of(event.clone());
            for deletion in deletions {
                effects.change(deletion);
            }
            return Ok(Handled { count: if all { place + 1 } else { place }, effects });
        }
        Ok(Handled::nothing(events.len()))
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
