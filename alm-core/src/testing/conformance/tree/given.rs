//! What the cases begin with.

use std::fmt;

use crate::{
    domain::Timestamp,
    ports::{Growth, KeptCheckpoint, KeptTile, TileId, TreeStore},
    testing::conformance::must::Must,
};

pub(super) const fn id(level: u8, index: u64) -> TileId {
    TileId { level, index }
}

/// The hashes of a tile, of which a failure shows how many there are and how they begin.
#[derive(PartialEq, Eq)]
pub(super) struct Hashes(Vec<u8>);

impl fmt::Debug for Hashes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes that begin with {:?}", self.0.len(), &self.0[..self.0.len().min(2)])
    }
}

impl Hashes {
    pub(super) fn of(tile: &KeptTile) -> Self {
        Self(tile.hashes.clone())
    }

    /// How many hashes they are.
    pub(super) fn width(&self) -> usize {
        self.0.len() / 32
    }
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

pub(super) async fn tiles_of(store: &dyn TreeStore, ids: &[TileId]) -> Vec<Option<Hashes>> {
    let tiles = store.tiles(ids).await.must("read tiles");
    assert_eq!(tiles.len(), ids.len(), "there is one answer for each tile that is asked for");
    tiles.into_iter().map(|hashes| hashes.map(Hashes)).collect()
}

pub(super) async fn tile_of(store: &dyn TreeStore, id: TileId) -> Option<Hashes> {
    tiles_of(store, &[id]).await.remove(0)
}

/// The size of the tree.
pub(super) async fn size(store: &dyn TreeStore) -> u64 {
    store.newest_checkpoint().await.must("read the newest checkpoint").map_or(0, |newest| newest.size)
}

/// All checkpoints.
pub(super) async fn checkpoints(store: &dyn TreeStore) -> Vec<KeptCheckpoint> {
    store.checkpoints(0, 1000).await.must("list checkpoints")
}
