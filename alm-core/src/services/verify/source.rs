//! The log, page by page, with the tiles that are kept of it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures_util::future::try_join;

use crate::{
    ports::{BackendErrorKind, Store, StoreError, TileId, TreeStore},
    tlog::{Hash, TILE_WIDTH, TreeError, entry_bytes},
};

use super::super::audit_tree::entries_behind;

/// How many entries are read at once: one may take a quarter of a megabyte, and two pages are in memory.
const PAGE: usize = 500;
const WIDTH: u64 = TILE_WIDTH as u64;

/// An entry as the leaf that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The index of the entry, from 1.
    pub index: u64,
    /// What is hashed: the [bytes](entry_bytes) of the entry.
    pub bytes: Vec<u8>,
}

/// Where the entries come from that are checked: a store, or an export of one.
#[async_trait]
pub trait AuditSource: Send {
    /// The entries with the indexes from `after + 1` on, at most `limit`; none when there are no more. They are asked for in order, each
    /// once, unless they could not be read.
    ///
    /// # Errors
    /// They can't be read.
    async fn leaves(&mut self, after: u64, limit: usize) -> Result<Vec<Leaf>, VerifyError>;
}

/// The entries of a store.
#[async_trait]
impl AuditSource for &dyn Store {
    async fn leaves(&mut self, after: u64, limit: usize) -> Result<Vec<Leaf>, VerifyError> {
        let entries = entries_behind(*self, after, limit).await?;
        Ok(entries.iter().map(|entry| Leaf { index: entry.index.get(), bytes: entry_bytes(entry) }).collect())
    }
}

/// Nothing can be said of the audit log, neither that it is whole nor that it is not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There are more entries than can be counted.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// What was exported can't be read.
    #[error("{0}")]
    Unreadable(String),
}

impl VerifyError {
    /// Whether what is kept can't be what ALM has written, whatever wrote it: that is no fault which passes.
    pub fn is_of_the_data(&self) -> bool {
        matches!(self, Self::Store(StoreError::Backend(fault)) if fault.kind == BackendErrorKind::Corrupt)
    }
}

/// Reads the log, and what is kept of its leaves beside it.
pub(super) struct Pages<'a> {
    pub(super) source: &'a mut dyn AuditSource,
    /// What is kept beside the log, if it is to be compared, and how many entries are signed for there: those the tiles must cover.
    /// Later growths may make them wider.
    pub(super) kept: Option<(&'a dyn TreeStore, u64)>,
    /// Up to this index entries are read one by one, because a page could not be read.
    pub(super) one_by_one_to: u64,
}

impl Pages<'_> {
    /// The page behind this index.
    pub(super) async fn read(&mut self, after: u64) -> Result<LogPage, VerifyError> {
        let limit = if after < self.one_by_one_to { 1 } else { PAGE };
        let tiles = leaf_tiles(self.kept, after);
        let (leaves, tiles) = try_join(leaves(self.source, after, limit), tiles).await?;
        let leaves = match leaves {
            // Up to the one that can't be read.
            None if limit > 1 => {
                self.one_by_one_to = after + PAGE as u64;
                self::leaves(self.source, after, 1).await?
            }
            leaves => leaves,
        };
        let signed = self.kept.map_or(0, |(_, signed)| signed);
        Ok(LogPage { after, leaves, tiles, signed })
    }
}

/// What is behind an index; none where there is something among it that is no entry, whatever wrote it.
async fn leaves(source: &mut dyn AuditSource, after: u64, limit: usize) -> Result<Option<Vec<Leaf>>, VerifyError> {
    match source.leaves(after, limit).await {
        Err(error) if error.is_of_the_data() => Ok(None),
        leaves => Ok(Some(leaves?)),
    }
}

/// The tiles with the hashes of the page's entries, as far as they are signed for.
async fn leaf_tiles(kept: Option<(&dyn TreeStore, u64)>, after: u64) -> Result<BTreeMap<TileId, Vec<u8>>, VerifyError> {
    let Some((tree, signed)) = kept else { return Ok(BTreeMap::new()) };
    let end = (after + PAGE as u64).min(signed);
    let Some(last) = end.checked_sub(1).filter(|last| after <= *last) else { return Ok(BTreeMap::new()) };
    let ids: Vec<_> = (after / WIDTH..=last / WIDTH).map(|index| TileId { level: 0, index }).collect();
    let tiles = ids.iter().copied().zip(tree.tiles(&ids).await?);
    Ok(tiles.filter_map(|(id, hashes)| Some((id, hashes?))).collect())
}

/// A part of the log.
pub(super) struct LogPage {
    /// The index before its first entry.
    pub(super) after: u64,
    /// Empty behind the last entry; none where the first is no entry.
    pub(super) leaves: Option<Vec<Leaf>>,
    tiles: BTreeMap<TileId, Vec<u8>>,
    signed: u64,
}

impl LogPage {
    /// Whether nothing can be read behind it.
    pub(super) fn is_last(&self) -> bool {
        self.leaves.as_ref().is_none_or(Vec::is_empty)
    }

    /// The index behind which the next page begins.
    pub(super) fn end(&self) -> u64 {
        self.leaves.as_ref().and_then(|leaves| leaves.last()).map_or(self.after, |last| last.index)
    }

    /// The tile that says something else of the leaf with this number, from 0, though it is signed for.
    pub(super) fn contradicts(&self, leaf: u64, hash: &Hash) -> Option<TileId> {
        let id = TileId { level: 0, index: leaf / WIDTH };
        let hash = hash.as_bytes().as_slice();
        let start = usize::try_from(leaf % WIDTH).unwrap_or(usize::MAX).saturating_mul(hash.len());
        let kept = self.tiles.get(&id).and_then(|tile| tile.get(start..start + hash.len()));
        (leaf < self.signed && kept != Some(hash)).then_some(id)
    }
}
