//! The relay: every event of the log goes to the bus.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    changeset::ConsumerName,
    domain::Event,
    ports::{BackendError, BusError, EventBus},
};

use crate::runtime::handler::{HandleError, Handled, Handler, HandlerContext};

/// Publishes every event of the log, in its order, and moves on only when the bus has stored it. After a crash some events
/// are published again, under the same ids. Of several processes on one store one at a time does it. Plugged in by
/// [`AlmBuilder::bus`](crate::AlmBuilder::bus).
pub struct Relay {
    bus: Arc<dyn EventBus>,
}

impl Relay {
    /// The relay to `bus`.
    pub fn to(bus: Arc<dyn EventBus>) -> Self {
        Self { bus }
    }
}

#[async_trait]
impl Handler for Relay {
    fn name(&self) -> ConsumerName {
        ConsumerName::relay()
    }

    async fn handle(&self, events: &[Arc<Event>], _cx: &HandlerContext<'_>) -> Result<Handled, HandleError> {
        match self.bus.publish(events).await {
            Ok(()) => Ok(Handled::nothing(events.len())),
            Err(BusError::Rejected { event, reason }) => {
                // Those before the rejected one are stored, so they are done.
                match events.iter().position(|given| given.id == event) {
                    Some(at) => Err(HandleError::Unprocessable { at, reason }),
                    None => Err(BackendError::internal("bus", "publish").with_source(reason).into()),
                }
            }
            Err(error @ (BusError::Gone { .. } | BusError::Unsupported(_))) => {
                Err(BackendError::internal("bus", "publish").with_source(error).into())
            }
            Err(BusError::Backend(error)) => Err(HandleError::Backend(error)),
        }
    }
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay").finish_non_exhaustive()
    }
}
