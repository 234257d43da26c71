//! Connections from the pool: sound ones if need be, and not for ever.

use std::{
    io,
    ops::{Deref, DerefMut},
    time::Duration,
};

use sqlx::{
    Connection, PgConnection, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;

use crate::{error::is_connection_lost, silence::Silence};

/// How long a connection that is given back may take to show that it works.
const PING: Duration = Duration::from_secs(2);

/// The connections of a store.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    connections: PgPool,
    // The server ends a statement itself; only when the network swallows the answer, it takes longer.
    patience: Option<Duration>,
    silence: Silence,
}

impl Pool {
    /// `patience` is how long the answer to a statement may take. No connection is made until one is needed.
    pub(crate) fn new(pool: PgPoolOptions, connection: PgConnectOptions, patience: Option<Duration>) -> Self {
        let silence = Silence::of(connection.clone());
        let known = silence.clone();
        let pool = pool.before_acquire(move |_, met| {
            let is_sound = !known.was_met_by(met.age);
            Box::pin(async move { Ok(is_sound) })
        });
        Self { connections: pool.connect_lazy_with(connection), patience, silence }
    }

    /// A connection, which may have broken while no one used it.
    pub(crate) async fn take(&self) -> Result<Lent, sqlx::Error> {
        let options = self.connections.options();
        match self.connections.acquire().await {
            // The pool says the same when it can't make a connection as when it has none to spare, and it goes on trying to
            // make one.
            Err(sqlx::Error::PoolTimedOut) if self.connections.size() < options.get_max_connections() => {
                let why = format!("no connection could be made within {:?}", options.get_acquire_timeout());
                Err(io::Error::new(io::ErrorKind::NotConnected, why).into())
            }
            taken => Ok(Lent { connection: taken?, keep: false }),
        }
    }

    /// A connection that answers, after another has not. As many may be broken as the pool can hold.
    pub(crate) async fn take_sound(&self) -> Result<Lent, sqlx::Error> {
        for _ in 0..self.connections.options().get_max_connections() {
            let mut connection = self.take().await?;
            match self.answer(1, connection.ping()).await {
                Ok(()) => return Ok(connection),
                Err(error) if is_connection_lost(&error) => {}
                Err(error) => return Err(error),
            }
        }
        self.take().await
    }

    /// What the server answers to so many statements, unless it takes too long or nothing can be heard of the server at all. After that
    /// the connection is of no use.
    pub(crate) async fn answer<T, E: From<sqlx::Error>>(
        &self,
        statements: usize,
        asking: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let Some(patience) = self.patience else { return asking.await };
        let patience = patience.saturating_mul(u32::try_from(statements).unwrap_or(u32::MAX));
        let why = tokio::select! {
            answered = timeout(patience, asking) => match answered {
                Ok(answer) => return answer,
                Err(_) => format!("the server has not answered within {patience:?}"),
            },
            () = self.silence.falls() => "the server has not answered, and can't be reached".to_owned(),
        };
        Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, why)).into())
    }

    /// Whether the server was silent since a connection of that age was made.
    pub(crate) fn was_silent_since(&self, age: Duration) -> bool {
        self.silence.was_met_by(age)
    }

    /// How many connections have nothing to do, how many are used, and how many there may be.
    pub(crate) fn connections(&self) -> (usize, usize, u32) {
        let idle = self.connections.num_idle();
        let used = (self.connections.size() as usize).saturating_sub(idle);
        (idle, used, self.connections.options().get_max_connections())
    }

    /// Closes all connections, once what uses them is done.
    pub(crate) async fn close(&self) {
        self.connections.close().await;
    }
}

/// A connection of the pool. It goes back only when it is said to be of use; else it is closed, because no one knows what is going
/// on in it: whoever gives up a request does so at any point, and a transaction may have begun.
#[derive(Debug)]
pub(crate) struct Lent {
    connection: PoolConnection<Postgres>,
    keep: bool,
}

impl Lent {
    /// Gives it back: what was asked of it is answered, and no transaction is open.
    pub(crate) fn give_back(mut self) {
        self.keep = true;
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if self.keep {
            // The pool asks whether it still works, and would wait for ever where no answer comes.
            tokio::spawn(timeout(PING, self.connection.return_to_pool()));
        } else {
            self.connection.close_on_drop();
        }
    }
}

impl Deref for Lent {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

/// `$work` of one statement with a connection of `$pool`. It may be done twice, and is when the connection turns out to be
/// broken.
///
/// A macro, because the future of an async closure that borrows its argument can't be shown to be `Send`.
macro_rules! with_connection {
    ($pool:expr, $operation:literal, $connection:ident => $work:expr) => {{
        let pool: &$crate::pool::Pool = $pool;
        let outcome = async {
            let mut $connection = pool.take().await?;
            match pool.answer(1, $work).await {
                Err($crate::error::Fault::Sql(error)) if $crate::error::is_connection_lost(&error) => {}
                Err($crate::error::Fault::Sql(error)) if $crate::error::is_unanswered(&error) => {
                    return Err($crate::error::Fault::Sql(error));
                }
                done => {
                    $connection.give_back();
                    return done;
                }
            }
            drop($connection);
            let mut $connection = pool.take_sound().await?;
            let done = pool.answer(1, $work).await?;
            $connection.give_back();
            Ok(done)
        };
        outcome.await.map_err(|fault: $crate::error::Fault| fault.told($operation))
    }};
}
pub(crate) use with_connection;
