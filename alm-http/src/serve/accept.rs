//! Taking connections in.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    task::{Context, Poll},
    time::Duration,
};

use tokio::net::{TcpListener, TcpStream};

/// How long to wait when the machine has no more to give, such as file descriptors.
const BACKOFF: Duration = Duration::from_millis(200);

/// Where connections come from.
pub(super) trait Listen: Send + Sync {
    /// The next connection.
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>>;
}

impl Listen for TcpListener {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        Self::poll_accept(self, cx)
    }
}

/// The next connection, whatever goes wrong on the way to it. It is safe to drop.
pub(super) async fn accept(listener: &impl Listen) -> (TcpStream, SocketAddr) {
    loop {
        match poll_fn(|cx| listener.poll_accept(cx)).await {
            Ok(connection) => return connection,
            // The client went away before it was its turn.
            Err(error) if is_of_the_client(&error) => tracing::debug!(%error, "a connection was lost before it began"),
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted now");
                tokio::time::sleep(BACKOFF).await;
            }
        }
    }
}

fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}
