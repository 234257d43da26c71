//! The tree as a whole, against RFC 6962, against `ct-merkle`, which shares no code with it, and against forgeries.

use std::collections::BTreeMap;

use ct_merkle::{
    ConsistencyProof, InclusionProof, RootHash, indices_for_consistency_proof, indices_for_inclusion_proof,
    mem_backed_tree::MemoryBackedTree,
};
use proptest::{prelude::*, sample::Index, test_runner::TestRunner};
use sha2::Sha256;

use super::*;

/// The n-th leaf of most trees here.
fn leaf(n: u64) -> [u8; 8] {
    n.to_be_bytes()
}

fn leaf_hashes(count: u64) -> Vec<Hash> {
    (0..count).map(|n| leaf_hash(&leaf(n))).collect()
}

fn grow(leaves: &[Hash]) -> (Hash, Tiles) {
    let grown = append(0, &Tiles::new(), leaves).unwrap();
    (grown.root, grown.tiles.into_iter().collect())
}

/// Only those of the tiles, so that a list of what is needed is seen to be enough.
fn only(tiles: &Tiles, ids: &[TileId]) -> Tiles {
    ids.iter().map(|id| (*id, tiles.get(*id).unwrap().clone())).collect()
}

fn bytes_of(proof: &[Hash]) -> Vec<u8> {
    proof.iter().flat_map(Hash::as_bytes).copied().collect()
}

fn their_root(size: u64, root: &Hash) -> RootHash<Sha256> {
    RootHash::new((*root.as_bytes()).into(), size)
}

/// A way to make a proof useless.
fn flip(hash: &mut Hash, bit: u8) {
    let mut bytes = *hash.as_bytes();
    bytes[usize::from(bit) / 8] ^= 1 << (bit % 8);
    *hash = Hash::new(bytes);
}

#[test]
fn the_reference_tree_of_certificate_transparency_has_its_roots() {
    let leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let from_hex = |hex: &str| -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    };
    let hashes = leaves.map(|hex| leaf_hash(&from_hex(hex)));
    for (size, root) in roots.iter().enumerate() {
        assert_eq!(grow(&hashes[..size]).0.as_bytes().as_slice(), from_hex(root), "size {size}");
    }
}

/// Every tree of 1 to 300 leaves, as ct-merkle has it and as it is here.
fn small_trees() -> impl Iterator<Item = (u64, MemoryBackedTree<Sha256, [u8; 8]>, Hash, Tiles)> {
    let hashes = leaf_hashes(300);
    let mut theirs = MemoryBackedTree::new();
    (1..=300).map(move |size| {
        theirs.push(leaf(size - 1));
        let (root, tiles) = grow(&hashes[..usize::try_from(size).unwrap()]);
        (size, theirs.clone(), root, tiles)
    })
}

#[test]
fn up_to_300_leaves_every_root_and_inclusion_proof_is_that_of_another_implementation() {
    let hashes = leaf_hashes(300);
    for (size, theirs, root, tiles) in small_trees() {
        assert_eq!(theirs.root(), their_root(size, &root), "size {size}");
        assert_eq!(super::root(size, &only(&tiles, &tiles_for_root(size))), Ok(root), "size {size}");
        for (index, hash) in (0..size).zip(&hashes) {
            let proof = prove_inclusion(index, size, &tiles).unwrap();
            let expected = theirs.prove_inclusion(usize::try_from(index).unwrap());
            assert_eq!(bytes_of(&proof), expected.as_bytes(), "leaf {index} of {size}");
            assert_eq!(verify_inclusion(index, size, hash, &proof, &root), Ok(()), "leaf {index} of {size}");
        }
    }
}

#[test]
fn up_to_300_leaves_every_consistency_proof_is_that_of_another_implementation() {
    let mut roots = vec![EMPTY_ROOT];
    for (new, theirs, root, tiles) in small_trees() {
        for (old, old_root) in (0..new).zip(&roots).skip(1) {
            let proof = prove_consistency(old, new, &tiles).unwrap();
            let expected = theirs.prove_consistency(usize::try_from(new - old).unwrap());
            assert_eq!(bytes_of(&proof), expected.as_bytes(), "{old} to {new}");
            assert_eq!(verify_consistency(old, old_root, new, &root, &proof), Ok(()), "{old} to {new}");
        }
        roots.push(root);
    }
}

