//! Growing a tree, of any size, and the tiles that each computation needs.

use std::collections::BTreeMap;

use proptest::{prelude::*, sample::Index};

use super::{super::*, any_size, grow, leaf, leaf_hashes, only};

#[test]
fn the_tiles_of_70_000_leaves_are_those_of_the_specification() {
    let (_, tiles) = grow(&vec![EMPTY_ROOT; 70_000]);
    let mut widths = BTreeMap::new();
    let levels = [(0, 274), (1, 3), (2, 1), (3, 1)];
    for id in
        levels.into_iter().flat_map(|(level, count)| (0..count).filter_map(move |index| TileId::new(level, index)))
    {
        if let Some(tile) = tiles.get(id) {
            *widths.entry((id.level, tile.width())).or_insert(0) += 1;
        }
    }
    assert_eq!(widths, BTreeMap::from([((0, 256), 273), ((0, 112), 1), ((1, 256), 1), ((1, 17), 1), ((2, 1), 1)]));
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

/// A tree whose leaves are all the same, so that it may have any size: what is asked for is made.
fn uniform_tiles(ids: &[TileId], size: u64) -> Tiles {
    let tile = |id: &TileId| {
        let root = (0..8 * id.level).fold(leaf_hash(b""), |hash, _| node_hash(&hash, &hash));
        (*id, Tile::new(vec![root; id.width_in(size).into()]).unwrap())
    };
    ids.iter().map(tile).collect()
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
