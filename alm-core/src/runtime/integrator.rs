//! The integrator: every entry of the audit log becomes a leaf of the tree over it, and what the tree is then is signed.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures_util::{
    FutureExt,
    future::{join, join_all},
};
use tokio::sync::watch;

use crate::{
    changeset::ConsumerName,
    domain::AuditIndex,
    measured::audit_log_is_tampered_with,
    ports::{
        BackendError, BackendErrorKind, CheckpointOutlet, Contention, Growth, KeptCheckpoint, KeptTile, StoreError,
        Timer,
    },
    services::{Alm, AuditTree, KeptError, entries_behind},
    tlog::{Hash, Tiles, TreeError, append, entry_bytes, leaf_hash, root, tiles_for_append},
};

use super::{backoff::Backoff, consumer::panicked, role::in_turn, turn::yield_now};

/// How many entries are added at once, so that no one waits long for the store.
const BATCH: usize = 1000;
/// How often new entries are looked for. Two looks and what they take are well below the second in which an entry must be signed for.
const LOOK: Duration = Duration::from_millis(300);

/// Grows and signs the tree over the audit log, if there is one, whenever no other process on this store does.
pub(super) async fn prove(alm: &Alm, timer: &dyn Timer) {
    if let Some(integrator) = Integrator::of(alm) {
        let role = ConsumerName::built_in("audit-tree");
        in_turn(alm, &role, "signs the audit log", timer, || integrator.run(timer)).await;
    }
}

