//! A network to one service, which can fail.

use std::net::SocketAddr;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// Passes connections on, until it is told otherwise.
pub(super) struct Wire {
    pub(super) address: SocketAddr,
    to: SocketAddr,
    swallows: watch::Sender<bool>,
    // Connections end with it.
    listener: JoinSet<()>,
    passed: watch::Sender<usize>,
}

impl Wire {
    pub(super) async fn to(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut wire = Self {
            address,
            to,
            swallows: watch::Sender::new(false),
            listener: JoinSet::new(),
            passed: watch::Sender::new(0),
        };
        wire.listen(listener);
        wire
    }

    fn listen(&mut self, listener: TcpListener) {
        let (to, swallows, passed) = (self.to, self.swallows.clone(), self.passed.clone());
        self.listener.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                passed.send_modify(|count| *count += 1);
                connections.spawn(pass(stream, to, swallows.subscribe()));
            }
        });
    }

    /// Connections are cut, and others are refused.
    pub(super) async fn refuses(&mut self) {
        self.listener.shutdown().await;
    }

    /// Connections are passed on again.
    pub(super) fn connects(&mut self) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.address).unwrap();
        self.listen(socket.listen(64).unwrap());
    }

    /// What is sent comes nowhere, and nothing is cut. A connection of that time is of no use any more, also later.
    pub(super) fn swallows(&self, swallows: bool) {
        self.swallows.send_replace(swallows);
    }

    /// How many connections there were.
    pub(super) fn connections(&self) -> usize {
        *self.passed.borrow()
    }
}

async fn pass(mut client: TcpStream, to: SocketAddr, mut swallows: watch::Receiver<bool>) {
    if *swallows.borrow() {
        return std::future::pending().await;
    }
    let mut server = TcpStream::connect(to).await.unwrap();
    let swallowing = async { drop(swallows.wait_for(|swallows| *swallows).await) };
    tokio::select! {
        biased;
        () = swallowing => {}
        // One of them has gone.
        _ = copy_bidirectional(&mut client, &mut server) => return,
    }
    // Both ends stay open, and neither knows of it.
    std::future::pending::<()>().await;
}
