//! What a verification finds.

use std::fmt;

use crate::ports::TileId;

/// What [`verify_audit`](super::verify_audit) has found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Verification {
    /// How many entries are, from the first on, what was signed; or those that no checkpoint covers yet, at the end.
    pub entries: u64,
    /// How many of them no checkpoint covers yet.
    pub unsigned: u64,
    /// How many checkpoints are right.
    pub checkpoints: u64,
    /// What is wrong, if anything is.
    pub tampered: Option<Tampered>,
}

/// Something was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tampered {
    /// The index of the first entry that is not what was signed, as exactly as it can be told.
    pub index: u64,
    /// What it is.
    pub what: Tampering,
}

/// What was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tampering {
    /// The entry is not the one that was signed. Only where the store has the tree is it told exactly, else it is this one or a later
    /// one below the checkpoint of that size.
    Entry {
        /// The size of the checkpoint that shows it.
        checkpoint: u64,
    },
    /// The entry is not there, and later ones are.
    Missing,
    /// There are two of this index.
    Twice,
    /// It is no entry.
    Unreadable,
    /// The log ends before this entry, and a checkpoint covers it.
    Truncated {
        /// The size of that checkpoint.
        checkpoint: u64,
    },
    /// The checkpoint of so many entries is not signed by a key of this log, or says something else.
    Checkpoint,
    /// The entry is what was signed, and the tile that proves it is not.
    Tile {
        /// The tile.
        id: TileId,
    },
}

impl fmt::Display for Tampered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let index = self.index;
        match self.what {
            Tampering::Entry { checkpoint } => {
                write!(f, "entry {index} is not what the checkpoint of {checkpoint} entries was signed for")
            }
            Tampering::Missing => write!(f, "entry {index} is missing"),
            Tampering::Twice => write!(f, "entry {index} is there twice"),
            Tampering::Unreadable => write!(f, "entry {index} can't be read"),
            Tampering::Truncated { checkpoint } => {
                write!(f, "the log ends before entry {index}, and a checkpoint of {checkpoint} entries was signed")
            }
            Tampering::Checkpoint => write!(f, "the checkpoint of {index} entries is not one of this log"),
            Tampering::Tile { id } => {
                write!(f, "the tile {} of level {}, with entry {index}, is not the one of the tree", id.index, id.level)
            }
        }
    }
}
