//! One circuit breaker for each service.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::http::{HeaderMap, Response, StatusCode, header};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::{Fault, UpstreamConfig, UpstreamError, body::Kept};

/// How many calls show, after a pause, whether the service is back. No others go out meanwhile: when it still hangs, only these hang.
const PROBES: usize = 4;
/// How long the service must have let a call wait that is given up, for it to count as failed: whoever goes away at once says
/// nothing about the service. And how long a client may owe a part of its request before another call tries in its place.
const PATIENCE: Duration = Duration::from_secs(1);

/// Refuses calls to a service that fails half of them. Clones are one circuit.
#[derive(Clone)]
pub(super) struct Circuit(Arc<Breaker>);

struct Breaker {
    upstream: &'static str,
    window: usize,
    pause: Duration,
    state: Mutex<State>,
}

struct State {
    phase: Phase,
    /// How many phases there were. A call counts only in the one that it began in.
    number: u64,
    /// How many calls there were.
    calls: u64,
}

enum Phase {
    /// All calls go out.
    Closed {
        /// Which of the last calls failed, the oldest first, at most as many as the window has.
        last: VecDeque<bool>,
        /// How many of them.
        failed: usize,
    },
    /// None does.
    Open { until: Instant },
    /// A few do.
    HalfOpen { trying: Vec<Trying>, succeeded: usize, failed: usize },
}

/// One of those that try.
struct Trying {
    call: u64,
    begun: Instant,
    request: Kept,
}

impl Trying {
    /// Whether its client lets the service wait, so that it may not tell anything for long.
    fn is_held_up(&self) -> bool {
        self.request.whole_since().is_none() && self.begun.elapsed() >= PATIENCE
    }
}

impl Phase {
    fn closed() -> Self {
        Self::Closed { last: VecDeque::new(), failed: 0 }
    }
}

/// What a call says about the service.
#[derive(Clone, Copy)]
enum Verdict {
    Succeeded,
    Failed,
    Nothing,
}

/// A call that went out. It tells the circuit how it ended when it is dropped, so that one that is given up counts, too.
struct Ongoing<'a> {
    breaker: &'a Breaker,
    phase: u64,
    call: u64,
    begun: Instant,
    request: Kept,
    verdict: Option<Verdict>,
}

impl Drop for Ongoing<'_> {
    fn drop(&mut self) {
        let verdict = self.verdict.unwrap_or_else(|| self.of_one_given_up());
        self.breaker.ended(self.phase, self.call, verdict);
    }
}

impl Ongoing<'_> {
    fn of_one_given_up(&self) -> Verdict {
        // As long as the client owes a part of its request, it is not the service that lets it wait.
        let waiting_since = self.request.whole_since().map(|whole| whole.max(self.begun));
        let has_waited = waiting_since.is_some_and(|since| since.elapsed() >= PATIENCE);
        if has_waited { Verdict::Failed } else { Verdict::Nothing }
    }
}

impl Circuit {
    pub(super) fn new(upstream: &'static str, config: &UpstreamConfig) -> Self {
        let state = Mutex::new(State { phase: Phase::closed(), number: 0, calls: 0 });
        let (window, pause) = (config.circuit_window.max(1), config.circuit_pause);
        Self(Arc::new(Breaker { upstream, window, pause, state }))
    }

    /// The outcome of `call`, which sends `request`, unless the circuit is open: then how long it may stay so. A call that is
    /// dropped has failed if the service had the whole request and let it wait for a second; else it does not count.
    pub(super) async fn guard(
        &self,
        request: Kept,
        call: impl Future<Output = Result<Response<Incoming>, UpstreamError>> + Send,
    ) -> Result<Result<Response<Incoming>, UpstreamError>, Duration> {
        let begun = Instant::now();
        let (phase, number) = self.0.admit(begun, &request)?;
        let mut ongoing = Ongoing { breaker: &self.0, phase, call: number, begun, request, verdict: None };
        let answered = call.await;
        ongoing.verdict = Some(match &answered {
            Ok(answer) if is_of_the_transport(answer.status(), answer.headers()) => Verdict::Failed,
            Ok(_) => Verdict::Succeeded,
            Err(error) if error.fault == Fault::Unreachable => Verdict::Failed,
            // A service may refuse a request before it has the whole of it, and close the connection: then the answer can be lost.
            Err(error) if error.fault.is_of_the_service() && ongoing.request.whole_since().is_some() => Verdict::Failed,
            Err(_) => Verdict::Nothing,
        });
        Ok(answered)
    }
}

impl Breaker {
    /// Lets a call out, and gives the numbers of the phase and of the call; or says how long it may take until one goes out.
    fn admit(&self, begun: Instant, request: &Kept) -> Result<(u64, u64), Duration> {
        let mut state = self.state();
        if matches!(state.phase, Phase::Open { until } if until <= begun) {
            state.turn(Phase::HalfOpen { trying: Vec::new(), succeeded: 0, failed: 0 });
        }
        state.calls += 1;
        let call = state.calls;
        match &mut state.phase {
            Phase::Closed { .. } => {}
            Phase::Open { .. } => return Err(self.pause),
            Phase::HalfOpen { trying, succeeded, failed } => {
                if trying.len() + *succeeded + *failed == PROBES {
                    let held_up = trying.iter().position(Trying::is_held_up).ok_or(self.pause)?;
                    trying.swap_remove(held_up);
                }
                trying.push(Trying { call, begun, request: request.clone() });
            }
        }
        Ok((state.number, call))
    }

    /// Counts what a call says that was let out in the phase of this number.
    fn ended(&self, phase: u64, call: u64, verdict: Verdict) {
        let mut state = self.state();
        if state.number != phase {
            return;
        }
        let (opens, closes) = match (&mut state.phase, verdict) {
            (Phase::Closed { .. }, Verdict::Nothing) | (Phase::Open { .. }, _) => return,
            (Phase::Closed { last, failed }, verdict) => {
                let has_failed = matches!(verdict, Verdict::Failed);
                if last.len() == self.window && last.pop_front() == Some(true) {
                    *failed -= 1;
                }
                last.push_back(has_failed);
                *failed += usize::from(has_failed);
                (last.len() == self.window && *failed >= self.window.div_ceil(2), false)
            }
            (Phase::HalfOpen { trying, succeeded, failed }, verdict) => {
                // Another tries in its place already.
                let Some(place) = trying.iter().position(|trying| trying.call == call) else { return };
                trying.swap_remove(place);
                match verdict {
                    Verdict::Succeeded => *succeeded += 1,
                    Verdict::Failed => *failed += 1,
                    // Another may try in its place.
                    Verdict::Nothing => {}
                }
                // Those that are still out can't change it any more.
                (*failed * 2 >= PROBES, *succeeded * 2 > PROBES)
            }
        };
        if opens {
            tracing::warn!(upstream = self.upstream, pause = ?self.pause, "a circuit opens: half of the calls failed");
            state.turn(Phase::Open { until: Instant::now() + self.pause });
        } else if closes {
            tracing::info!(upstream = self.upstream, "a circuit closes: the service is back");
            state.turn(Phase::closed());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn turn(&mut self, phase: Phase) {
        (self.phase, self.number) = (phase, self.number + 1);
    }
}

/// Whether something on the way to the service answers for it. A service that itself says 503, as a problem, is there: most of
/// what it is asked it may still do, so it is not cut off.
fn is_of_the_transport(status: StatusCode, headers: &HeaderMap) -> bool {
    let is_problem = headers.get(header::CONTENT_TYPE).is_some_and(|value| value == "application/problem+json");
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
        && !is_problem
}
