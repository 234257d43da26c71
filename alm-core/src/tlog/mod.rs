//! A transparency log over the audit log: whoever has seen a signed checkpoint can prove later that no entry before it was
//! changed, removed or put in, without trusting the host, its database or its backups.
//!
//! The formats are those of RFC 6962 and of C2SP, byte for byte, so that other people's tools can check the log too. Here is all
//! that can be computed without a store: pure functions, and values that are parsed once.
//!
//! - [`entry_bytes`]: an audit entry as the bytes of a leaf. The entry with index *n* is the leaf *n* − 1.
//! - [`leaf_hash`], [`node_hash`]: the hashes of RFC 6962.
//! - [`Tile`], [`TileId`], [`TilePath`]: the tree in pieces of 256 hashes (<https://c2sp.org/tlog-tiles>).
//! - [`append`], [`root`], [`prove_inclusion`], [`prove_consistency`]: each reads [`Tiles`] that the caller has fetched, and
//!   has a `tiles_for_…` beside it that says which ones those are.
//! - [`verify_inclusion`], [`verify_consistency`]: what a distrustful reader does (RFC 9162).
//! - [`Rehash`]: the tree again, from the first entry on.
//! - [`Signer`], [`Verifier`], [`open`]: signed notes (<https://c2sp.org/signed-note>).
//! - [`Checkpoint`]: a size and a root, to be signed (<https://c2sp.org/tlog-checkpoint>).
//!
//! # Example
//! ```
//! use alm_core::tlog::{
//!     Checkpoint, Signer, Tiles, append, leaf_hash, open, prove_inclusion, tiles_for_append, verify_inclusion,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // The log: adds leaves, and signs what the tree is then.
//! let signer = Signer::new("example.org/audit", &[7; 32])?;
//! assert!(tiles_for_append(0).is_empty());
//! let grown = append(0, &Tiles::new(), &[leaf_hash(b"one"), leaf_hash(b"two"), leaf_hash(b"three")])?;
//! let checkpoint = Checkpoint::new("example.org/audit", grown.size, grown.root)?;
//! let note = signer.sign(&checkpoint.to_string())?;
//!
//! // A proof, from the tiles that were stored.
//! let tiles: Tiles = grown.tiles.into_iter().collect();
//! let proof = prove_inclusion(1, grown.size, &tiles)?;
//!
//! // The reader: knows the log's public key and the entry, and nothing else.
//! let verifier = signer.verifier().to_string().parse()?;
//! let checkpoint: Checkpoint = open(&note, &[verifier])?.parse()?;
//! verify_inclusion(1, checkpoint.size(), &leaf_hash(b"two"), &proof, &checkpoint.root())?;
//! # Ok(())
//! # }
//! ```

mod checkpoint;
mod entry;
mod hash;
mod jcs;
mod key;
mod node;
mod note;
mod path;
mod proof;
mod rehash;
mod tile;
mod tree;
mod verify;

#[cfg(test)]
mod tests;

pub use crate::ports::TileId;
pub use checkpoint::{Checkpoint, CheckpointError};
pub use entry::entry_bytes;
pub use hash::{EMPTY_ROOT, Hash, HashError, leaf_hash, node_hash};
pub use key::{KeyError, Signer, Verifier};
pub use note::{MAX_NOTE_LENGTH, MAX_NOTE_SIGNATURES, NoteError, open};
pub use path::TilePath;
pub use proof::{prove_consistency, prove_inclusion, tiles_for_consistency, tiles_for_inclusion};
pub use rehash::Rehash;
pub use tile::{TILE_WIDTH, Tile, TileError, Tiles};
pub use tree::{Appended, TreeError, append, root, tiles_for_append, tiles_for_root};
pub use verify::{ProofError, verify_consistency, verify_inclusion};
