//! Whether the store takes commits, for whoever decides where requests are sent.

use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::Mutex;

use crate::{
    domain::Timestamp,
    ports::{BackendErrorKind, StoreError},
};

use super::Alm;

/// For so many microseconds an answer of the store counts. That bounds how often it is asked, however many want to know.
const FRESH: i64 = 1_000_000;

/// For so many microseconds a refusal counts: longer than a consumer pauses that has something to commit, so that what it meets
/// again and again is not forgotten in between.
const REFUSED: i64 = 2_000_000;

/// What a store can do now, as far as this process knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreState {
    /// It takes commits.
    Up,
    /// It takes none: it is read-only, or out of space. What it has can be read.
    ReadOnly,
    /// It does not answer as it should.
    Down,
}

/// What this process has seen of its store.
pub(super) struct Seen {
    /// When the store was last asked, and what it is known to be since.
    asked: Mutex<Option<(Timestamp, StoreState)>>,
    /// When it last refused a change as not writable, in microseconds.
    refused_at: AtomicI64,
}

impl Default for Seen {
    fn default() -> Self {
        Self { asked: Mutex::default(), refused_at: AtomicI64::new(i64::MIN) }
    }
}

impl Seen {
    /// Remembers how a change has ended at `now`.
    pub(super) fn changed<T>(&self, answer: &Result<T, StoreError>, now: Timestamp) {
        if state_after(answer) == StoreState::ReadOnly {
            self.refused_at.store(now.micros(), Ordering::Relaxed);
        }
    }

    fn has_refused(&self, now: Timestamp) -> bool {
        is_recent(self.refused_at.load(Ordering::Relaxed), now, REFUSED)
    }
}

// A clock that is set back must not make what was seen count for ever.
fn is_recent(then: i64, now: Timestamp, micros: i64) -> bool {
    (0..micros).contains(&now.micros().saturating_sub(then))
}

fn state_after<T>(answer: &Result<T, StoreError>) -> StoreState {
    match answer {
        Ok(_) => StoreState::Up,
        Err(StoreError::Backend(fault)) if fault.kind == BackendErrorKind::NotWritable => StoreState::ReadOnly,
        Err(_) => StoreState::Down,
    }
}

impl Alm {
    /// What the store can do now.
    ///
    /// The store is asked for a change that changes nothing, at most once a second; who comes in between gets the same answer. A
    /// store that is out of space may still agree to that, so it also counts when a change was refused in the last two seconds,
    /// to whomever, a consumer too.
    ///
    /// It may take as long as the store takes to answer, and is safe to drop.
    pub async fn store_state(&self) -> StoreState {
        let answered = self.asked_store_state().await;
        let refused = self.inner.seen.has_refused(self.now());
        if refused && answered == StoreState::Up { StoreState::ReadOnly } else { answered }
    }

    async fn asked_store_state(&self) -> StoreState {
        let mut asked = self.inner.seen.asked.lock().await;
        let now = self.now();
        if let Some((at, state)) = *asked
            && is_recent(at.micros(), now, FRESH)
        {
            return state;
        }
        // Noted before there is an answer: whoever asks and does not wait must not be able to have the store asked at will.
        *asked = Some((now, asked.map_or(StoreState::Down, |(_, known)| known)));
        let answer = self.inner.store.forget_answers(now, 0).await;
        if let Err(error) = &answer {
            tracing::warn!(error = error as &dyn std::error::Error, "the store takes no commits");
        }
        let state = state_after(&answer);
        *asked = Some((now, state));
        state
    }
}
