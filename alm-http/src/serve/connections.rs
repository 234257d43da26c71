//! Connections from their first byte to the shutdown.

use std::{error::Error, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    task::{JoinError, JoinSet},
    time::{sleep, timeout},
};

use super::{
    ServeConfig,
    accept::{Listen, accept},
    addresses::Addresses,
    speak::Speaker,
};

/// How long what is dropped may take to go away: a handler that blocks its thread can't be stopped.
const DROP_TIMEOUT: Duration = Duration::from_secs(1);

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServeReport {
    /// How many connections were dropped because what they did took longer than the grace.
    pub dropped: usize,
}

/// Serves `app` over HTTP/1.1 and HTTP/2 until `shutdown` is done. Handlers find the client's address as
/// [`ConnectInfo<SocketAddr>`](axum::extract::ConnectInfo).
///
/// Then, for the time of [`ServeConfig::shutdown_linger`], it answers whatever comes, and closes each connection of HTTP/1 with its answer.
/// A request may have been sent before anyone could know: it waits in a socket that no one has read, or in a connection that no one has
/// accepted, and closing these would reset it. After that the server accepts no more connections, closes those that are idle, lets each
/// request that runs finish and closes its connection, and after the grace drops whatever is left. Dropping the future drops every
/// connection at once.
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
    mut config: ServeConfig,
    shutdown: impl Future<Output = ()> + Send,
) -> ServeReport {
    // What is idle then still has time to end in good order.
    config.shutdown_linger = config.shutdown_linger.min(config.shutdown_grace / 2);
    let places = Arc::new(Semaphore::new(config.max_connections.clamp(1, Semaphore::MAX_PERMITS)));
    let mut connections = Connections::new(app, config.clone());
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(ended) = connections.tasks.join_next() => note(ended),
            (stream, peer, place) = next(&listener, &places) => connections.open(stream, peer, place),
        }
    }
    connections.stop.send_replace(true);
    let mut lingered = pin!(sleep(config.shutdown_linger));
    loop {
        tokio::select! {
            biased;
            () = &mut lingered => break,
            Some(ended) = connections.tasks.join_next() => note(ended),
            (stream, peer, place) = next(&listener, &places) => connections.open(stream, peer, place),
        }
    }
    drop(listener);
    let dropped = connections.close(config.shutdown_grace.saturating_sub(config.shutdown_linger)).await;
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

pub(super) fn note(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection panicked");
    }
}

/// The open connections.
struct Connections {
    speaker: Arc<Speaker>,
    addresses: Addresses,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    all_ended: mpsc::Receiver<()>,
}

impl Connections {
    fn new(app: Router, config: ServeConfig) -> Self {
        let (stop, stopping) = watch::channel(false);
        let (alive, all_ended) = mpsc::channel(1);
        let addresses = Addresses::new(config.max_connections_per_address, config.trusted_proxies.clone());
        let speaker = Arc::new(Speaker::new(app, config, stopping, alive));
        Self { speaker, addresses, stop, tasks: JoinSet::new(), all_ended }
    }

    fn open(&mut self, stream: TcpStream, peer: SocketAddr, place: Option<OwnedSemaphorePermit>) {
        let Some(entered) = self.addresses.enter(peer.ip()) else {
            metrics::counter!("http_connections_refused_total").increment(1);
            tracing::debug!(%peer, "an address has as many connections as it may");
            return;
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, %peer, "TCP_NODELAY can't be set");
        }
        let speaker = Arc::clone(&self.speaker);
        self.tasks.spawn(async move {
            let _places = (place, entered);
            if let Err(error) = speaker.speak(stream, peer).await {
                tracing::debug!(error = &error as &dyn Error, %peer, "a connection ended early");
            }
        });
    }

    /// Lets every connection finish for as long as `grace`; says how many did not.
    async fn close(self, grace: Duration) -> usize {
        let Self { speaker, stop: _stop, mut tasks, mut all_ended, .. } = self;
        drop(speaker);
        let _ = timeout(grace, async { while tasks.join_next().await.map(note).is_some() {} }).await;
        while tasks.try_join_next().map(note).is_some() {}
        let dropped = tasks.len();
        if dropped > 0 {
            tracing::warn!(dropped, "connections did not finish in time and were dropped");
        }
        let gone = async {
            tasks.shutdown().await;
            // Requests of HTTP/2 are tasks of their own.
            let _ = all_ended.recv().await;
        };
        let _ = timeout(DROP_TIMEOUT, gone).await;
        dropped
    }
}
