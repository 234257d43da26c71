//! What goes on on a connection, and when it is time to end it.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::{sync::Notify, time::Instant};

/// So much of an answer is handed over at a time, so that it shows whether a client takes it, and little waits for one that does not.
const CHUNK_BYTES: usize = 16 * 1024;
/// So many requests may be canceled before a client is asked whether it wants any answer.
const MAX_CANCELED: u32 = 100;

/// What is to be done about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing, until then.
    Fine(Instant),
    /// No request has come for too long.
    Idle,
    /// An answer is not taken.
    Stalled,
    /// It cancels what it asks for: each costs the client nothing, and the server work (CVE-2023-44487).
    Canceling,
}

/// The requests of a connection of HTTP/2. Clones are one.
#[derive(Clone)]
pub(super) struct Activity(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    header_timeout: Duration,
    write_timeout: Duration,
    alarm: Notify,
}

struct State {
    running: usize,
    idle_since: Instant,
    answered: u32,
    canceled: u32,
    next: u64,
    /// The requests of which a part of the answer waits to be taken, and since when.
    waiting: HashMap<u64, Instant>,
}

impl State {
    fn is_canceling(&self) -> bool {
        self.canceled > MAX_CANCELED && self.canceled > self.answered
    }
}

impl Activity {
    pub(super) fn new(since: Instant, header_timeout: Duration, write_timeout: Duration) -> Self {
        let state =
            State { running: 0, idle_since: since, answered: 0, canceled: 0, next: 0, waiting: HashMap::default() };
        Self(Arc::new(Shared { state: Mutex::new(state), header_timeout, write_timeout, alarm: Notify::new() }))
    }

    pub(super) fn verdict(&self) -> Verdict {
        let (state, now) = (self.state(), Instant::now());
        if state.is_canceling() {
            return Verdict::Canceling;
        }
        let idle = (state.running == 0).then(|| state.idle_since + self.0.header_timeout);
        let stalled = state.waiting.values().min().map(|since| *since + self.0.write_timeout);
        match (idle, stalled) {
            (Some(idle), _) if idle <= now => Verdict::Idle,
            (_, Some(stalled)) if stalled <= now => Verdict::Stalled,
            // What begins from now on ends no sooner.
            _ => Verdict::Fine(idle.or(stalled).unwrap_or(now + self.0.header_timeout.min(self.0.write_timeout))),
        }
    }

    /// How long no request has been running.
    pub(super) fn idle_for(&self) -> Option<Duration> {
        let state = self.state();
        (state.running == 0).then(|| state.idle_since.elapsed())
    }

    /// Done when the verdict is to be asked for before its time.
    pub(super) async fn alarmed(&self) {
        self.0.alarm.notified().await;
    }

    /// A request has come.
    pub(super) fn begin(&self) -> Running {
        let mut state = self.state();
        state.running += 1;
        state.next += 1;
        Running { activity: self.clone(), id: state.next, answered: false }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request, until it is answered or given up.
pub(super) struct Running {
    activity: Activity,
    id: u64,
    answered: bool,
}

impl Running {
    fn waits(&self) {
        self.activity.state().waiting.insert(self.id, Instant::now());
    }

    fn moves(&self) {
        self.activity.state().waiting.remove(&self.id);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.activity.state();
        state.running -= 1;
        state.waiting.remove(&self.id);
        if state.running == 0 {
            state.idle_since = Instant::now();
        }
        if self.answered {
            state.answered = state.answered.saturating_add(1);
        } else {
            state.canceled = state.canceled.saturating_add(1);
        }
        if state.is_canceling() {
            self.activity.0.alarm.notify_one();
        }
    }
}

/// The body of an answer. A part of it counts as taken once the next is asked for.
pub(super) struct WatchedBody {
    body: Body,
    rest: Bytes,
    running: Running,
}

impl WatchedBody {
    pub(super) fn new(body: Body, mut running: Running) -> Self {
        running.answered = body.is_end_stream();
        Self { body, rest: Bytes::new(), running }
    }
}

impl HttpBody for WatchedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.running.moves();
        if self.rest.is_empty() {
            let data = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame.into_data(),
                end => {
                    self.running.answered = end.is_none();
                    return Poll::Ready(end);
                }
            };
            match data {
                Ok(data) => self.rest = data,
                // Trailers are the end.
                Err(frame) => {
                    self.running.answered = true;
                    return Poll::Ready(Some(Ok(frame)));
                }
            }
        }
        let length = self.rest.len().min(CHUNK_BYTES);
        let chunk = self.rest.split_to(length);
        self.running.answered = self.is_end_stream();
        self.running.waits();
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (of_body, rest) = (self.body.size_hint(), u64::try_from(self.rest.len()).unwrap_or(u64::MAX));
        let mut hint = SizeHint::new();
        hint.set_lower(of_body.lower().saturating_add(rest));
        if let Some(upper) = of_body.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}
