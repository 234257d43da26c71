//! What every bus must do.

mod connections;
mod delivery;
mod given;
mod harness;
mod heads;
mod list;
mod publishing;
mod replay;
mod subject;

use super::{Report, case};

pub use harness::{BusCapability, BusHarness, BusSubject};
pub use list::CASES;
use subject::Subject;

/// Something that every bus must do.
pub type Case = super::Case<BusCapability>;

/// Checks that the bus of `harness` passes the case of that name; what the tests of
/// [`bus_conformance!`](crate::bus_conformance) call.
///
/// # Panics
/// It does not, or there is no such case.
pub fn check(harness: &impl BusHarness, name: &str) {
    case::check(CASES, name, harness.patience(), Subject::of(harness));
}

/// Runs every case, one after the other, whatever comes of them.
pub fn run_all(harness: &impl BusHarness) -> Report {
    case::run_all(CASES, harness.patience(), || Subject::of(harness))
}
