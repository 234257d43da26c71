//! The integrator: every entry of the audit log becomes a leaf of the tree over it, and what the tree is then is signed.

use std::{
    panic::AssertUnwindSafe,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures_util::FutureExt;

use crate::{
    domain::AuditIndex,
    ports::{AuditFilter, Contention, Growth, KeptCheckpoint, KeptTile, StoreError, Timer},
    services::{Alm, AuditTree, KeptError},
    tlog::{Hash, Tiles, TreeError, append, entry_bytes, leaf_hash, root, tiles_for_append},
};

use super::{backoff::Backoff, consumer::panicked, turn::yield_now};

/// How many entries are added at once, so that no one waits long for the store.
const BATCH: usize = 1000;
/// How often new entries are looked for. Two looks and what they take are well below the second in which an entry must be signed for.
const LOOK: Duration = Duration::from_millis(300);

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
    /// An entry is not there.
    #[error("the audit log has no entry {missing}, but later ones")]
    Gap {
        /// The index at which there is none.
        missing: AuditIndex,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IntegrationError {
    /// Whether someone must have touched what is kept: no fault of a store or a program does that.
    pub fn is_tampering(&self) -> bool {
        match self {
            Self::Checkpoint { .. } | Self::Tree { .. } | Self::Tiles { .. } | Self::Gap { .. } => true,
            Self::Store(_) => false,
        }
    }
}

/// Adds what is new in the audit log to the tree over it. [`Alm::run`] does it all the time, in one process of those on one store.
pub struct Integrator {
    alm: Alm,
    tree: AuditTree,
    /// The size of the last checkpoint that all outlets have.
    let_out: AtomicU64,
}

impl Integrator {
    /// The integrator of `alm`, `None` when no tree is [plugged in](crate::AlmBuilder::audit_tree).
    pub fn of(alm: &Alm) -> Option<Self> {
        let tree = alm.inner.audit_tree.clone()?;
        Some(Self { alm: alm.clone(), tree, let_out: AtomicU64::new(0) })
    }

    /// Integrates for ever.
    pub async fn run(&self, timer: &dyn Timer) {
        let mut backoff = Backoff::default();
        loop {
            // A bug in a store must not stop the others.
            let caught = AssertUnwindSafe(self.integrate()).catch_unwind().await;
            let integrated = caught.unwrap_or_else(|panic| Err(panicked("store", "integrate", panic.as_ref()).into()));
            let pause = match integrated {
                Ok(_) => {
                    backoff.reset();
                    LOOK
                }
                Err(error) => {
                    let delay = backoff.next(self.alm.random());
                    let (tampering, error) = (error.is_tampering(), &error as &dyn std::error::Error);
                    if tampering {
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
        if let Some(newest) = &newest {
            self.let_out(newest).await;
        }
        let size = newest.as_ref().map_or(0, |newest| newest.size);
        let leaves = self.leaves_after(size).await?;
        if leaves.is_empty() {
            return Ok(0);
        }
        let tiles = self.tiles(size).await?;
        if let Some(newest) = newest {
            self.examine(&newest, &tiles)?;
        }
        let unreadable = |error: TreeError| IntegrationError::Tiles { size, source: error.into() };
        let grown = append(size, &tiles, &leaves).map_err(unreadable)?;
        let note =
            self.tree.sign(grown.size, grown.root).map_err(|source| IntegrationError::Checkpoint { size, source })?;
        let checkpoint = KeptCheckpoint { size: grown.size, at: self.alm.now(), note };
        let tiles = grown.tiles.into_iter().map(|(id, tile)| KeptTile { id, hashes: tile.to_bytes() }).collect();
        let growth = Growth { from: size, tiles, checkpoint: checkpoint.clone() };
        match self.tree.store.grow(growth).await {
            Ok(()) => {
                tracing::info!(size = grown.size, root = %grown.root, note = ?checkpoint.note, "checkpoint of the audit log");
                self.let_out(&checkpoint).await;
                Ok(leaves.len())
            }
            // The role has two holders for a moment, or an earlier try was kept after all.
            Err(StoreError::Conflict(Contention::Tree { .. })) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// The hashes of the entries behind the first `size`.
    async fn leaves_after(&self, size: u64) -> Result<Vec<Hash>, IntegrationError> {
        let after = (size > 0).then_some(AuditIndex::new(size));
        let entries = self.alm.inner.store.audit_entries(&AuditFilter::default(), after, BATCH).await?;
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

    /// Makes sure that nothing is signed on top of what was not.
    fn examine(&self, newest: &KeptCheckpoint, tiles: &Tiles) -> Result<(), IntegrationError> {
        let size = newest.size;
        let signed = self.tree.read(newest).map_err(|source| IntegrationError::Checkpoint { size, source })?;
        let found = root(size, tiles).map_err(|error| IntegrationError::Tiles { size, source: error.into() })?;
        if signed.root() == found { Ok(()) } else { Err(IntegrationError::Tree { size }) }
    }

    /// Gives a checkpoint to all outlets, unless they have had it. What can't be given now is given at the next look, or a newer one.
    async fn let_out(&self, checkpoint: &KeptCheckpoint) {
        if self.let_out.load(Ordering::Relaxed) >= checkpoint.size {
            return;
        }
        let mut all = true;
        for outlet in &self.tree.outlets {
            if let Err(error) = outlet.publish(checkpoint).await {
                all = false;
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    size = checkpoint.size,
                    "a checkpoint is not let out"
                );
            }
        }
        if all {
            self.let_out.store(checkpoint.size, Ordering::Relaxed);
        }
    }
}

impl std::fmt::Debug for Integrator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Integrator").finish_non_exhaustive()
    }
}
