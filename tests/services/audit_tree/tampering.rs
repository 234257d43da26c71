//! Whatever is changed behind the back of the log is found, and nothing else is.

use std::{collections::BTreeMap, env, ops::Range, sync::Arc};

use alm_core::{
    domain::{AuditEntry, AuditIndex},
    ports::{Committer, Growth, KeptCheckpoint, Store, StoreError, TileId, TreeStore},
    services::{AuditSource, Leaf, Tampering, Verification, VerifyError, verify_audit},
    tlog::{Checkpoint, Verifier, entry_bytes},
};
use alm_store_memory::MemoryStore;
use async_trait::async_trait;
use fastrand::Rng;

use super::given::{checkpoints, entries, grown_in, integrator, read, record, recording, verified, verifier};

/// How many logs are tampered with, and how many are not.
const LOGS: usize = 1000;

/// All that a database holds of an audit log, in the hands of someone who can write to it.
#[derive(Clone)]
struct Held {
    entries: Vec<AuditEntry>,
    tiles: BTreeMap<TileId, Vec<u8>>,
    checkpoints: Vec<KeptCheckpoint>,
}

impl Held {
    async fn of(store: &Arc<MemoryStore>) -> Self {
        let entries = entries(store).await;
        let size = entries.len() as u64;
        let ids: Vec<_> =
            (0..=1).flat_map(|level| (0..=size / 256).map(move |index| TileId { level, index })).collect();
        let tiles = ids.iter().copied().zip(store.tiles(&ids).await.unwrap());
        let tiles = tiles.filter_map(|(id, hashes)| Some((id, hashes?))).collect();
        Self { entries, tiles, checkpoints: checkpoints(store.as_ref()).await }
    }

    async fn verified(&self, verifier: &Verifier, known: &[Checkpoint]) -> Verification {
        let verifiers = std::slice::from_ref(verifier);
        verify_audit(&mut Exported(self), Some(self), verifiers, known, &mut |_| ()).await.unwrap()
    }
}

struct Exported<'a>(&'a Held);

#[async_trait]
impl AuditSource for Exported<'_> {
    async fn leaves(&mut self, after: u64, limit: usize) -> Result<Vec<Leaf>, VerifyError> {
        let behind = self.0.entries.iter().filter(|entry| entry.index.get() > after);
        Ok(behind.take(limit).map(|entry| Leaf { index: entry.index.get(), bytes: entry_bytes(entry) }).collect())
    }
}

#[async_trait]
impl TreeStore for Held {
    async fn tiles(&self, ids: &[TileId]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        Ok(ids.iter().map(|id| self.tiles.get(id).cloned()).collect())
    }

    async fn newest_checkpoint(&self) -> Result<Option<KeptCheckpoint>, StoreError> {
        Ok(self.checkpoints.last().cloned())
    }

    async fn checkpoints(&self, after: u64, limit: usize) -> Result<Vec<KeptCheckpoint>, StoreError> {
        Ok(self.checkpoints.iter().filter(|kept| kept.size > after).take(limit).cloned().collect())
    }

    async fn grow(&self, _: Growth) -> Result<(), StoreError> {
        Err(StoreError::Unsupported("growth"))
    }
}

/// Logs of some sizes, which more than one tile among them.
async fn logs(rng: &mut Rng) -> Vec<Held> {
    let mut logs = Vec::new();
    for sizes in [1..3, 2..40, 40..120, 257..300_usize] {
        for _ in 0..3 {
            let steps = steps(rng, &sizes);
            logs.push(Held::of(&grown_in(&steps).await).await);
        }
    }
    logs
}

fn steps(rng: &mut Rng, sizes: &Range<usize>) -> Vec<usize> {
    let mut left = rng.usize(sizes.clone());
    let mut steps = Vec::new();
    while left > 0 {
        steps.push(rng.usize(1..=left));
        left -= steps[steps.len() - 1];
    }
    steps
}

