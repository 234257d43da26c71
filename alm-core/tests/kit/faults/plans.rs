//! Plans: which call meets which fault.

use std::sync::Arc;

use alm_core::{
    ports::{AppFilter, BackendErrorKind, EventLog, Reader},
    testing::{Fault, Faulty, Operation, Plan, Script, Seeded},
};
use alm_store_memory::MemoryStore;

use super::{TIMEOUT, backend, create};

#[tokio::test]
async fn a_script_tells_of_one_operation_in_order_and_then_of_nothing() {
    let script = Arc::new(Script::on(Operation::Head, [Fault::Refused(TIMEOUT), Fault::None]));
    script.push(Fault::Refused(TIMEOUT));
    let faulty = Faulty::over(Arc::new(MemoryStore::new()), script.clone());
    let mut failed = Vec::new();
    for _ in 0..4 {
        create(&faulty).await.ok();
        assert!(faulty.apps(&AppFilter::default(), None, 1).await.is_ok(), "another operation");
        assert_eq!(script.is_done(), failed.len() > 2);
        failed.push(faulty.head().await.is_err());
    }
    assert_eq!(failed, [true, false, true, false]);
}

/// Which of 2000 calls meet which fault.
async fn met(plan: impl Plan + 'static) -> Vec<Option<BackendErrorKind>> {
    let faulty = Faulty::over(Arc::new(MemoryStore::new()), plan);
    let mut met = Vec::new();
    for _ in 0..2000 {
        met.push(faulty.head().await.err().map(|error| backend(error).kind));
    }
    met
}

fn dice(seed: u64) -> Seeded {
    let overloaded = BackendErrorKind::Overloaded;
    Seeded::new(seed, [(Fault::Refused(TIMEOUT), 100), (Fault::Refused(overloaded), 300)])
}

#[tokio::test]
async fn the_same_seed_brings_the_same_faults_and_another_one_others() {
    assert_eq!(met(dice(1)).await, met(dice(1)).await);
    let mut runs = Vec::new();
    for seed in 0..50 {
        let run = met(dice(seed)).await;
        assert!(!runs.contains(&run), "{}", dice(seed));
        runs.push(run);
    }
}

#[tokio::test]
async fn a_seed_means_the_same_forever() {
    // The outputs of Vigna's `splitmix64.c` for the seed 1234567 begin with …317, …973, …423, …431, …821.
    let overloaded = Fault::Refused(BackendErrorKind::Overloaded);
    let rates = [(Fault::None, 317), (Fault::Refused(TIMEOUT), 1), (Fault::None, 105), (overloaded, 1)];
    let met = met(Seeded::new(1_234_567, rates)).await;
    assert_eq!(met[..5], [Some(TIMEOUT), None, Some(BackendErrorKind::Overloaded), None, None]);
}

#[tokio::test]
async fn rates_are_per_mille() {
    let met = met(dice(7)).await;
    let count = |kind| met.iter().filter(|fault| **fault == kind).count();
    // The sequence of a seed never changes, so the bounds can't be missed by chance: 4 standard deviations each way.
    assert!((146..=254).contains(&count(Some(TIMEOUT))), "{}", count(Some(TIMEOUT)));
    assert!((518..=682).contains(&count(Some(BackendErrorKind::Overloaded))));
    let always = Faulty::over(Arc::new(MemoryStore::new()), Seeded::new(3, [(Fault::Refused(TIMEOUT), 1000)]));
    let never = Faulty::over(Arc::new(MemoryStore::new()), Seeded::new(3, [(Fault::Refused(TIMEOUT), 0)]));
    for _ in 0..1000 {
        assert!(always.head().await.is_err());
        assert!(never.head().await.is_ok());
    }
}

#[test]
#[should_panic(expected = "add up to 1001")]
fn rates_that_add_up_to_more_than_all_calls_are_refused() {
    let _ = Seeded::new(1, [(Fault::Panic, 500), (Fault::Dropped, 501)]);
}

#[test]
fn dice_tell_their_seed() {
    assert_eq!(dice(42).seed(), 42);
    assert_eq!(
        dice(42).to_string(),
        "faults with seed 42, 100\u{2030} Refused(Timeout), 300\u{2030} Refused(Overloaded)"
    );
    assert!(format!("{:?}", dice(42)).contains("seed: 42"));
}
