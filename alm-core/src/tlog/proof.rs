//! Proofs, made from tiles: that a leaf is in a tree, and that a tree is another one that has grown.

use super::{
    Hash, TileId, Tiles, TreeError,
    node::{Node, Range},
};

/// The tiles that [`prove_inclusion`] needs, in order, each once.
///
/// # Errors
/// [`TreeError::NoSuchLeaf`].
pub fn tiles_for_inclusion(index: u64, size: u64) -> Result<Vec<TileId>, TreeError> {
    Ok(tiles_of(&inclusion(index, size)?))
}

/// Proves that the leaf `index`, counted from 0, is in the tree of the first `size` leaves: the hashes beside its path, from
/// the leaf up (RFC 6962 section 2.1.1). At most 64 of them; [`verify_inclusion`](super::verify_inclusion) checks them.
///
/// The tiles may come from a larger tree.
///
/// # Errors
/// [`TreeError::NoSuchLeaf`], or a tile of [`tiles_for_inclusion`] is missing or too narrow.
pub fn prove_inclusion(index: u64, size: u64, tiles: &Tiles) -> Result<Vec<Hash>, TreeError> {
    hashes_of(&inclusion(index, size)?, tiles)
}

/// The tiles that [`prove_consistency`] needs, in order, each once.
///
/// # Errors
/// [`TreeError::Shrunk`].
pub fn tiles_for_consistency(old: u64, new: u64) -> Result<Vec<TileId>, TreeError> {
    Ok(tiles_of(&consistency(old, new)?))
}

/// Proves that the tree of the first `new` leaves begins with the tree of the first `old` ones, so that nothing in it was
/// changed or removed (RFC 6962 section 2.1.2). At most 65 hashes; [`verify_consistency`](super::verify_consistency) checks
/// them. The proof is empty if `old` is `new`, and if it is 0: everything begins with nothing.
///
/// The tiles may come from a larger tree.
///
/// # Errors
/// [`TreeError::Shrunk`], or a tile of [`tiles_for_consistency`] is missing or too narrow.
pub fn prove_consistency(old: u64, new: u64, tiles: &Tiles) -> Result<Vec<Hash>, TreeError> {
    hashes_of(&consistency(old, new)?, tiles)
}

/// PATH of RFC 6962: from the leaf up, the other half of each tree that the leaf is in.
fn inclusion(index: u64, size: u64) -> Result<Vec<Range>, TreeError> {
    if index >= size {
        return Err(TreeError::NoSuchLeaf { index, size });
    }
    let mut beside = Vec::new();
    let mut tree = Range { start: 0, end: size };
    while let Some((left, right)) = tree.halves() {
        let is_left = index < left.end;
        beside.push(if is_left { right } else { left });
        tree = if is_left { left } else { right };
    }
    beside.reverse();
    Ok(beside)
}

/// PROOF and SUBPROOF of RFC 6962: towards the last tree that both have whole, the other half each time, and that tree itself,
/// unless it is all of the old one.
fn consistency(old: u64, new: u64) -> Result<Vec<Range>, TreeError> {
    if old > new {
        return Err(TreeError::Shrunk { old, new });
    }
    let mut beside = Vec::new();
    if old == 0 {
        return Ok(beside);
    }
    let mut tree = Range { start: 0, end: new };
    while tree.end > old {
        let Some((left, right)) = tree.halves() else { break };
        let is_left = old <= left.end;
        beside.push(if is_left { right } else { left });
        tree = if is_left { left } else { right };
    }
    if tree.start > 0 {
        beside.push(tree);
    }
    beside.reverse();
    Ok(beside)
}

fn tiles_of(ranges: &[Range]) -> Vec<TileId> {
    let mut tiles: Vec<_> = ranges.iter().flat_map(|range| range.nodes()).map(Node::tile).collect();
    tiles.sort_unstable();
    tiles.dedup();
    tiles
}

fn hashes_of(ranges: &[Range], tiles: &Tiles) -> Result<Vec<Hash>, TreeError> {
    ranges.iter().map(|range| range.hash(tiles)).collect()
}
