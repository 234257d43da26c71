//! The tree over the audit log.

use alm_core::ports::{KeptCheckpoint, StoreError, TileId};
use sqlx::{SqlitePool, sqlite::SqliteRow};

use super::{all, one};
use crate::row::{Columns, at_most, json_text, sought};

// The joins are crossed so that each tile is sought, and not all of them compared with those that are asked for.
const TILES: &str = "
    SELECT place.key, tile.hashes
    FROM json_each(?1) AS place
    CROSS JOIN alm_tree_tiles AS tile ON tile.level = place.value ->> 0 AND tile.idx = place.value ->> 1";
const NEWEST: &str = "SELECT size, signed_at, note FROM alm_tree_checkpoints ORDER BY size DESC LIMIT 1";
const CHECKPOINTS: &str = "
    SELECT size, signed_at, note FROM alm_tree_checkpoints WHERE size > ?1 ORDER BY size LIMIT ?2";

/// The statements that read pages; the first asks for everything.
#[cfg(test)]
pub(super) const PAGES: &[&str] = &[CHECKPOINTS, TILES];

pub(crate) async fn tiles(readers: &SqlitePool, ids: &[TileId]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
    let places: Vec<_> = ids.iter().map(|id| (id.level, sought(id.index))).collect();
    let found = all(readers, sqlx::query(TILES).bind(json_text(&places)?), |row| {
        let mut columns = Columns::of("alm_tree_tiles", row);
        let place: usize = columns.parse(|place: i64| place.try_into())?;
        Ok((place, columns.take()?))
    })
    .await?;
    let mut tiles = vec![None; ids.len()];
    for (place, hashes) in found {
        tiles[place] = Some(hashes);
    }
    Ok(tiles)
}

pub(crate) async fn newest_checkpoint(readers: &SqlitePool) -> Result<Option<KeptCheckpoint>, StoreError> {
    one(readers, sqlx::query(NEWEST), parse).await
}

/// Checkpoints of a size above `after`, the smallest first.
pub(crate) async fn checkpoints(
    readers: &SqlitePool,
    after: u64,
    limit: usize,
) -> Result<Vec<KeptCheckpoint>, StoreError> {
    all(readers, sqlx::query(CHECKPOINTS).bind(sought(after)).bind(at_most(limit)), parse).await
}

fn parse(row: &SqliteRow) -> Result<KeptCheckpoint, StoreError> {
    let mut columns = Columns::of("alm_tree_checkpoints", row);
    Ok(KeptCheckpoint { size: columns.count(|size| size)?, at: columns.time()?, note: columns.take()? })
}
