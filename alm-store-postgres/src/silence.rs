//! A network that swallows what is sent, without a word: no connection breaks, and no answer comes.
//!
//! A statement may take its time, so an answer that has not come says nothing. But when the server does not answer someone who
//! connects anew, either, then what is asked is given up, and with it all connections of that time. So the store does not wait for
//! connections that are dead when the network is back.

use std::{fmt, sync::Arc, time::Duration};

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::{
    sync::{Mutex, watch},
    time::{Instant, sleep, timeout},
};

/// After so long without an answer it is asked whether the server is there.
const DOUBT: Duration = Duration::from_secs(1);

/// So long it may take the server to let someone in.
const HELLO: Duration = Duration::from_secs(2);

/// What is known of silence. Clones know the same.
#[derive(Clone)]
pub(crate) struct Silence {
    connection: Arc<PgConnectOptions>,
    /// When it was last noticed.
    noticed: watch::Sender<Option<Instant>>,
    /// When the server was last heard by someone who was in doubt. Of them one asks at a time.
    heard: Arc<Mutex<Option<Instant>>>,
}

impl Silence {
    pub(crate) fn of(connection: PgConnectOptions) -> Self {
        Self { connection: Arc::new(connection), noticed: watch::Sender::default(), heard: Arc::default() }
    }

    /// Whether it has been silent since a connection of that age was made.
    pub(crate) fn was_met_by(&self, age: Duration) -> bool {
        self.noticed.borrow().is_some_and(|noticed| noticed.elapsed() < age)
    }

    /// Done when it is certain that an answer to what is asked now will not come.
    pub(crate) async fn falls(&self) {
        let asked = Instant::now();
        loop {
            sleep(DOUBT).await;
            // Not before: most answers come soon, and this is done for each.
            let mut noticed = self.noticed.subscribe();
            tokio::select! {
                biased;
                // It can't end in an error: the sender is ours.
                _ = noticed.wait_for(|noticed| noticed.is_some_and(|noticed| noticed > asked)) => return,
                is_silent = self.listen() => if is_silent { return },
            }
        }
    }

    /// Finds out whether the server is silent.
    async fn listen(&self) -> bool {
        let mut heard = self.heard.lock().await;
        if heard.is_some_and(|heard| heard.elapsed() < DOUBT) {
            return false;
        }
        match timeout(HELLO, PgConnection::connect_with(&self.connection)).await {
            Ok(Ok(connection)) => {
                *heard = Some(Instant::now());
                // It has done its work.
                let _ = connection.close().await;
            }
            // It says no, so it is there; or this machine can't ask it now, which says nothing of what was asked before.
            Ok(Err(_)) => *heard = Some(Instant::now()),
            Err(_) => {
                tracing::warn!("the database is not to be heard: what was asked of it is given up");
                self.noticed.send_replace(Some(Instant::now()));
                return true;
            }
        }
        false
    }
}

/// Without the connection, whose password `sqlx` would show.
impl fmt::Debug for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Silence").field("noticed", &*self.noticed.borrow()).finish_non_exhaustive()
    }
}