fn seed() -> u64 {
    let seed = env::var("ALM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    eprintln!("ALM_SEED={seed}");
    seed
}

/// Changes something in one entry.
fn edit(rng: &mut Rng, entry: &mut AuditEntry) {
    let kept = &mut entry.entry;
    match rng.u8(0..8) {
        0 => kept.payload = serde_json::json!({"name": rng.u32(..).to_string()}),
        1 => kept.subject.push('1'),
        2 => kept.timestamp += 1,
        3 => kept.recorded_at = alm_core::domain::Timestamp::from_micros(kept.recorded_at.micros() + 1).unwrap(),
        4 => kept.actor = alm_core::domain::Actor::parse("mallory").unwrap(),
        5 => "AppDeleted".clone_into(&mut kept.event_type),
        6 => kept.source_service.push(' '),
        _ => kept.event_id = alm_core::testing::fixtures::event_id(),
    }
}

fn renumbered(entries: &mut [AuditEntry]) {
    for (entry, index) in entries.iter_mut().zip(1..) {
        entry.index = AuditIndex::new(index);
    }
}

/// What whoever has written to the database has done.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Edit,
    Delete,
    DeleteAndRenumber,
    Insert,
    Swap,
    Truncate,
    RollBack,
    OtherKey,
    Checkpoint,
    Tile,
}

const DEEDS: [Deed; 10] = [
    Deed::Edit,
    Deed::Delete,
    Deed::DeleteAndRenumber,
    Deed::Insert,
    Deed::Swap,
    Deed::Truncate,
    Deed::RollBack,
    Deed::OtherKey,
    Deed::Checkpoint,
    Deed::Tile,
];

/// Does it; says the index of the first entry that it concerns, where that is certain.
async fn tamper(rng: &mut Rng, held: &mut Held, deed: Deed) -> Option<usize> {
    let count = held.entries.len();
    let at = rng.usize(..count);
    match deed {
        Deed::Edit => {
            edit(rng, &mut held.entries[at]);
            Some(at + 1)
        }
        Deed::Delete => {
            held.entries.remove(at);
            Some(at + 1)
        }
        Deed::DeleteAndRenumber => {
            held.entries.remove(at);
            renumbered(&mut held.entries);
            Some(at + 1)
        }
        Deed::Insert => {
            let mut new = held.entries[at].clone();
            edit(rng, &mut new);
            held.entries.insert(at, new);
            renumbered(&mut held.entries);
            Some(at + 1)
        }
        Deed::Swap => {
            let other = if at + 1 < count { at + 1 } else { 0 };
            held.entries.swap(at, other);
            renumbered(&mut held.entries);
            if count == 1 {
                edit(rng, &mut held.entries[0]);
            }
            Some(at.min(other) + 1)
        }
        Deed::Truncate => {
            held.entries.truncate(at);
            Some(at + 1)
        }
        Deed::RollBack => {
            // With all that belongs to it, as from a backup.
            let left = rng.usize(..held.checkpoints.len());
            let size = if left == 0 { 0 } else { held.checkpoints[left - 1].size };
            held.entries.truncate(usize::try_from(size).unwrap());
            held.checkpoints.truncate(left);
            *held = narrowed(held, size);
            Some(held.entries.len() + 1)
        }
        Deed::OtherKey => {
            // Another log, whole in itself, by someone who has not the key but knows its name.
            edit(rng, &mut held.entries[at]);
            *held = forged(&held.entries).await;
            None
        }
        Deed::Checkpoint => {
            let which = rng.usize(..held.checkpoints.len());
            let note = &mut held.checkpoints[which].note;
            let place = loop {
                let place = rng.usize(..note.len());
                if note.is_char_boundary(place) && note.is_char_boundary(place + 1) {
                    break place;
                }
            };
            let old = note.as_bytes()[place];
            note.replace_range(place..=place, if old == b'x' { "y" } else { "x" });
            None
        }
        Deed::Tile => {
            let which = rng.usize(..held.tiles.len());
            let tile = held.tiles.values_mut().nth(which).unwrap();
            let place = rng.usize(..tile.len());
            tile[place] ^= 1 << rng.u8(..8);
            None
        }
    }
}

