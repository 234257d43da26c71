use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use alm_core::{
    ports::{BackendError, CheckpointOutlet, Growth, KeptCheckpoint, KeptTile, TileId, TokioTimer, TreeStore},
    runtime::{IntegrationError, Integrator},
    services::AuditTree,
};
use alm_store_memory::MemoryStore;

use super::given::{
    Outlet, Shifting, alm, checkpoints, grown_in, integrator, read, record, signer, tree_of, verified, verifier,
};

#[tokio::test]
async fn all_that_is_recorded_is_signed_for() {
    let store = grown_in(&[1, 2, 300, 1, 2100]).await;
    let sizes: Vec<u64> = checkpoints(store.as_ref()).await.iter().map(|checkpoint| checkpoint.size).collect();
    // What came at once went in steps of a thousand.
    assert_eq!(sizes, [1, 3, 303, 304, 1304, 2304, 2404]);
    for checkpoint in checkpoints(store.as_ref()).await {
        assert_eq!(read(&checkpoint, &verifier(1)).size(), checkpoint.size);
    }
    let verification = verified(&store, &[]).await.unwrap();
    assert_eq!((verification.entries, verification.unsigned, verification.checkpoints), (2404, 0, 7));
    assert_eq!(verification.tampered, None);
}

#[tokio::test]
async fn a_log_without_anything_new_is_not_signed_again() {
    let store = grown_in(&[3]).await;
    assert_eq!(integrator(&store, 1).integrate().await.unwrap(), 0);
    assert_eq!(checkpoints(store.as_ref()).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_who_integrate_at_once_make_one_tree() {
    let store = Arc::new(MemoryStore::new());
    let running: Vec<_> = (0..4)
        .map(|_| {
            let (store, integrator) = (store.clone(), integrator(&store, 1));
            tokio::spawn(async move {
                let mut added = 0;
                for _ in 0..25 {
                    record(&store, 3).await;
                    added += integrator.integrate().await.unwrap();
                }
                added
            })
        })
        .collect();
    let mut added = 0;
    for task in running {
        added += task.await.unwrap();
    }
    added += integrator(&store, 1).integrate().await.unwrap();
    assert_eq!(added, 300);
    let verification = verified(&store, &[]).await.unwrap();
    assert_eq!((verification.entries, verification.unsigned, verification.tampered), (300, 0, None));
}

#[tokio::test]
async fn nothing_is_signed_on_top_of_another_tree() {
    let store = grown_in(&[300]).await;
    // Whoever has the database, but not the key, puts another tile in place.
    let mut tiles = store.tiles(&[TileId { level: 0, index: 1 }]).await.unwrap();
    let mut hashes = tiles.pop().unwrap().unwrap();
    hashes[7] ^= 1;
    let checkpoint = store.newest_checkpoint().await.unwrap().unwrap();
    let tile = KeptTile { id: TileId { level: 0, index: 1 }, hashes };
    store.grow(Growth { from: 300, tiles: vec![tile], checkpoint }).await.unwrap();
    record(&store, 1).await;
    let error = integrator(&store, 1).integrate().await.unwrap_err();
    assert!(matches!(error, IntegrationError::Tree { size: 300 }), "{error:?}");
    assert!(error.is_tampering());
    assert_eq!(store.newest_checkpoint().await.unwrap().unwrap().size, 300);
}

#[tokio::test]
async fn nothing_is_signed_on_top_of_what_another_key_has_signed() {
    let store = grown_in(&[3]).await;
    record(&store, 1).await;
    let error = integrator(&store, 2).integrate().await.unwrap_err();
    assert!(matches!(error, IntegrationError::Checkpoint { size: 3, .. }), "{error:?}");

    // Unless that was the key before.
    let tree = tree_of(&store, 2).trusting(verifier(1));
    assert_eq!(Integrator::of(&alm(&store, tree)).unwrap().integrate().await.unwrap(), 1);
    let newest = store.newest_checkpoint().await.unwrap().unwrap();
    assert_eq!(read(&newest, signer(2).verifier()).size(), 4);
}

#[tokio::test]
async fn nothing_is_signed_once_the_tree_was_taken_back() {
    let store = Arc::new(MemoryStore::new());
    let tree = Arc::new(Shifting::default());
    let integrator = Integrator::of(&alm(&store, AuditTree::new(tree.clone(), signer(1)))).unwrap();
    record(&store, 3).await;
    integrator.integrate().await.unwrap();
    let before = tree.now();
    record(&store, 2).await;
    integrator.integrate().await.unwrap();
    // Whoever has the database brings back what it was, and more comes.
    tree.is_now(before);
    record(&store, 1).await;
    let error = integrator.integrate().await.unwrap_err();
    assert!(matches!(error, IntegrationError::RolledBack { size: 3, signed: 5 }), "{error:?}");
    // Or makes the tree anew.
    tree.is_now(Arc::new(MemoryStore::new()));
    assert!(integrator.integrate().await.unwrap_err().is_tampering());
    assert_eq!(tree.newest_checkpoint().await.unwrap(), None);
}

#[tokio::test]
async fn what_someone_else_has_put_in_as_a_checkpoint_does_not_leave_the_store() {
    let store = grown_in(&[3]).await;
    let outlet = Arc::new(Outlet::default());
    let integrator = Integrator::of(&alm(&store, tree_of(&store, 1).publishing(outlet.clone()))).unwrap();
    let mut forged = store.newest_checkpoint().await.unwrap().unwrap();
    (forged.size, forged.note) = (1 << 60, "from the database\n".to_owned());
    store.grow(Growth { from: 3, tiles: Vec::new(), checkpoint: forged }).await.unwrap();
    assert!(integrator.integrate().await.unwrap_err().is_tampering());
    integrator.let_out_to(outlet.as_ref(), &mut None).await.unwrap();
    assert!(outlet.sizes().is_empty());
}

#[tokio::test]
async fn each_checkpoint_leaves_the_store_and_what_could_not_leave_is_followed_by_a_newer_one() {
    let store = Arc::new(MemoryStore::new());
    let outlet = Outlet::default();
    let integrator = integrator(&store, 1);
    let mut has = None;
    record(&store, 2).await;
    integrator.integrate().await.unwrap();
    integrator.let_out_to(&outlet, &mut has).await.unwrap();
    integrator.let_out_to(&outlet, &mut has).await.unwrap();
    assert_eq!(outlet.sizes(), [2], "once");
    outlet.fails.store(true, Ordering::Relaxed);
    record(&store, 2).await;
    integrator.integrate().await.unwrap();
    assert!(integrator.let_out_to(&outlet, &mut has).await.is_err());
    outlet.fails.store(false, Ordering::Relaxed);
    record(&store, 1).await;
    integrator.integrate().await.unwrap();
    integrator.let_out_to(&outlet, &mut has).await.unwrap();
    assert_eq!(outlet.sizes(), [2, 5]);
    assert_eq!(has, store.newest_checkpoint().await.unwrap());
}

#[tokio::test]
async fn an_outlet_that_hangs_keeps_nothing_from_being_signed() {
    struct Hanging;

    #[async_trait::async_trait]
    impl CheckpointOutlet for Hanging {
        async fn publish(&self, _: &KeptCheckpoint) -> Result<(), BackendError> {
            std::future::pending().await
        }
    }

    let store = Arc::new(MemoryStore::new());
    let outlet = Arc::new(Outlet::default());
    let tree = tree_of(&store, 1).publishing(Arc::new(Hanging)).publishing(outlet.clone());
    let integrator = Integrator::of(&alm(&store, tree)).unwrap();
    let running = tokio::spawn(async move { integrator.run(&TokioTimer).await });
    for size in 1..=3 {
        record(&store, 1).await;
        let signed = async {
            while outlet.sizes().last() != Some(&size) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), signed).await.expect("it is signed for");
    }
    running.abort();
}
