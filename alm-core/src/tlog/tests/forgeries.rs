//! A proof proves what it says, and nothing that was changed by a single bit.

use proptest::{prelude::*, sample::Index};

use super::{super::*, any_size, grow, leaf_hashes};

/// A way to make a proof useless.
fn flip(hash: &mut Hash, bit: u8) {
    let mut bytes = *hash.as_bytes();
    bytes[usize::from(bit) / 8] ^= 1 << (bit % 8);
    *hash = Hash::new(bytes);
}

/// From the leaf up, on which side of the path each hash of an inclusion proof stands: all that a proof tells of the size.
fn sides(index: u64, size: u64) -> Vec<bool> {
    if size <= 1 {
        return Vec::new();
    }
    let left = 1 << (size - 1).ilog2();
    let is_left = index < left;
    let mut sides = if is_left { sides(index, left) } else { sides(index - left, size - left) };
    sides.push(is_left);
    sides
}

/// The same of a consistency proof.
fn consistency_sides(old: u64, new: u64) -> Vec<bool> {
    if old == new {
        return Vec::new();
    }
    let left = 1 << (new - 1).ilog2();
    let is_left = old <= left;
    let mut sides = if is_left { consistency_sides(old, left) } else { consistency_sides(old - left, new - left) };
    sides.push(is_left);
    sides
}

proptest! {
    #[test]
    fn a_bit_that_is_flipped_anywhere_makes_an_inclusion_proof_fail(
        size in 1..600_u64, at: Index, which: Index, bit: u8, size_bit in 0..64, garbage: [u8; 32],
    ) {
        let index = u64::try_from(at.index(usize::try_from(size).unwrap())).unwrap();
        let hashes = leaf_hashes(size);
        let (root, tiles) = grow(&hashes);
        let leaf = *at.get(&hashes);
        let proof = prove_inclusion(index, size, &tiles).unwrap();
        prop_assert_eq!(verify_inclusion(index, size, &leaf, &proof, &root), Ok(()));

        let mut forged = leaf;
        flip(&mut forged, bit);
        prop_assert_eq!(verify_inclusion(index, size, &forged, &proof, &root), Err(ProofError::OtherRoot));
        let mut forged = root;
        flip(&mut forged, bit);
        prop_assert_eq!(verify_inclusion(index, size, &leaf, &proof, &forged), Err(ProofError::OtherRoot));
        prop_assert!(verify_inclusion(index ^ (1_u64 << size_bit), size, &leaf, &proof, &root).is_err());

        // The size isn't proved, but only a path of the same form passes.
        let other = size ^ (1_u64 << size_bit);
        let passes = verify_inclusion(index, other, &leaf, &proof, &root).is_ok();
        prop_assert_eq!(passes, index < other && sides(index, size) == sides(index, other));

        let mut longer = proof.clone();
        longer.push(Hash::new(garbage));
        prop_assert_eq!(verify_inclusion(index, size, &leaf, &longer, &root), Err(ProofError::TooLong));
        if let Some((_, shorter)) = proof.split_last() {
            prop_assert_eq!(verify_inclusion(index, size, &leaf, shorter, &root), Err(ProofError::TooShort));
            let mut forged = proof.clone();
            flip(which.get_mut(&mut forged), bit);
            prop_assert_eq!(verify_inclusion(index, size, &leaf, &forged, &root), Err(ProofError::OtherRoot));
        }
    }

    #[test]
    fn a_bit_that_is_flipped_anywhere_makes_a_consistency_proof_fail(
        one in 1..600_u64, other in 1..600_u64, which: Index, bit: u8, size_bit in 0..64, garbage: [u8; 32],
    ) {
        let (old, new) = (one.min(other), one.max(other));
        let hashes = leaf_hashes(new);
        let (old_root, _) = grow(&hashes[..usize::try_from(old).unwrap()]);
        let (new_root, tiles) = grow(&hashes);
        let proof = prove_consistency(old, new, &tiles).unwrap();
        prop_assert_eq!(verify_consistency(old, &old_root, new, &new_root, &proof), Ok(()));

        let mut forged = old_root;
        flip(&mut forged, bit);
        prop_assert!(verify_consistency(old, &forged, new, &new_root, &proof).is_err());
        let mut forged = new_root;
        flip(&mut forged, bit);
        prop_assert_eq!(verify_consistency(old, &old_root, new, &forged, &proof), Err(ProofError::OtherRoot));
        prop_assert!(verify_consistency(old ^ (1_u64 << size_bit), &old_root, new, &new_root, &proof).is_err());

        let changed = new ^ (1_u64 << size_bit);
        let passes = verify_consistency(old, &old_root, changed, &new_root, &proof).is_ok();
        prop_assert_eq!(passes, old < changed && old < new && consistency_sides(old, new) == consistency_sides(old, changed));

        let mut longer = proof.clone();
        longer.push(Hash::new(garbage));
        prop_assert_eq!(verify_consistency(old, &old_root, new, &new_root, &longer), Err(ProofError::TooLong));
        if let Some((_, shorter)) = proof.split_last() {
            prop_assert_eq!(verify_consistency(old, &old_root, new, &new_root, shorter), Err(ProofError::TooShort));
            let mut forged = proof.clone();
            flip(which.get_mut(&mut forged), bit);
            prop_assert!(verify_consistency(old, &old_root, new, &new_root, &forged).is_err());
        }
    }

    #[test]
    fn no_input_makes_verification_panic(
        one in any_size(), other in any_size(), root: [u8; 32], proof in prop::collection::vec(any::<[u8; 32]>(), 0..70),
    ) {
        let root = Hash::new(root);
        let proof: Vec<_> = proof.into_iter().map(Hash::new).collect();
        prop_assert!(verify_inclusion(one, other, &EMPTY_ROOT, &proof, &root).is_err());
        prop_assert!(verify_consistency(one, &EMPTY_ROOT, other, &root, &proof).is_err() || (one == 0 && proof.is_empty()));
    }
}

#[test]
fn nothing_is_the_beginning_of_everything() {
    let (root, _) = grow(&leaf_hashes(3));
    assert_eq!(prove_consistency(0, 3, &Tiles::new()), Ok(Vec::new()));
    assert_eq!(verify_consistency(0, &EMPTY_ROOT, 3, &root, &[]), Ok(()));
    assert_eq!(verify_consistency(0, &root, 3, &root, &[]), Err(ProofError::OtherOldRoot));
    assert_eq!(verify_consistency(0, &EMPTY_ROOT, 3, &root, &[root]), Err(ProofError::TooLong));
    assert_eq!(verify_consistency(0, &EMPTY_ROOT, 0, &EMPTY_ROOT, &[]), Ok(()));
    assert_eq!(verify_consistency(0, &EMPTY_ROOT, 0, &root, &[]), Err(ProofError::OtherRoot));
    assert_eq!(verify_consistency(0, &root, 0, &root, &[]), Err(ProofError::OtherOldRoot));
}

#[test]
fn a_tree_begins_with_itself() {
    let (root, tiles) = grow(&leaf_hashes(3));
    assert_eq!(prove_consistency(3, 3, &tiles), Ok(Vec::new()));
    assert_eq!(verify_consistency(3, &root, 3, &root, &[]), Ok(()));
    assert_eq!(verify_consistency(3, &root, 3, &root, &[root]), Err(ProofError::TooLong));
    assert_eq!(verify_consistency(3, &root, 3, &EMPTY_ROOT, &[]), Err(ProofError::OtherRoot));
    assert_eq!(verify_consistency(3, &root, 2, &root, &[]), Err(ProofError::Shrunk { old: 3, new: 2 }));
}
