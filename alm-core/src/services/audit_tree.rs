//! The tree over the audit log: where it is kept, who signs it, and what it shows.

use std::{error::Error as StdError, fmt, sync::Arc};

use crate::{
    domain::{AuditEntry, AuditIndex, Subject},
    policy::Action,
    ports::{AuditFilter, BackendError, CheckpointOutlet, KeptCheckpoint, Store, StoreError, TileId, TreeStore},
    tlog::{
        Checkpoint, Hash, Signer, Tile, TileError, Tiles, TreeError, Verifier, entry_bytes, leaf_hash,
        prove_consistency, prove_inclusion, root, tiles_for_consistency, tiles_for_inclusion, tiles_for_root,
    },
};

use super::{Alm, Context, Error};

/// What lets the audit log be proved: a store of the tree over it, and a key to sign it with. Plugged in by
/// [`AlmBuilder::audit_tree`](crate::AlmBuilder::audit_tree).
#[derive(Clone)]
#[must_use]
pub struct AuditTree {
    pub(crate) store: Arc<dyn TreeStore>,
    signer: Arc<Signer>,
    verifiers: Arc<Vec<Verifier>>,
    pub(crate) outlets: Vec<Arc<dyn CheckpointOutlet>>,
}

impl AuditTree {
    /// A tree that is kept in `store`, which must be that of the audit log, and signed by `signer`. The signer's name is the origin
    /// of the checkpoints: it belongs to this log alone and never changes, also when the key does.
    pub fn new(store: Arc<dyn TreeStore>, signer: Signer) -> Self {
        let verifiers = Arc::new(vec![signer.verifier().clone()]);
        Self { store, signer: Arc::new(signer), verifiers, outlets: Vec::new() }
    }

    /// Also trusts what was signed by an earlier key of this log.
    pub fn trusting(mut self, earlier: Verifier) -> Self {
        Arc::make_mut(&mut self.verifiers).push(earlier);
        self
    }

    /// Gives each new checkpoint to `outlet`, too. Whoever can write to the store can roll it back; what has left it stays.
    pub fn publishing(mut self, outlet: Arc<dyn CheckpointOutlet>) -> Self {
        self.outlets.push(outlet);
        self
    }

    /// The signed note of a tree of this size and root.
    pub(crate) fn sign(&self, size: u64, root: Hash) -> Result<String, Box<dyn StdError + Send + Sync>> {
        let checkpoint = Checkpoint::new(self.signer.verifier().name(), size, root)?;
        Ok(self.signer.sign(&checkpoint.to_string())?)
    }

    /// What a checkpoint says, if it is signed by a key of this log.
    pub(crate) fn read(&self, kept: &KeptCheckpoint) -> Result<Checkpoint, Box<dyn StdError + Send + Sync>> {
        let checkpoint = Checkpoint::open(&kept.note, &self.verifiers)?;
        if checkpoint.origin() != self.signer.verifier().name() || checkpoint.size() != kept.size {
            return Err("it is the checkpoint of another log or size".into());
        }
        Ok(checkpoint)
    }

    /// The tiles that are there of these.
    pub(crate) async fn kept(&self, ids: &[TileId]) -> Result<Tiles, KeptError> {
        let mut tiles = Tiles::new();
        for (id, hashes) in ids.iter().zip(self.store.tiles(ids).await?) {
            if let Some(hashes) = hashes {
                tiles.insert(*id, Tile::from_bytes(&hashes)?);
            }
        }
        Ok(tiles)
    }
}

impl fmt::Debug for AuditTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditTree").field("origin", &self.signer.verifier().name()).finish_non_exhaustive()
    }
}

/// The entries behind the first `size`, at most `limit`. The last of those before is read once more: when there are two with its index,
/// the second comes first here.
pub(crate) async fn entries_behind(store: &dyn Store, size: u64, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
    let before = size.checked_sub(1);
    let after = before.filter(|before| *before > 0).map(AuditIndex::new);
    let limit = limit + usize::from(before.is_some());
    let mut entries = store.audit_entries(&AuditFilter::default(), after, limit).await?;
    if entries.first().is_some_and(|first| first.index.get() == size) {
        entries.remove(0);
    }
    Ok(entries)
}

/// Tiles can't be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeptError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Tile(#[from] TileError),
}

/// That an entry stands in the audit log, which others can check who have a checkpoint of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof {
    /// The entry's index, from 1; its leaf is the one before, from 0.
    pub index: AuditIndex,
    /// The hash of its leaf.
    pub leaf: Hash,
    /// For how many entries the proof is.
    pub size: u64,
    /// The root of the tree of so many.
    pub root: Hash,
    /// The hashes beside the path from the leaf to the root, from the leaf up (RFC 6962, section 2.1.1).
    pub hashes: Vec<Hash>,
}

/// That an audit log begins with what it was before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyProof {
    /// The smaller size.
    pub from: u64,
    /// The root of the tree of so many entries.
    pub from_root: Hash,
    /// The greater size.
    pub to: u64,
    /// The root of the tree of so many entries.
    pub to_root: Hash,
    /// The proof (RFC 6962, section 2.1.2).
    pub hashes: Vec<Hash>,
}

/// What shows that no entry of the audit log was changed. Got from [`Audit::tree`](super::Audit::tree).
#[derive(Clone, Copy, Debug)]
pub struct Proofs<'a>(pub(super) &'a Alm);

