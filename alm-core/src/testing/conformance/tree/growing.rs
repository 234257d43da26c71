//! A tree grows from the size that it has, whole or not at all.

use std::sync::Arc;

use crate::{
    ports::{Contention, StoreError, TreeStore},
    testing::conformance::{
        must::Must,
        tasks::{at_once, ended, polled, start},
    },
};

use super::{
    given::{Hashes, checkpoints, grow, growth, id, signed, size, tile, tile_of, tiles_of},
    subject::Subject,
};

/// Demands that the tree does not grow, since it has another size.
fn must_be_refused(answer: Result<(), StoreError>, has: u64) {
    let error = answer.must_fail("grow the tree from another size than it has");
    let is_meant = matches!(&error, StoreError::Conflict(Contention::Tree { size }) if *size == has);
    assert!(is_meant, "it must be refused because the size is {has}, and is refused as {error:?}");
}

pub(super) async fn a_tree_grows_only_from_its_size(subject: Subject) {
    let store = subject.store();
    let store = store.as_ref();
    must_be_refused(store.grow(growth(1, 2, vec![tile(id(0, 0), 2, 0)])).await, 0);
    grow(store, growth(0, 2, vec![tile(id(0, 0), 2, 0)])).await;
    for from in [0, 1, 3] {
        must_be_refused(store.grow(growth(from, 4, vec![tile(id(0, 0), 4, 0)])).await, 2);
    }
    grow(store, growth(2, 4, vec![tile(id(0, 0), 4, 0)])).await;
    assert_eq!(checkpoints(store).await, [signed(2), signed(4)]);
}

pub(super) async fn a_growth_that_is_refused_leaves_no_trace(subject: Subject) {
    let store = subject.store();
    let store = store.as_ref();
    grow(store, growth(0, 2, vec![tile(id(0, 0), 2, 0)])).await;
    must_be_refused(store.grow(growth(0, 300, vec![tile(id(0, 0), 256, 7), tile(id(0, 1), 44, 7)])).await, 2);
    assert_eq!(tile_of(store, id(0, 0)).await, Some(Hashes::of(&tile(id(0, 0), 2, 0))));
    assert_eq!(tile_of(store, id(0, 1)).await, None);
    assert_eq!(checkpoints(store).await, [signed(2)]);
}

pub(super) async fn a_growth_that_is_dropped_is_whole_or_nothing(subject: Subject) {
    let store = subject.store();
    let store = store.as_ref();
    let mut from = 0;
    for times in 1..40 {
        let to = from + 1;
        let seed = u8::try_from(to).unwrap_or(0);
        let mut growing = store.grow(growth(from, to, vec![tile(id(0, 0), 1, seed), tile(id(1, 0), 1, seed)]));
        let _ = polled(&mut growing, times).await;
        drop(growing);
        if tile_of(store, id(0, 0)).await == Some(Hashes::of(&tile(id(0, 0), 1, seed))) {
            assert_eq!(size(store).await, to, "a tile is there that was not grown");
        }
        // It may be under way: what comes next is behind it, whichever of them was kept.
        let answer = store.grow(growth(from, to, vec![tile(id(0, 0), 1, seed), tile(id(1, 0), 1, seed)])).await;
        if let Err(error) = answer {
            must_be_refused(Err(error), to);
        }
        for level in [0, 1] {
            assert_eq!(tile_of(store, id(level, 0)).await, Some(Hashes::of(&tile(id(level, 0), 1, seed))));
        }
        assert_eq!(size(store).await, to);
        from = to;
    }
}

pub(super) async fn of_many_who_grow_a_tree_one_does(subject: Subject) {
    let handles = subject.rivals().await;
    for from in 0..10 {
        let rivals = handles.iter().cycle().take(8).zip(0_u8..).map(|(store, seed)| {
            let store: Arc<dyn TreeStore> = store.clone();
            async move { store.grow(growth(from, from + 1, vec![tile(id(0, 0), 1, seed)])).await }
        });
        let answers = at_once(rivals).await;
        let winner = answers.iter().position(Result::is_ok).expect("one grows the tree");
        for (n, answer) in answers.into_iter().enumerate() {
            if n != winner {
                must_be_refused(answer, from + 1);
            }
        }
        let seed = u8::try_from(winner).unwrap_or(0);
        assert_eq!(tile_of(handles[0].as_ref(), id(0, 0)).await, Some(Hashes::of(&tile(id(0, 0), 1, seed))));
    }
    assert_eq!(checkpoints(handles[0].as_ref()).await.len(), 10);
}

pub(super) async fn whoever_has_seen_a_checkpoint_finds_its_tiles(subject: Subject) {
    const LAST: u64 = 200;
    let handles = subject.rivals().await;
    let (writer, reader) = (handles[0].clone(), handles[handles.len() - 1].clone());
    let growing = start(async move {
        for from in 0..LAST {
            let width = usize::try_from(from + 1).unwrap_or(0);
            grow(writer.as_ref(), growth(from, from + 1, vec![tile(id(0, 0), width, 0)])).await;
        }
    });
    loop {
        let seen = size(reader.as_ref()).await;
        let width = tile_of(reader.as_ref(), id(0, 0)).await.map_or(0, |hashes| hashes.width() as u64);
        assert!(width >= seen, "the checkpoint of {seen} was there, and the tile had {width} hashes");
        if seen == LAST {
            break;
        }
    }
    ended(growing).await;
}

pub(super) async fn a_growth_may_be_large(subject: Subject) {
    let store = subject.store();
    let store = store.as_ref();
    // 2 MiB: as much as 65,536 entries that come at once.
    let tiles: Vec<_> = (0..=255).map(|n| tile(id(0, n), 256, u8::try_from(n).unwrap_or(0))).collect();
    grow(store, growth(0, 65_536, tiles.clone())).await;
    let ids: Vec<_> = tiles.iter().map(|tile| tile.id).collect();
    let expected: Vec<_> = tiles.iter().map(|tile| Some(Hashes::of(tile))).collect();
    assert_eq!(tiles_of(store, &ids).await, expected);
}
