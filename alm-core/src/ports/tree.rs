//! The tree over the audit log, which shows that no entry was changed: its tiles and its checkpoints.

use async_trait::async_trait;

use crate::domain::Timestamp;

use super::{BackendError, StoreError};

/// Where a tile stands in a tree, by [C2SP tlog-tiles](https://c2sp.org/tlog-tiles): `index` from the left among those at `level`,
/// where level 0 holds the hashes of the entries and each other one the roots of the full tiles below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// Levels of tiles, not of hashes; from 0.
    pub level: u8,
    /// From 0.
    pub index: u64,
}

/// A tile as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptTile {
    /// Its place.
    pub id: TileId,
    /// Its hashes one after the other, 32 bytes each: 1 to 256.
    pub hashes: Vec<u8>,
}

/// What was signed when the tree had a size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptCheckpoint {
    /// How many entries of the audit log the tree had, from the first on; positive.
    pub size: u64,
    /// When it was signed.
    pub at: Timestamp,
    /// The signed note, by [C2SP tlog-checkpoint](https://c2sp.org/tlog-checkpoint).
    pub note: String,
}

/// How a tree grows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a growth has no effect until a store keeps it"]
pub struct Growth {
    /// The size that the tree must have: that of its newest checkpoint, 0 when there is none.
    pub from: u64,
    /// The tiles that are new or wider than they were, each at most once.
    pub tiles: Vec<KeptTile>,
    /// What is signed of the tree as it is then; its size is above `from`.
    pub checkpoint: KeptCheckpoint,
}

/// Keeps the tree over the audit log of a store. It knows nothing of hashes and signatures.
///
/// It is a trait of its own because the tree is no part of the state: it follows from the audit log, and an audit log is complete
/// without it. Plugged in by `AlmBuilder::audit_tree`, with the feature `tlog`.
#[async_trait]
pub trait TreeStore: Send + Sync {
    /// The hashes of these tiles, in their order; `None` of one that is not there.
    ///
    /// # Contract
    /// A tile is as the last growth that had it left it. Checked by `tiles_read_back_as_they_were_grown`,
    /// `a_tile_is_as_it_was_grown_last`, `a_growth_is_seen_through_every_handle`.
    ///
    /// # Errors
    /// Only [`StoreError::Backend`].
    async fn tiles(&self, ids: &[TileId]) -> Result<Vec<Option<Vec<u8>>>, StoreError>;

    /// The checkpoint of the greatest size, `None` of a tree that has never grown.
    ///
    /// # Contract
    /// A tree that has never grown has neither checkpoints nor tiles. Checked by `a_tree_that_has_never_grown_is_empty`.
    ///
    /// # Errors
    /// Only [`StoreError::Backend`].
    async fn newest_checkpoint(&self) -> Result<Option<KeptCheckpoint>, StoreError>;

    /// Checkpoints of a size above `after`, at most `limit`, the smallest first.
    ///
    /// # Contract
    /// A checkpoint never changes and never goes. Checked by `checkpoints_are_listed_by_size_in_pages`.
    ///
    /// # Errors
    /// Only [`StoreError::Backend`].
    async fn checkpoints(&self, after: u64, limit: usize) -> Result<Vec<KeptCheckpoint>, StoreError>;

    /// Keeps the tiles and the checkpoint of a growth at once.
    ///
    /// # Contract
    /// - All or nothing, and a read sees all or nothing: whoever has seen a checkpoint finds the tiles of its tree. Checked by
    ///   `a_growth_that_is_refused_leaves_no_trace`, `whoever_has_seen_a_checkpoint_finds_its_tiles`,
    ///   `a_growth_that_is_dropped_is_whole_or_nothing`.
    /// - A tree grows only from the size that it has, by whichever handles. Checked by `a_tree_grows_only_from_its_size`,
    ///   `of_many_who_grow_a_tree_one_does`.
    /// - It may bring as many tiles as 65,536 entries take that come at once. Checked by `a_growth_may_be_large`.
    /// - What was kept survives whatever the store is made to survive. Checked by `a_tree_survives_a_restart`.
    ///
    /// # Errors
    /// - [`Conflict`](StoreError::Conflict) of the [tree](super::Contention::Tree): it has another size.
    /// - [`Backend`](StoreError::Backend): a fault; its outcome may be unknown, and [`newest_checkpoint`](Self::newest_checkpoint)
    ///   tells.
    async fn grow(&self, growth: Growth) -> Result<(), StoreError>;
}

/// Where checkpoints go besides the store: somewhere that whoever can write to the store can't.
#[async_trait]
pub trait CheckpointOutlet: Send + Sync {
    /// Gives a checkpoint out. They come in the order of their sizes; one that could not be given out may be left out when there is a
    /// newer one, and the same may come again after a restart.
    ///
    /// # Errors
    /// A fault. It is tried again.
    async fn publish(&self, checkpoint: &KeptCheckpoint) -> Result<(), BackendError>;
}
