//! Connections from their first byte to the shutdown.

use std::{error::Error, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{JoinError, JoinSet},
    time::timeout,
};
use tower::Service;

use super::{
    ServeConfig,
    accept::{Listen, accept},
    body::TimedBody,
};

/// The most that is buffered of a connection, which bounds the header of a request too. Hyper's default is 400 KiB, so ten
/// thousand clients could take 4 GiB without having sent one request.
const MAX_BUFFER_BYTES: usize = 64 * 1024;
/// How long what is dropped may take to go away: a handler that blocks its thread can't be stopped.
const DROP_TIMEOUT: Duration = Duration::from_secs(1);

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServeReport {
    /// How many connections were dropped because what they did took longer than the grace.
    pub dropped: usize,
}

/// Serves `app` over HTTP/1.1 until `shutdown` is done. Handlers find the client's address as [`ConnectInfo<SocketAddr>`].
///
/// Then it accepts no more connections, closes those that are idle, lets each request that runs finish and closes its
/// connection, and after the grace drops whatever is left. Dropping the future drops every connection at once.
///
/// A fault in accepting connections is logged and waited out; it never ends the server. Connections run as tasks of the
/// tokio runtime that polls the future.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    config: ServeConfig,
    shutdown: impl Future<Output = ()> + Send,
) -> ServeReport {
    run(listener, app, config, shutdown).await
}

pub(super) async fn run<L: Listen>(
    listener: L,
    app: Router,
    config: ServeConfig,
    shutdown: impl Future<Output = ()> + Send,
) -> ServeReport {
    let places = Arc::new(Semaphore::new(config.max_connections.clamp(1, Semaphore::MAX_PERMITS)));
    let mut connections = Connections::new(app, &config);
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(ended) = connections.tasks.join_next() => note(ended),
            (stream, peer, place) = next(&listener, &places) => connections.open(stream, peer, place),
        }
    }
    drop(listener);
    let dropped = connections.close(config.shutdown_grace).await;
    ServeReport { dropped }
}

/// The next connection, as soon as there is a place for it.
async fn next(
    listener: &impl Listen,
    places: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
    // It fails only when the semaphore is closed, which no one does.
    let place = Arc::clone(places).acquire_owned().await.ok();
    let (stream, peer) = accept(listener).await;
    (stream, peer, place)
}

fn note(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection panicked");
    }
}

/// The open connections and what they speak.
struct Connections {
    app: Router,
    http: http1::Builder,
    body_timeout: Duration,
    graceful: GracefulShutdown,
    tasks: JoinSet<()>,
}

impl Connections {
    fn new(app: Router, config: &ServeConfig) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(config.header_timeout).max_buf_size(MAX_BUFFER_BYTES);
        // With its state given, axum has its routes ready; else it would make them ready for each request.
        let app = app.with_state(());
        let body_timeout = config.body_timeout;
        Self { app, http, body_timeout, graceful: GracefulShutdown::new(), tasks: JoinSet::new() }
    }

    fn open(&mut self, stream: TcpStream, peer: SocketAddr, place: Option<OwnedSemaphorePermit>) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, %peer, "TCP_NODELAY can't be set");
        }
        let (app, body_timeout) = (self.app.clone(), self.body_timeout);
        let service = service_fn(move |request: Request<Incoming>| {
            let mut request = request.map(|body| Body::new(TimedBody::new(body, body_timeout)));
            request.extensions_mut().insert(ConnectInfo(peer));
            // A router is always ready.
            app.clone().call(request)
        });
        let connection = self.http.serve_connection(TokioIo::new(stream), service);
        let connection = self.graceful.watch(connection);
        self.tasks.spawn(async move {
            let _place = place;
            if let Err(error) = connection.await {
                tracing::debug!(error = &error as &dyn Error, %peer, "a connection ended early");
            }
        });
    }

    /// Lets every connection finish for as long as `grace`; says how many did not.
    async fn close(self, grace: Duration) -> usize {
        let Self { graceful, mut tasks, .. } = self;
        let finished = async { while tasks.join_next().await.map(note).is_some() {} };
        let _ = timeout(grace, async { tokio::join!(graceful.shutdown(), finished) }).await;
        while tasks.try_join_next().map(note).is_some() {}
        let dropped = tasks.len();
        if dropped > 0 {
            tracing::warn!(dropped, "connections did not finish in time and were dropped");
        }
        let _ = timeout(DROP_TIMEOUT, tasks.shutdown()).await;
        dropped
    }
}
