//! What was asked and answered, and what came before what.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call<O, A> {
    /// Who called. It is only shown.
    pub client: usize,
    /// What was asked for.
    pub operation: O,
    /// When it was asked for, in ticks of the recorder.
    pub invoked: u64,
    /// When it was answered, and what. `None`: it is not known whether it had an effect.
    pub answered: Option<(u64, A)>,
}

impl<O: fmt::Debug, A: fmt::Debug> fmt::Display for Call<O, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, operation, invoked, answered } = self;
        match answered {
            Some((at, answer)) => write!(f, "[{invoked}, {at}] client {client}: {operation:?} -> {answer:?}"),
            None => write!(f, "[{invoked}, ?] client {client}: {operation:?} -> no answer"),
        }
    }
}

/// Calls of many clients. No two things happen in the same tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History<O, A> {
    pub(super) calls: Vec<Call<O, A>>,
}

impl<O, A> History<O, A> {
    /// The calls, in the order of their invocations.
    pub fn calls(&self) -> &[Call<O, A>] {
        &self.calls
    }
}

/// A call under way. Dropped, it stays without an answer.
#[derive(Debug)]
#[must_use = "a call without an answer may have had its effect or not"]
pub struct Invocation(usize);

/// Writes down what happens, from any number of tasks at once.
///
/// Time is logical: it ticks at every invocation and every answer. So take down the invocation before the call is made, and the
/// answer after it has come.
#[derive(Debug)]
pub struct Recorder<O, A>(Mutex<Record<O, A>>);

#[derive(Debug)]
struct Record<O, A> {
    now: u64,
    // Calls that had no effect leave an empty place.
    calls: Vec<Option<Call<O, A>>>,
}

impl<O, A> Record<O, A> {
    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }
}

impl<O, A> Default for Recorder<O, A> {
    fn default() -> Self {
        Self(Mutex::new(Record { now: 0, calls: Vec::new() }))
    }
}

impl<O, A> Recorder<O, A> {
    /// `client` is about to ask for `operation`.
    pub fn invoke(&self, client: usize, operation: O) -> Invocation {
        let mut record = self.record();
        let invoked = record.tick();
        record.calls.push(Some(Call { client, operation, invoked, answered: None }));
        Invocation(record.calls.len() - 1)
    }

    /// The call was answered.
    pub fn answer(&self, Invocation(place): Invocation, answer: A) {
        let mut record = self.record();
        let now = record.tick();
        if let Some(Some(call)) = record.calls.get_mut(place) {
            call.answered = Some((now, answer));
        }
    }

    /// The call certainly had no effect and told nothing: it failed before it was begun.
    pub fn forget(&self, Invocation(place): Invocation) {
        if let Some(call) = self.record().calls.get_mut(place) {
            *call = None;
        }
    }

    /// What was recorded until now. Calls that are under way have no answer.
    pub fn history(&self) -> History<O, A>
    where
        O: Clone,
        A: Clone,
    {
        History { calls: self.record().calls.iter().flatten().cloned().collect() }
    }

    fn record(&self) -> MutexGuard<'_, Record<O, A>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
