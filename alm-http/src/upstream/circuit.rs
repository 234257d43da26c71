//! One circuit breaker for each service.

use std::{
    future::ready,
    task::{Context, Poll},
    time::Duration,
};

use axum::http::{HeaderMap, Response, StatusCode, header, request::Parts};
use futures_util::{FutureExt, future::BoxFuture};
use hyper::body::Incoming;
use tokio::time::Instant;
use tower::{Service, ServiceExt};
use tower_resilience_circuitbreaker::{
    CircuitBreaker, CircuitBreakerError, CircuitBreakerLayer, CircuitState, FailureClassifier,
};

use super::{Fault, UpstreamConfig, UpstreamError, body::Kept, exchange::Exchange};

/// How many calls show, after a pause, whether the service is back. No others go out meanwhile: when it still hangs, only these hang.
const PROBES: usize = 4;
/// How long the service must have let a call wait that is given up, for it to count as failed. Whoever goes away at once says
/// nothing about the service.
const PATIENCE: Duration = Duration::from_secs(1);

type Outcome = Result<Response<Incoming>, UpstreamError>;

/// Refuses calls to a service while it fails one after the other. Clones are one circuit.
#[derive(Clone)]
pub(super) struct Circuit {
    breaker: CircuitBreaker<Exchange, AgainstTheService>,
    pause: Duration,
}

/// What goes through it.
pub(super) enum Call {
    Request(Box<Parts>, Kept),
    /// Goes nowhere, and fails.
    GivenUp,
}

impl Service<Call> for Exchange {
    type Response = Response<Incoming>;
    type Error = UpstreamError;
    type Future = BoxFuture<'static, Outcome>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        match call {
            Call::Request(parts, body) => self.clone().run(*parts, body).boxed(),
            Call::GivenUp => ready(Err(self.error(Fault::TimedOut, None))).boxed(),
        }
    }
}

impl Circuit {
    pub(super) fn new(exchange: Exchange, config: &UpstreamConfig) -> Self {
        let upstream = exchange.upstream;
        let pause = config.circuit_pause;
        let layer = CircuitBreakerLayer::builder()
            .consecutive_failures(config.circuit_failures.max(1))
            .permitted_calls_in_half_open(PROBES)
            .wait_duration_in_open(pause)
            .failure_classifier_type(AgainstTheService)
            .on_state_transition(move |_, to| match to {
                CircuitState::Open => tracing::warn!(upstream, ?pause, "a circuit opens: its calls fail"),
                CircuitState::HalfOpen => tracing::info!(upstream, "a circuit lets some calls try"),
                CircuitState::Closed => tracing::info!(upstream, "a circuit closes: the service is back"),
            })
            .build();
        let Ok(layer) = layer else { unreachable!("all that is given above is in the bounds of the builder") };
        Self { breaker: layer.layer_fn(exchange), pause }
    }

    /// The answer to a request, unless the circuit is open. One that is dropped has failed if the service had the whole request and
    /// let it wait for a second; else it does not count.
    pub(super) async fn send(&self, parts: Parts, body: Kept) -> Outcome {
        let mut ongoing = Ongoing { circuit: self, begun: Instant::now(), request: body.clone(), is_over: false };
        let answered = self.breaker.clone().oneshot(Call::Request(Box::new(parts), body)).await;
        ongoing.is_over = true;
        answered.map_err(|error| match error {
            CircuitBreakerError::Inner(error) => error,
            CircuitBreakerError::OpenCircuit => self.breaker.get_ref().error(Fault::CircuitOpen(self.pause), None),
        })
    }
}

/// A call that went out. When it is given up the breaker is not told, so this tells it.
struct Ongoing<'a> {
    circuit: &'a Circuit,
    begun: Instant,
    request: Kept,
    is_over: bool,
}

impl Drop for Ongoing<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        // As long as the client owes a part of its request, it is not the service that lets it wait.
        let waiting_since = self.request.whole_since().map(|whole| whole.max(self.begun));
        if waiting_since.is_some_and(|since| since.elapsed() >= PATIENCE) {
            // It ends at once, but for the moment that another call takes to be counted: then this one is not.
            let _ = self.circuit.breaker.clone().oneshot(Call::GivenUp).now_or_never();
        }
    }
}

/// Tells calls that speak against the service from all others.
#[derive(Clone, Copy)]
struct AgainstTheService;

impl FailureClassifier<Response<Incoming>, UpstreamError> for AgainstTheService {
    fn classify(&self, outcome: &Outcome) -> bool {
        match outcome {
            Ok(answer) => is_of_the_transport(answer.status(), answer.headers()),
            Err(error) => error.fault.is_of_the_service(),
        }
    }
}

/// Whether something on the way to the service answers for it. A service that itself says 503, as a problem, is there: most of
/// what it is asked it may still do, so it is not cut off.
fn is_of_the_transport(status: StatusCode, headers: &HeaderMap) -> bool {
    let is_problem = headers.get(header::CONTENT_TYPE).is_some_and(|value| value == "application/problem+json");
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
        && !is_problem
}
