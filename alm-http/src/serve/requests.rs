//! The tasks of one connection of HTTP/2.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use hyper::rt::Executor;
use tokio::{sync::mpsc, task::JoinSet};

use super::connections::note;

/// Each request runs as a task of its own, and ends with the connection.
pub(super) struct Requests {
    tasks: Arc<Mutex<JoinSet<()>>>,
    alive: mpsc::Sender<()>,
}

impl Requests {
    /// Whoever has the other end of `alive` sees when all of them have ended.
    pub(super) fn new(alive: mpsc::Sender<()>) -> Self {
        Self { tasks: Arc::default(), alive }
    }

    pub(super) fn executor(&self) -> Spawn {
        Spawn { tasks: Arc::downgrade(&self.tasks), alive: self.alive.clone() }
    }
}

/// Spawns among the [`Requests`]. The tasks have it, too, so it must not keep them.
#[derive(Clone)]
pub(super) struct Spawn {
    tasks: Weak<Mutex<JoinSet<()>>>,
    alive: mpsc::Sender<()>,
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Spawn {
    fn execute(&self, future: F) {
        let Some(tasks) = self.tasks.upgrade() else { return };
        let mut tasks = tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().map(note).is_some() {}
        let alive = self.alive.clone();
        tasks.spawn(async move {
            future.await;
            drop(alive);
        });
    }
}
