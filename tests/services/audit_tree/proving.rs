use alm_core::{
    Alm, Context, Error, Principal,
    domain::{Actor, AuditIndex, Grant, Role},
    ports::TileId,
    tlog::{entry_bytes, leaf_hash, verify_consistency, verify_inclusion},
};

use super::given::{admin, alm, checkpoints, entries, grown_in, read, record, tree_of, verifier};

#[tokio::test]
async fn every_entry_is_proved_to_be_in_every_tree_that_has_it() {
    let store = grown_in(&[1, 4, 250, 3]).await;
    let alm = alm(&store, tree_of(&store, 1));
    let checkpoints = checkpoints(store.as_ref()).await;
    for entry in entries(&store).await {
        for checkpoint in &checkpoints {
            let proof = alm.audit().tree().inclusion(&admin(), entry.index, Some(checkpoint.size)).await.unwrap();
            if entry.index.get() > checkpoint.size {
                assert_eq!(proof, None);
                continue;
            }
            let proof = proof.unwrap();
            let signed = read(checkpoint, &verifier(1));
            let leaf = leaf_hash(&entry_bytes(&entry));
            assert_eq!((proof.leaf, proof.size, proof.root), (leaf, signed.size(), signed.root()));
            verify_inclusion(entry.index.get() - 1, signed.size(), &leaf, &proof.hashes, &signed.root()).unwrap();
        }
    }
    // Unless a size is named, it is the newest.
    let proof = alm.audit().tree().inclusion(&admin(), AuditIndex::FIRST, None).await.unwrap().unwrap();
    assert_eq!(proof.size, 258);
}

#[tokio::test]
async fn every_tree_is_proved_to_begin_with_each_one_before_it() {
    let store = grown_in(&[1, 4, 250, 3, 300]).await;
    let alm = alm(&store, tree_of(&store, 1));
    let checkpoints: Vec<_> = checkpoints(store.as_ref()).await.iter().map(|kept| read(kept, &verifier(1))).collect();
    for from in &checkpoints {
        for to in &checkpoints {
            let proof = alm.audit().tree().consistency(&admin(), from.size(), Some(to.size())).await.unwrap();
            if from.size() > to.size() {
                assert_eq!(proof, None);
                continue;
            }
            let proof = proof.unwrap();
            assert_eq!((proof.from_root, proof.to_root), (from.root(), to.root()));
            verify_consistency(from.size(), &from.root(), to.size(), &to.root(), &proof.hashes).unwrap();
        }
    }
    assert_eq!(alm.audit().tree().consistency(&admin(), 1, Some(559)).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_not_signed_for_is_not_proved() {
    let store = grown_in(&[2]).await;
    record(&store, 1).await;
    let alm = alm(&store, tree_of(&store, 1));
    let tree = alm.audit();
    let tree = tree.tree();
    assert_eq!(tree.inclusion(&admin(), AuditIndex::new(3), None).await.unwrap(), None);
    assert_eq!(tree.inclusion(&admin(), AuditIndex::new(1), Some(3)).await.unwrap(), None);
    assert_eq!(tree.inclusion(&admin(), AuditIndex::new(0), None).await.unwrap(), None);
    assert_eq!(tree.inclusion(&admin(), AuditIndex::new(1), Some(0)).await.unwrap(), None);
    assert_eq!(tree.tile(&admin(), TileId { level: 0, index: 1 }).await.unwrap(), None);
    assert_eq!(tree.tile(&admin(), TileId { level: 0, index: 0 }).await.unwrap().unwrap().width(), 2);
    assert_eq!(tree.checkpoint(&admin()).await.unwrap().unwrap().size, 2);
}

#[tokio::test]
async fn proofs_are_for_those_who_may_read_the_log() {
    let store = grown_in(&[2]).await;
    let with_tree = alm(&store, tree_of(&store, 1));
    let user = Principal::new(Actor::parse("ada").unwrap(), Role::User);
    let (user, auditor) =
        (Context::new(user.clone()), Context::new(user.with_grants([&Grant::everywhere(Role::Auditor)])));
    let audit = with_tree.audit();
    assert!(audit.tree().checkpoint(&auditor).await.unwrap().is_some());
    let refused = [
        audit.tree().checkpoint(&user).await.unwrap_err(),
        audit.tree().inclusion(&user, AuditIndex::FIRST, None).await.unwrap_err(),
        audit.tree().consistency(&user, 1, None).await.unwrap_err(),
        audit.tree().tile(&user, TileId { level: 0, index: 0 }).await.unwrap_err(),
    ];
    assert!(refused.iter().all(|error| matches!(error, Error::Denied { .. })), "{refused:?}");

    let without = Alm::builder(store).build();
    assert!(matches!(without.audit().tree().checkpoint(&auditor).await, Err(Error::NotConfigured(_))));
}
