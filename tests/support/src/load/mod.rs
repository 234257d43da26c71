//! Clients that change everything there is to change and keep a [`Journal`] of it, and an eye that sees what came of it.

mod client;
mod eye;

use std::{
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::watch;

use crate::{
    LONG,
    journal::{Ask, Journal},
};

pub use client::Client;
pub use eye::Eye;

/// Where a path is asked for, which may be elsewhere each time.
pub type Way = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// What clients have in common.
pub struct Common {
    journal: Journal,
    token: String,
    /// Set once they are to come to an end.
    finish: watch::Sender<bool>,
    /// How many requests were sent.
    asked: watch::Sender<u64>,
    /// How many requests were answered as they should be.
    done: watch::Sender<u64>,
    /// How many requests have had no answer.
    unanswered: AtomicU64,
    /// Apps that everyone uses and no one deletes, by id and name.
    shared: OnceLock<Vec<(i64, String)>>,
}

impl Common {
    /// They write their journal to this file, and show this token.
    pub fn new(journal: &Path, token: String) -> Self {
        Self {
            journal: Journal::create(journal),
            token,
            finish: watch::Sender::new(false),
            asked: watch::Sender::new(0),
            done: watch::Sender::new(0),
            unanswered: 0.into(),
            shared: OnceLock::new(),
        }
    }

    /// Makes the apps that everyone uses.
    pub async fn share(self: &Arc<Self>, way: &Way, names: &[&str]) {
        let mut shared = Vec::new();
        for name in names {
            shared.push((self.create(way, name).await, (*name).to_owned()));
        }
        self.shared.set(shared).expect("they are made once");
    }

    /// Makes an app of that name; its id.
    pub async fn create(self: &Arc<Self>, way: &Way, name: &str) -> i64 {
        let ask = Ask::CreateApp { name: name.to_owned(), description: String::new() };
        self.make(way, &ask, name).await
    }

    /// Makes what has an id, under this key; its id.
    pub async fn make(self: &Arc<Self>, way: &Way, ask: &Ask, key: &str) -> i64 {
        let answer = Client::new(self, way, key.to_owned(), 0).ask(ask, Some(key.to_owned())).await;
        answer
            .as_ref()
            .and_then(|(_, body)| body["id"].as_i64())
            .unwrap_or_else(|| panic!("it is not made: {answer:?}"))
    }

    /// Lets the clients come to an end.
    pub fn finish(&self) {
        self.finish.send_replace(true);
    }

    /// Waits until so many more requests are done.
    pub async fn done(&self, more: u64) {
        grown(&self.done, more, "are done").await;
    }

    /// Waits until so many more requests were sent.
    pub async fn asked(&self, more: u64) {
        grown(&self.asked, more, "were sent").await;
    }

    /// How many requests were done.
    pub fn count_done(&self) -> u64 {
        *self.done.borrow()
    }

    /// How many requests were sent.
    pub fn count_asked(&self) -> u64 {
        *self.asked.borrow()
    }

    /// How many requests had no answer.
    pub fn count_unanswered(&self) -> u64 {
        self.unanswered.load(Ordering::Relaxed)
    }
}

async fn grown(count: &watch::Sender<u64>, more: u64, what: &str) {
    let mut count = count.subscribe();
    let enough = *count.borrow_and_update() + more;
    let waiting = count.wait_for(|count| *count >= enough);
    let waited = tokio::time::timeout(3 * LONG, waiting).await;
    waited.unwrap_or_else(|_| panic!("only so many of {enough} requests {what} in time")).expect("there are clients");
}
