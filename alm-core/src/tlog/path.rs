//! How tiles are named.

use std::{fmt, str::FromStr};

use crate::ports::TileId;

use super::{TILE_WIDTH, TileError, tile::TILE_HEIGHT};

impl TileId {
    /// The highest level that a tile may have. No tree that a `u64` can count has tiles above level 7.
    pub const MAX_LEVEL: u8 = 63;

    /// The tile at this place, or `None` above [`TileId::MAX_LEVEL`].
    pub const fn new(level: u8, index: u64) -> Option<Self> {
        if level > Self::MAX_LEVEL { None } else { Some(Self { level, index }) }
    }

    /// How many hashes the tile has in a tree of `size` leaves: 0 to [`TILE_WIDTH`].
    pub fn width_in(self, size: u64) -> u16 {
        let in_level = hashes_in_level(self.level, size);
        let before = self.index.saturating_mul(TILE_WIDTH.into());
        u16::try_from(in_level.saturating_sub(before)).unwrap_or(u16::MAX).min(TILE_WIDTH)
    }

    /// The one to the right of it.
    pub(super) const fn next(self) -> Self {
        Self { index: self.index.saturating_add(1), ..self }
    }

    /// The tile that holds the hash at `place` of `level`, and where in it.
    pub(super) fn holding(level: u8, place: u64) -> (Self, usize) {
        let offset = u8::try_from(place % u64::from(TILE_WIDTH)).unwrap_or_default();
        (Self { level, index: place / u64::from(TILE_WIDTH) }, offset.into())
    }
}

/// How many hashes all tiles of a level have together, in a tree of `size` leaves.
pub(super) fn hashes_in_level(level: u8, size: u64) -> u64 {
    size.checked_shr(u32::from(level) * u32::from(TILE_HEIGHT)).unwrap_or(0)
}

/// As the path of the full tile, such as `tile/0/x001/234`.
impl fmt::Display for TileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/{}/", self.level)?;
        let mut divisor = 1;
        while self.index / divisor >= 1000 {
            divisor *= 1000;
        }
        while divisor > 1 {
            write!(f, "x{:03}/", self.index / divisor % 1000)?;
            divisor /= 1000;
        }
        write!(f, "{:03}", self.index % 1000)
    }
}

/// A tile of a certain width, as it is named in a URL or a file system: `tile/0/x001/x234/067`, and with `.p/` and its
/// width, if it isn't full, such as `tile/1/000.p/17` (<https://c2sp.org/tlog-tiles>, "Merkle Tree").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TilePath {
    id: TileId,
    width: u16,
}

impl TilePath {
    /// The path of the tile `id` with `width` hashes, or `None` unless those are 1 to [`TILE_WIDTH`].
    pub fn new(id: TileId, width: u16) -> Option<Self> {
        (1..=TILE_WIDTH).contains(&width).then_some(Self { id, width })
    }

    /// The path of the tile `id` in a tree of `size` leaves, or `None` if it has no hashes there.
    pub fn in_tree(id: TileId, size: u64) -> Option<Self> {
        Self::new(id, id.width_in(size))
    }

    /// Which tile.
    pub const fn id(self) -> TileId {
        self.id
    }

