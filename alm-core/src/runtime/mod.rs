//! What works on while no one calls: consumers of the event log.
//!
//! A [`Consumer`] reads the log from its checkpoint on, asks its [`Handler`] what follows from the events, and commits that
//! together with the new checkpoint: whatever crashes, each event has its effect once.
//!
//! # What is kept
//! The log grows for ever, and so do the answers that are remembered for idempotency keys, unless the host asks for
//! [`Retention`]. Then [`Housekeeping`] removes what is old, but never an event that a registered consumer (the relay is one) has
//! yet to handle: one that stands still, or has never begun, holds the log. Where several processes work on one store, let those
//! have a retention that know all of its consumers.
//!
//! - A consumer that is new begins at the oldest event that is kept, and the log of the host says so.
//! - A consumer whose checkpoint is behind what is kept (its data were restored from an old backup, say, or another process has
//!   trimmed the log without knowing of it) does not pass over what it has missed. It waits, and warns each time it looks:
//!   *consumer waits*, with the [position](crate::ports::StoreError::Gone) at which the log begins. Bring back what is missing; or
//!   accept that it is missed, and commit a [`Changeset::progress`](crate::changeset::Changeset::progress) that moves the checkpoint
//!   to the position before that one.

mod alone;
mod audit;
mod auto_deploy;
mod backoff;
mod bus;
mod cascade;
mod consumer;
mod feed;
mod handler;
#[cfg(feature = "tlog")]
mod integrator;
mod letters;
mod retention;
mod role;
mod sessions;
mod tail;
mod turn;

use std::sync::Arc;

use futures_util::future::{join_all, join4, select};

use crate::{
    changeset::ConsumerName,
    domain::{Position, Timestamp},
    ports::{StoreError, Timer},
    services::Alm,
};

pub use audit::AuditConsumer;
pub use auto_deploy::AutoDeploy;
pub use bus::Relay;
pub use cascade::Cascade;
pub use consumer::Consumer;
use feed::Feed;
pub use handler::{Effects, HandleError, Handled, Handler, HandlerContext};
#[cfg(feature = "tlog")]
pub use integrator::{IntegrationError, Integrator};
pub use letters::Retried;
pub use retention::{Housekeeping, Removed, Retention};
pub use sessions::SessionConsumer;
use tail::Tail;
#[cfg(feature = "testing")]
pub(crate) use turn::yield_now;

/// How far a consumer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Which consumer.
    pub consumer: ConsumerName,
    /// The last event that it has handled.
    pub position: Position,
    /// The newest event there is.
    pub head: Position,
}

impl Progress {
    /// How many events it has yet to handle.
    pub fn lag(&self) -> u64 {
        self.head.get().saturating_sub(self.position.get())
    }
}

impl Alm {
    /// Runs every consumer until `shutdown` is done, and removes what is not to be kept any longer. Spawn it beside the service;
    /// without it the audit log stays empty and nothing cascades. It may run in several processes on one store: they take turns.
    ///
    /// It ends with `shutdown` only: faults of the store are waited out. Dropping it is safe.
    pub async fn run<T: Timer>(&self, timer: T, shutdown: impl Future<Output = ()> + Send) {
        let log: Arc<dyn Feed> = Arc::new(Tail::of(self.inner.store.clone()));
        let consumer = |handler: &Arc<dyn Handler>| Consumer::reading(log.clone(), self.clone(), handler.clone());
        let consumers: Vec<_> = self.inner.handlers.iter().map(consumer).collect();
        let consuming = join_all(consumers.iter().map(|consumer| consumer.run(&timer)));
        let keeping_house = async {
            if let Some(retention) = self.inner.retention {
                Housekeeping::new(self.clone(), retention).run(&timer).await;
            }
        };
        #[cfg(feature = "tlog")]
        let proving = integrator::prove(self, &timer);
        #[cfg(not(feature = "tlog"))]
        let proving = std::future::ready(());
        let work = join4(consuming, keeping_house, bus::carry(self, &log, &timer), proving);
        select(std::pin::pin!(shutdown), std::pin::pin!(work)).await;
        tracing::info!("consumers stopped");
    }

    /// How far each consumer is.
    ///
    /// # Errors
    /// Only [`StoreError::Backend`].
    pub async fn progress(&self) -> Result<Vec<Progress>, StoreError> {
        let store = &self.inner.store;
        let mut progress = Vec::with_capacity(self.inner.handlers.len() + 1);
        for consumer in self.consumers() {
            let position = store.checkpoint(&consumer, store.log_id()).await?.unwrap_or(Position::START);
            progress.push((consumer, position));
        }
        // Read last, so that no consumer seems to be ahead of it.
        let head = store.head().await?;
        Ok(progress.into_iter().map(|(consumer, position)| Progress { consumer, position, head }).collect())
    }

    /// When the first event behind `position` happened that is kept: since when a consumer waits that stands there. None at the end of
    /// the log.
    ///
    /// # Errors
    /// Only [`StoreError::Backend`].
    pub async fn waiting_since(&self, position: Position) -> Result<Option<Timestamp>, StoreError> {
        let store = &self.inner.store;
        let events = match store.read(position, 1).await {
            Err(StoreError::Gone { oldest }) => store.read(oldest.previous(), 1).await?,
            events => events?,
        };
        Ok(events.first().map(|event| event.time))
    }
}
