//! Checking the whole audit log against what was signed of it.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    iter::Peekable,
    vec::IntoIter,
};

use async_trait::async_trait;

use crate::{
    ports::{BackendErrorKind, KeptCheckpoint, Store, StoreError, TileId, TreeStore},
    tlog::{Checkpoint, Hash, Rehash, TILE_WIDTH, Tile, TreeError, Verifier, entry_bytes, open},
};

use super::audit_tree::entries_behind;

/// How many entries or checkpoints are read at once.
const PAGE: usize = 2000;
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
    /// The entries with the indexes from `after + 1` on, at most `limit`; none when there are no more. They are asked for in order,
    /// each once.
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
    /// Whether what is kept is no entry, whatever wrote it.
    fn is_of_the_data(&self) -> bool {
        matches!(self, Self::Store(StoreError::Backend(fault)) if fault.kind == BackendErrorKind::Corrupt)
    }
}

/// What [`verify_audit`] has found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Verification {
    /// How many entries are, from the first on, what was signed; or those that no checkpoint covers yet, at the end.
    pub entries: u64,
    /// How many of them no checkpoint covers yet.
    pub unsigned: u64,
    /// How many checkpoints are right.
    pub checkpoints: u64,
    /// What is wrong, if anything is.
    pub tampered: Option<Tampered>,
}

/// Something was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tampered {
    /// The index of the first entry that is not what was signed, as exactly as it can be told.
    pub index: u64,
    /// What it is.
    pub what: Tampering,
}

/// What was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tampering {
    /// The entry is not the one that was signed. Only where the store has the tree is it told exactly, else it is this one or a later
    /// one below the checkpoint of that size.
    Entry {
        /// The size of the checkpoint that shows it.
        checkpoint: u64,
    },
    /// The entry is not there, and later ones are.
    Missing,
    /// There are two of this index.
    Twice,
    /// It is no entry.
    Unreadable,
    /// The log ends before this entry, and a checkpoint covers it.
    Truncated {
        /// The size of that checkpoint.
        checkpoint: u64,
    },
    /// The checkpoint of so many entries is not signed by a key of this log, or says something else.
    Checkpoint,
    /// The entry is what was signed, and the tile that proves it is not.
    Tile {
        /// The tile.
        id: TileId,
    },
}

impl fmt::Display for Tampered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let index = self.index;
        match self.what {
            Tampering::Entry { checkpoint } => {
                write!(f, "entry {index} is not what the checkpoint of {checkpoint} entries was signed for")
            }
            Tampering::Missing => write!(f, "entry {index} is missing"),
            Tampering::Twice => write!(f, "entry {index} is there twice"),
            Tampering::Unreadable => write!(f, "entry {index} can't be read"),
            Tampering::Truncated { checkpoint } => {
                write!(f, "the log ends before entry {index}, and a checkpoint of {checkpoint} entries was signed")
            }
            Tampering::Checkpoint => write!(f, "the checkpoint of {index} entries is not one of this log"),
            Tampering::Tile { id } => {
                write!(f, "the tile {} of level {}, with entry {index}, is not the one of the tree", id.index, id.level)
            }
        }
    }
}

/// Re-hashes the audit log from its first entry on, and compares it with every checkpoint.
///
/// `tree` has the checkpoints and tiles that are kept beside the log, if they are to be checked; `known` are checkpoints that have
/// left the store, whose signatures count already: only against these is a log that was rolled back, with its checkpoints, told from
/// one that is younger. `progress` hears how many entries are done.
///
/// # Errors
/// Something can't be read.
pub async fn verify_audit(
    source: &mut dyn AuditSource,
    tree: Option<&dyn TreeStore>,
    verifiers: &[Verifier],
    known: &[Checkpoint],
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<Verification, VerifyError> {
    let mut known = known.to_vec();
    known.sort_by_key(Checkpoint::size);
    let kept = match tree {
        Some(tree) => Some(Kept::of(tree).await?),
        None => None,
    };
    let check = Check {
        kept,
        verifiers,
        known: known.into_iter().peekable(),
        rehash: Rehash::default(),
        right: 0,
        checkpoints: 0,
        suspect: None,
    };
    check.run(source, progress).await
}

/// What is kept beside the log.
struct Kept<'a> {
    tree: &'a dyn TreeStore,
    /// How many entries are signed for, which the tiles must cover. Later growths may make them wider.
    signed: u64,
    page: VecDeque<KeptCheckpoint>,
    /// The size of the last checkpoint that was read.
    after: u64,
}

