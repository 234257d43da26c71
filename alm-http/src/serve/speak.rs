//! One connection, from its first byte to its last.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo};
use hyper::{
    Request,
    body::Incoming,
    header::{CONNECTION, HeaderValue},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until},
};
use tower::Service;

use super::{
    ServeConfig,
    activity::{Activity, Verdict, WatchedBody},
    body::TimedBody,
    framing,
    protocol::{Protocol, detect},
    requests::Requests,
    socket::TimedIo,
};

/// The most that is buffered of a connection of HTTP/1, which bounds the header of a request too. Hyper's default is 400 KiB, so ten
/// thousand clients could take 4 GiB without having sent one request.
const MAX_BUFFER_BYTES: usize = 64 * 1024;
/// The most that the header of a request of HTTP/2 may come to, each field with 32 bytes on top (RFC 9113, section 6.5.2).
const MAX_HEADER_BYTES: u32 = 32 * 1024;
/// What a client may send of a body, and of all bodies, before anyone reads it. The largest body is read in a few turns.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;
/// What waits of an answer for a client to take it.
const MAX_SEND_BYTES: usize = 64 * 1024;
/// So many requests may be taken back before they were looked at (CVE-2023-44487), and so many may be malformed (CVE-2025-8671).
const MAX_RESETS: usize = 20;
const MAX_ERRORS: usize = 100;
/// A client that has gone without a word is found, also when nothing is written to it.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection of HTTP/2 on which nothing runs may take to say good-bye.
const DRAIN: Duration = Duration::from_secs(2);

