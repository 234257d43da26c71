//! The tree over the audit log, which grows beside all changesets.

use alm_core::ports::{Contention, Growth, KeptCheckpoint, StoreError};
use sqlx::SqliteConnection;

use super::rows::{Insert, run};
use crate::{error::fault, row::stored};

const OPERATION: &str = "grow the tree";

const SIZE: &str = "SELECT coalesce(max(size), 0) FROM alm_tree_checkpoints";
const KEEP_TILES: Insert = Insert {
    into: "alm_tree_tiles (level, idx, hashes)",
    values: 3,
    select: "*",
    on_conflict: "ON CONFLICT (level, idx) DO UPDATE SET hashes = excluded.hashes",
};
const KEEP_CHECKPOINT: &str = "INSERT INTO alm_tree_checkpoints (size, signed_at, note) VALUES (?1, ?2, ?3)";

/// Keeps what a tree grows by, if it has the size from which it is to grow.
pub(crate) async fn grow(connection: &mut SqliteConnection, growth: Growth) -> Result<(), StoreError> {
    let Growth { from, tiles, checkpoint: KeptCheckpoint { size, at, note } } = growth;
    let has: i64 =
        sqlx::query_scalar(SIZE).fetch_one(&mut *connection).await.map_err(|error| fault(OPERATION, error))?;
    if has.unsigned_abs() != from {
        return Err(StoreError::Conflict(Contention::Tree { size: has.unsigned_abs() }));
    }
    for tiles in tiles.chunks(Insert::ROWS) {
        let mut statement = KEEP_TILES.of(tiles.len());
        for tile in tiles {
            statement = statement.bind(tile.id.level).bind(stored(tile.id.index)?).bind(tile.hashes.clone());
        }
        run(connection, statement).await?;
    }
    run(connection, sqlx::query(KEEP_CHECKPOINT).bind(stored(size)?).bind(at.micros()).bind(note)).await?;
    Ok(())
}
