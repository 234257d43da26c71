//! Who hears what is announced.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::broadcast::{
    self,
    error::RecvError::{Closed, Lagged},
};

use crate::ports::{BackendError, BusError, Head, Heads};

use super::{ADAPTER, Shared};

/// How many announcements a listener may be behind before it misses some.
const KEPT: usize = 1024;

/// Everyone who listens.
pub(super) struct Announcements(broadcast::Sender<Head>);

impl Announcements {
    pub(super) fn tell(&self, head: Head) {
        // That no one listens is no fault.
        let _ = self.0.send(head);
    }
}

impl Default for Announcements {
    fn default() -> Self {
        Self(broadcast::Sender::new(KEPT))
    }
}

/// One who listens.
pub(super) struct MemoryHeads {
    announced: broadcast::Receiver<Head>,
    // The bus lives as long as someone listens to it.
    _shared: Arc<Shared>,
}

impl MemoryHeads {
    pub(super) fn of(shared: &Arc<Shared>) -> Self {
        Self { announced: shared.announcements.0.subscribe(), _shared: shared.clone() }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Heads for MemoryHeads {
    async fn next(&mut self) -> Result<Head, BusError> {
        loop {
            match self.announced.recv().await {
                Ok(head) => return Ok(head),
                Err(Lagged(_)) => {}
                Err(error @ Closed) => return Err(BackendError::internal(ADAPTER, "heads").with_source(error).into()),
            }
        }
    }
}
