//! Connections from the pool, sound ones if need be.

use sqlx::{Connection, PgPool, Postgres, pool::PoolConnection};

use crate::error::is_connection_lost;

/// A connection that answers, after another has not. As many may be broken as the pool can hold.
pub(crate) async fn take_sound(pool: &PgPool) -> Result<PoolConnection<Postgres>, sqlx::Error> {
    for _ in 0..pool.options().get_max_connections() {
        let mut connection = pool.acquire().await?;
        match connection.ping().await {
            Ok(()) => return Ok(connection),
            Err(error) if is_connection_lost(&error) => connection.close_on_drop(),
            Err(error) => return Err(error),
        }
    }
    pool.acquire().await
}

/// `$work` with a connection of `$pool`: what may be done twice is done again when the connection turns out to be broken.
///
/// A macro, because the future of an async closure that borrows its argument can't be shown to be `Send`.
macro_rules! with_connection {
    ($pool:expr, $operation:literal, $connection:ident => $work:expr) => {{
        let pool: &sqlx::PgPool = $pool;
        let outcome = async {
            let mut $connection = pool.acquire().await?;
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