/// Without the hashes of what is above `size`.
fn narrowed(held: &Held, size: u64) -> Held {
    let mut held = held.clone();
    held.tiles.retain(|id, hashes| {
        let in_level = size >> (8 * u32::from(id.level));
        let width = in_level.saturating_sub(id.index * 256).min(256);
        hashes.truncate(usize::try_from(width).unwrap() * 32);
        !hashes.is_empty()
    });
    held
}

/// What there would be if someone with another key had integrated these entries.
async fn forged(entries: &[AuditEntry]) -> Held {
    let store = Arc::new(MemoryStore::new());
    for entry in entries {
        store.commit(recording(entry.entry.clone())).await.unwrap();
    }
    integrator(&store, 9).integrate().await.unwrap();
    Held::of(&store).await
}

#[tokio::test]
async fn a_thousand_logs_that_were_tampered_with_are_found() {
    let mut rng = Rng::with_seed(seed());
    let logs = logs(&mut rng).await;
    let key = verifier(1);
    let mut found = 0;
    for n in 0..LOGS {
        let honest = &logs[rng.usize(..logs.len())];
        // What someone outside has seen.
        let known = vec![read(honest.checkpoints.last().unwrap(), &key)];
        let mut held = honest.clone();
        let deed = DEEDS[n % DEEDS.len()];
        let first = tamper(&mut rng, &mut held, deed).await;
        let verification = held.verified(&key, &known).await;
        let Some(tampered) = verification.tampered else { panic!("{deed:?} of log {n} is not found") };
        if let Some(first) = first {
            assert_eq!(tampered.index, first as u64, "{deed:?} of log {n}: {tampered}");
            assert_eq!(verification.entries, tampered.index - 1, "{deed:?} of log {n}");
        }
        found += 1;
    }
    assert_eq!(found, LOGS);
}

#[tokio::test]
async fn a_thousand_honest_logs_raise_no_alarm() {
    let mut rng = Rng::with_seed(seed());
    let logs = logs(&mut rng).await;
    let key = verifier(1);
    for _ in 0..LOGS {
        let held = &logs[rng.usize(..logs.len())];
        let known: Vec<_> =
            held.checkpoints.iter().filter(|_| rng.bool()).map(|checkpoint| read(checkpoint, &key)).collect();
        let verification = held.verified(&key, &known).await;
        assert_eq!(verification.tampered, None);
        assert_eq!((verification.entries, verification.unsigned), (held.entries.len() as u64, 0));
        assert_eq!(verification.checkpoints, (held.checkpoints.len() + known.len()) as u64);
    }
}

