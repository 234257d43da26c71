//! A transparency log over the audit log: whoever has seen a signed checkpoint can prove later that no entry before it was
//! changed, removed or put in, without trusting the host, its database or its backups.
//!
//! The formats are those of RFC 6962 and of C2SP, byte for byte, so that other people's tools can check the log too. Here is all
//! that can be computed without a store: pure functions, and values that are parsed once.
//!
//! - [`leaf_hash`], [`node_hash`]: the hashes of RFC 6962.
//! - [`Tile`], [`TileId`], [`TilePath`]: the tree in pieces of 256 hashes (<https://c2sp.org/tlog-tiles>).
//! - [`append`], [`root`], [`prove_inclusion`], [`prove_consistency`]: each reads [`Tiles`] that the caller has fetched, and
//!   has a `tiles_for_…` beside it that says which ones those are.
//! - [`verify_inclusion`], [`verify_consistency`]: what a distrustful reader does (RFC 9162).

mod hash;
mod node;
mod path;
mod proof;
mod tile;
mod tree;
mod verify;

#[cfg(test)]
mod tests;

pub use hash::{EMPTY_ROOT, Hash, HashError, leaf_hash, node_hash};
pub use path::{TileId, TilePath};
pub use proof::{prove_consistency, prove_inclusion, tiles_for_consistency, tiles_for_inclusion};
pub use tile::{TILE_WIDTH, Tile, TileError, Tiles};
pub use tree::{Appended, TreeError, append, root, tiles_for_append, tiles_for_root};
pub use verify::{ProofError, verify_consistency, verify_inclusion};
