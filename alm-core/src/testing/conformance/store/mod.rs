//! What every store must do.

mod accounts;
mod apps;
mod audit;
mod commits;
mod consumers;
mod deployments;
mod given;
mod handles;
mod idempotency;
mod ids;
mod labelled;
mod list;
mod log;
mod look;
mod paging;
mod refusal;
mod running;
mod subject;
mod unsupported;
mod versions;

use std::fmt;

use futures_util::future::BoxFuture;

use super::{Report, StoreCapability, StoreHarness, Verdict, case};

pub use list::CASES;
use subject::Subject;

/// Something that every store must do.
pub struct Case {
    group: &'static str,
    name: &'static str,
    needs: &'static [StoreCapability],
    run: fn(Subject) -> BoxFuture<'static, ()>,
}

impl Case {
    /// What it is about.
    pub fn group(&self) -> &'static str {
        self.group
    }

    /// What must hold.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What a store must be able to do for it to make sense. If it can't, the case checks that it says so.
    pub fn needs(&self) -> &'static [StoreCapability] {
        self.needs
    }

    async fn verdict(&self, harness: &impl StoreHarness) -> Verdict {
        let subject = Subject::of(harness).await;
        match self.needs.iter().find(|needed| !subject.can(**needed)) {
            None => {
                (self.run)(subject).await;
                Verdict::Passed
            }
            Some(lacking) => {
                unsupported::refuses(*lacking, subject).await;
                Verdict::Unsupported(lacking.to_string())
            }
        }
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("name", &self.name).field("needs", &self.needs).finish_non_exhaustive()
    }
}

/// Checks that the store of `harness` passes the case of that name; what the tests of
/// [`store_conformance!`](crate::store_conformance) call.
///
/// # Panics
/// It does not, or there is no such case.
pub fn check(harness: &impl StoreHarness, name: &str) {
    let found = CASES.iter().find(|case| case.name == name);
    let found = found.unwrap_or_else(|| panic!("there is no case named {name}"));
    if let Err(panic) = case::run(name, found.verdict(harness)) {
        panic.resume();
    }
}

/// Runs every case, one after the other, whatever comes of them.
pub fn run_all(harness: &impl StoreHarness) -> Report {
    let rows = CASES.iter().map(|found| {
        let verdict = case::run(found.name, found.verdict(harness));
        (found.name, verdict.unwrap_or_else(|panic| Verdict::Failed(panic.message())))
    });
    Report { rows: rows.collect() }
}
