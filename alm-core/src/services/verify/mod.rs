//! Checking the whole audit log against what was signed of it.

mod check;
mod checkpoints;
mod found;
mod source;

use crate::{
    ports::TreeStore,
    tlog::{Checkpoint, Rehash, Verifier},
};

use check::Check;
use checkpoints::Kept;
use source::Pages;

pub use found::{Tampered, Tampering, Verification};
pub use source::{AuditSource, Leaf, VerifyError};

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
        Some(tree) => Some((tree, tree.newest_checkpoint().await?.map_or(0, |newest| newest.size))),
        None => None,
    };
    let check = Check {
        kept: kept.map(|(tree, signed)| Kept::new(tree, signed)),
        verifiers,
        known: known.into_iter().peekable(),
        progress,
        rehash: Rehash::default(),
        right: 0,
        checkpoints: 0,
        suspect: None,
    };
    check.run(Pages { source, kept, one_by_one_to: 0 }).await
}
