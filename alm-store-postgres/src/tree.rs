//! The tree over the audit log.

use alm_core::ports::{Contention, Growth, KeptCheckpoint, Outcome, StoreError, TileId, TreeStore};
use async_trait::async_trait;
use sqlx::PgConnection;

use crate::{
    error::{Fault, backend, is_connection_lost, is_unanswered},
    pool::with_connection,
    row::{Columns, all, at_most, bigint, one},
    store::PostgresStore,
};

/// The statements that read pages.
pub(crate) const TILES: &str = "\
    SELECT asked.place, tree_tiles.hashes \
    FROM unnest($1::smallint[], $2::bigint[]) WITH ORDINALITY AS asked (level, index, place) \
    JOIN tree_tiles USING (level, index)";
pub(crate) const NEWEST: &str = "SELECT size, signed_at, note FROM tree_checkpoints ORDER BY size DESC LIMIT 1";
pub(crate) const CHECKPOINTS: &str =
    "SELECT size, signed_at, note FROM tree_checkpoints WHERE size > $1 ORDER BY size LIMIT $2";

const GROW: &str = "SELECT grow_tree($1, $2, $3, $4, $5, $6, $7)";
const OPERATION: &str = "grow the tree";

#[async_trait]
impl TreeStore for PostgresStore {
    async fn tiles(&self, ids: &[TileId]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        with_connection!(&self.pool, "read tiles", connection => tiles(&mut connection, ids))
    }

    async fn newest_checkpoint(&self) -> Result<Option<KeptCheckpoint>, StoreError> {
        with_connection!(&self.pool, "read the newest checkpoint", connection => async {
            let newest = sqlx::query(NEWEST).fetch_optional(&mut *connection).await?;
            Ok::<_, Fault>(one(newest.as_ref())?)
        })
    }

    async fn checkpoints(&self, after: u64, limit: usize) -> Result<Vec<KeptCheckpoint>, StoreError> {
        with_connection!(&self.pool, "list checkpoints", connection => async {
            let page = sqlx::query(CHECKPOINTS).bind(bigint(after)).bind(at_most(limit));
            Ok::<_, Fault>(all(&page.fetch_all(&mut *connection).await?)?)
        })
    }

    async fn grow(&self, growth: Growth) -> Result<(), StoreError> {
        let told = |error| backend(OPERATION, error, Outcome::NotApplied);
        let mut connection = self.pool.take().await.map_err(told)?;
        let lost = match self.pool.answer(1, grow(&mut connection, &growth)).await {
            Err(error) if is_connection_lost(&error) => error,
            // The connection is of no use any more.
            Err(error) if is_unanswered(&error) => return Err(backend(OPERATION, error, Outcome::Unknown)),
            answer => {
                connection.give_back();
                return grown(&growth, answer.map_err(told)?);
            }
        };
        // It may have broken long ago, or just when this was done. To try again tells: what was asked for first is done by then, or
        // never will be.
        drop(connection);
        let unknown = |error| backend(OPERATION, error, Outcome::Unknown);
        let mut connection = self.pool.take_sound().await.map_err(unknown)?;
        let had = self.pool.answer(1, grow(&mut connection, &growth)).await.map_err(unknown)?;
        connection.give_back();
        // By whom it has grown meanwhile, can't be told.
        grown(&growth, had).map_err(|_| unknown(lost))
    }
}

/// The answer, from the size that the tree had.
fn grown(growth: &Growth, had: i64) -> Result<(), StoreError> {
    if had == bigint(growth.from) {
        return Ok(());
    }
    Err(StoreError::Conflict(Contention::Tree { size: had.unsigned_abs() }))
}

/// One statement, which is a transaction by itself; gives the size that the tree had.
async fn grow(connection: &mut PgConnection, growth: &Growth) -> Result<i64, sqlx::Error> {
    let Growth { from, tiles, checkpoint: KeptCheckpoint { size, at, note } } = growth;
    let levels: Vec<_> = tiles.iter().map(|tile| i16::from(tile.id.level)).collect();
    let indexes: Vec<_> = tiles.iter().map(|tile| bigint(tile.id.index)).collect();
    let hashes: Vec<_> = tiles.iter().map(|tile| tile.hashes.as_slice()).collect();
    sqlx::query_scalar(GROW)
        .bind(bigint(*from))
        .bind(levels)
        .bind(indexes)
        .bind(hashes)
        .bind(bigint(*size))
        .bind(at.micros())
        .bind(note)
        .fetch_one(connection)
        .await
}

async fn tiles(connection: &mut PgConnection, ids: &[TileId]) -> Result<Vec<Option<Vec<u8>>>, Fault> {
    let levels: Vec<_> = ids.iter().map(|id| i16::from(id.level)).collect();
    let indexes: Vec<_> = ids.iter().map(|id| bigint(id.index)).collect();
    let found = sqlx::query(TILES).bind(levels).bind(indexes).fetch_all(connection).await?;
    let mut tiles = vec![None; ids.len()];
    for row in &found {
        let columns = Columns::of("tree_tiles", row);
        // The first has the ordinal number 1.
        let place: i64 = columns.raw()?;
        let hashes = columns.raw()?;
        if let Some(tile) = usize::try_from(place - 1).ok().and_then(|place| tiles.get_mut(place)) {
            *tile = Some(hashes);
        }
    }
    Ok(tiles)
}