/// Why a connection ended before its time.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("no request came in time")]
    Idle,
    #[error("the client does not read its answer")]
    Stalled,
    #[error("the client cancels what it asks for")]
    Canceling,
    #[error("the connection is broken")]
    Io(#[source] io::Error),
    #[error("what came is not HTTP")]
    Http(#[source] hyper::Error),
}

/// Speaks with clients.
pub(super) struct Speaker {
    app: Router,
    config: ServeConfig,
    http1: http1::Builder,
    stopping: watch::Receiver<bool>,
    alive: mpsc::Sender<()>,
}

impl Speaker {
    /// It holds `alive` for as long as anything runs.
    pub(super) fn new(
        app: Router,
        config: ServeConfig,
        stopping: watch::Receiver<bool>,
        alive: mpsc::Sender<()>,
    ) -> Self {
        let mut http1 = http1::Builder::new();
        http1.timer(TokioTimer::new()).header_read_timeout(config.header_timeout).max_buf_size(MAX_BUFFER_BYTES);
        let app = match &config.tls {
            Some(_) => app.layer(axum::middleware::from_fn(super::tls::over_tls)),
            None => app,
        };
        // With its state given, axum has its routes ready; else it would make them ready for each request.
        Self { app: app.with_state(()), config, http1, stopping, alive }
    }

    /// Serves one client, until it or the server is done.
    pub(super) async fn speak(&self, stream: TcpStream, peer: SocketAddr) -> Result<(), Ended> {
        // One deadline for all that comes before the first request, whatever it is.
        let since = Instant::now();
        let io = TimedIo::new(stream, self.config.write_timeout);
        if let Some(tls) = &self.config.tls {
            return match self.begin(since, tls.accept(io)).await? {
                Some((io, protocol)) => self.http(protocol, io, peer, since).await,
                None => Ok(()),
            };
        }
        match self.begin(since, detect(io)).await? {
            Some((io, protocol)) => self.http(protocol, io, peer, since).await,
            None => Ok(()),
        }
    }

    async fn http(
        &self,
        protocol: Protocol,
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: SocketAddr,
        since: Instant,
    ) -> Result<(), Ended> {
        match protocol {
            Protocol::Http1 => self.http1(io, peer, since).await,
            Protocol::Http2 => self.http2(io, peer, since).await,
        }
    }

    /// What comes of `beginning`, unless the server stops.
    async fn begin<T>(
        &self,
        since: Instant,
        beginning: impl Future<Output = io::Result<T>>,
    ) -> Result<Option<T>, Ended> {
        tokio::select! {
            biased;
            begun = beginning => begun.map(Some).map_err(Ended::Io),
            () = self.lingered() => Ok(None),
            () = sleep_until(since + self.config.header_timeout) => Err(Ended::Idle),
        }
    }

    async fn http1(
        &self,
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: SocketAddr,
        since: Instant,
    ) -> Result<(), Ended> {
        let app = self.app.clone();
        let body_timeout = self.config.body_timeout;
        let begun = Arc::new(AtomicBool::new(false));
        let first = Arc::clone(&begun);
        let stopping = self.stopping.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            first.store(true, Ordering::Relaxed);
            let is_plain = framing::is_plain(&request);
            let request = request.map(|body| Body::new(TimedBody::new(body, body_timeout).lingering()));
            // A router is always ready.
            let answer = is_plain.then(|| app.clone().call(of(peer, request)));
            let stopping = stopping.clone();
            async move {
                let mut answer = match answer {
                    Some(answer) => answer.await?,
                    None => framing::refusal(),
                };
                // A client that is told sends nothing more on this connection, of which no one could say what came of it.
                if *stopping.borrow() {
                    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(answer)
            }
        });
        let mut connection = pin!(self.http1.serve_connection(TokioIo::new(io), service));
        let mut late = pin!(sleep_until(since + self.config.header_timeout));
        let mut lingered = pin!(self.lingered());
        let (mut is_first, mut is_told) = (true, false);
        loop {
            tokio::select! {
                biased;
                ended = &mut connection => return ended.map_err(Ended::Http),
                () = &mut lingered, if !is_told => {
                    is_told = true;
                    connection.as_mut().graceful_shutdown();
                }
                // From the second on, hyper counts from when a request can begin.
                () = &mut late, if is_first => {
                    is_first = false;
                    if !begun.load(Ordering::Relaxed) {
                        return Err(Ended::Idle);
                    }
                }
            }
        }
    }

    async fn http2(
        &self,
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: SocketAddr,
        since: Instant,
    ) -> Result<(), Ended> {
        let activity = Activity::new(since, self.config.header_timeout, self.config.write_timeout);
        let requests = Requests::new(self.alive.clone());
        let service = {
            let (app, activity) = (self.app.clone(), activity.clone());
            let body_timeout = self.config.body_timeout;
            service_fn(move |request: Request<Incoming>| {
                let running = activity.begin();
                let request = request.map(|body| Body::new(TimedBody::new(body, body_timeout)));
                let answer = app.clone().call(of(peer, request));
                async move {
                    let answer = answer.await?;
                    Ok::<_, Infallible>(answer.map(|body| WatchedBody::new(body, running)))
                }
            })
        };
        let mut http = http2::Builder::new(requests.executor());
        http.timer(TokioTimer::new())
            .max_concurrent_streams(self.config.max_streams)
            .max_header_list_size(MAX_HEADER_BYTES)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(MAX_SEND_BYTES)
            .max_pending_accept_reset_streams(MAX_RESETS)
            .max_local_error_reset_streams(MAX_ERRORS)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT);
        self.watch(http.serve_connection(TokioIo::new(io), service), &activity).await
    }

    /// Lets a connection run for as long as it behaves.
    async fn watch<C>(&self, connection: C, activity: &Activity) -> Result<(), Ended>
    where
        C: GracefulConnection<Error = hyper::Error>,
    {
        let mut connection = pin!(connection);
        let mut check = pin!(sleep_until(Instant::now()));
        // Not as soon as the server stops: hyper would drop a connection of which it has not read the preface to its end.
        let mut lingered = pin!(self.lingered());
        let (mut is_told, mut is_closing) = (false, false);
        loop {
            tokio::select! {
                biased;
                ended = &mut connection => return ended.map_err(Ended::Http),
                () = &mut lingered, if !is_told => {
                    is_told = true;
                    is_closing = true;
                    connection.as_mut().graceful_shutdown();
                    check.as_mut().reset(Instant::now() + DRAIN);
                }
                () = activity.alarmed() => check.as_mut().reset(Instant::now()),
                () = &mut check => {
                    let next = match activity.verdict() {
                        Verdict::Stalled => return Err(Ended::Stalled),
                        Verdict::Canceling => return Err(Ended::Canceling),
                        // Whoever does not say good-bye, too, is not waited for.
                        _ if is_closing && activity.idle_for().is_some_and(|idle| idle >= DRAIN) => return Err(Ended::Idle),
                        _ if is_closing => Instant::now() + DRAIN,
                        Verdict::Fine(next) => next,
                        Verdict::Idle => {
                            is_closing = true;
                            connection.as_mut().graceful_shutdown();
                            Instant::now() + DRAIN
                        }
                    };
                    check.as_mut().reset(next);
                }
            }
        }
    }

    /// Done when the server has been stopping for so long that what was on its way has come. For a connection that began later it counts
    /// from then.
    async fn lingered(&self) {
        // Without its other end the server has stopped, too.
        let _ = self.stopping.clone().wait_for(|stopping| *stopping).await;
        sleep(self.config.shutdown_linger).await;
    }
}

/// A request, with the address that it came from.
fn of(peer: SocketAddr, mut request: Request<Body>) -> Request<Body> {
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}
