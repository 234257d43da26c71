//! The sealer: gives positions in the log to what is committed.
//!
//! Numbers that are taken within transactions become visible in the order in which the transactions end, and a reader who has seen a
//! higher one would never look for the lower one again. So one session at a time gives positions, to its end: a commit does it for
//! its own events if no other is at it. If one is, the events are committed without a position, and the sealer gives positions to
//! all that is committed and has none, in one transaction.
//!
//! In which order: that of `commit_order`, a number that each commit takes when it has all its row locks. Of two commits one
//! after the other the second takes a higher number, and whoever sees it sees the first. So it is with two that wait for each
//! other at a row. Of two that have nothing to do with each other, the one that takes the lower number may end later, and is
//! then sealed later.
//!
//! The transaction of the sealer is as durable as any other: positions which someone has read must not be given again, after a
//! crash, to other events.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use alm_core::{domain::Position, ports::StoreError};
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
    head: watch::Receiver<Position>,
    publish: Publish,
    task: AbortHandle,
}

/// Says what has become of the events of a commit. It does not keep the head from being known to be gone with the task.
#[derive(Clone)]
pub(crate) struct Publish {
    wake: Arc<Notify>,
    /// Whether the sealer takes a long pause, because no one waits.
    rests: Arc<AtomicBool>,
    head: Weak<watch::Sender<Position>>,
}

impl Publish {
    /// Events are committed, and the log has grown to this head with them; without a head they wait to be sealed.
    pub(crate) fn reached(&self, head: Option<Position>) {
        match (head, self.head.upgrade()) {
            (Some(reached), Some(head)) => raise(&head, reached),
            (None, _) => self.wake.notify_one(),
            (Some(_), None) => {}
        }
    }
}

fn raise(head: &watch::Sender<Position>, reached: Position) {
    head.send_if_modified(|known| {
        let higher = reached > *known;
        *known = reached.max(*known);
        higher
    });
}

impl Sealer {
    pub(crate) fn start(pool: Pool) -> Self {
        let wake = Arc::new(Notify::new());
        let (sender, head) = watch::channel(Position::START);
        let sender = Arc::new(sender);
        let publish = Publish { wake, rests: Arc::default(), head: Arc::downgrade(&sender) };
        let task = tokio::spawn(work(pool, publish.clone(), sender)).abort_handle();
        Self { head, publish, task }
    }

    pub(crate) fn publish(&self) -> &Publish {
        &self.publish
    }

    /// Waits until the head is behind `after`; false when the task has ended with the runtime that it was started on.
    pub(crate) async fn is_behind(&self, after: Position) -> bool {
        let mut head = self.head.clone();
        if *head.borrow_and_update() > after {
            return true;
        }
        if self.publish.rests.load(Ordering::SeqCst) {
            self.publish.wake.notify_one();
        }
        head.wait_for(|head| *head > after).await.is_ok()
    }
}

impl Drop for Sealer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn work(pool: Pool, publish: Publish, head: Arc<watch::Sender<Position>>) {
    loop {
        let before = *head.borrow();
        match look(&pool).await {
            Ok((Some(reached), more)) => {
                let reached = Position::new(reached.unsigned_abs());
                if reached < before {
                    // Whoever waits for what comes next must not be told that it is there.
                    tracing::error!(%reached, %before, "the log has lost its end: another database has taken over, one that was behind");
                    head.send_replace(reached);
                }
                raise(&head, reached);
                if more != Some(true) {
                    // Said before it is asked who waits, so that whoever begins to wait meanwhile is seen or sees it.
                    publish.rests.store(true, Ordering::SeqCst);
                    // One receiver is the store's own; the others wait.
                    let someone_waits = head.receiver_count() > 1;
                    publish.rests.store(!someone_waits, Ordering::SeqCst);
                    let pause = if someone_waits { LOOK } else { POLL };
                    // Nothing is lost when the pause ends by the clock: what is committed waits in the table.
                    let _ = timeout(pause, publish.wake.notified()).await;
                    publish.rests.store(false, Ordering::SeqCst);
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

/// Gives positions to what has none. Gives the head and whether there may be more; nothing when another session is at it.
async fn look(pool: &Pool) -> Result<(Option<i64>, Option<bool>), StoreError> {
    with_connection!(pool, "seal", connection => async {
        // Seen first, because while a sealer is at it no commit can give positions.
        let looked = "SELECT head, EXISTS (SELECT FROM events WHERE position IS NULL) FROM log";
        let (head, some_have_none): (i64, bool) = sqlx::query_as(looked).fetch_one(&mut *connection).await?;
        if !some_have_none {
            return Ok((Some(head), Some(false)));
        }
        tracing::trace!(name: "seal_begun", "events are to get their positions");
        let sealed = sqlx::query_as("SELECT head, more FROM seal()").fetch_one(&mut *connection).await?;
        tracing::trace!(name: "sealed", "events have their positions");
        Ok::<_, Fault>(sealed)
    })
}
