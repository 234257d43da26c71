//! Connections from the pool, sound ones if need be.

use std::io;

use sqlx::{Connection, PgPool, Postgres, pool::PoolConnection};

use crate::error::is_connection_lost;

/// A connection, which may have broken while no one used it.
pub(crate) async fn take(pool: &PgPool) -> Result<PoolConnection<Postgres>, sqlx::Error> {
    let options = pool.options();
    match pool.acquire().await {
        // The pool says the same when it can't make a connection as when it has none to spare, and it tries for ever to make one.
        Err(sqlx::Error::PoolTimedOut) if pool.size() < options.get_max_connections() => {
            Err(sqlx::Error::Io(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("no connection within {:?}", options.get_acquire_timeout()),
            )))
        }
        taken => taken,
    }
}

/// A connection that answers, after another has not. As many may be broken as the pool can hold.
pub(crate) async fn take_sound(pool: &PgPool) -> Result<PoolConnection<Postgres>, sqlx::Error> {
    for _ in 0..pool.options().get_max_connections() {
        let mut connection = take(pool).await?;
        match connection.ping().await {
            Ok(()) => return Ok(connection),
            Err(error) if is_connection_lost(&error) => connection.close_on_drop(),
            Err(error) => return Err(error),
        }
    }
    take(pool).await
}

/// `$work` with a connection of `$pool`: what may be done twice is done again when the connection turns out to be broken.
///
/// A macro, because the future of an async closure that borrows its argument can't be shown to be `Send`.
macro_rules! with_connection {
    ($pool:expr, $operation:literal, $connection:ident => $work:expr) => {{
        let pool: &sqlx::PgPool = $pool;
        let outcome = async {
            let mut $connection = $crate::pool::take(pool).await?;
            match $work.await {
                Err($crate::error::Fault::Sql(error)) if $crate::error::is_connection_lost(&error) => {}
                done => return done,
            }
            drop($connection);
            let mut $connection = $crate::pool::take_sound(pool).await?;
            $work.await
        };
        outcome.await.map_err(|fault: $crate::error::Fault| fault.told($operation))
    }};
}
pub(crate) use with_connection;