/// A tree with all its complete nodes, and roots by RFC 6962's own definition.
struct Complete {
    heights: Vec<Vec<Hash>>,
}

impl Complete {
    fn new(leaves: Vec<Hash>) -> Self {
        let mut heights = vec![leaves];
        while heights.last().unwrap().len() > 1 {
            let (pairs, _) = heights.last().unwrap().as_chunks();
            heights.push(pairs.iter().map(|[left, right]| node_hash(left, right)).collect());
        }
        Self { heights }
    }

    /// MTH(D[start:end]), where the leaves are a node of some tree.
    fn root(&self, start: u64, end: u64) -> Hash {
        let length = end - start;
        if length.is_power_of_two() {
            let height = usize::try_from(length.ilog2()).unwrap();
            return self.heights[height][usize::try_from(start >> height).unwrap()];
        }
        let middle = start + length.next_power_of_two() / 2;
        node_hash(&self.root(start, middle), &self.root(middle, end))
    }

    /// The nodes of the tree of `size` leaves that ct-merkle names by number: the trailing ones are the height.
    fn nodes(&self, numbers: &[u64], size: u64) -> Vec<Hash> {
        let node = |number: &u64| {
            let width = 1 << number.trailing_ones();
            let start = (number + 1 - width) / 2;
            self.root(start, size.min(start + width))
        };
        numbers.iter().map(node).collect()
    }
}

#[test]
fn up_to_a_million_leaves_proofs_are_those_of_another_implementation() {
    const LEAVES: u64 = 1_000_000;
    let hashes = leaf_hashes(LEAVES);
    // These are wider than what any smaller size needs, and mostly full where such a size has partial ones.
    let (_, tiles) = grow(&hashes);
    let complete = Complete::new(hashes);

    let edges = [1, 255, 256, 257, 65_535, 65_536, 65_537, LEAVES];
    let size = || prop_oneof![1..=LEAVES, prop::sample::select(edges.to_vec())];
    let mut runner = TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) });
    let sizes_and_leaf = (size(), size(), any::<Index>());
    runner
        .run(&sizes_and_leaf, |(one, other, at)| {
            let (old, new) = (one.min(other), one.max(other));
            let index = u64::try_from(at.index(usize::try_from(new).unwrap())).unwrap();
            let (old_root, new_root) = (complete.root(0, old), complete.root(0, new));
            prop_assert_eq!(root(new, &only(&tiles, &tiles_for_root(new))), Ok(new_root));

            let needed = only(&tiles, &tiles_for_inclusion(index, new).unwrap());
            let proof = prove_inclusion(index, new, &needed).unwrap();
            prop_assert_eq!(&proof, &complete.nodes(&indices_for_inclusion_proof(new, index), new));
            prop_assert_eq!(verify_inclusion(index, new, &leaf_hash(&leaf(index)), &proof, &new_root), Ok(()));
            let theirs = InclusionProof::from_bytes(bytes_of(&proof));
            prop_assert!(their_root(new, &new_root).verify_inclusion(&leaf(index), index, &theirs).is_ok());

            let needed = only(&tiles, &tiles_for_consistency(old, new).unwrap());
            let proof = prove_consistency(old, new, &needed).unwrap();
            prop_assert_eq!(&proof, &complete.nodes(&indices_for_consistency_proof(old, new - old), new));
            prop_assert_eq!(verify_consistency(old, &old_root, new, &new_root, &proof), Ok(()));
            let theirs = ConsistencyProof::try_from_bytes(bytes_of(&proof)).unwrap();
            prop_assert!(their_root(new, &new_root).verify_consistency(&their_root(old, &old_root), &theirs).is_ok());
            Ok(())
        })
        .unwrap();
}

