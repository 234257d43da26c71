//! The model passes stores that keep the contract and tells what is wrong with those that do not.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use alm_core::{
    ports::Store,
    testing::{
        model::{Check, Comparison, MakeStore, Model},
        property,
    },
};
use alm_store_memory::MemoryStore;
use proptest::test_runner::TestRunner;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use tokio::task::JoinSet;

use crate::odd_store::{OddStore, Oddity};

#[test]
fn a_store_that_seals_its_log_after_the_commit_passes() {
    Check::new().cases(30).run(async || OddStore::with(Oddity::SealsLate) as Arc<dyn Store>);
}

#[test]
fn a_store_may_need_the_runtime() {
    Check::new().cases(3).commands(1..5).run(|| async {
        let mut task = JoinSet::new();
        task.spawn(async {});
        tokio::time::timeout(Duration::from_secs(20), task.join_all()).await.unwrap();
        Arc::new(MemoryStore::new()) as Arc<dyn Store>
    });
}

#[test]
fn a_difference_is_told_with_what_led_there_and_both_answers_and_the_seed() {
    // given
    let make = async || OddStore::with(Oddity::ListsNoApps) as Arc<dyn Store>;

    // when
    let failed = catch_unwind(AssertUnwindSafe(|| Check::new().cases(50).run(make)));

    // then
    let message = *failed.expect_err("the model finds the difference").downcast::<String>().unwrap();
    let shown = ["is answered: []\n", "by the model: [{\"created_at\":0", "   1. CreateApp {", ". ListApps {"];
    for part in shown {
        assert!(message.contains(part), "no {part} in {message}");
    }
    let seed = message.rsplit_once("PROPTEST_RNG_SEED=").unwrap().1;
    assert!(seed.parse::<u64>().is_ok(), "{message}");
}

struct InMemory;

impl MakeStore for InMemory {
    async fn make() -> Arc<dyn Store> {
        Arc::new(MemoryStore::new())
    }
}

#[test]
fn the_comparison_can_be_driven_by_hand() {
    let config = property(10);
    let strategy = Model::sequential_strategy(1..30);
    let run = TestRunner::new(config.clone()).run(&strategy, |(model, commands, seen)| {
        Comparison::<InMemory>::test_sequential(config.clone(), model, commands, seen);
        Ok(())
    });
    run.unwrap();
}
