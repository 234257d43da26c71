//! A TCP connection between two processes, which fails.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use crate::ports::free_port;

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// How much later what is sent comes.
    late: Duration,
    /// Whether nothing comes.
    stalls: bool,
    /// How often connections were cut.
    cuts: u64,
}

/// A port that leads to another one. Connections end with it.
pub struct Wire {
    address: String,
    state: watch::Sender<State>,
    _listener: JoinSet<()>,
}

impl Wire {
    /// To whoever listens at `target`, such as `127.0.0.1:4222`.
    pub async fn to(target: String) -> Self {
        let (host, port) = free_port();
        let address = format!("{host}:{port}");
        let listener = TcpListener::bind(&address).await.unwrap();
        let state = watch::Sender::new(State::default());
        let seen = state.subscribe();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (target, seen) = (target.clone(), seen.clone());
                connections.spawn(async move { drop(connect(client, &target, seen).await) });
            }
        });
        Self { address, state, _listener: tasks }
    }

    /// Where it begins.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// From now on what is sent comes so much later.
    pub fn is_late(&self, by: Duration) {
        self.state.send_modify(|state| state.late = by);
    }

    /// Whether nothing comes any more, and no one is told; what was sent meanwhile comes when it is over, as TCP sends again what
    /// was lost.
    pub fn stalls(&self, stalls: bool) {
        self.state.send_modify(|state| state.stalls = stalls);
    }

    /// Ends all connections; what is on its way is lost.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }
}

async fn connect(client: TcpStream, target: &str, seen: watch::Receiver<State>) -> io::Result<()> {
    let cuts = seen.borrow().cuts;
    let connection = async {
        flows(&mut seen.clone()).await;
        let server = TcpStream::connect(target).await?;
        server.set_nodelay(true)?;
        client.set_nodelay(true)?;
        let ((client_reads, client_writes), (server_reads, server_writes)) = (client.into_split(), server.into_split());
        tokio::try_join!(
            pass(client_reads, server_writes, seen.clone()),
            pass(server_reads, client_writes, seen.clone())
        )
    };
    let mut cut = seen.clone();
    tokio::select! {
        ended = connection => ended.map(drop),
        _ = cut.wait_for(|state| state.cuts != cuts) => Ok(()),
    }
}

/// Waits until it does not stall.
async fn flows(seen: &mut watch::Receiver<State>) -> State {
    let state = seen.wait_for(|state| !state.stalls).await.map(|state| *state);
    // Without its other end there are no connections either.
    state.unwrap_or_default()
}

async fn pass(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut seen: watch::Receiver<State>,
) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = from.read(&mut buffer).await?;
        let late = flows(&mut seen).await.late;
        if !late.is_zero() {
            tokio::time::sleep(late).await;
        }
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..read]).await?;
    }
}