/// Why the tree does not grow.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntegrationError {
    /// The newest checkpoint is not signed by a key that is trusted, or is none.
    #[error("the newest checkpoint of the audit log, of size {size}, can't be trusted")]
    Checkpoint {
        /// Of how many entries it tells.
        size: u64,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The tiles are not those that were signed for.
    #[error("the tree over the audit log is not the one that was signed at size {size}")]
    Tree {
        /// How many entries it was signed for.
        size: u64,
    },
    /// Tiles are missing, or are no tiles.
    #[error("the tree over the audit log can't be read at size {size}")]
    Tiles {
        /// How many entries it has.
        size: u64,
        /// What is wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The entries do not follow on each other: one is not there and later ones are, or one is there twice.
    #[error("what follows in the audit log is not entry {missing}")]
    Gap {
        /// The index at which there is none.
        missing: AuditIndex,
    },
    /// The tree is smaller than it was when this process signed it. After a failover of the database that lost its last commits it may
    /// be; a server that is started anew goes on from what is there.
    #[error("the tree over the audit log has {size} entries, and {signed} were signed for")]
    RolledBack {
        /// How many entries it has.
        size: u64,
        /// How many it had.
        signed: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IntegrationError {
    /// Whether someone must have touched what is kept: no fault of a store or a program does that.
    pub fn is_tampering(&self) -> bool {
        match self {
            Self::Checkpoint { .. }
            | Self::Tree { .. }
            | Self::Tiles { .. }
            | Self::Gap { .. }
            | Self::RolledBack { .. } => true,
            // What can't be read was written by someone else.
            Self::Store(StoreError::Backend(fault)) => fault.kind == BackendErrorKind::Corrupt,
            Self::Store(_) => false,
        }
    }
}

/// Adds what is new in the audit log to the tree over it. [`Alm::run`] does it all the time, in one process of those on one store.
pub struct Integrator {
    alm: Alm,
    tree: AuditTree,
    /// The newest checkpoint that this process has signed, or has found to be right.
    right: watch::Sender<Option<Right>>,
}

#[derive(Clone)]
struct Right {
    kept: KeptCheckpoint,
    root: Hash,
}

impl Integrator {
    /// The integrator of `alm`, `None` when no tree is [plugged in](crate::AlmBuilder::audit_tree).
    pub fn of(alm: &Alm) -> Option<Self> {
        let tree = alm.inner.audit_tree.clone()?;
        Some(Self { alm: alm.clone(), tree, right: watch::Sender::default() })
    }

    /// Integrates for ever, and gives each outlet what it lacks.
    pub async fn run(&self, timer: &dyn Timer) {
        // An outlet that hangs must not keep anything from being signed.
        let letting_out =
            join_all(self.tree.outlets.iter().map(|outlet| self.keep_letting_out(outlet.as_ref(), timer)));
        join(self.keep_integrating(timer), letting_out).await;
    }

    async fn keep_integrating(&self, timer: &dyn Timer) {
        let mut backoff = Backoff::default();
        let mut was_tampered_with = false;
        loop {
            // A bug in a store must not stop the others.
            let caught = AssertUnwindSafe(self.integrate()).catch_unwind().await;
            let integrated = caught.unwrap_or_else(|panic| Err(panicked("store", "integrate", panic.as_ref()).into()));
            let pause = match integrated {
                Ok(_) => {
                    backoff.reset();
                    // What someone else has found it does not take back.
                    if std::mem::take(&mut was_tampered_with) {
                        audit_log_is_tampered_with(false);
                    }
                    LOOK
                }
                Err(error) => {
                    let delay = backoff.next(self.alm.random());
                    let (tampering, error) = (error.is_tampering(), &error as &dyn std::error::Error);
                    if tampering {
                        was_tampered_with = true;
                        audit_log_is_tampered_with(true);
                        tracing::error!(error, "the audit log was tampered with: no checkpoint is signed any more");
                    } else {
                        tracing::warn!(error, ?delay, "integration of the audit log waits");
                    }
                    delay
                }
            };
            timer.sleep(pause).await;
        }
    }

    async fn keep_letting_out(&self, outlet: &dyn CheckpointOutlet, timer: &dyn Timer) {
        let (mut has, mut backoff) = (None, Backoff::default());
        let mut right = self.right.subscribe();
        loop {
            match self.let_out_to(outlet, &mut has).await {
                Ok(()) => {
                    backoff.reset();
                    // It is never closed: this has the other end.
                    drop(right.changed().await);
                }
                Err(error) => {
                    let delay = backoff.next(self.alm.random());
                    tracing::warn!(error = &error as &dyn std::error::Error, ?delay, "a checkpoint is not let out");
                    timer.sleep(delay).await;
                }
            }
        }
    }

    /// Gives an outlet the newest checkpoint that is known to be right, unless it is what it `has`.
    ///
    /// # Errors
    /// The outlet failed.
    pub async fn let_out_to(
        &self,
        outlet: &dyn CheckpointOutlet,
        has: &mut Option<KeptCheckpoint>,
    ) -> Result<(), BackendError> {
        let newest = self.right.borrow().as_ref().map(|right| right.kept.clone());
        if let Some(newest) = newest
            && has.as_ref() != Some(&newest)
        {
            outlet.publish(&newest).await?;
            *has = Some(newest);
        }
        Ok(())
    }

    /// Adds all that is new, in small steps, each with a checkpoint of its own; says how many entries that were.
    ///
    /// # Errors
    /// What was added before stays.
    pub async fn integrate(&self) -> Result<u64, IntegrationError> {
        let mut added = 0;
        loop {
            let step = self.step().await?;
            added += step as u64;
            if step < BATCH {
                return Ok(added);
            }
            yield_now().await;
        }
    }

    async fn step(&self) -> Result<usize, IntegrationError> {
        let newest = self.tree.store.newest_checkpoint().await?;
        let size = newest.as_ref().map_or(0, |newest| newest.size);
        let known = self.right.borrow().clone();
        if let Some(known) = &known
            && size < known.kept.size
        {
            return Err(IntegrationError::RolledBack { size, signed: known.kept.size });
        }
        let leaves = self.leaves_after(size).await?;
        let is_known = newest.as_ref() == known.as_ref().map(|known| &known.kept);
        if leaves.is_empty() && is_known {
            return Ok(0);
        }
        let tiles = self.tiles(size).await?;
        if let Some(newest) = newest {
            let root = self.examine(&newest, &tiles)?;
            if known.is_some_and(|known| known.kept.size == size && known.root != root) {
                return Err(IntegrationError::Tree { size });
            }
            self.right.send_replace(Some(Right { kept: newest, root }));
        }
        if leaves.is_empty() {
            return Ok(0);
        }
        let unreadable = |error: TreeError| IntegrationError::Tiles { size, source: error.into() };
        let grown = append(size, &tiles, &leaves).map_err(unreadable)?;
        let note =
            self.tree.sign(grown.size, grown.root).map_err(|source| IntegrationError::Checkpoint { size, source })?;
        let kept = KeptCheckpoint { size: grown.size, at: self.alm.now(), note };
        let tiles = grown.tiles.into_iter().map(|(id, tile)| KeptTile { id, hashes: tile.to_bytes() }).collect();
        match self.tree.store.grow(Growth { from: size, tiles, checkpoint: kept.clone() }).await {
            Ok(()) => {
                tracing::info!(size = grown.size, root = %grown.root, note = ?kept.note, "checkpoint of the audit log");
                self.right.send_replace(Some(Right { kept, root: grown.root }));
                Ok(leaves.len())
            }
            // The role has two holders for a moment, or an earlier try was kept after all.
            Err(StoreError::Conflict(Contention::Tree { .. })) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// The hashes of the entries behind the first `size`.
    async fn leaves_after(&self, size: u64) -> Result<Vec<Hash>, IntegrationError> {
        let entries = entries_behind(self.alm.inner.store.as_ref(), size, BATCH).await?;
        let mut leaves = Vec::with_capacity(entries.len());
        for (entry, index) in entries.iter().zip(size + 1..) {
            if entry.index.get() != index {
                return Err(IntegrationError::Gap { missing: AuditIndex::new(index) });
            }
            leaves.push(leaf_hash(&entry_bytes(entry)));
        }
        Ok(leaves)
    }

    /// The tiles at the right edge of the tree.
    async fn tiles(&self, size: u64) -> Result<Tiles, IntegrationError> {
        let kept = self.tree.kept(&tiles_for_append(size)).await;
        kept.map_err(|error| match error {
            KeptError::Store(error) => error.into(),
            KeptError::Tile(error) => IntegrationError::Tiles { size, source: error.into() },
        })
    }

    /// Makes sure that nothing is signed on top of what was not; gives the root that was signed.
    fn examine(&self, newest: &KeptCheckpoint, tiles: &Tiles) -> Result<Hash, IntegrationError> {
        let size = newest.size;
        let signed = self.tree.read(newest).map_err(|source| IntegrationError::Checkpoint { size, source })?;
        let found = root(size, tiles).map_err(|error| IntegrationError::Tiles { size, source: error.into() })?;
        if signed.root() == found { Ok(found) } else { Err(IntegrationError::Tree { size }) }
    }
}

impl std::fmt::Debug for Integrator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Integrator").finish_non_exhaustive()
    }
}
