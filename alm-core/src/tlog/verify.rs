//! Checking proofs: all that is needed to trust a log without trusting whoever keeps it.

use super::{EMPTY_ROOT, Hash, node_hash};

/// A proof proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
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
    /// The proof ends before the root.
    #[error("the proof has too few hashes")]
    TooShort,
    /// The proof goes on after the root.
    #[error("the proof has too many hashes")]
    TooLong,
    /// It doesn't lead to the root of the tree, or of the newer one.
    #[error("the proof does not lead to the root")]
    OtherRoot,
    /// It doesn't lead to the root of the older tree: the log has changed what it had said.
    #[error("the proof does not lead to the older root")]
    OtherOldRoot,
}

/// Checks that the leaf with this hash is the one with `index`, counted from 0, in the tree of `size` leaves with this root
/// (RFC 9162 section 2.1.3.2).
///
/// `size` must come with `root` from one signed checkpoint. The proof does not prove it: a root that isn't the one of `size`
/// leaves can be that of another size whose path to the leaf has the same form.
///
/// # Errors
/// What is wrong with the proof, or that there is no such leaf.
pub fn verify_inclusion(index: u64, size: u64, leaf: &Hash, proof: &[Hash], root: &Hash) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::NoSuchLeaf { index, size });
    }
    let mut path = Path { node: index, last: size - 1 };
    let mut hash = *leaf;
    for beside in proof {
        hash = match path.step()? {
            Side::Left => node_hash(beside, &hash),
            Side::Right => node_hash(&hash, beside),
        };
    }
    path.at_root()?;
    if hash == *root { Ok(()) } else { Err(ProofError::OtherRoot) }
}

/// Checks that the tree of `new_size` leaves with the root `new_root` begins with the tree of `old_size` leaves with the root
/// `old_root`: what was in the older one is in the newer one, unchanged and in its place (RFC 9162 section 2.1.4.2).
///
/// Where the RFC asks for sizes that differ and aren't 0, this also takes an empty proof that a tree is itself, and that any
/// tree begins with the empty one. As with [`verify_inclusion`], each size must come with its root from a signed checkpoint.
///
/// # Errors
/// What is wrong with the proof, or that the tree would have shrunk.
pub fn verify_consistency(
    old_size: u64,
    old_root: &Hash,
    new_size: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if old_size > new_size {
        return Err(ProofError::Shrunk { old: old_size, new: new_size });
    }
    if old_size == 0 && *old_root != EMPTY_ROOT {
        return Err(ProofError::OtherOldRoot);
    }
    if old_size == new_size && old_root != new_root {
        return Err(ProofError::OtherRoot);
    }
    if old_size == new_size || old_size == 0 {
        return if proof.is_empty() { Ok(()) } else { Err(ProofError::TooLong) };
    }

    // The last complete tree of the old one is where both ways begin. If it is all of the old one, its root is known.
    let (first, rest) =
        if old_size.is_power_of_two() { (old_root, proof) } else { proof.split_first().ok_or(ProofError::TooShort)? };
    let height = old_size.trailing_zeros();
    let mut path = Path { node: (old_size - 1) >> height, last: (new_size - 1) >> height };
    let (mut old, mut new) = (*first, *first);
    for beside in rest {
        match path.step()? {
            Side::Left => {
                old = node_hash(beside, &old);
                new = node_hash(beside, &new);
            }
            Side::Right => new = node_hash(&new, beside),
        }
    }
    path.at_root()?;
    if new != *new_root {
        Err(ProofError::OtherRoot)
    } else if old != *old_root {
        Err(ProofError::OtherOldRoot)
    } else {
        Ok(())
    }
}

/// Where the next hash of a proof stands.
enum Side {
    Left,
    Right,
}

/// The way from a node up to the root: the places, at one height, of the node and of the last one in the tree. The RFC calls
/// them fn and sn.
struct Path {
    node: u64,
    last: u64,
}

impl Path {
    /// One hash further up.
    fn step(&mut self) -> Result<Side, ProofError> {
        if self.last == 0 {
            return Err(ProofError::TooLong);
        }
        let side = if self.node % 2 == 1 || self.node == self.last { Side::Left } else { Side::Right };
        if matches!(side, Side::Left) {
            // The last node of an odd number goes up as it is, until there is something to the left of it.
            let alone = self.node.trailing_zeros();
            self.node >>= alone;
            self.last >>= alone;
        }
        self.node >>= 1;
        self.last >>= 1;
        Ok(side)
    }

    fn at_root(&self) -> Result<(), ProofError> {
        if self.last == 0 { Ok(()) } else { Err(ProofError::TooShort) }
    }
}
