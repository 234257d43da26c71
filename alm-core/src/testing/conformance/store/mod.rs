//! What every store must do.

mod accounts;
mod apps;
mod audit;
mod commits;
mod concurrency;
mod consumers;
mod credentials;
mod deployments;
mod given;
mod guards;
mod handles;
mod harness;
mod idempotency;
mod ids;
mod labelled;
mod letters;
mod list;
mod log;
mod look;
mod paging;
mod parents;
mod rates;
mod refusal;
mod roles;
mod running;
mod subject;
mod trim;
mod unsupported;
mod versions;

use super::{Report, case};

pub use harness::{HeldCommit, StoreCapability, StoreHarness, StoreSubject};
pub use list::CASES;
use subject::Subject;

/// Something that every store must do.
pub type Case = super::Case<StoreCapability>;

/// Checks that the store of `harness` passes the case of that name; what the tests of
/// [`store_conformance!`](crate::store_conformance) call.
///
/// # Panics
/// It does not, or there is no such case.
pub fn check(harness: &impl StoreHarness, name: &str) {
    case::check(CASES, name, harness.patience(), Subject::of(harness));
}

/// Runs every case, one after the other, whatever comes of them.
pub fn run_all(harness: &impl StoreHarness) -> Report {
    case::run_all(CASES, harness.patience(), || Subject::of(harness))
}
