//! The nodes of the tree, and how a tile holds them.
//!
//! A tile keeps one level of the tree in eight. The nodes between are hashed from it again when they are needed.

use super::{
    EMPTY_ROOT, Hash, TileId, Tiles, TreeError, node_hash,
    tile::{TILE_HEIGHT, TILE_WIDTH},
};

/// The leaves from `start` up to, and without, `end`: a range that a node of some tree stands above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: u64,
    pub(super) end: u64,
}

/// A node above 2^`height` leaves, the `place`-th of its height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node {
    height: u8,
    place: u64,
}

/// Where `length` leaves, at least 2, are parted: the largest power of two below (RFC 6962 section 2.1).
pub(super) fn split(length: u64) -> u64 {
    1 << (length - 1).ilog2()
}

impl Range {
    pub(super) fn length(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Its two halves, or `None` if it is a single leaf, or nothing.
    pub(super) fn halves(self) -> Option<(Self, Self)> {
        (self.length() > 1).then(|| {
            let middle = self.start + split(self.length());
            (Self { end: middle, ..self }, Self { start: middle, ..self })
        })
    }

    /// The complete trees that it consists of, from left to right, each higher than the next. The range must be the whole
    /// tree or come from it by halving, so that each of them is a node of the tree.
    pub(super) fn nodes(self) -> impl Iterator<Item = Node> {
        let mut start = self.start;
        std::iter::from_fn(move || {
            let height = self.end.saturating_sub(start).checked_ilog2()?;
            let place = start >> height;
            start += 1 << height;
            Some(Node { height: u8::try_from(height).unwrap_or_default(), place })
        })
    }

    /// The root over it.
    pub(super) fn hash(self, tiles: &Tiles) -> Result<Hash, TreeError> {
        let trees = self.nodes().map(|node| node.hash(tiles)).collect::<Result<Vec<_>, _>>()?;
        Ok(join(trees))
    }
}

/// The root over complete trees that stand side by side, each higher than the next.
pub(super) fn join(roots: Vec<Hash>) -> Hash {
    roots.into_iter().rev().reduce(|right, left| node_hash(&left, &right)).unwrap_or(EMPTY_ROOT)
}

impl Node {
    /// The tile that it is computed from: where in it, and how many of its hashes.
    fn held_in(self) -> (TileId, usize, usize) {
        let (level, height) = (self.height / TILE_HEIGHT, self.height % TILE_HEIGHT);
        let (tile, start) = TileId::holding(level, self.place << height);
        (tile, start, 1 << height)
    }

    /// The tile that it is computed from.
    pub(super) fn tile(self) -> TileId {
        self.held_in().0
    }

    fn hash(self, tiles: &Tiles) -> Result<Hash, TreeError> {
        let (tile, start, count) = self.held_in();
        Ok(complete_root(tiles.hashes(tile, start, count)?))
    }
}

/// The root over hashes whose number is a power of two, at most [`TILE_WIDTH`].
pub(super) fn complete_root(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => EMPTY_ROOT,
        [hash] => *hash,
        [left, right] => node_hash(left, right),
        _ => {
            let (left, right) = hashes.split_at(hashes.len() / 2);
            node_hash(&complete_root(left), &complete_root(right))
        }
    }
}

/// The roots over the complete trees that neighbouring hashes consist of, fewer than [`TILE_WIDTH`], from left to right.
pub(super) fn complete_roots(mut hashes: &[Hash]) -> impl Iterator<Item = Hash> {
    std::iter::from_fn(move || {
        let width = 1 << hashes.len().checked_ilog2()?;
        let (tree, rest) = hashes.split_at_checked(width)?;
        hashes = rest;
        Some(complete_root(tree))
    })
}

const _: () = assert!(1 << TILE_HEIGHT == TILE_WIDTH);
