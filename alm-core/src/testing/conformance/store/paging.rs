//! Lists: their order, their bounds and their pages.

use std::fmt::Debug;

use futures_util::future::BoxFuture;

use crate::{ports::StoreError, testing::conformance::must::Must};

use super::look::ALL;

/// One page of a list.
pub(super) type Page<'a, T> = BoxFuture<'a, Result<Vec<T>, StoreError>>;

/// What a list is made of.
pub(super) trait Item: Debug + PartialEq + Send + Sync {}

impl<T: Debug + PartialEq + Send + Sync> Item for T {}

/// What a list is in the order of.
pub(super) trait Key: Clone + Debug + Ord + Send + Sync {}

impl<K: Clone + Debug + Ord + Send + Sync> Key for K {}

/// All of a list, read by pages of `limit`; `read` gives the page after a key.
pub(super) async fn pages<'a, T: Item, K: Key>(
    limit: usize,
    key: fn(&T) -> K,
    read: impl Fn(Option<K>, usize) -> Page<'a, T> + Send + Sync,
) -> Vec<T> {
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = read(after.clone(), limit).await.must("read a page of a list");
        assert!(page.len() <= limit, "a page with a limit of {limit} has {} items", page.len());
        if page.is_empty() {
            return seen;
        }
        for item in &page {
            let key = key(item);
            assert!(after.as_ref().is_none_or(|after| *after < key), "{key:?} is listed after {after:?}");
            after = Some(key);
        }
        seen.extend(page);
    }
}

// First the keys, then one item after the other: a difference between whole lists is hard to find.
fn is_same<T: Item, K: Key>(what: &str, found: &[T], expected: &[T], key: fn(&T) -> K) {
    let keys = |items: &[T]| items.iter().map(key).collect::<Vec<_>>();
    assert_eq!(keys(found), keys(expected), "the keys of {what}");
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found, expected, "an item of {what}");
    }
}

/// Checks that a list is just `expected`, at once and by pages.
pub(super) async fn is_found<'a, T: Item, K: Key>(
    what: &str,
    expected: &[T],
    key: fn(&T) -> K,
    read: impl Fn(Option<K>, usize) -> Page<'a, T> + Send + Sync,
) {
    is_same(&format!("the list of {what}"), &read(None, ALL).await.must("read a list"), expected, key);
    is_same(&format!("the list of {what}, by pages of 3"), &pages(3, key, read).await, expected, key);
}

/// Checks that a list is just `expected`: by pages of many sizes, and after each of its keys.
pub(super) async fn is_listed<'a, T: Item, K: Key>(
    what: &str,
    expected: &[T],
    key: fn(&T) -> K,
    read: impl Fn(Option<K>, usize) -> Page<'a, T> + Send + Sync,
) {
    let first = |items: usize| &expected[..expected.len().min(items)];
    for limit in [1, 2, 3, expected.len(), expected.len() + 1, ALL, usize::MAX] {
        // Whoever reads a page takes one that is not full for the last.
        let page = read(None, limit).await.must("read the first page of a list");
        is_same(&format!("the first page of {what}, with a limit of {limit}"), &page, first(limit), key);
        if limit > 0 {
            is_same(&format!("{what}, by pages of {limit}"), &pages(limit, key, &read).await, expected, key);
        }
    }
    assert_eq!(read(None, 0).await.must("read a list with a limit of 0"), [], "a limit of 0");
    for (place, item) in expected.iter().enumerate() {
        let (after, rest) = (key(item), &expected[place + 1..]);
        let page = read(Some(after.clone()), 2).await.must("read a page of a list");
        is_same(&format!("{what}, the two after {after:?}"), &page, &rest[..rest.len().min(2)], key);
    }
}
