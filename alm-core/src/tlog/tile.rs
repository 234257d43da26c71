//! The pieces in which the tree is kept and fetched.

use std::collections::BTreeMap;

use super::{Hash, TileId, TreeError};

/// How many hashes a full tile has.
pub const TILE_WIDTH: u16 = 256;
const FULL: usize = TILE_WIDTH as usize;

/// How many levels of the tree one level of tiles spans: a full tile has 2⁸ hashes.
pub(super) const TILE_HEIGHT: u8 = 8;

/// Neighbouring hashes of the tree: 1 to [`TILE_WIDTH`] of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile(Vec<Hash>);

impl Tile {
    /// The tile with these hashes.
    ///
    /// # Errors
    /// [`TileError::Width`].
    pub fn new(hashes: Vec<Hash>) -> Result<Self, TileError> {
        if (1..=FULL).contains(&hashes.len()) { Ok(Self(hashes)) } else { Err(TileError::Width) }
    }

    /// The tile with these hashes, which are as many as a tile may have.
    pub(super) fn of(hashes: &[Hash]) -> Self {
        Self(hashes.to_vec())
    }

    /// Reads the hashes, one after the other.
    ///
    /// # Errors
    /// [`TileError::Width`] or [`TileError::Length`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TileError> {
        let (hashes, []) = bytes.as_chunks() else { return Err(TileError::Length) };
        Self::new(hashes.iter().copied().map(Hash::new).collect())
    }

    /// Its hashes, one after the other: at most 8 KiB.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(Hash::as_bytes).copied().collect()
    }

    /// Its hashes.
    pub fn hashes(&self) -> &[Hash] {
        &self.0
    }

    /// How many hashes it has, 1 to [`TILE_WIDTH`].
    pub fn width(&self) -> u16 {
        u16::try_from(self.0.len()).unwrap_or(TILE_WIDTH)
    }
}

/// The tiles that a computation reads: fetched by the caller, each as wide as it has it.
///
/// They need not fit the size that is asked about: of a wider tile a prefix is read. That is why a store may keep only the
/// newest content of each tile, and why tiles that were written before a commit that failed do no harm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tiles(BTreeMap<TileId, Tile>);

impl Tiles {
    /// No tile at all.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Adds a tile, in place of the one that was there.
    pub fn insert(&mut self, id: TileId, tile: Tile) {
        self.0.insert(id, tile);
    }

    /// The tile, if it is here.
    pub fn get(&self, id: TileId) -> Option<&Tile> {
        self.0.get(&id)
    }

    /// Its hashes from `start`, `count` of them.
    pub(super) fn hashes(&self, id: TileId, start: usize, count: usize) -> Result<&[Hash], TreeError> {
        let end = start.saturating_add(count);
        let needed = || u16::try_from(end).unwrap_or(TILE_WIDTH);
        let tile = self.get(id).ok_or_else(|| TreeError::MissingTile { id, needed: needed() })?;
        tile.hashes().get(start..end).ok_or_else(|| TreeError::NarrowTile { id, width: tile.width(), needed: needed() })
    }
}

impl FromIterator<(TileId, Tile)> for Tiles {
    fn from_iter<I: IntoIterator<Item = (TileId, Tile)>>(tiles: I) -> Self {
        Self(tiles.into_iter().collect())
    }
}

impl Extend<(TileId, Tile)> for Tiles {
    fn extend<I: IntoIterator<Item = (TileId, Tile)>>(&mut self, tiles: I) {
        self.0.extend(tiles);
    }
}

/// Something is not a tile, or not the path of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TileError {
    /// It has too few or too many hashes.
    #[error("a tile has 1 to 256 hashes")]
    Width,
    /// It ends within a hash.
    #[error("a tile's length is a multiple of 32 bytes")]
    Length,
    /// It is not of the form `tile/<level>/<index>[.p/<width>]`, or a number is out of bounds.
    #[error("not the path of a tile, such as tile/0/x001/234 or tile/1/000.p/17")]
    Path,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_has_1_to_256_whole_hashes() {
        let bytes: Vec<u8> = (0..=255).cycle().take(8192).collect();
        let tile = Tile::from_bytes(&bytes).unwrap();
        assert_eq!((tile.width(), tile.to_bytes()), (256, bytes));
        assert_eq!(Tile::from_bytes(&[]), Err(TileError::Width));
        assert_eq!(Tile::from_bytes(&[0; 257 * 32]), Err(TileError::Width));
        assert_eq!(Tile::from_bytes(&[0; 33]), Err(TileError::Length));
    }
}
