//! Growing the tree, and its root.

use super::{
    Hash, TILE_WIDTH, Tile, TileId, Tiles,
    node::{complete_root, complete_roots, join},
    path::hashes_in_level,
};

/// How many levels of tiles a tree has at most: 2⁶⁴ leaves.
const LEVELS: u8 = 8;
const FULL: usize = TILE_WIDTH as usize;

/// A computation on the tree can't be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// The caller has not given this tile.
    #[error("{id} is missing: its first {needed} hashes are needed")]
    MissingTile {
        /// Which one.
        id: TileId,
        /// How wide it must be, at least, for the step that failed.
        needed: u16,
    },
    /// The tile has too few hashes.
    #[error("{id} has {width} hashes, and {needed} are needed")]
    NarrowTile {
        /// Which one.
        id: TileId,
        /// How wide it is.
        width: u16,
        /// How wide it must be, at least, for the step that failed.
        needed: u16,
    },
    /// The tree would have more leaves than a `u64` counts.
    #[error("a tree of {size} leaves can't grow by {leaves}")]
    TooLarge {
        /// How many leaves it has.
        size: u64,
        /// How many were to be added.
        leaves: usize,
    },
    /// There is no such leaf.
    #[error("a tree of {size} leaves has none with the index {index}")]
    NoSuchLeaf {
        /// The index, from 0.
        index: u64,
        /// The size of the tree.
        size: u64,
    },
    /// A tree never shrinks.
    #[error("a tree of {old} leaves can't have grown to {new}")]
    Shrunk {
        /// The size that was said to be older.
        old: u64,
        /// The size that was said to be newer.
        new: u64,
    },
}

/// A tree that has grown.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "the tiles must be stored"]
pub struct Appended {
    /// How many leaves it has now.
    pub size: u64,
    /// Its root now.
    pub root: Hash,
    /// Every tile that has changed or is new, with its whole content, in order.
    pub tiles: Vec<(TileId, Tile)>,
}

/// The tiles that [`root`] needs for a tree of `size` leaves: those at its right edge that aren't full, at most one a level.
pub fn tiles_for_root(size: u64) -> Vec<TileId> {
    (0..LEVELS).filter_map(|level| edge(level, size)).map(|(id, _)| id).collect()
}

/// The root of the tree of the first `size` leaves (RFC 6962 section 2.1).
///
/// # Errors
/// A tile of [`tiles_for_root`] is missing or too narrow.
pub fn root(size: u64, tiles: &Tiles) -> Result<Hash, TreeError> {
    Ok(root_of(&edges(size, tiles)?))
}

/// The tiles that [`append`] needs to add to a tree of `size` leaves: the same as [`tiles_for_root`].
pub fn tiles_for_append(size: u64) -> Vec<TileId> {
    tiles_for_root(size)
}

/// Adds leaves, given by their [`leaf_hash`](super::leaf_hash), to a tree of `size` leaves.
///
/// It trusts the tiles. To find out first whether they are still those that were written, compare their [`root`] with the
/// root that was stored.
///
/// # Errors
/// A tile of [`tiles_for_append`] is missing or too narrow, or the tree would become too large to count.
pub fn append(size: u64, tiles: &Tiles, leaves: &[Hash]) -> Result<Appended, TreeError> {
    let too_large = || TreeError::TooLarge { size, leaves: leaves.len() };
    let added = u64::try_from(leaves.len()).map_err(|_| too_large())?;
    let new_size = size.checked_add(added).ok_or_else(too_large)?;

    let mut edges = edges(size, tiles)?;
    let mut changed = Vec::new();
    let mut new_hashes = leaves.to_vec();
    for (level, edge) in (0..LEVELS).zip(&mut edges) {
        if new_hashes.is_empty() {
            break;
        }
        let (mut id, _) = TileId::holding(level, hashes_in_level(level, size));
        let mut above = Vec::new();
        edge.append(&mut new_hashes);
        let (full, rest) = edge.as_chunks::<FULL>();
        for hashes in full {
            above.push(complete_root(hashes));
            changed.push((id, Tile::of(hashes)));
            id = id.next();
        }
        let rest = rest.to_vec();
        if !rest.is_empty() {
            changed.push((id, Tile::of(&rest)));
        }
        *edge = rest;
        new_hashes = above;
    }
    Ok(Appended { size: new_size, root: root_of(&edges), tiles: changed })
}

/// The tile at the right edge of a level, unless it is full, with its width; `None` if it would be empty.
fn edge(level: u8, size: u64) -> Option<(TileId, usize)> {
    let (id, width) = TileId::holding(level, hashes_in_level(level, size));
    (width > 0).then_some((id, width))
}

/// What the tiles at the right edge hold in a tree of `size` leaves, from level 0 upwards. Together that is every complete
/// tree that it consists of: the tiles that are full are a hash of the level above.
fn edges(size: u64, tiles: &Tiles) -> Result<Vec<Vec<Hash>>, TreeError> {
    (0..LEVELS)
        .map(|level| match edge(level, size) {
            Some((id, width)) => Ok(tiles.hashes(id, 0, width)?.to_vec()),
            None => Ok(Vec::new()),
        })
        .collect()
}

fn root_of(edges: &[Vec<Hash>]) -> Hash {
    let trees: Vec<Hash> = edges.iter().rev().flat_map(|edge| complete_roots(edge)).collect();
    join(trees)
}
