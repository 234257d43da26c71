//! What the cases begin with.

use crate::{
    domain::Timestamp,
    ports::{Growth, KeptCheckpoint, KeptTile, TileId, TreeStore},
    testing::conformance::must::Must,
};

pub(super) const fn id(level: u8, index: u64) -> TileId {
    TileId { level, index }
}

/// A tile of `width` hashes, whose bytes tell `seed`.
pub(super) fn tile(id: TileId, width: usize, seed: u8) -> KeptTile {
    KeptTile { id, hashes: (0..width * 32).map(|n| seed.wrapping_add(u8::try_from(n % 251).unwrap_or(0))).collect() }
}

/// The checkpoint of a tree of `size`.
pub(super) fn signed(size: u64) -> KeptCheckpoint {
    let at =
        Timestamp::from_micros(1_795_000_000_000_001 + i64::try_from(size % 1_000_000).unwrap_or(0)).expect("a time");
    KeptCheckpoint { size, at, note: format!("alm.example/log\n{size}\nAAAA\n\n\u{2014} alm.example/log Zm9v\n") }
}

pub(super) fn growth(from: u64, to: u64, tiles: Vec<KeptTile>) -> Growth {
    Growth { from, tiles, checkpoint: signed(to) }
}

pub(super) async fn grow(store: &dyn TreeStore, growth: Growth) {
    store.grow(growth).await.must("grow the tree");
}

pub(super) async fn tile_of(store: &dyn TreeStore, id: TileId) -> Option<Vec<u8>> {
    let mut tiles = store.tiles(&[id]).await.must("read a tile");
    assert_eq!(tiles.len(), 1, "there is one answer for each tile that is asked for");
    tiles.remove(0)
}

/// The size of the tree.
pub(super) async fn size(store: &dyn TreeStore) -> u64 {
    store.newest_checkpoint().await.must("read the newest checkpoint").map_or(0, |newest| newest.size)
}

/// All checkpoints.
pub(super) async fn checkpoints(store: &dyn TreeStore) -> Vec<KeptCheckpoint> {
    store.checkpoints(0, 1000).await.must("list checkpoints")
}
