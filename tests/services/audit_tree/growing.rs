use std::sync::{Arc, atomic::Ordering};

use alm_core::{
    ports::{Growth, KeptTile, TileId, TreeStore},
    runtime::{IntegrationError, Integrator},
};
use alm_store_memory::MemoryStore;

use super::given::{Outlet, alm, checkpoints, grown_in, integrator, read, record, signer, tree_of, verified, verifier};

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
async fn each_checkpoint_leaves_the_store_and_what_could_not_leave_is_followed_by_a_newer_one() {
    let store = Arc::new(MemoryStore::new());
    let outlet = Arc::new(Outlet::default());
    let integrator = Integrator::of(&alm(&store, tree_of(&store, 1).publishing(outlet.clone()))).unwrap();
    let got = || outlet.got.lock().unwrap().iter().map(|checkpoint| checkpoint.size).collect::<Vec<_>>();
    record(&store, 2).await;
    integrator.integrate().await.unwrap();
    assert_eq!(got(), [2]);
    outlet.fails.store(true, Ordering::Relaxed);
    record(&store, 2).await;
    assert_eq!(integrator.integrate().await.unwrap(), 2, "what is signed is signed");
    outlet.fails.store(false, Ordering::Relaxed);
    assert_eq!(got(), [2]);
    integrator.integrate().await.unwrap();
    integrator.integrate().await.unwrap();
    assert_eq!(got(), [2, 4], "once");
    assert_eq!(outlet.got.lock().unwrap()[1], store.newest_checkpoint().await.unwrap().unwrap());
}
