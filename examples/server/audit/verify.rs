//! `server audit verify`: is the audit log what was signed?

use std::{error::Error, fs, path::Path, process::ExitCode};

use alm_core::{
    domain::AuditIndex,
    ports::{AuditFilter, Store, StoreError, TreeStore},
    services::{Verification, verify_audit},
    tlog::{Checkpoint, Verifier},
};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{commands::VerifyArgs, settings::Settings, storage::Storage};

use super::{export::Export, key, say};

/// How many checkpoints are counted at once.
const PAGE: usize = 1000;
/// Something was changed.
const TAMPERED: u8 = 1;

pub(super) async fn run(settings: &Settings, args: &VerifyArgs) -> Result<ExitCode, Box<dyn Error>> {
    let verifiers = if args.public_key.is_empty() { key::verifiers(settings)? } else { args.public_key.clone() };
    if verifiers.is_empty() {
        return Err("there is no key to check signatures with: give it by --public-key".into());
    }
    let known = match &args.from {
        Some(path) => checkpoints_in(path, &verifiers)?,
        None => Vec::new(),
    };
    let bar = ProgressBar::new(known.iter().map(Checkpoint::size).max().unwrap_or(0));
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} entries, {per_sec}, {eta} left")?);
    let mut progress = |done| {
        if bar.length().is_some_and(|length| length < done) {
            bar.set_length(done);
        }
        bar.set_position(done);
    };
    if let Some(path) = &args.export {
        let mut source = Export::open(path)?;
        let found = verify_audit(&mut source, None, &verifiers, &known, &mut progress).await;
        bar.finish_and_clear();
        let of = known.iter().map(Checkpoint::size).max().unwrap_or(0);
        return report(&found?, of, known.len() as u64);
    }
    let storage = Storage::open_as_it_is(settings).await?;
    let (store, tree) = (storage.store(), storage.tree());
    if let Some(newest) = tree.newest_checkpoint().await? {
        bar.set_length(newest.size.max(bar.length().unwrap_or(0)));
    }
    let mut source: &dyn Store = store.as_ref();
    let found = verify_audit(&mut source, Some(tree.as_ref()), &verifiers, &known, &mut progress).await;
    bar.finish_and_clear();
    let found = found?;
    let (entries, checkpoints) = if found.tampered.is_some() {
        // They only say of how many: what was found is found.
        (last_index(store.as_ref()).await.unwrap_or(0), count(tree.as_ref()).await.unwrap_or(0))
    } else {
        (found.entries, 0)
    };
    storage.close().await;
    let of = known.iter().map(Checkpoint::size).max().unwrap_or(0).max(entries).max(bar.length().unwrap_or(0));
    report(&found, of, checkpoints + known.len() as u64)
}

/// Says what was found, of so many entries and checkpoints when something is wrong.
fn report(found: &Verification, entries: u64, checkpoints: u64) -> Result<ExitCode, Box<dyn Error>> {
    let Some(tampered) = &found.tampered else {
        if found.checkpoints == 0 {
            return Err(format!("there are {} entries and no checkpoint: nothing can be told", found.entries).into());
        }
        say(&format!(
            "{0}/{0} entries, {1}/{1} checkpoints valid{2}",
            found.entries,
            found.checkpoints,
            match found.unsigned {
                0 => String::new(),
                unsigned => format!(" ({unsigned} entries at the end are not signed for yet)"),
            }
        ));
        return Ok(ExitCode::SUCCESS);
    };
    let entries = entries.max(found.entries);
    let checkpoints = checkpoints.max(found.checkpoints);
    say(&format!("{}/{entries} entries, {}/{checkpoints} checkpoints valid", found.entries, found.checkpoints));
    say(&format!("tampered with from entry {} on: {tampered}", tampered.index));
    Ok(ExitCode::from(TAMPERED))
}

/// The index of the last entry, by looking further and further ahead.
async fn last_index(store: &dyn Store) -> Result<u64, StoreError> {
    let has = async |after: u64| -> Result<bool, StoreError> {
        let after = (after > 0).then_some(AuditIndex::new(after));
        Ok(!store.audit_entries(&AuditFilter::default(), after, 1).await?.is_empty())
    };
    let mut above = 1;
    while has(above).await? {
        above *= 2;
    }
    let mut below = above / 2;
    // There is one behind `below`, or it is 0; and none behind `above`.
    while below < above {
        let middle = below + (above - below) / 2;
        if has(middle).await? { below = middle + 1 } else { above = middle }
    }
    Ok(above)
}

async fn count(tree: &dyn TreeStore) -> Result<u64, StoreError> {
    let (mut count, mut after) = (0, 0);
    loop {
        let page = tree.checkpoints(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(count) };
        after = last.size;
        count += page.len() as u64;
    }
}

/// The checkpoints in a file, one after the other.
fn checkpoints_in(path: &Path, verifiers: &[Verifier]) -> Result<Vec<Checkpoint>, Box<dyn Error>> {
    let about = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = fs::read_to_string(path).map_err(|error| about(&error))?;
    let is_origin = |line: &str| verifiers.iter().any(|verifier| verifier.name() == line.trim_end());
    let mut checkpoints = Vec::new();
    let mut others = 0;
    for note in notes(&text, is_origin) {
        match Checkpoint::open(&note, verifiers) {
            Ok(checkpoint) => checkpoints.push(checkpoint),
            Err(_) => others += 1,
        }
    }
    if checkpoints.is_empty() {
        return Err(about(&"it has no checkpoint of this log").into());
    }
    if others > 0 {
        // A server that was stopped while it wrote leaves a part of one.
        eprintln!("{}", about(&format!("{others} of its pieces are no checkpoints of this log, and do not count")));
    }
    Ok(checkpoints)
}

/// Notes that stand one after the other: each begins with the name of the log and ends with its signatures.
fn notes(text: &str, is_origin: impl Fn(&str) -> bool) -> Vec<String> {
    let mut notes = vec![String::new()];
    let mut signed = false;
    for line in text.split_inclusive('\n') {
        let is_signature = line.starts_with("\u{2014} ");
        if (signed && !is_signature) || is_origin(line) {
            notes.push(String::new());
        }
        signed = is_signature;
        if let Some(note) = notes.last_mut() {
            // What separates them is part of none.
            if !(note.is_empty() && line.trim().is_empty()) {
                note.push_str(line);
            }
        }
    }
    notes.retain(|note| !note.is_empty());
    notes
}