#[tokio::test]
async fn it_is_told_what_was_changed() {
    let key = verifier(1);
    let honest = Held::of(&grown_in(&[3, 300, 2]).await).await;
    let known = [read(&honest.checkpoints[2], &key)];
    let found = async |change: &dyn Fn(&mut Held)| {
        let mut held = honest.clone();
        change(&mut held);
        let verification = held.verified(&key, &known).await;
        let tampered = verification.tampered.unwrap();
        (tampered.index, tampered.what, tampered.to_string())
    };
    let (index, what, said) = found(&|held| held.entries[99].entry.timestamp += 1).await;
    assert_eq!((index, what), (100, Tampering::Entry { checkpoint: 303 }));
    assert_eq!(said, "entry 100 is not what the checkpoint of 303 entries was signed for");
    let (index, what, _) = found(&|held| drop(held.entries.remove(99))).await;
    assert_eq!((index, what), (100, Tampering::Missing));
    let (index, what, _) = found(&|held| held.entries.truncate(99)).await;
    assert_eq!((index, what), (100, Tampering::Truncated { checkpoint: 303 }));
    let (index, what, _) =
        found(&|held| held.checkpoints[1].note = std::mem::take(&mut held.checkpoints[2].note)).await;
    assert_eq!((index, what), (303, Tampering::Checkpoint));
    let tile = TileId { level: 0, index: 0 };
    let (index, what, _) = found(&|held| held.tiles.get_mut(&tile).unwrap()[99 * 32] ^= 1).await;
    assert_eq!((index, what), (100, Tampering::Tile { id: tile }));
    // Of two things the first is told.
    let (index, ..) = found(&|held| {
        held.entries[49].entry.timestamp += 1;
        held.entries.remove(99);
    })
    .await;
    assert_eq!(index, 50);
    let (index, ..) = found(&|held| {
        held.entries[49].entry.timestamp += 1;
        "no note".clone_into(&mut held.checkpoints[1].note);
    })
    .await;
    assert_eq!(index, 50);
    let above = TileId { level: 1, index: 0 };
    let (_, what, _) = found(&|held| held.tiles.get_mut(&above).unwrap()[0] ^= 1).await;
    assert_eq!(what, Tampering::Tile { id: above });
}

/// A log in which someone records, and signs for it, right after a page of it was read.
struct Busy {
    store: Arc<MemoryStore>,
    growths: usize,
    /// Whether it happens when the end was reached, or as long as it was not.
    at_the_end: bool,
}

#[async_trait]
impl AuditSource for Busy {
    async fn leaves(&mut self, after: u64, limit: usize) -> Result<Vec<Leaf>, VerifyError> {
        let leaves = (self.store.as_ref() as &dyn Store).leaves(after, limit).await?;
        if self.growths > 0 && leaves.is_empty() == self.at_the_end {
            self.growths -= 1;
            record(&self.store, 3).await;
            integrator(&self.store, 1).integrate().await.unwrap();
        }
        Ok(leaves)
    }
}

#[tokio::test]
async fn a_log_that_grows_while_it_is_verified_raises_no_alarm() {
    for (growths, at_the_end) in (1..4).flat_map(|growths| [(growths, false), (growths, true)]) {
        let mut log = Busy { store: grown_in(&[2, 5]).await, growths, at_the_end };
        let store = log.store.clone();
        let found = verify_audit(&mut log, Some(store.as_ref()), &[verifier(1)], &[], &mut |_| ()).await.unwrap();
        assert_eq!((found.tampered, found.checkpoints), (None, 2), "{growths} {at_the_end}");
        assert!(found.entries >= 7);
    }
}

#[tokio::test]
async fn entries_that_are_not_signed_for_yet_are_counted_apart() {
    let store = grown_in(&[5]).await;
    record(&store, 2).await;
    let verification = verified(&store, &[]).await.unwrap();
    assert_eq!((verification.entries, verification.unsigned, verification.tampered), (7, 2, None));
}

#[tokio::test]
async fn an_export_is_checked_against_the_checkpoints_that_left_the_store() {
    let key = verifier(1);
    let held = Held::of(&grown_in(&[3, 300, 2]).await).await;
    let known: Vec<_> = held.checkpoints.iter().map(|checkpoint| read(checkpoint, &key)).collect();
    let verify = async |held: &Held| verify_audit(&mut Exported(held), None, &[], &known, &mut |_| ()).await.unwrap();
    let verification = verify(&held).await;
    assert_eq!((verification.entries, verification.checkpoints, verification.tampered), (305, 3, None));
    let mut edited = held.clone();
    edited.entries[99].entry.timestamp += 1;
    // Without the tree no one can tell which of those between two checkpoints it was.
    let tampered = verify(&edited).await.tampered.unwrap();
    assert_eq!((tampered.index, tampered.what), (4, Tampering::Entry { checkpoint: 303 }));
}
