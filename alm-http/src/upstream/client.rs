//! Requests and their tries.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{Response, request::Parts},
};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::sleep,
};

use super::{
    BaseUrl, Fault, UpstreamConfig, UpstreamError, backoff::full_jitter, body::Kept, circuit::Circuit,
    connect::Connector, exchange::Exchange,
};

/// How often a request goes out that comes to no connection.
const TRIES: u32 = 3;
const BACKOFF: Duration = Duration::from_millis(50);
const BACKOFF_CAP: Duration = Duration::from_millis(500);
/// The most that is buffered of a connection, which bounds the header of an answer too.
const MAX_BUFFER_BYTES: usize = 64 * 1024;

/// How many parts, of whatever is put together of parts, are asked for at the same time. Each service has as many of its own, so
/// that one that hangs keeps no place from the others.
const PARTS_AT_ONCE: usize = 16;

/// The connections to all services. Clones share them.
#[derive(Clone)]
pub(crate) struct Client(pub(super) legacy::Client<Connector, Kept>);

impl Client {
    pub(crate) fn new(config: &UpstreamConfig) -> Self {
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(config.idle_timeout)
            .pool_max_idle_per_host(config.max_idle)
            .http1_max_buf_size(MAX_BUFFER_BYTES)
            .build(Connector::new(config.connect_timeout));
        Self(client)
    }
}

/// One service, as seen from here.
#[derive(Clone)]
pub(crate) struct Upstream {
    /// What it is called in problems, logs and metrics.
    pub(crate) name: &'static str,
    pub(crate) base: BaseUrl,
    exchange: Exchange,
    circuit: Circuit,
    parts: Arc<Semaphore>,
}

impl Upstream {
    pub(crate) fn new(name: &'static str, base: BaseUrl, client: Client, config: &UpstreamConfig) -> Self {
        let exchange = Exchange { upstream: name, client, answer_timeout: config.answer_timeout };
        let circuit = Circuit::new(exchange.clone(), config);
        Self { name, base, exchange, circuit, parts: Arc::new(Semaphore::new(PARTS_AT_ONCE)) }
    }

    /// The answer to a request, whose URI is one of this service. With `may_repeat` it goes out again when no connection was made:
    /// then nothing was sent, and nothing of the body is lost.
    pub(crate) async fn send(
        &self,
        parts: Parts,
        body: Body,
        may_repeat: bool,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let body = Kept::new(body);
        let tries = if may_repeat { TRIES } else { 1 };
        let mut failed = 0;
        loop {
            let answered = self.circuit.send(parts.clone(), body.clone()).await;
            match answered {
                Err(UpstreamError { fault: Fault::Unreachable, .. }) if failed + 1 < tries => {
                    metrics::counter!("alm_upstream_retries_total", "upstream" => self.name).increment(1);
                    sleep(full_jitter(BACKOFF, BACKOFF_CAP, failed)).await;
                    failed += 1;
                }
                Err(error) => {
                    self.note(&error);
                    return Err(error);
                }
                answered => return answered,
            }
        }
    }

    /// Waits for a place among those who ask for a part, and has it until it is dropped. One request of a client asks for many parts,
    /// so without a bound a few clients would bring the service far more requests than their own.
    pub(crate) async fn place(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.parts.acquire().await.ok()
    }

    /// The answer to a request without a body, tried once.
    pub(crate) async fn ask(&self, parts: Parts) -> Result<Response<Incoming>, UpstreamError> {
        self.circuit.send(parts, Kept::new(Body::empty())).await
    }

    /// The answer to a request without a body, tried once, whatever the circuit says; it does not count there either.
    pub(crate) async fn probe(&self, parts: Parts) -> Result<Response<Incoming>, UpstreamError> {
        self.exchange.clone().run(parts, Kept::new(Body::empty())).await
    }

    fn note(&self, error: &UpstreamError) {
        let fault = error.fault;
        metrics::counter!("alm_upstream_failures_total", "upstream" => self.name, "code" => fault.code()).increment(1);
        let error = error as &dyn std::error::Error;
        if matches!(fault, Fault::CircuitOpen(_)) {
            // What opened it was told, and it may refuse thousands a second.
            tracing::debug!(upstream = self.name, error, "an upstream is not asked");
        } else {
            tracing::warn!(upstream = self.name, error, "an upstream failed");
        }
    }
}
