//! Requests, their tries and their deadlines.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{Request, Response, Version, request::Parts},
};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, sleep, sleep_until},
};

use super::{
    BaseUrl, Fault, UpstreamConfig, UpstreamError, backoff::full_jitter, body::Kept, circuit::Circuit,
    connect::Connector,
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
pub(crate) struct Client(legacy::Client<Connector, Kept>);

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
    client: Client,
    circuit: Circuit,
    answer_timeout: Duration,
    parts: Arc<Semaphore>,
}

impl Upstream {
    pub(crate) fn new(name: &'static str, base: BaseUrl, client: Client, config: &UpstreamConfig) -> Self {
        Self {
            name,
            base,
            client,
            circuit: Circuit::new(name, config),
            answer_timeout: config.answer_timeout,
            parts: Arc::new(Semaphore::new(PARTS_AT_ONCE)),
        }
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
            // The last try needs no copy, and most requests have but one.
            let answered = self.attempt(parts.clone(), body.clone()).await;
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
        self.attempt(parts, Kept::new(Body::empty())).await
    }

    /// The answer to a request without a body, tried once, whatever the circuit says; it does not count there either.
    pub(crate) async fn probe(&self, parts: Parts) -> Result<Response<Incoming>, UpstreamError> {
        self.unguarded(parts, Kept::new(Body::empty())).await
    }

    /// The answer to one try, unless the circuit is open.
    async fn attempt(&self, parts: Parts, body: Kept) -> Result<Response<Incoming>, UpstreamError> {
        let guarded = self.circuit.guard(body.clone(), self.unguarded(parts, body)).await;
        guarded.unwrap_or_else(|pause| Err(self.error(Fault::CircuitOpen(pause), None)))
    }

    async fn unguarded(&self, parts: Parts, body: Kept) -> Result<Response<Incoming>, UpstreamError> {
        let mut request = Request::from_parts(parts, body.clone());
        // Of the connection here, whatever that to the client speaks.
        *request.version_mut() = Version::HTTP_11;
        let mut answer = self.client.0.request(request);
        // Counted from when the last of the request went out, so that a large body has its time.
        let mut deadline = Instant::now() + self.answer_timeout;
        loop {
            tokio::select! {
                biased;
                answered = &mut answer => return self.judge(answered, &body),
                () = sleep_until(deadline) => {
                    let later = body.last_progress() + self.answer_timeout;
                    if later <= deadline {
                        return Err(self.error(Fault::TimedOut, None));
                    }
                    deadline = later;
                }
            }
        }
    }

    fn judge(
        &self,
        answered: Result<Response<Incoming>, legacy::Error>,
        body: &Kept,
    ) -> Result<Response<Incoming>, UpstreamError> {
        match answered {
            // No request that goes out asks for another protocol.
            Ok(answer) if answer.status().is_informational() => Err(self.error(Fault::Failed, None)),
            Ok(answer) => Ok(answer),
            Err(error) if error.is_connect() => Err(self.error(Fault::Unreachable, Some(error.into()))),
            Err(error) => Err(self.error(body.broken().unwrap_or(Fault::Failed), Some(error.into()))),
        }
    }

    fn error(&self, fault: Fault, source: Option<Box<dyn std::error::Error + Send + Sync>>) -> UpstreamError {
        UpstreamError { upstream: self.name, fault, source }
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
