//! Against `ct-merkle`.

use ct_merkle::{
    ConsistencyProof, InclusionProof, RootHash, indices_for_consistency_proof, indices_for_inclusion_proof,
    mem_backed_tree::MemoryBackedTree,
};
use proptest::{prelude::*, sample::Index, test_runner::TestRunner};
use sha2::Sha256;

use super::{super::*, grow, leaf, leaf_hashes, only};

fn bytes_of(proof: &[Hash]) -> Vec<u8> {
    proof.iter().flat_map(Hash::as_bytes).copied().collect()
}

fn their_root(size: u64, root: &Hash) -> RootHash<Sha256> {
    RootHash::new((*root.as_bytes()).into(), size)
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
        assert_eq!(crate::tlog::root(size, &only(&tiles, &tiles_for_root(size))), Ok(root), "size {size}");
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
