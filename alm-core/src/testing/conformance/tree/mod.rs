//! What every store of a tree must do.

mod given;
mod growing;
mod harness;
mod list;
mod reading;
mod subject;

use super::{Report, case};

pub use harness::{TreeCapability, TreeHarness, TreeSubject};
pub use list::CASES;
use subject::Subject;

/// Something that every store of a tree must do.
pub type Case = super::Case<TreeCapability>;

/// Checks that the store of `harness` passes the case of that name; what the tests of
/// [`tree_conformance!`](crate::tree_conformance) call.
///
/// # Panics
/// It does not, or there is no such case.
pub fn check(harness: &impl TreeHarness, name: &str) {
    case::check(CASES, name, harness.patience(), Subject::of(harness));
}

/// Runs every case, one after the other, whatever comes of them.
pub fn run_all(harness: &impl TreeHarness) -> Report {
    case::run_all(CASES, harness.patience(), || Subject::of(harness))
}
