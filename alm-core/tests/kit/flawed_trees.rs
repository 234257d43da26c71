//! A store of a tree that breaks a promise is caught by the case that checks it.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::catch_unwind,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use alm_core::{
    domain::Timestamp,
    ports::{BackendError, Contention, Growth, KeptCheckpoint, StoreError, TileId, TreeStore},
    testing::conformance::{TreeCapability, TreeHarness, TreeSubject, tree},
};
use async_trait::async_trait;
use tokio::task::yield_now;

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    BeginsWithACheckpoint,
    LeavesOutMissingTiles,
    SortsTiles,
    NeverWidensATile,
    ForgetsTilesThatDoNotGrow,
    SortsSizesAsTexts,
    BeginsAPageWithTheLastOne,
    PagesWithoutALimit,
    EachHandleKeepsItsOwn,
    ForgetsTilesAtARestart,
    IgnoresTheSize,
    TakesTheSizeForAFloor,
    KeepsTilesOfARefusal,
    KeepsTheCheckpointFirst,
    KeepsTilesFirst,
    LooksAtTheSizeTooEarly,
    TellsTheSizeThatWasAskedFor,
    RefusesLargeGrowths,
}

/// Each flaw, and a case that must catch it.
const CAUGHT: &[(Flaw, &str)] = &[
    (Flaw::BeginsWithACheckpoint, "a_tree_that_has_never_grown_is_empty"),
    (Flaw::LeavesOutMissingTiles, "tiles_read_back_as_they_were_grown"),
    (Flaw::SortsTiles, "tiles_read_back_as_they_were_grown"),
    (Flaw::NeverWidensATile, "a_tile_is_as_it_was_grown_last"),
    (Flaw::ForgetsTilesThatDoNotGrow, "a_tile_is_as_it_was_grown_last"),
    (Flaw::SortsSizesAsTexts, "checkpoints_are_listed_by_size_in_pages"),
    (Flaw::BeginsAPageWithTheLastOne, "checkpoints_are_listed_by_size_in_pages"),
    (Flaw::PagesWithoutALimit, "checkpoints_are_listed_by_size_in_pages"),
    (Flaw::EachHandleKeepsItsOwn, "a_growth_is_seen_through_every_handle"),
    (Flaw::ForgetsTilesAtARestart, "a_tree_survives_a_restart"),
    (Flaw::IgnoresTheSize, "a_tree_grows_only_from_its_size"),
    (Flaw::TakesTheSizeForAFloor, "a_tree_grows_only_from_its_size"),
    (Flaw::TellsTheSizeThatWasAskedFor, "a_tree_grows_only_from_its_size"),
    (Flaw::KeepsTilesOfARefusal, "a_growth_that_is_refused_leaves_no_trace"),
    (Flaw::KeepsTheCheckpointFirst, "a_growth_that_is_dropped_is_whole_or_nothing"),
    (Flaw::KeepsTheCheckpointFirst, "whoever_has_seen_a_checkpoint_finds_its_tiles"),
    (Flaw::KeepsTilesFirst, "a_growth_that_is_dropped_is_whole_or_nothing"),
    (Flaw::LooksAtTheSizeTooEarly, "of_many_who_grow_a_tree_one_does"),
    (Flaw::RefusesLargeGrowths, "a_growth_may_be_large"),
];

/// What shows only in a race may get away, but not for ever.
const TRIES: usize = 5;

#[derive(Default)]
struct Tree {
    tiles: BTreeMap<TileId, Vec<u8>>,
    checkpoints: BTreeMap<u64, KeptCheckpoint>,
}

impl Tree {
    fn size(&self) -> u64 {
        self.checkpoints.last_key_value().map_or(0, |(size, _)| *size)
    }
}

type Disk = Arc<Mutex<Tree>>;

/// What a growth consists of.
#[derive(Clone, Copy)]
enum Step {
    Look,
    KeepTiles,
    KeepCheckpoint,
}

struct Flawed {
    flaw: Flaw,
    disk: Disk,
}

impl Flawed {
    fn tree(&self) -> MutexGuard<'_, Tree> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a tree of that size may grow so.
    fn may(&self, size: u64, growth: &Growth) -> Result<(), StoreError> {
        let fits = match self.flaw {
            Flaw::IgnoresTheSize => true,
            Flaw::TakesTheSizeForAFloor => growth.from >= size,
            _ => growth.from == size,
        };
        let told = if self.flaw == Flaw::TellsTheSizeThatWasAskedFor { growth.from } else { size };
        if fits { Ok(()) } else { Err(StoreError::Conflict(Contention::Tree { size: told })) }
    }

    /// The steps of a growth, in two halves: others come in between.
    fn halves(&self) -> [&'static [Step]; 2] {
        use Step::{KeepCheckpoint, KeepTiles, Look};
        match self.flaw {
            Flaw::KeepsTilesOfARefusal => [&[KeepTiles, Look, KeepCheckpoint], &[]],
            Flaw::KeepsTheCheckpointFirst => [&[Look, KeepCheckpoint], &[KeepTiles]],
            Flaw::KeepsTilesFirst => [&[Look, KeepTiles], &[KeepCheckpoint]],
            Flaw::LooksAtTheSizeTooEarly => [&[Look], &[KeepTiles, KeepCheckpoint]],
            _ => [&[Look, KeepTiles, KeepCheckpoint], &[]],
        }
    }