impl<'a> Kept<'a> {
    async fn of(tree: &'a dyn TreeStore) -> Result<Self, StoreError> {
        let signed = tree.newest_checkpoint().await?.map_or(0, |newest| newest.size);
        Ok(Self { tree, signed, page: VecDeque::new(), after: 0 })
    }

    /// The next checkpoint.
    async fn next(&mut self) -> Result<Option<&KeptCheckpoint>, StoreError> {
        if self.page.is_empty() {
            self.page = self.tree.checkpoints(self.after, PAGE).await?.into();
            self.after = self.page.back().map_or(self.after, |last| last.size);
        }
        Ok(self.page.front())
    }

    /// The tiles with the hashes of these entries, as far as they are signed for.
    async fn leaves(&self, from: u64, entries: usize) -> Result<BTreeMap<TileId, Option<Vec<u8>>>, StoreError> {
        let end = (from + entries as u64).min(self.signed);
        let ids: Vec<_> = match end.checked_sub(1) {
            Some(last) if from < end => (from / WIDTH..=last / WIDTH).map(|index| TileId { level: 0, index }).collect(),
            _ => Vec::new(),
        };
        Ok(ids.iter().copied().zip(self.tree.tiles(&ids).await?).collect())
    }

    /// The first of these tiles, which are those of the log, that is not kept as it should be.
    async fn differs(&self, tiles: &[(TileId, Tile)]) -> Result<Option<TileId>, StoreError> {
        let ids: Vec<_> = tiles.iter().map(|(id, _)| *id).collect();
        let kept = self.tree.tiles(&ids).await?;
        let differs = |((_, tile), kept): &(&(TileId, Tile), Option<Vec<u8>>)| {
            !kept.as_ref().is_some_and(|kept| kept.starts_with(&tile.to_bytes()))
        };
        Ok(tiles.iter().zip(kept).find(differs).map(|((id, _), _)| *id))
    }
}

/// A verification that is under way.
struct Check<'a> {
    kept: Option<Kept<'a>>,
    verifiers: &'a [Verifier],
    known: Peekable<IntoIter<Checkpoint>>,
    rehash: Rehash,
    /// The size of the last checkpoint that was right.
    right: u64,
    checkpoints: u64,
    /// The first entry that is not what its tile says. The next checkpoint tells which of them is wrong.
    suspect: Option<(u64, TileId)>,
}

