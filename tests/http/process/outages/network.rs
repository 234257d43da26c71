//! A network between a server and its database, which fails.

use std::{
    fs,
    path::{Path, PathBuf},
};

use alm_test_support::postgres::{PORT, Server};
use tempfile::TempDir;
use tokio::{
    io::copy_bidirectional,
    net::{UnixListener, UnixStream},
    sync::watch,
    task::JoinSet,
};

/// A socket beside that of the database, with a network in between.
pub(super) struct Network {
    folder: TempDir,
    database: PathBuf,
    /// Whether it swallows everything.
    swallows: watch::Sender<bool>,
    // Connections end with it.
    listener: JoinSet<()>,
}

impl Network {
    pub(super) fn to(database: &Server) -> Self {
        let mut this = Self {
            folder: tempfile::tempdir().unwrap(),
            database: database.socket(),
            swallows: watch::Sender::new(false),
            listener: JoinSet::new(),
        };
        this.connects();
        this
    }

    /// How the database is reached by it.
    pub(super) fn url(&self) -> String {
        format!("postgres://alm@localhost:{PORT}/template1?host={}", self.folder.path().display())
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join(self.database.file_name().unwrap())
    }

    /// From now on connections are passed on.
    pub(super) fn connects(&mut self) {
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
    pub(super) async fn refuses(&mut self) {
        self.listener.shutdown().await;
    }

    /// What is sent comes nowhere, and nothing is cut. A connection of that time is of no use any more, also later.
    pub(super) fn swallows(&self, swallows: bool) {
        self.swallows.send_replace(swallows);
    }
}

async fn pass(mut server: UnixStream, database: &Path, mut swallows: watch::Receiver<bool>) {
    let passing = async {
        let mut database = UnixStream::connect(database).await.unwrap();
        // It ends as soon as one of them has gone.
        let _ = copy_bidirectional(&mut server, &mut database).await;
    };
    let swallowing = async { drop(swallows.wait_for(|swallows| *swallows).await) };
    tokio::select! {
        biased;
        () = swallowing => std::future::pending().await,
        () = passing => {}
    }
}
