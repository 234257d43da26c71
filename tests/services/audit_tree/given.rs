//! A store with an audit log, and the tree over it.

use std::sync::{Arc, Mutex};

use alm_core::{
    Alm, Context, Principal,
    changeset::{Change, Changeset},
    domain::{AuditEntry, NewAuditEntry},
    ports::{BackendError, Committer, Growth, KeptCheckpoint, KeptTile, Reader, StoreError, TileId, TreeStore},
    runtime::Integrator,
    services::{AuditTree, Verification, VerifyError, verify_audit},
    testing::fixtures::{entry, of, username},
    tlog::{Checkpoint, Signer, Verifier, open},
};
use alm_store_memory::MemoryStore;

const ORIGIN: &str = "alm.example/audit";

pub(super) fn signer(seed: u8) -> Signer {
    Signer::new(ORIGIN, &[seed; 32]).unwrap()
}

pub(super) fn verifier(seed: u8) -> Verifier {
    signer(seed).verifier().clone()
}

pub(super) fn tree_of(store: &Arc<MemoryStore>, seed: u8) -> AuditTree {
    AuditTree::new(store.clone(), signer(seed))
}

pub(super) fn alm(store: &Arc<MemoryStore>, tree: AuditTree) -> Alm {
    Alm::builder(store.clone()).audit_tree(tree).build()
}

pub(super) fn integrator(store: &Arc<MemoryStore>, seed: u8) -> Integrator {
    Integrator::of(&alm(store, tree_of(store, seed))).unwrap()
}

pub(super) fn admin() -> Context {
    Context::new(Principal::system())
}

/// A changeset that records this, without any other change but the event that it must have.
pub(super) fn recording(entry: NewAuditEntry) -> Changeset {
    of(Change::login_failed(&username("ada"))).recording(entry)
}

/// Records so many entries.
pub(super) async fn record(store: &MemoryStore, entries: usize) {
    for n in 0..entries {
        store.commit(recording(entry(&format!("entry {n}")))).await.unwrap();
    }
}

/// A log of as many entries as these together, integrated in these steps.
pub(super) async fn grown_in(steps: &[usize]) -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::new());
    let integrator = integrator(&store, 1);
    for step in steps {
        record(&store, *step).await;
        assert_eq!(integrator.integrate().await.unwrap(), *step as u64);
    }
    store
}

pub(super) async fn entries(store: &MemoryStore) -> Vec<AuditEntry> {
    store.audit_entries(&alm_core::ports::AuditFilter::default(), None, usize::MAX).await.unwrap()
}

pub(super) async fn checkpoints(store: &dyn TreeStore) -> Vec<KeptCheckpoint> {
    store.checkpoints(0, usize::MAX).await.unwrap()
}

/// What a checkpoint says, to whoever has the public key.
pub(super) fn read(kept: &KeptCheckpoint, verifier: &Verifier) -> Checkpoint {
    open(&kept.note, std::slice::from_ref(verifier)).unwrap().parse().unwrap()
}

/// What `server audit verify` does.
pub(super) async fn verified(store: &Arc<MemoryStore>, known: &[Checkpoint]) -> Result<Verification, VerifyError> {
    let mut source: &dyn alm_core::ports::Store = store.as_ref();
    verify_audit(&mut source, Some(store.as_ref()), &[verifier(1)], known, &mut |_| ()).await
}

/// Keeps all that it gets, unless it is told to fail.
#[derive(Default)]
pub(super) struct Outlet {
    pub(super) got: Mutex<Vec<KeptCheckpoint>>,
    pub(super) fails: std::sync::atomic::AtomicBool,
}

#[async_trait::async_trait]
impl alm_core::ports::CheckpointOutlet for Outlet {
    async fn publish(&self, checkpoint: &KeptCheckpoint) -> Result<(), BackendError> {
        if self.fails.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(BackendError::internal("outlet", "publish"));
        }
        self.got.lock().unwrap().push(checkpoint.clone());
        Ok(())
    }
}

impl Outlet {
    pub(super) fn sizes(&self) -> Vec<u64> {
        self.got.lock().unwrap().iter().map(|checkpoint| checkpoint.size).collect()
    }
}

/// A store of a tree that is another one from one moment to the next.
#[derive(Default)]
pub(super) struct Shifting(Mutex<Arc<MemoryStore>>);

impl Shifting {
    /// What it is now, as a copy.
    pub(super) fn now(&self) -> Arc<MemoryStore> {
        let store = self.0.lock().unwrap().clone();
        let copy = Arc::new(MemoryStore::new());
        let all = futures_util::FutureExt::now_or_never(async {
            let ids: Vec<_> = (0..=1).map(|level| TileId { level, index: 0 }).collect();
            let tiles = ids.iter().copied().zip(store.tiles(&ids).await?);
            let tiles = tiles.filter_map(|(id, hashes)| Some(KeptTile { id, hashes: hashes? })).collect();
            let checkpoint = store.newest_checkpoint().await?.expect("it has grown");
            copy.grow(Growth { from: 0, tiles, checkpoint }).await
        });
        all.expect("it is in memory").unwrap();
        copy
    }

    pub(super) fn is_now(&self, other: Arc<MemoryStore>) {
        *self.0.lock().unwrap() = other;
    }

    fn store(&self) -> Arc<MemoryStore> {
        self.0.lock().unwrap().clone()
    }
}

#[async_trait::async_trait]
impl TreeStore for Shifting {
    async fn tiles(&self, ids: &[TileId]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.store().tiles(ids).await
    }

    async fn newest_checkpoint(&self) -> Result<Option<KeptCheckpoint>, StoreError> {
        self.store().newest_checkpoint().await
    }

    async fn checkpoints(&self, after: u64, limit: usize) -> Result<Vec<KeptCheckpoint>, StoreError> {
        self.store().checkpoints(after, limit).await
    }

    async fn grow(&self, growth: Growth) -> Result<(), StoreError> {
        self.store().grow(growth).await
    }
}