impl Check<'_> {
    async fn run(
        mut self,
        source: &mut dyn AuditSource,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<Verification, VerifyError> {
        let tampered = self.find(source, progress).await?;
        let size = self.rehash.size();
        let entries = match &tampered {
            None => size,
            // Nothing shows that those behind the last checkpoint that is right are.
            Some(Tampered { what: Tampering::Checkpoint, .. }) => self.right,
            Some(tampered) => size.min(tampered.index - 1),
        };
        let unsigned = entries - self.right.min(entries);
        Ok(Verification { entries, unsigned, checkpoints: self.checkpoints, tampered })
    }

    async fn find(
        &mut self,
        source: &mut dyn AuditSource,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<Option<Tampered>, VerifyError> {
        while let Some(size) = self.next_size().await? {
            while self.rehash.size() < size {
                let wanted = usize::try_from(size - self.rehash.size()).unwrap_or(PAGE).min(PAGE);
                match self.read(source, wanted).await? {
                    Read::Some => progress(self.rehash.size()),
                    Read::End => {
                        let what = Tampering::Truncated { checkpoint: size };
                        return Ok(Some(self.first(self.rehash.size() + 1, what, size)));
                    }
                    Read::Wrong(index, what) => return Ok(Some(self.first(index, what, size))),
                }
            }
            if let Some(tampered) = self.compare(size).await? {
                return Ok(Some(tampered));
            }
        }
        loop {
            match self.read(source, PAGE).await? {
                Read::Some => progress(self.rehash.size()),
                Read::End => return Ok(None),
                Read::Wrong(index, what) => return Ok(Some(Tampered { index, what })),
            }
        }
    }

    /// What is wrong from the first entry on: this, or an entry before it that was not what its tile says.
    fn first(&self, index: u64, what: Tampering, checkpoint: u64) -> Tampered {
        match self.suspect {
            Some((suspect, _)) if suspect < index => Tampered { index: suspect, what: Tampering::Entry { checkpoint } },
            _ => Tampered { index, what },
        }
    }

    /// The size of the next checkpoint of either kind.
    async fn next_size(&mut self) -> Result<Option<u64>, VerifyError> {
        let kept = match &mut self.kept {
            Some(kept) => kept.next().await?.map(|next| next.size),
            None => None,
        };
        let known = self.known.peek().map(Checkpoint::size);
        Ok(kept.into_iter().chain(known).min())
    }

    async fn read(&mut self, source: &mut dyn AuditSource, wanted: usize) -> Result<Read, VerifyError> {
        let from = self.rehash.size();
        let leaves = match source.leaves(from, wanted).await {
            // Of a page that can't be read, entry by entry, up to the one that can't.
            Err(error) if error.is_of_the_data() => match source.leaves(from, 1).await {
                Err(error) if error.is_of_the_data() => return Ok(Read::Wrong(from + 1, Tampering::Unreadable)),
                leaves => leaves?,
            },
            leaves => leaves?,
        };
        if leaves.is_empty() {
            return Ok(Read::End);
        }
        let tiles = match &self.kept {
            Some(kept) => kept.leaves(from, leaves.len()).await?,
            None => BTreeMap::new(),
        };
        for (given, leaf) in leaves.iter().zip(from..) {
            if given.index <= leaf {
                return Ok(Read::Wrong(given.index, Tampering::Twice));
            }
            if given.index > leaf + 1 {
                return Ok(Read::Wrong(leaf + 1, Tampering::Missing));
            }
            let hash = self.rehash.add(&given.bytes)?;
            let id = TileId { level: 0, index: leaf / WIDTH };
            let covered = self.kept.as_ref().is_some_and(|kept| leaf < kept.signed);
            if covered && self.suspect.is_none() && !is_in(tiles.get(&id), leaf % WIDTH, &hash) {
                self.suspect = Some((leaf + 1, id));
            }
        }
        Ok(Read::Some)
    }

    /// Compares what there is now with all checkpoints of this size.
    async fn compare(&mut self, size: u64) -> Result<Option<Tampered>, VerifyError> {
        let root = self.rehash.root()?;
        let another = Tampered {
            index: self.suspect.map_or(self.right + 1, |(index, _)| index),
            what: Tampering::Entry { checkpoint: size },
        };
        while let Some(known) = self.known.next_if(|known| known.size() == size) {
            if known.root() != root {
                return Ok(Some(another));
            }
            self.checkpoints += 1;
        }
        if let Some(kept) = &mut self.kept
            && let Some(next) = kept.page.pop_front_if(|next| next.size == size)
        {
            match read_checkpoint(&next, self.verifiers) {
                None => return Ok(Some(self.first(size, Tampering::Checkpoint, size))),
                Some(signed) if signed != root => return Ok(Some(another)),
                Some(_) => self.checkpoints += 1,
            }
        }
        if let Some(id) = self.wrong_tile(size).await? {
            let index = self.suspect.map_or(self.right + 1, |(index, _)| index);
            return Ok(Some(Tampered { index, what: Tampering::Tile { id } }));
        }
        self.right = size;
        Ok(None)
    }

    /// A tile that is not that of the entries, which are right up to this size.
    async fn wrong_tile(&mut self, size: u64) -> Result<Option<TileId>, StoreError> {
        let mut tiles = self.rehash.take_full();
        let Some(kept) = &self.kept else { return Ok(None) };
        if let Some((_, id)) = self.suspect {
            return Ok(Some(id));
        }
        // Those of the leaves have been compared hash by hash.
        if size == kept.signed {
            tiles.extend(self.rehash.edge().map(|(id, tile)| (id, tile.clone())));
        }
        if size > kept.signed || tiles.is_empty() { Ok(None) } else { kept.differs(&tiles).await }
    }
}

enum Read {
    Some,
    End,
    /// What is at this index is not what should be.
    Wrong(u64, Tampering),
}

fn is_in(tile: Option<&Option<Vec<u8>>>, offset: u64, hash: &Hash) -> bool {
    let start = usize::try_from(offset).unwrap_or(usize::MAX).saturating_mul(hash.as_bytes().len());
    let hashes = tile.and_then(Option::as_ref).and_then(|tile| tile.get(start..start + hash.as_bytes().len()));
    hashes == Some(hash.as_bytes().as_slice())
}

/// The root that a checkpoint tells, if it is one of this log.
fn read_checkpoint(kept: &KeptCheckpoint, verifiers: &[Verifier]) -> Option<Hash> {
    let checkpoint: Checkpoint = open(&kept.note, verifiers).ok()?.parse().ok()?;
    let is_of_the_log = verifiers.iter().any(|verifier| verifier.name() == checkpoint.origin());
    (is_of_the_log && checkpoint.size() == kept.size).then(|| checkpoint.root())
}
