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
use tokio::{
    sync::{Notify, watch},
    task::AbortHandle,
    time::{sleep, timeout},
};

use crate::{
    error::Fault,
    pool::{Pool, with_connection},
};

/// So often it looks for what processes have committed that are gone, and what hosts have in transactions of their own.
const POLL: Duration = Duration::from_secs(1);

/// So often when someone waits for events, who may come from other processes.
const LOOK: Duration = Duration::from_millis(100);

/// After so long it asks again when another session was at it.
const BUSY: Duration = Duration::from_millis(5);

/// A task that seals and knows the head, until this is dropped.
pub(crate) struct Sealer {
    wake: Arc<Notify>,
    head: watch::Receiver<Position>,
    task: AbortHandle,
}

impl Sealer {
    pub(crate) fn start(pool: Pool) -> Self {
        let wake = Arc::new(Notify::new());
        let (publish, head) = watch::channel(Position::START);
        let task = tokio::spawn(work(pool, wake.clone(), publish)).abort_handle();
        Self { wake, head, task }
    }

    /// There is something to seal.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Waits until the head is behind `after`; false when the task has ended with the runtime that it was started on.
    pub(crate) async fn is_behind(&self, after: Position) -> bool {
        let mut head = self.head.clone();
        if *head.borrow_and_update() > after {
            return true;
        }
        // It may be in the middle of a long pause.
        self.wake();
        head.wait_for(|head| *head > after).await.is_ok()
    }
}

impl Drop for Sealer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn work(pool: Pool, wake: Arc<Notify>, publish: watch::Sender<Position>) {
    loop {
        let sealed = with_connection!(&pool, "seal", connection => async {
            let sealed: (Option<i64>, Option<bool>) =
                sqlx::query_as("SELECT head, more FROM seal()").fetch_one(&mut *connection).await?;
            Ok::<_, Fault>(sealed)
        });
        match sealed {
            Ok((Some(head), more)) => {
                let head = Position::new(head.unsigned_abs());
                if *publish.borrow() != head {
                    tracing::trace!(name: "sealed", %head, "events have their positions");
                }
                publish.send_if_modified(|seen| std::mem::replace(seen, head) != head);
                if more != Some(true) {
                    // One receiver is the store's own; the others wait.
                    let pause = if publish.receiver_count() > 1 { LOOK } else { POLL };
                    // Nothing is lost when the pause ends by the clock: what is committed waits in the table.
                    let _ = timeout(pause, wake.notified()).await;
                }
            }
            // Whoever is at it may have looked before the commit that woke this one.
            Ok((None, _)) => sleep(BUSY).await,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "events wait for their positions");
                sleep(POLL).await;
            }
        }
    }
}
