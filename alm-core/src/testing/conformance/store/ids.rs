//! Ids: none is given twice.

use std::collections::BTreeSet;

use crate::{
    ports::{Sequence, Store},
    testing::conformance::{StoreCapability, must::Must},
};

use super::{
    given::{Handle, at_once},
    subject::Subject,
};

/// The sequences of what the store keeps.
pub(super) fn sequences(subject: &Subject) -> Vec<Sequence> {
    let all = [
        (StoreCapability::Apps, Sequence::Apps),
        (StoreCapability::Versions, Sequence::Versions),
        (StoreCapability::Deployments, Sequence::Deployments),
    ];
    all.into_iter().filter(|(needed, _)| subject.can(*needed)).map(|(_, sequence)| sequence).collect()
}

/// Takes a few blocks of different sizes; gives all the ids.
pub(super) async fn take(store: &dyn Store, sequence: Sequence) -> Vec<i64> {
    let mut ids = Vec::new();
    for count in [1, 2, 7, 64] {
        let block = store.allocate(sequence, count).await.must("take ids");
        assert_eq!(block.count, count, "as many as were asked for");
        assert!(block.first > 0, "ids are positive");
        ids.extend((block.first..).take(count as usize));
    }
    ids
}

/// Fails unless all ids are different.
pub(super) fn assert_different(ids: &[i64]) {
    let different: BTreeSet<_> = ids.iter().collect();
    assert_eq!(different.len(), ids.len(), "an id was given twice: {ids:?}");
}

pub(super) async fn later_ids_are_higher(subject: Subject) {
    for sequence in sequences(&subject) {
        let ids = take(subject.store().as_ref(), sequence).await;
        assert!(ids.is_sorted(), "ids that were taken later are lower: {ids:?}");
    }
}

pub(super) async fn no_id_is_given_twice(subject: Subject) {
    for sequence in sequences(&subject) {
        let taking = |store: Handle| async move { take(store.as_ref(), sequence).await };
        let taken = at_once((0..8).map(|_| taking(subject.store()))).await;
        assert_different(&taken.concat());
    }
}
