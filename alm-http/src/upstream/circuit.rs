//! One circuit breaker for each service.

use std::time::Duration;

use axum::http::{HeaderMap, Response, StatusCode, header};
use hyper::body::Incoming;
use recloser::{AsyncRecloser, Error, Recloser};

use super::{UpstreamConfig, UpstreamError};

/// How many calls show, after a pause, whether the service is back.
const PROBES: usize = 3;

/// Refuses calls to a service that fails most of them.
#[derive(Clone)]
pub(super) struct Circuit {
    breaker: AsyncRecloser,
    pause: Duration,
}

/// How a call ended that got as far as the service.
enum Ended {
    /// With an answer that speaks against it.
    Badly(Response<Incoming>),
    Failed(UpstreamError),
}

impl Circuit {
    pub(super) fn new(config: &UpstreamConfig) -> Self {
        let breaker = Recloser::custom()
            .error_rate(0.5)
            // The rate is told from the call after this many on.
            .closed_len(config.circuit_window.max(1))
            .half_open_len(PROBES)
            .open_wait(config.circuit_pause)
            .build();
        Self { breaker: breaker.into(), pause: config.circuit_pause }
    }

    /// The outcome of `call`, unless the circuit is open: then how long it may stay so. A call that is dropped does not count.
    pub(super) async fn guard(
        &self,
        call: impl Future<Output = Result<Response<Incoming>, UpstreamError>> + Send,
    ) -> Result<Result<Response<Incoming>, UpstreamError>, Duration> {
        let call = async {
            match call.await {
                Ok(answer) if is_of_the_transport(answer.status(), answer.headers()) => Err(Ended::Badly(answer)),
                Ok(answer) => Ok(answer),
                Err(error) => Err(Ended::Failed(error)),
            }
        };
        let counts = |ended: &Ended| match ended {
            Ended::Badly(_) => true,
            Ended::Failed(error) => error.fault.is_of_the_service(),
        };
        match self.breaker.call_with(counts, call).await {
            Ok(answer) | Err(Error::Inner(Ended::Badly(answer))) => Ok(Ok(answer)),
            Err(Error::Inner(Ended::Failed(error))) => Ok(Err(error)),
            Err(Error::Rejected) => Err(self.pause),
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
