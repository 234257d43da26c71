//! Re-hashing a log from its first entry on.

use std::collections::BTreeMap;

use super::{Hash, TILE_WIDTH, Tile, TileId, Tiles, TreeError, append, leaf_hash, root, tiles_for_root};

/// How many leaves wait to be put into the tree.
const BATCH: usize = TILE_WIDTH as usize;

/// The tree over the leaves that it was given so far, of which it keeps the right edge alone.
///
/// ```
/// use alm_core::tlog::{Rehash, leaf_hash, node_hash};
///
/// let mut rehash = Rehash::default();
/// rehash.add(b"one")?;
/// assert_eq!(rehash.root()?, leaf_hash(b"one"));
/// rehash.add(b"two")?;
/// assert_eq!(rehash.root()?, node_hash(&leaf_hash(b"one"), &leaf_hash(b"two")));
/// # Ok::<(), alm_core::tlog::TreeError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Rehash {
    settled: u64,
    edge: Tiles,
    waiting: Vec<Hash>,
    full: Vec<(TileId, Tile)>,
}

impl Rehash {
    /// How many leaves it has.
    pub fn size(&self) -> u64 {
        self.settled + self.waiting.len() as u64
    }

    /// Adds the next leaf, given by its bytes; says its hash.
    ///
    /// # Errors
    /// [`TreeError::TooLarge`].
    pub fn add(&mut self, leaf: &[u8]) -> Result<Hash, TreeError> {
        let hash = leaf_hash(leaf);
        self.waiting.push(hash);
        if self.waiting.len() == BATCH {
            self.settle()?;
        }
        Ok(hash)
    }

    /// The root of the tree of all leaves so far.
    ///
    /// # Errors
    /// [`TreeError::TooLarge`].
    pub fn root(&mut self) -> Result<Hash, TreeError> {
        self.settle()?;
        root(self.settled, &self.edge)
    }

    /// The tiles above those of the leaves that have become full since this was asked last, as far as the [`root`](Self::root) was
    /// asked for.
    pub fn take_full(&mut self) -> Vec<(TileId, Tile)> {
        std::mem::take(&mut self.full)
    }

    /// The tiles at the right edge that are not full, as of when the [`root`](Self::root) was asked for last.
    pub fn edge(&self) -> impl Iterator<Item = (TileId, &Tile)> {
        tiles_for_root(self.settled).into_iter().filter_map(|id| Some((id, self.edge.get(id)?)))
    }

    fn settle(&mut self) -> Result<(), TreeError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let grown = append(self.settled, &self.edge, &self.waiting)?;
        self.waiting.clear();
        self.settled = grown.size;
        let mut grown: BTreeMap<_, _> = grown.tiles.into_iter().collect();
        let mut edge = Tiles::new();
        for id in tiles_for_root(self.settled) {
            if let Some(tile) = grown.remove(&id).or_else(|| self.edge.get(id).cloned()) {
                edge.insert(id, tile);
            }
        }
        self.edge = edge;
        self.full.extend(grown.into_iter().filter(|(id, _)| id.level > 0));
        Ok(())
    }
}
