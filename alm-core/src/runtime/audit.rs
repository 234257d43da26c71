//! The audit consumer: every event becomes an entry.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    changeset::ConsumerName,
    domain::{Event, NewAuditEntry},
};

use super::handler::{Effects, HandleError, Handled, Handler, HandlerContext};

/// Records every event in the audit log, in the order of the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuditConsumer;

#[async_trait]
impl Handler for AuditConsumer {
    fn name(&self) -> ConsumerName {
        ConsumerName::built_in("audit")
    }

    async fn handle(&self, events: &[Arc<Event>], cx: &HandlerContext<'_>) -> Result<Handled, HandleError> {
        let recorded_at = cx.now();
        let mut effects = Effects::default();
        for event in events {
            effects.record(NewAuditEntry::of(event, recorded_at));
        }
        Ok(Handled { count: events.len(), effects })
    }
}
