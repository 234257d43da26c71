//! Tiles, and proofs from them.

use alm_core::tlog::{
    Hash, Tile, TilePath, Tiles, append, leaf_hash, prove_consistency, prove_inclusion, root, verify_consistency,
    verify_inclusion,
};

use super::bytes;

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = bytes(&[
        "tile/0/x001/x234/067",
        "tile/1/000.p/17",
        "tile/63/000",
        "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=",
    ]);
    seeds.extend([vec![40, 7, 0], vec![64, 63, 1], vec![33, 32, 0, 5, 1], vec![7; 64]]);
    seeds
}

/// What is read is written as it was; a proof holds, and none that differs from it in a bit.
pub(super) fn tree(data: &[u8]) {
    if let Ok(tile) = Tile::from_bytes(data) {
        assert_eq!(tile.to_bytes(), data);
    }
    if let Ok(text) = str::from_utf8(data) {
        if let Ok(path) = text.parse::<TilePath>() {
            assert_eq!(path.to_string(), text);
        }
        if let Ok(hash) = text.parse::<Hash>() {
            assert_eq!(hash.to_string(), text);
        }
    }
    let [size, index, rest @ ..] = data else { return };
    let size = u64::from(*size);
    let index = u64::from(*index);
    proofs(size, index, rest);
}

/// A tree of `size` leaves, and a proof about `index`, changed as `changes` says: which bit of which of its hashes.
fn proofs(size: u64, index: u64, changes: &[u8]) {
    let leaves: Vec<Hash> = (0..size).map(|number| leaf_hash(&number.to_be_bytes())).collect();
    let (tiles, whole) = grown(&leaves);
    let damaged = |proof: &[Hash]| -> Vec<Hash> {
        let mut bytes: Vec<[u8; Hash::LEN]> = proof.iter().map(|hash| *hash.as_bytes()).collect();
        for change in changes.chunks_exact(2) {
            if let Some(count) = bytes.len().checked_sub(1) {
                let bit = usize::from(change[1]);
                bytes[usize::from(change[0]) % (count + 1)][bit / 8] ^= 1 << (bit % 8);
            }
        }
        // What is left over makes it longer.
        bytes.extend(changes.chunks_exact(2).remainder().iter().map(|byte| [*byte; Hash::LEN]));
        bytes.into_iter().map(Hash::new).collect()
    };

    let proof = prove_inclusion(index, size, &tiles);
    assert_eq!(proof.is_ok(), index < size);
    if let (Ok(proof), Some(leaf)) = (proof, usize::try_from(index).ok().and_then(|index| leaves.get(index))) {
        let given = damaged(&proof);
        assert_eq!(verify_inclusion(index, size, leaf, &given, &whole).is_ok(), given == proof);
    }
    let proof = prove_consistency(index, size, &tiles);
    assert_eq!(proof.is_ok(), index <= size);
    if let (Ok(proof), Some(part)) = (proof, usize::try_from(index).ok().and_then(|index| leaves.get(..index))) {
        let given = damaged(&proof);
        assert_eq!(verify_consistency(index, &grown(part).1, size, &whole, &given).is_ok(), given == proof);
    }
}

fn grown(leaves: &[Hash]) -> (Tiles, Hash) {
    let mut tiles = Tiles::default();
    let appended = append(0, &tiles, leaves).unwrap();
    for (id, tile) in appended.tiles {
        tiles.insert(id, tile);
    }
    let size = u64::try_from(leaves.len()).unwrap();
    let root = root(size, &tiles).unwrap();
    (tiles, root)
}
