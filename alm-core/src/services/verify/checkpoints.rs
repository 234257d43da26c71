//! What is kept beside the log, to compare the log with.

use std::collections::VecDeque;

use crate::{
    ports::{KeptCheckpoint, StoreError, TileId, TreeStore},
    tlog::{Checkpoint, Hash, Tile, Verifier},
};

/// How many checkpoints are read at once.
const PAGE: usize = 2000;

/// The checkpoints and the tiles above the leaves.
pub(super) struct Kept<'a> {
    tree: &'a dyn TreeStore,
    /// How many entries are signed for, which the tiles must cover. Later growths may make them wider.
    signed: u64,
    page: VecDeque<KeptCheckpoint>,
    /// The size of the last checkpoint that was read.
    after: u64,
}

impl<'a> Kept<'a> {
    pub(super) fn new(tree: &'a dyn TreeStore, signed: u64) -> Self {
        Self { tree, signed, page: VecDeque::new(), after: 0 }
    }

    pub(super) fn signed(&self) -> u64 {
        self.signed
    }

    /// The size of the next checkpoint of those that were there at the beginning: what is signed for meanwhile may cover entries that
    /// came after the end of the log was read.
    pub(super) async fn next_size(&mut self) -> Result<Option<u64>, StoreError> {
        if self.page.is_empty() && self.after < self.signed {
            self.page = self.tree.checkpoints(self.after, PAGE).await?.into();
            self.after = self.page.back().map_or(self.signed, |last| last.size);
        }
        Ok(self.page.front().map(|next| next.size).filter(|size| *size <= self.signed))
    }

    /// Takes the next checkpoint, if it is of this size.
    pub(super) fn take(&mut self, size: u64) -> Option<KeptCheckpoint> {
        self.page.pop_front_if(|next| next.size == size)
    }

    /// The first of these tiles, which are those of the log, that is not kept as it should be.
    pub(super) async fn differs(&self, tiles: &[(TileId, Tile)]) -> Result<Option<TileId>, StoreError> {
        let ids: Vec<_> = tiles.iter().map(|(id, _)| *id).collect();
        let kept = self.tree.tiles(&ids).await?;
        let differs = |((_, tile), kept): &(&(TileId, Tile), Option<Vec<u8>>)| {
            !kept.as_ref().is_some_and(|kept| kept.starts_with(&tile.to_bytes()))
        };
        Ok(tiles.iter().zip(kept).find(differs).map(|((id, _), _)| *id))
    }
}

/// The root that a checkpoint tells, if it is one of this log.
pub(super) fn signed_root(kept: &KeptCheckpoint, verifiers: &[Verifier]) -> Option<Hash> {
    let checkpoint = Checkpoint::open(&kept.note, verifiers).ok()?;
    (checkpoint.size() == kept.size).then(|| checkpoint.root())
}
