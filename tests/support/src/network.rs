//! A network to a `PostgreSQL`, which fails.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use tokio::{
    io::copy_bidirectional,
    net::{UnixListener, UnixStream},
    sync::watch,
    task::JoinSet,
};

use crate::postgres::PORT;

/// A socket beside that of the database, with a network in between.
pub struct Network {
    folder: TempDir,
    database: PathBuf,
    /// Whether it swallows everything.
    swallows: watch::Sender<bool>,
    // Connections end with it.
    listener: JoinSet<()>,
}

impl Network {
    /// To the database of this socket.
    pub fn to(database: PathBuf) -> Self {
        let mut this = Self {
            folder: tempfile::tempdir().unwrap(),
            database,
            swallows: watch::Sender::new(false),
            listener: JoinSet::new(),
        };
        this.connects();
        this
    }

    /// How the database is reached by it.
    pub fn url(&self) -> String {
        format!("postgres://alm@localhost:{PORT}/template1?host={}", self.folder().display())
    }

    /// The folder of its socket.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join(self.database.file_name().unwrap())
    }

    /// From now on connections are passed on.
    pub fn connects(&mut self) {
        // It may be there, and no one listens.
        let _ = fs::remove_file(self.socket());
        let listener = UnixListener::bind(self.socket()).unwrap();
        let (database, swallows) = (self.database.clone(), self.swallows.clone());
        self.listener.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((server, _)) = listener.accept().await {
                let (database, swallows) = (database.clone(), swallows.subscribe());
                connections.spawn(async move { pass(server, &database, swallows).await });
            }
        });
    }

    /// Connections are cut, and others are refused.
    pub async fn refuses(&mut self) {
        self.listener.shutdown().await;
    }

    /// What is sent comes nowhere, and nothing is cut. A connection of that time is of no use any more, also later.
    pub fn swallows(&self, swallows: bool) {
        self.swallows.send_replace(swallows);
    }
}

async fn pass(mut server: UnixStream, database: &Path, mut swallows: watch::Receiver<bool>) {
    if *swallows.borrow() {
        return std::future::pending().await;
    }
    let mut database = UnixStream::connect(database).await.unwrap();
    let swallowing = async { drop(swallows.wait_for(|swallows| *swallows).await) };
    tokio::select! {
        biased;
        () = swallowing => {}
        // One of them has gone.
        _ = copy_bidirectional(&mut server, &mut database) => return,
    }
    // Both ends stay open, and neither knows of it.
    std::future::pending::<()>().await;
}
