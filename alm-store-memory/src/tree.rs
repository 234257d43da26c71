//! The tree over the audit log.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{PoisonError, RwLockReadGuard},
};

use alm_core::ports::{Contention, Growth, KeptCheckpoint, StoreError, TileId, TreeStore};
use async_trait::async_trait;

use crate::MemoryStore;

/// All that is kept of the tree. It stands beside the state, for no changeset touches it.
#[derive(Default)]
pub(crate) struct Tree {
    tiles: BTreeMap<TileId, Vec<u8>>,
    checkpoints: BTreeMap<u64, KeptCheckpoint>,
}

impl Tree {
    fn newest(&self) -> Option<&KeptCheckpoint> {
        self.checkpoints.last_key_value().map(|(_, newest)| newest)
    }
}

impl MemoryStore {
    fn kept(&self) -> RwLockReadGuard<'_, Tree> {
        // Nothing panics while it is written.
        self.tree.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TreeStore for MemoryStore {
    async fn tiles(&self, ids: &[TileId]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let tree = self.kept();
        Ok(ids.iter().map(|id| tree.tiles.get(id).cloned()).collect())
    }

    async fn newest_checkpoint(&self) -> Result<Option<KeptCheckpoint>, StoreError> {
        Ok(self.kept().newest().cloned())
    }

    async fn checkpoints(&self, after: u64, limit: usize) -> Result<Vec<KeptCheckpoint>, StoreError> {
        let tree = self.kept();
        let behind = tree.checkpoints.range((Bound::Excluded(after), Bound::Unbounded));
        Ok(behind.take(limit).map(|(_, checkpoint)| checkpoint.clone()).collect())
    }

    async fn grow(&self, growth: Growth) -> Result<(), StoreError> {
        let mut tree = self.tree.write().unwrap_or_else(PoisonError::into_inner);
        let size = tree.newest().map_or(0, |newest| newest.size);
        if size != growth.from {
            return Err(StoreError::Conflict(Contention::Tree { size }));
        }
        tree.tiles.extend(growth.tiles.into_iter().map(|tile| (tile.id, tile.hashes)));
        tree.checkpoints.insert(growth.checkpoint.size, growth.checkpoint);
        Ok(())
    }
}
