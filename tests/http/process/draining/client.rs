//! A client that reads and writes until there is no one left to ask.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use alm_test_support::journal::{Ask, Entry};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{
    lane::Way,
    wire::{Came, Wire},
};

/// What all clients of a lane know.
pub(super) struct Common {
    pub(super) way: Way,
    /// Set right before the signal is sent.
    pub(super) is_told: AtomicBool,
    /// Set once the server has ended.
    pub(super) is_over: AtomicBool,
    /// How many requests were answered.
    pub(super) answered: watch::Sender<u64>,
    pub(super) in_flight: AtomicU64,
    pub(super) later: AtomicU64,
    pub(super) unanswered: AtomicU64,
    journal: Mutex<Vec<Entry>>,
    failures: Mutex<Vec<String>>,
}

impl Common {
    pub(super) fn new(way: Way) -> Self {
        Self {
            way,
            is_told: false.into(),
            is_over: false.into(),
            answered: watch::Sender::new(0),
            in_flight: 0.into(),
            later: 0.into(),
            unanswered: 0.into(),
            journal: Mutex::default(),
            failures: Mutex::default(),
        }
    }

    pub(super) fn journal(&self) -> Vec<Entry> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn failures(&self) -> Vec<String> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn fails(&self, what: impl fmt::Display) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(what.to_string());
    }

    /// Notes that this is about to be asked; its number.
    fn asks(&self, ask: &Ask) -> u64 {
        let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        let request = journal.len() as u64;
        journal.push(Entry::Asked { request, ask: ask.clone(), key: None });
        request
    }

    fn told(&self, request: u64, status: u16, body: Value) {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).push(Entry::Told { request, status, body });
    }
}

pub(super) struct Client {
    pub(super) common: Arc<Common>,
    pub(super) wire: Wire,
    pub(super) random: fastrand::Rng,
    /// What is in the names that this client gives, and in those of no other.
    pub(super) name: String,
    pub(super) count: u64,
    /// An app that it has made.
    pub(super) app: Option<(i64, String)>,
}

impl Client {
    /// Asks for one thing after the other.
    pub(super) async fn run(mut self) {
        while !self.common.is_over.load(Ordering::SeqCst) {
            let app = self.app.clone();
            self.count += 1;
            let new = format!("{}-{}", self.name, self.count);
            let ask = match (app, self.random.u8(..4)) {
                (Some((id, _)), 0) => {
                    let goes_on = self.ask(("GET", format!("/apps/{id}"), None), None).await;
                    if goes_on {
                        continue;
                    }
                    return;
                }
                (Some((id, name)), 1) => Ask::UpdateApp { id, name, description: new },
                _ => Ask::CreateApp { name: new, description: String::new() },
            };
            if !self.ask(ask.request(), Some(ask)).await {
                return;
            }
        }
    }

    /// Sends a request and judges its answer. False: there is no one to send it to.
    async fn ask(&mut self, request: (&'static str, String, Option<Value>), ask: Option<Ask>) -> bool {
        let common = self.common.clone();
        let number = ask.as_ref().map(|ask| common.asks(ask));
        let not_applied = |number: Option<u64>| {
            // What is found of it later is found to be wrong.
            if let Some(number) = number {
                common.told(number, 503, json!({"outcome": "not_applied"}));
            }
        };
        let what = format!("{} {}", request.0, request.1);
        if self.wire.send(&request).await.is_none() {
            not_applied(number);
            if !common.is_told.load(Ordering::SeqCst) {
                common.fails(format_args!("{what}: no one was there"));
            }
            return false;
        }
        let was_before = !common.is_told.load(Ordering::SeqCst);
        let came = self.wire.answer().await;
        let is_later = common.is_told.load(Ordering::SeqCst);
        if was_before && is_later {
            common.in_flight.fetch_add(1, Ordering::SeqCst);
        }
        match came {
            Came::Answer(status, body) => {
                let is_done = status < 300;
                if is_done && !was_before {
                    common.later.fetch_add(1, Ordering::SeqCst);
                }
                // A gateway may say that the service has gone.
                if !is_done && (was_before || common.way == Way::Straight || body["outcome"].is_null()) {
                    common
                        .fails(format_args!("{what}, before the signal: {was_before}, was answered {status}: {body}"));
                }
                if let (true, Some(Ask::CreateApp { name, .. })) = (is_done, ask) {
                    self.app = body["id"].as_i64().map(|id| (id, name));
                }
                if let Some(number) = number {
                    common.told(number, status, body);
                }
                common.answered.send_modify(|answered| *answered += 1);
            }
            Came::Nothing => {
                not_applied(number);
                common.unanswered.fetch_add(1, Ordering::SeqCst);
                if was_before {
                    common.fails(format_args!("{what} was sent before the signal, and not answered"));
                }
            }
            Came::Part(part) => common.fails(format_args!("{what} was answered in part: {part}")),
        }
        true
    }
}
