//! Retention: what is old, and done with, goes.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;

use crate::{
    domain::{Position, Timestamp},
    ports::{Store, StoreError, Timer},
    services::Alm,
};

use super::{backoff::Backoff, consumer::panicked, turn::yield_now};

/// How many events or answers go at once, so that no one waits long for the store.
const BATCH: usize = 500;
/// How long it rests when all that may go is gone.
const PAUSE: Duration = Duration::from_mins(1);

/// What is not kept for ever. Plugged in by [`AlmBuilder::retention`](crate::AlmBuilder::retention).
///
/// Answers that are remembered for idempotency keys go when they have expired. Events go from the log only when told, by
/// [`of_log`](Self::of_log). Audit entries never go.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use alm_core::{Alm, runtime::Retention};
/// use alm_store_memory::MemoryStore;
///
/// let month = Duration::from_secs(30 * 24 * 60 * 60);
/// let alm = Alm::builder(Arc::new(MemoryStore::new())).retention(Retention::default().of_log(month)).build();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Retention {
    log: Option<Duration>,
}

impl Retention {
    /// Events that are older than `age` go from the log, once every consumer has handled them.
    pub fn of_log(self, age: Duration) -> Self {
        Self { log: Some(age) }
    }
}

/// Takes away what is not to be kept any longer. [`Alm::run`] does it all the time.
pub struct Housekeeping {
    alm: Alm,
    retention: Retention,
}

/// How much has gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Events, from the front of the log.
    pub events: u64,
    /// Answers that had expired.
    pub answers: u64,
}

impl Housekeeping {
    /// Keeps house for `alm`.
    pub fn new(alm: Alm, retention: Retention) -> Self {
        Self { alm, retention }
    }

    /// Keeps house for ever.
    pub async fn run(&self, timer: &dyn Timer) {
        let mut backoff = Backoff::default();
        loop {
            // As with a consumer, a bug in a store must not stop the others.
            let caught = AssertUnwindSafe(self.tidy()).catch_unwind().await;
            let pause =
                match caught.unwrap_or_else(|panic| Err(panicked("store", "remove what is old", panic.as_ref()))) {
                    Ok(_) => {
                        backoff.reset();
                        PAUSE
                    }
                    Err(error) => {
                        let delay = backoff.next(self.alm.random());
                        tracing::warn!(error = &error as &dyn std::error::Error, ?delay, "retention waits");
                        delay
                    }
                };
            timer.sleep(pause).await;
        }
    }

    /// Takes away all that may go now, in small steps; says how much it was.
    ///
    /// # Errors
    /// The store failed. What went before is gone.
    pub async fn tidy(&self) -> Result<Removed, StoreError> {
        let now = self.alm.now();
        let events = match self.retention.log {
            Some(age) => self.trim(before(now, age)).await?,
            None => 0,
        };
        Ok(Removed { events, answers: self.forget(now).await? })
    }

    async fn trim(&self, before: Timestamp) -> Result<u64, StoreError> {
        let handled = self.handled_by_all().await?;
        let mut gone = 0;
        loop {
            let trimmed = self.store().trim(handled, before, BATCH).await?;
            gone += trimmed.events;
            if trimmed.events < BATCH as u64 {
                if gone > 0 {
                    tracing::info!(events = gone, oldest = %trimmed.oldest, "log trimmed");
                }
                return Ok(gone);
            }
            yield_now().await;
        }
    }

    async fn forget(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut gone = 0;
        loop {
            let forgotten = self.store().forget_answers(now, BATCH).await?;
            gone += forgotten;
            if forgotten < BATCH as u64 {
                if gone > 0 {
                    tracing::debug!(answers = gone, "expired answers forgotten");
                }
                return Ok(gone);
            }
            yield_now().await;
        }
    }

    /// The last event that every consumer has handled. Who has never stood anywhere has handled none.
    async fn handled_by_all(&self) -> Result<Position, StoreError> {
        let mut least = self.store().head().await?;
        for consumer in self.alm.consumers() {
            let stands = self.store().checkpoint(&consumer, self.store().log_id()).await?;
            least = least.min(stands.unwrap_or(Position::START));
        }
        Ok(least)
    }

    fn store(&self) -> &dyn Store {
        self.alm.inner.store.as_ref()
    }
}

impl std::fmt::Debug for Housekeeping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Housekeeping").field("retention", &self.retention).finish_non_exhaustive()
    }
}

fn before(now: Timestamp, age: Duration) -> Timestamp {
    now.plus_seconds(-i64::try_from(age.as_secs()).unwrap_or(i64::MAX))
}
