//! The end of the log, read once for all consumers that stand there.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;

use crate::{
    domain::{Event, LogId, Position},
    ports::{Store, StoreError},
};

use super::feed::{Feed, PAGE};

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
}

#[async_trait]
impl Feed for Tail {
    fn log_id(&self) -> LogId {
        self.store.log_id()
    }

    async fn read(&self, after: Position) -> Result<Vec<Arc<Event>>, StoreError> {
        let mut last = self.last.lock().await;
        if let Some(events) = last.behind(after) {
            return Ok(events.to_vec());
        }
        if after < last.after {
            // Whoever is far behind reads alone.
            drop(last);
            return self.store.read(after, PAGE).await;
        }
        // The lock is held meanwhile: the others who come want what is read now.
        let events = self.store.read(after, PAGE).await?;
        if !events.is_empty() {
            *last = Page { after, events: events.clone() };
        }
        Ok(events)
    }

    async fn oldest(&self) -> Result<Position, StoreError> {
        self.store.oldest().await
    }

    async fn changed(&self, after: Position) -> Result<(), StoreError> {
        self.store.changed(after).await
    }

    async fn forget(&self) {
        *self.last.lock().await = Page::default();
    }

    fn saved(&self, _: Position) {}
}