    /// How many hashes, 1 to [`TILE_WIDTH`].
    pub const fn width(self) -> u16 {
        self.width
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.id, f)?;
        if self.width < TILE_WIDTH { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

impl FromStr for TilePath {
    type Err = TileError;

    /// Reads what `Display` writes, and nothing else: no more zeros than needed, no leading slash.
    ///
    /// # Errors
    /// [`TileError::Path`].
    fn from_str(text: &str) -> Result<Self, TileError> {
        let (text, width) = match text.rsplit_once(".p/") {
            Some((text, width)) => (text, decimal(width).filter(|width| (1..TILE_WIDTH).contains(width))),
            None => (text, Some(TILE_WIDTH)),
        };
        let rest = text.strip_prefix("tile/").ok_or(TileError::Path)?;
        let (level, index) = rest.split_once('/').ok_or(TileError::Path)?;
        let id = decimal(level).zip(tile_index(index)).and_then(|(level, index)| TileId::new(level, index));
        id.zip(width).and_then(|(id, width)| Self::new(id, width)).ok_or(TileError::Path)
    }
}

/// A number without sign and without leading zeros.
pub(super) fn decimal<N: FromStr>(text: &str) -> Option<N> {
    let is_canonical = text == "0" || !text.starts_with('0');
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    if is_canonical && is_number { text.parse().ok() } else { None }
}

/// `x001/x234/067` is 1 234 067.
fn tile_index(text: &str) -> Option<u64> {
    let (leading, last) = match text.rsplit_once('/') {
        Some((leading, last)) => (Some(leading), last),
        None => (None, text),
    };
    let mut index: u64 = 0;
    for element in leading.into_iter().flat_map(|leading| leading.split('/')) {
        index = index.checked_mul(1000)?.checked_add(three_digits(element.strip_prefix('x')?)?)?;
        if index == 0 {
            // An element of zeros at the front has no meaning.
            return None;
        }
    }
    index.checked_mul(1000)?.checked_add(three_digits(last)?)
}

fn three_digits(text: &str) -> Option<u64> {
    let is_number = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(level: u8, index: u64, width: u16) -> TilePath {
        TilePath::new(TileId::new(level, index).unwrap(), width).unwrap()
    }

    #[test]
    fn paths_are_those_of_the_specification() {
        for (text, expected) in [
            ("tile/0/x001/x234/067", path(0, 1_234_067, 256)),
            ("tile/0/000", path(0, 0, 256)),
            ("tile/1/000.p/17", path(1, 0, 17)),
            ("tile/0/273.p/112", path(0, 273, 112)),
            ("tile/2/000.p/1", path(2, 0, 1)),
            ("tile/0/x001/000.p/255", path(0, 1000, 255)),
            ("tile/63/x001/x000/000", path(63, 1_000_000, 256)),
            ("tile/0/x018/x446/x744/x073/x709/x551/615", path(0, u64::MAX, 256)),
        ] {
            assert_eq!(text.parse(), Ok(expected));
            assert_eq!(expected.to_string(), text);
        }
    }

    #[test]
    fn no_other_form_of_a_path_is_read() {
        for text in [
            "",
            "tile",
            "tile/0",
            "tile/0/",
            "/tile/0/000",
            "tile/0/000/",
            "tile//000",
            "tile/00/000",
            "tile/+1/000",
            "tile/64/000",
            "tile/256/000",
            "tile/0/0",
            "tile/0/0000",
            "tile/0/x000/001",
            "tile/0/x000/x001/001",
            "tile/0/001/001",
            "tile/0/x001",
            "tile/0/x001/x001",
            "tile/0/X001/001",
            "tile/0/x001//001",
            "tile/0/+01",
            "tile/0/０００",
            "tile/0/x018/x446/x744/x073/x709/x551/616",
            "tile/0/x999/x018/x446/x744/x073/x709/x551/615",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/017",
            "tile/0/000.p/+1",
            "tile/0/000.p/",
            "tile/0/000.p",
            "tile/0/000.p/1.p/1",
            "tile/0/000.p/1/",
            "tile/entries/000",
        ] {
            assert_eq!(text.parse::<TilePath>(), Err(TileError::Path), "{text:?}");
        }
    }

    #[test]
    fn a_tree_has_the_tiles_that_the_specification_counts() {
        let widths = |level, indices: std::ops::Range<u64>, size| -> Vec<u16> {
            indices.map(|index| TileId::new(level, index).unwrap().width_in(size)).collect()
        };
        assert!(widths(0, 0..273, 70_000).iter().all(|width| *width == 256));
        assert_eq!(widths(0, 273..275, 70_000), [112, 0]);
        assert_eq!(widths(1, 0..3, 70_000), [256, 17, 0]);
        assert_eq!(widths(2, 0..2, 70_000), [1, 0]);
        assert_eq!(widths(3, 0..1, 70_000), [0]);
        assert_eq!(widths(0, 0..2, 256), [256, 0]);
        assert_eq!(widths(1, 0..1, 256), [1]);
        assert_eq!(widths(7, 0..1, u64::MAX), [255]);
        assert_eq!(widths(63, u64::MAX - 1..u64::MAX, u64::MAX), [0]);
    }

    proptest! {
        #[test]
        fn writing_and_reading_a_path_gives_the_same(level in 0..=63_u8, index: u64, digits in 0..64, width in 1..=256_u16) {
            let path = path(level, index >> digits, width);
            prop_assert_eq!(path.to_string().parse(), Ok(path));
        }

        #[test]
        fn what_is_read_is_written_the_same(text in r"tile/[0-9]{1,2}(/x?[0-9]{3}){1,7}(\.p/[0-9]{1,3})?|.*") {
            if let Ok(path) = text.parse::<TilePath>() {
                prop_assert_eq!(path.to_string(), text);
            }
        }
    }
}