/// A tree whose leaves are all the same, so that it may have any size: what is asked for is made.
fn uniform_tiles(ids: &[TileId], size: u64) -> Tiles {
    let tile = |id: &TileId| {
        let root = (0..8 * id.level()).fold(leaf_hash(b""), |hash, _| node_hash(&hash, &hash));
        (*id, Tile::new(vec![root; id.width_in(size).into()]).unwrap())
    };
    ids.iter().map(tile).collect()
}

fn any_size() -> impl Strategy<Value = u64> {
    prop_oneof![
        (any::<u64>(), 0..64_u32).prop_map(|(size, shift)| size >> shift),
        (0..64_u32, -2..=2_i64).prop_map(|(power, more)| (1_u64 << power).saturating_add_signed(more)),
        (u64::MAX - 3)..=u64::MAX,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn batches_of_any_size_give_the_tree_that_one_batch_gives(
        batches in prop::collection::vec(prop_oneof![0..4_usize, 250..260_usize, 0..2000_usize, 65_000..66_000_usize], 1..9),
    ) {
        // Any 32 bytes do for the hash of a leaf.
        let mut next = 0_u64;
        let mut leaves = Vec::new();
        let (mut size, mut tiles, mut last_root) = (0, Tiles::new(), EMPTY_ROOT);
        for count in batches {
            let batch: Vec<_> = (next..).take(count).map(|n| {
                let mut bytes = [0; 32];
                bytes[..8].copy_from_slice(&leaf(n));
                Hash::new(bytes)
            }).collect();
            next += u64::try_from(count).unwrap();
            let before = tiles.clone();
            let grown = append(size, &only(&tiles, &tiles_for_append(size)), &batch).unwrap();
            prop_assert!(grown.tiles.iter().is_sorted_by_key(|(id, _)| *id));
            for (id, tile) in &grown.tiles {
                prop_assert_eq!(tile.width(), id.width_in(grown.size));
                prop_assert_ne!(before.get(*id), Some(tile));
            }
            (size, last_root) = (grown.size, grown.root);
            tiles.extend(grown.tiles);
            leaves.extend(batch);
        }
        let (root, at_once) = grow(&leaves);
        prop_assert_eq!((size, last_root), (next, root));
        prop_assert!(tiles == at_once);

        // A batch that was written and not committed is written over.
        let old = size / 2;
        let rest = &leaves[usize::try_from(old).unwrap()..];
        let grown = append(old, &only(&tiles, &tiles_for_append(old)), rest).unwrap();
        prop_assert_eq!(grown.root, root);
        tiles.extend(grown.tiles);
        prop_assert!(tiles == at_once);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_tree_of_any_size_can_be_proved_and_grown(one in any_size(), other in any_size(), index: u64, more in 0..600_u64) {
        let (old, new) = (one.min(other), one.max(other));
        let root_of = |size| root(size, &uniform_tiles(&tiles_for_root(size), size)).unwrap();
        let (old_root, new_root) = (root_of(old), root_of(new));

        let tiles = uniform_tiles(&tiles_for_consistency(old, new).unwrap(), new);
        let proof = prove_consistency(old, new, &tiles).unwrap();
        prop_assert!(proof.len() <= 65);
        prop_assert_eq!(verify_consistency(old, &old_root, new, &new_root, &proof), Ok(()));

        if new > 0 {
            let index = index % new;
            let tiles = uniform_tiles(&tiles_for_inclusion(index, new).unwrap(), new);
            let proof = prove_inclusion(index, new, &tiles).unwrap();
            prop_assert!(proof.len() <= 64);
            prop_assert_eq!(verify_inclusion(index, new, &leaf_hash(b""), &proof, &new_root), Ok(()));
        }

        let leaves = vec![leaf_hash(b""); usize::try_from(more).unwrap()];
        let grown = append(new, &uniform_tiles(&tiles_for_append(new), new), &leaves);
        match new.checked_add(more) {
            None => prop_assert_eq!(grown, Err(TreeError::TooLarge { size: new, leaves: leaves.len() })),
            Some(larger) => {
                let grown = grown.unwrap();
                prop_assert_eq!((grown.size, grown.root), (larger, root_of(larger)));
                let ids: Vec<_> = grown.tiles.iter().map(|(id, _)| *id).collect();
                prop_assert_eq!(Tiles::from_iter(grown.tiles), uniform_tiles(&ids, larger));
            }
        }
    }

    #[test]
    fn a_tile_that_is_missing_or_too_narrow_is_named(one in 1..2000_u64, other in 1..2000_u64, at: Index, which: Index) {
        type Computation = Box<dyn Fn(&Tiles) -> Result<(), TreeError>>;
        let (old, new) = (one.min(other), one.max(other));
        let index = u64::try_from(at.index(usize::try_from(new).unwrap())).unwrap();
        let (_, tiles) = grow(&leaf_hashes(new));
        let computations: [(Vec<TileId>, Computation); 4] = [
            (tiles_for_root(new), Box::new(move |tiles| root(new, tiles).map(drop))),
            (tiles_for_append(new), Box::new(move |tiles| append(new, tiles, &[EMPTY_ROOT]).map(drop))),
            (tiles_for_inclusion(index, new).unwrap(), Box::new(move |tiles| prove_inclusion(index, new, tiles).map(drop))),
            (tiles_for_consistency(old, new).unwrap(), Box::new(move |tiles| prove_consistency(old, new, tiles).map(drop))),
        ];
        for (ids, compute) in computations {
            prop_assert!(ids.is_sorted_by(|one, other| one < other));
            prop_assert_eq!(compute(&only(&tiles, &ids)), Ok(()));
            if ids.is_empty() {
                continue;
            }
            let culprit = *which.get(&ids);
            let others: Vec<_> = ids.iter().copied().filter(|id| *id != culprit).collect();
            let named = matches!(compute(&only(&tiles, &others)), Err(TreeError::MissingTile { id, .. }) if id == culprit);
            prop_assert!(named);

            // One hash less each time, until it is too narrow.
            let hashes = tiles.get(culprit).unwrap().hashes();
            let narrow = (1..hashes.len()).rev().find_map(|width| {
                let mut narrowed = only(&tiles, &ids);
                narrowed.insert(culprit, Tile::new(hashes[..width].to_vec()).unwrap());
                compute(&narrowed).err()
            });
            match narrow {
                Some(TreeError::NarrowTile { id, width, needed }) => {
                    prop_assert_eq!(id, culprit);
                    prop_assert!(width < needed && needed <= id.width_in(new));
                }
                // Its first hash alone is needed.
                other => prop_assert_eq!(other, None),
            }
        }
    }

    #[test]
    fn what_does_not_exist_is_not_proved(index in any_size(), size in any_size()) {
        let no_leaf = TreeError::NoSuchLeaf { index, size };
        if index >= size {
            prop_assert_eq!(tiles_for_inclusion(index, size), Err(no_leaf.clone()));
            prop_assert_eq!(prove_inclusion(index, size, &Tiles::new()), Err(no_leaf));
        }
        if index > size {
            let shrunk = TreeError::Shrunk { old: index, new: size };
            prop_assert_eq!(tiles_for_consistency(index, size), Err(shrunk.clone()));
            prop_assert_eq!(prove_consistency(index, size, &Tiles::new()), Err(shrunk));
        }
    }
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

#[test]
fn the_tiles_of_70_000_leaves_are_those_of_the_specification() {
    let (_, tiles) = grow(&vec![EMPTY_ROOT; 70_000]);
    let mut widths = BTreeMap::new();
    let levels = [(0, 274), (1, 3), (2, 1), (3, 1)];
    for id in
        levels.into_iter().flat_map(|(level, count)| (0..count).filter_map(move |index| TileId::new(level, index)))
    {
        if let Some(tile) = tiles.get(id) {
            *widths.entry((id.level(), tile.width())).or_insert(0) += 1;
        }
    }
    assert_eq!(widths, BTreeMap::from([((0, 256), 273), ((0, 112), 1), ((1, 256), 1), ((1, 17), 1), ((2, 1), 1)]));
}
