//! The end of the log, read once for all consumers that stand there.

use std::sync::Arc;

use tokio::sync::Mutex;

use crate::{
    domain::{Event, Position},
    ports::{Store, StoreError},
};

/// How many events are read at once.
const BATCH: usize = 256;

/// Reads a log, and keeps the page that stands last in it: consumers that have come as far want the same one.
pub(super) struct Tail {
    store: Arc<dyn Store>,
    last: Mutex<Page>,
}

/// Events that stand one after the other in the log.
#[derive(Default)]
struct Page {
    after: Position,
    events: Vec<Arc<Event>>,
}

impl Page {
    /// Those of its events that come behind `after`, if it has them all from there on, and any.
    fn behind(&self, after: Position) -> Option<&[Arc<Event>]> {
        if after < self.after {
            return None;
        }
        let begin = self.events.partition_point(|event| event.position <= after);
        self.events.get(begin..).filter(|events| !events.is_empty())
    }
}

impl Tail {
    pub(super) fn of(store: Arc<dyn Store>) -> Self {
        Self { store, last: Mutex::default() }
    }

    /// Events behind `after`, in order and without a gap; none when there are none yet.
    pub(super) async fn read(&self, after: Position) -> Result<Vec<Arc<Event>>, StoreError> {
        let mut last = self.last.lock().await;
        if let Some(events) = last.behind(after) {
            return Ok(events.to_vec());
        }
        if after < last.after {
            // Whoever is far behind reads alone.
            drop(last);
            return self.store.read(after, BATCH).await;
        }
        // The lock is held meanwhile: the others who come want what is read now.
        let events = self.store.read(after, BATCH).await?;
        if !events.is_empty() {
            *last = Page { after, events: events.clone() };
        }
        Ok(events)
    }

    /// Forgets what was read: the log may have lost its end to a failover, and have others in its place.
    pub(super) async fn forget(&self) {
        *self.last.lock().await = Page::default();
    }
}