    fn take(&self, step: Step, tree: &mut Tree, growth: &Growth) -> Result<(), StoreError> {
        match step {
            Step::Look => self.may(tree.size(), growth)?,
            Step::KeepTiles => self.keep_tiles(tree, growth),
            Step::KeepCheckpoint => drop(tree.checkpoints.insert(growth.checkpoint.size, growth.checkpoint.clone())),
        }
        Ok(())
    }

    fn keep_tiles(&self, tree: &mut Tree, growth: &Growth) {
        if self.flaw == Flaw::ForgetsTilesThatDoNotGrow {
            tree.tiles.clear();
        }
        for tile in &growth.tiles {
            if self.flaw == Flaw::NeverWidensATile {
                tree.tiles.entry(tile.id).or_insert_with(|| tile.hashes.clone());
            } else {
                tree.tiles.insert(tile.id, tile.hashes.clone());
            }
        }
    }
}

#[async_trait]
impl TreeStore for Flawed {
    async fn tiles(&self, ids: &[TileId]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let tree = self.tree();
        let mut ids = ids.to_vec();
        match self.flaw {
            Flaw::SortsTiles => ids.sort_unstable(),
            Flaw::LeavesOutMissingTiles => ids.retain(|id| tree.tiles.contains_key(id)),
            _ => {}
        }
        Ok(ids.iter().map(|id| tree.tiles.get(id).cloned()).collect())
    }

    async fn newest_checkpoint(&self) -> Result<Option<KeptCheckpoint>, StoreError> {
        let newest = self.tree().checkpoints.last_key_value().map(|(_, newest)| newest.clone());
        if newest.is_none() && self.flaw == Flaw::BeginsWithACheckpoint {
            let at = Timestamp::from_micros(0).unwrap();
            return Ok(Some(KeptCheckpoint { size: 0, at, note: String::new() }));
        }
        Ok(newest)
    }

    async fn checkpoints(&self, after: u64, limit: usize) -> Result<Vec<KeptCheckpoint>, StoreError> {
        let mut all: Vec<_> = self.tree().checkpoints.values().cloned().collect();
        if self.flaw == Flaw::SortsSizesAsTexts {
            all.sort_by_key(|checkpoint| checkpoint.size.to_string());
        }
        all.retain(|checkpoint| match self.flaw {
            Flaw::BeginsAPageWithTheLastOne => checkpoint.size >= after,
            _ => checkpoint.size > after,
        });
        if self.flaw != Flaw::PagesWithoutALimit {
            all.truncate(limit);
        }
        Ok(all)
    }

    async fn grow(&self, growth: Growth) -> Result<(), StoreError> {
        if self.flaw == Flaw::RefusesLargeGrowths && growth.tiles.len() > 64 {
            return Err(BackendError::internal("flawed", "grow").into());
        }
        for half in self.halves() {
            {
                let mut tree = self.tree();
                for step in half {
                    self.take(*step, &mut tree, &growth)?;
                }
            }
            yield_now().await;
        }
        Ok(())
    }
}

struct Harness(Flaw);

impl TreeHarness for Harness {
    type Subject = InMemory;

    fn capabilities(&self) -> &[TreeCapability] {
        &TreeCapability::ALL
    }

    async fn fresh(&self) -> InMemory {
        InMemory { flaw: self.0, disk: Disk::default() }
    }

    /// What never comes is what some of them are about; without a flaw everything does, also on a machine that is busy.
    fn patience(&self) -> Duration {
        if self.0 == Flaw::None { Duration::from_secs(20) } else { Duration::from_secs(1) }
    }
}

struct InMemory {
    flaw: Flaw,
    disk: Disk,
}

impl TreeSubject for InMemory {
    fn store(&self) -> Arc<dyn TreeStore> {
        Arc::new(Flawed { flaw: self.flaw, disk: self.disk.clone() })
    }

    async fn another_handle(&self) -> Option<Arc<dyn TreeStore>> {
        let keeps_its_own = self.flaw == Flaw::EachHandleKeepsItsOwn;
        let disk = if keeps_its_own { Disk::default() } else { self.disk.clone() };
        Some(Arc::new(Flawed { flaw: self.flaw, disk }))
    }

    async fn reopen(&mut self) -> Option<Arc<dyn TreeStore>> {
        if self.flaw == Flaw::ForgetsTilesAtARestart {
            self.disk.lock().unwrap_or_else(PoisonError::into_inner).tiles.clear();
        }
        Some(self.store())
    }
}

#[test]
fn a_store_of_a_tree_without_a_flaw_passes_every_case() {
    tree::run_all(&Harness(Flaw::None)).assert_passed();
}

#[test]
fn every_flawed_store_of_a_tree_is_caught_by_the_case_that_is_about_its_flaw() {
    let is_caught = |flaw, case| (0..TRIES).any(|_| catch_unwind(|| tree::check(&Harness(flaw), case)).is_err());
    let missed: Vec<_> = CAUGHT.iter().filter(|(flaw, case)| !is_caught(*flaw, case)).collect();
    assert!(missed.is_empty(), "these flaws were not noticed by these cases: {missed:?}");
}

#[test]
fn every_case_of_a_tree_catches_a_flaw() {
    let known: BTreeSet<_> = tree::CASES.iter().map(tree::Case::name).collect();
    assert_eq!(CAUGHT.iter().map(|(_, case)| *case).collect::<BTreeSet<_>>(), known);
}
