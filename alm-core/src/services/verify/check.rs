//! A verification that is under way.

use std::{iter::Peekable, vec::IntoIter};

use futures_util::future::join;

use crate::{
    ports::{StoreError, TileId},
    tlog::{Checkpoint, Rehash, Verifier},
};

use super::{
    Leaf, Tampered, Tampering, Verification, VerifyError,
    checkpoints::{Kept, signed_root},
    source::{LogPage, Pages},
};

pub(super) struct Check<'a> {
    pub(super) kept: Option<Kept<'a>>,
    pub(super) verifiers: &'a [Verifier],
    /// By their sizes.
    pub(super) known: Peekable<IntoIter<Checkpoint>>,
    pub(super) progress: &'a mut (dyn FnMut(u64) + Send),
    pub(super) rehash: Rehash,
    /// The size of the last checkpoint that was right.
    pub(super) right: u64,
    pub(super) checkpoints: u64,
    /// The first entry that is not what its tile says. The next checkpoint tells which of them is wrong.
    pub(super) suspect: Option<(u64, TileId)>,
}

impl Check<'_> {
    pub(super) async fn run(mut self, mut pages: Pages<'_>) -> Result<Verification, VerifyError> {
        let tampered = self.find(&mut pages).await?;
        let size = self.rehash.size();
        let entries = match &tampered {
            None => size,
            // Nothing shows that those behind the last checkpoint that is right are.
            Some(Tampered { what: Tampering::Checkpoint, .. }) => self.right,
            Some(tampered) => size.min(tampered.index.saturating_sub(1)),
        };
        let unsigned = entries - self.right.min(entries);
        Ok(Verification { entries, unsigned, checkpoints: self.checkpoints, tampered })
    }

    async fn find(&mut self, pages: &mut Pages<'_>) -> Result<Option<Tampered>, VerifyError> {
        let mut page = pages.read(0).await?;
        while !page.is_last() {
            // A page is hashed while the store reads the next one.
            let (next, found) = join(pages.read(page.end()), self.page(&page)).await;
            if let Some(tampered) = found? {
                return Ok(Some(tampered));
            }
            (self.progress)(self.rehash.size());
            page = next?;
        }
        self.page(&page).await
    }

    /// Compares a page with its tiles, and what there is up to its end with the checkpoints.
    async fn page(&mut self, page: &LogPage) -> Result<Option<Tampered>, VerifyError> {
        let mut leaves = page.leaves.iter().flatten();
        loop {
            let due = self.next_size().await?;
            while due.is_none_or(|due| self.rehash.size() < due) {
                let Some(leaf) = leaves.next() else {
                    return Ok(self.end(page, due).map(|(index, what)| self.first(index, what, due)));
                };
                if let Some((index, what)) = self.add(leaf, page)? {
                    return Ok(Some(self.first(index, what, due)));
                }
            }
            if let Some(size) = due
                && let Some(tampered) = self.compare(size).await?
            {
                return Ok(Some(tampered));
            }
        }
    }

    /// What is wrong behind the end of a page, given the next checkpoint.
    fn end(&self, page: &LogPage, due: Option<u64>) -> Option<(u64, Tampering)> {
        let what = match (&page.leaves, due) {
            (None, _) => Tampering::Unreadable,
            (Some(leaves), Some(checkpoint)) if leaves.is_empty() => Tampering::Truncated { checkpoint },
            _ => return None,
        };
        Some((self.rehash.size() + 1, what))
    }

    /// What is wrong from the first entry on: this, or an entry before it that was not what its tile says.
    fn first(&self, index: u64, what: Tampering, due: Option<u64>) -> Tampered {
        match (self.suspect, due) {
            (Some((suspect, _)), Some(checkpoint)) if suspect < index => {
                Tampered { index: suspect, what: Tampering::Entry { checkpoint } }
            }
            _ => Tampered { index, what },
        }
    }

    /// The size of the next checkpoint of either kind.
    async fn next_size(&mut self) -> Result<Option<u64>, VerifyError> {
        let kept = match &mut self.kept {
            Some(kept) => kept.next_size().await?,
            None => None,
        };
        let known = self.known.peek().map(Checkpoint::size);
        Ok(kept.into_iter().chain(known).min())
    }

    /// Adds the next entry, unless another one stands there.
    fn add(&mut self, given: &Leaf, page: &LogPage) -> Result<Option<(u64, Tampering)>, VerifyError> {
        let leaf = self.rehash.size();
        if given.index <= leaf {
            return Ok(Some((given.index, Tampering::Twice)));
        }
        if given.index > leaf + 1 {
            return Ok(Some((leaf + 1, Tampering::Missing)));
        }
        let hash = self.rehash.add(&given.bytes)?;
        if self.suspect.is_none() {
            self.suspect = page.contradicts(leaf, &hash).map(|tile| (leaf + 1, tile));
        }
        Ok(None)
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
        if let Some(next) = self.kept.as_mut().and_then(|kept| kept.take(size)) {
            match signed_root(&next, self.verifiers) {
                None => return Ok(Some(self.first(size, Tampering::Checkpoint, Some(size)))),
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
        if size == kept.signed() {
            tiles.extend(self.rehash.edge().map(|(id, tile)| (id, tile.clone())));
        }
        if size > kept.signed() || tiles.is_empty() { Ok(None) } else { kept.differs(&tiles).await }
    }
}
