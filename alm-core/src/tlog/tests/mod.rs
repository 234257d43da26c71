//! The tree as a whole: against RFC 6962, against an implementation that shares no code with it, and against forgers.

mod differential;
mod forgeries;
mod growth;

use proptest::prelude::*;

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

fn any_size() -> impl Strategy<Value = u64> {
    prop_oneof![
        (any::<u64>(), 0..64_u32).prop_map(|(size, shift)| size >> shift),
        (0..64_u32, -2..=2_i64).prop_map(|(power, more)| (1_u64 << power).saturating_add_signed(more)),
        (u64::MAX - 3)..=u64::MAX,
    ]
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
