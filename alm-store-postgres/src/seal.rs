//! The sealer: gives positions in the log to what is committed.
//!
//! A position can't be given by the commit itself: numbers that are taken within transactions become visible in the order in
//! which the transactions end, and a reader who has seen a higher one would never look for the lower one again. So events are
//! committed without a position, and one session at a time gives positions to all that is committed, in one transaction.
//!
//! In which order: that of `commit_order`, a number that each commit takes when it has all its row locks. Of two commits one
//! after the other the second takes a higher number, and whoever sees it sees the first. So it is with two that wait for each
//! other at a row. Of two that have nothing to do with each other, the one that takes the lower number may end later, and is
//! then sealed later.
//!
//! The transaction of the sealer is as durable as any other: positions which someone has read must not be given again, after a
//! crash, to other events.

use std::{sync::Arc, time::Duration};

use alm_core::domain::Position;
use sqlx::PgPool;
use tokio::{
    sync::{Notify, watch},
    task::AbortHandle,
    time::timeout,
};

/// So often it looks for what processes have committed that are gone, and what hosts have in transactions of their own.
const POLL: Duration = Duration::from_secs(1);

/// After so long it asks again when another session was at it.
const BUSY: Duration = Duration::from_millis(5);

/// A task that seals, until this is dropped.
pub(crate) struct Sealer {
    wake: Arc<Notify>,
    head: watch::Receiver<Position>,
    task: AbortHandle,
}

impl Sealer {
    pub(crate) fn start(pool: PgPool) -> Self {
        let wake = Arc::new(Notify::new());
        let (publish, head) = watch::channel(Position::START);
        let task = tokio::spawn(work(pool, wake.clone(), publish)).abort_handle();
        Self { wake, head, task }
    }

    /// There is something to seal.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// The head as this handle has last sealed it.
    pub(crate) fn head(&self) -> watch::Receiver<Position> {
        self.head.clone()
    }
}

impl Drop for Sealer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn work(pool: PgPool, wake: Arc<Notify>, publish: watch::Sender<Position>) {
    loop {
        match seal(&pool).await {
            Ok(Some(head)) => {
                publish.send_if_modified(|seen| std::mem::replace(seen, head) != head);
                // Nothing is lost when it ends by the clock: what is committed waits in the table.
                let _ = timeout(POLL, wake.notified()).await;
            }
            // It may have looked before the commit that woke this one.
            Ok(None) => tokio::time::sleep(BUSY).await,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "events wait for their positions");
                tokio::time::sleep(POLL).await;
            }
        }
    }
}

/// The new head, or `None` when another session is sealing.
async fn seal(pool: &PgPool) -> Result<Option<Position>, sqlx::Error> {
    let head: Option<i64> = sqlx::query_scalar("SELECT seal()").fetch_one(pool).await?;
    Ok(head.map(|head| Position::new(head.unsigned_abs())))
}