impl Proofs<'_> {
    /// The newest checkpoint, for the host itself: no one is asked whether it may. `None` without a tree, too.
    ///
    /// # Errors
    /// Only [`StoreError::Backend`].
    pub async fn newest(&self) -> Result<Option<KeptCheckpoint>, StoreError> {
        match self.tree() {
            Ok(tree) => tree.store.newest_checkpoint().await,
            Err(_) => Ok(None),
        }
    }

    /// The newest checkpoint, `None` when no entry is signed for yet.
    ///
    /// # Errors
    /// Those of every use case, and [`Error::NotConfigured`] without a [tree](crate::AlmBuilder::audit_tree).
    pub async fn checkpoint(&self, cx: &Context) -> Result<Option<KeptCheckpoint>, Error> {
        self.0.authorize(cx, Action::GetAuditCheckpoint, Subject::Audit).await?;
        Ok(self.tree()?.store.newest_checkpoint().await?)
    }

    /// That the entry at `index` stands in the log of the first `size` entries, all that are signed for unless told; `None` when it
    /// does not, or not so many are signed for.
    ///
    /// # Errors
    /// Those of every use case, and [`Error::NotConfigured`] without a [tree](crate::AlmBuilder::audit_tree).
    pub async fn inclusion(
        &self,
        cx: &Context,
        index: AuditIndex,
        size: Option<u64>,
    ) -> Result<Option<InclusionProof>, Error> {
        self.0.authorize(cx, Action::GetAuditProof, Subject::Audit).await?;
        let tree = self.tree()?;
        let signed = self.signed(tree).await?;
        let size = size.unwrap_or(signed);
        let Some(leaf) = index.get().checked_sub(1).filter(|leaf| *leaf < size && size <= signed) else {
            return Ok(None);
        };
        let Some(entry) = self.0.inner.store.audit_entry(index).await? else { return Ok(None) };
        let mut needed = tiles_for_inclusion(leaf, size).map_err(corrupt)?;
        needed.extend(tiles_for_root(size));
        let tiles = tree.kept(&needed).await.map_err(unreadable)?;
        let hashes = prove_inclusion(leaf, size, &tiles).map_err(corrupt)?;
        let root = root(size, &tiles).map_err(corrupt)?;
        Ok(Some(InclusionProof { index, leaf: leaf_hash(&entry_bytes(&entry)), size, root, hashes }))
    }

    /// That the log of the first `to` entries, all that are signed for unless told, begins with that of the first `from`; `None` when
    /// not so many are signed for, or `from` is the greater one.
    ///
    /// # Errors
    /// Those of every use case, and [`Error::NotConfigured`] without a [tree](crate::AlmBuilder::audit_tree).
    pub async fn consistency(
        &self,
        cx: &Context,
        from: u64,
        to: Option<u64>,
    ) -> Result<Option<ConsistencyProof>, Error> {
        self.0.authorize(cx, Action::GetAuditConsistency, Subject::Audit).await?;
        let tree = self.tree()?;
        let signed = self.signed(tree).await?;
        let to = to.unwrap_or(signed);
        if from > to || to > signed {
            return Ok(None);
        }
        let mut needed = tiles_for_consistency(from, to).map_err(corrupt)?;
        needed.extend(tiles_for_root(from));
        needed.extend(tiles_for_root(to));
        let tiles = tree.kept(&needed).await.map_err(unreadable)?;
        Ok(Some(ConsistencyProof {
            from,
            from_root: root(from, &tiles).map_err(corrupt)?,
            to,
            to_root: root(to, &tiles).map_err(corrupt)?,
            hashes: prove_consistency(from, to, &tiles).map_err(corrupt)?,
        }))
    }

    /// A tile, as wide as it is when so many entries are signed for as are now; `None` when there is none.
    ///
    /// # Errors
    /// Those of every use case, and [`Error::NotConfigured`] without a [tree](crate::AlmBuilder::audit_tree).
    pub async fn tile(&self, cx: &Context, id: TileId) -> Result<Option<Tile>, Error> {
        self.0.authorize(cx, Action::GetAuditTile, Subject::Audit).await?;
        let tree = self.tree()?;
        let signed = self.signed(tree).await?;
        let tiles = tree.kept(&[id]).await.map_err(unreadable)?;
        let hashes = tiles.get(id).and_then(|tile| tile.hashes().get(..id.width_in(signed).into()));
        Ok(hashes.and_then(|hashes| Tile::new(hashes.to_vec()).ok()))
    }

    async fn signed(&self, tree: &AuditTree) -> Result<u64, Error> {
        Ok(tree.store.newest_checkpoint().await?.map_or(0, |newest| newest.size))
    }

    fn tree(&self) -> Result<&AuditTree, Error> {
        self.0.inner.audit_tree.as_ref().ok_or(Error::NotConfigured("a tree over its audit log"))
    }
}

/// The tree lacks what it must have.
fn corrupt(error: TreeError) -> Error {
    BackendError::corrupt("tlog", "prove").with_source(error).into()
}

fn unreadable(error: KeptError) -> Error {
    match error {
        KeptError::Store(error) => error.into(),
        KeptError::Tile(error) => BackendError::corrupt("tlog", "read a tile").with_source(error).into(),
    }
}
