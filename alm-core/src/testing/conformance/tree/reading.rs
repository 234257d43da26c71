//! What was kept comes back.

use crate::testing::conformance::must::Must;

use super::{
    given::{Hashes, checkpoints, grow, growth, id, signed, size, tile, tile_of, tiles_of},
    subject::Subject,
};

pub(super) async fn a_tree_that_has_never_grown_is_empty(subject: Subject) {
    let store = subject.store();
    let store = store.as_ref();
    assert_eq!(store.newest_checkpoint().await.must("read the newest checkpoint"), None);
    assert_eq!(checkpoints(store).await, []);
    assert_eq!(tile_of(store, id(0, 0)).await, None);
    assert_eq!(tiles_of(store, &[]).await, []);
}

pub(super) async fn tiles_read_back_as_they_were_grown(subject: Subject) {
    let store = subject.store();
    let store = store.as_ref();
    // The last index is that of the first tile of a tree with 2⁶³ - 1 entries.
    let last = (u64::try_from(i64::MAX).unwrap_or(0)) / 256;
    let tiles = vec![tile(id(0, 0), 256, 1), tile(id(0, 1), 1, 2), tile(id(1, 0), 1, 3), tile(id(7, last), 255, 4)];
    grow(store, growth(0, 257, tiles.clone())).await;
    // In the order in which they are asked for, twice too.
    let asked = [id(7, last), id(0, 1), id(0, 2), id(1, 0), id(2, 0), id(0, 0), id(0, 1)];
    let hashes = |n: usize| Some(Hashes::of(&tiles[n]));
    let expected = vec![hashes(3), hashes(1), None, hashes(2), None, hashes(0), hashes(1)];
    assert_eq!(tiles_of(store, &asked).await, expected);
    assert_eq!(store.newest_checkpoint().await.must("read the newest checkpoint"), Some(signed(257)));
}

pub(super) async fn a_tile_is_as_it_was_grown_last(subject: Subject) {
    let store = subject.store();
    let store = store.as_ref();
    grow(store, growth(0, 3, vec![tile(id(0, 0), 3, 1), tile(id(1, 0), 1, 2)])).await;
    grow(store, growth(3, 256, vec![tile(id(0, 0), 256, 1)])).await;
    assert_eq!(tile_of(store, id(0, 0)).await, Some(Hashes::of(&tile(id(0, 0), 256, 1))));
    assert_eq!(tile_of(store, id(1, 0)).await, Some(Hashes::of(&tile(id(1, 0), 1, 2))), "it was not grown again");
}

pub(super) async fn checkpoints_are_listed_by_size_in_pages(subject: Subject) {
    let store = subject.store();
    let store = store.as_ref();
    let sizes = [1, 9, 10, 11, 99, 100, 1_000_000_007, u64::try_from(i64::MAX).unwrap_or(0)];
    for (from, to) in [0].into_iter().chain(sizes).zip(sizes) {
        grow(store, growth(from, to, vec![tile(id(0, 0), 1, 0)])).await;
    }
    let all: Vec<_> = sizes.into_iter().map(signed).collect();
    assert_eq!(checkpoints(store).await, all);
    let (mut after, mut paged) = (0, Vec::new());
    loop {
        let page = store.checkpoints(after, 3).await.must("list checkpoints");
        assert!(page.len() <= 3, "a page has at most as many as were asked for");
        let Some(last) = page.last() else { break };
        after = last.size;
        paged.extend(page);
        assert!(paged.len() <= all.len(), "a page begins behind the one before it");
    }
    assert_eq!(paged, all);
    assert_eq!(store.checkpoints(10, 1).await.must("list checkpoints"), [signed(11)]);
    assert_eq!(store.checkpoints(0, 0).await.must("list no checkpoints"), []);
}

pub(super) async fn a_growth_is_seen_through_every_handle(subject: Subject) {
    let (one, other) = (subject.store(), subject.another_handle().await);
    grow(one.as_ref(), growth(0, 1, vec![tile(id(0, 0), 1, 1)])).await;
    assert_eq!(tile_of(other.as_ref(), id(0, 0)).await, Some(Hashes::of(&tile(id(0, 0), 1, 1))));
    grow(other.as_ref(), growth(1, 2, vec![tile(id(0, 0), 2, 1)])).await;
    assert_eq!(tile_of(one.as_ref(), id(0, 0)).await, Some(Hashes::of(&tile(id(0, 0), 2, 1))));
    assert_eq!(size(one.as_ref()).await, 2);
}

pub(super) async fn a_tree_survives_a_restart(mut subject: Subject) {
    let store = subject.store();
    grow(store.as_ref(), growth(0, 5, vec![tile(id(0, 0), 5, 1)])).await;
    drop(store);
    let store = subject.reopen().await;
    let store = store.as_ref();
    assert_eq!(tile_of(store, id(0, 0)).await, Some(Hashes::of(&tile(id(0, 0), 5, 1))));
    assert_eq!(checkpoints(store).await, [signed(5)]);
    grow(store, growth(5, 6, vec![tile(id(0, 0), 6, 1)])).await;
    assert_eq!(size(store).await, 6);
}
