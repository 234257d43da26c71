//! Stores that break one promise each, and the cases of the conformance kit that must notice.
//!
//! All of them are one store in memory, made of the example's state; a [`Defect`] says what it does wrong.

mod accounts;
mod commit;
mod defect;
mod disk;
mod harness;
mod parts;
mod races;
mod reads;
mod retention;
mod roles;
mod table;
mod toy;

use std::{
    any::Any,
    panic::catch_unwind,
    sync::{Mutex, PoisonError},
    thread,
};

use alm_core::testing::conformance::store;

use defect::Defect;
use harness::Harness;
use table::CAUGHT_BY;

/// A flaw that shows only in a race may get away, but not for ever.
const TRIES: usize = 5;

#[test]
fn a_store_without_a_flaw_passes_every_case() {
    store::run_all(&Harness(Defect::None)).assert_passed();
}

/// Some are caught only when a deadline passes, so several are tried at the same time.
#[test]
fn every_flawed_store_is_caught_by_the_cases_that_are_about_its_flaw() {
    let known: Vec<_> = store::CASES.iter().map(store::Case::name).collect();
    let all = CAUGHT_BY.iter().flat_map(|(defect, cases)| cases.iter().map(move |case| (*defect, *case)));
    let (to_try, missed) = (Mutex::new(all), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                loop {
                    let next = to_try.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((defect, case)) = next else { break };
                    assert!(known.contains(&case), "there is no case named {case}");
                    match (0..TRIES).find_map(|_| catch_unwind(|| store::check(&Harness(defect), case)).err()) {
                        None => missed.lock().unwrap_or_else(PoisonError::into_inner).push((defect, case)),
                        Some(panic) => println!("{defect:?} is caught by {case}: {}", message(panic.as_ref())),
                    }
                }
            });
        }
    });
    let missed = missed.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(missed.is_empty(), "these flaws were not noticed by these cases: {missed:?}");
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked")
}

#[test]
fn every_flaw_stands_in_the_table_once() {
    let mut named: Vec<_> = CAUGHT_BY.iter().map(|(defect, cases)| (format!("{defect:?}"), cases.len())).collect();
    assert!(named.iter().all(|(_, cases)| *cases > 0), "a flaw that nothing catches shows nothing");
    named.sort();
    let before = named.len();
    named.dedup_by(|a, b| a.0 == b.0);
    assert_eq!(named.len(), before, "a flaw stands there twice");
}
