//! The rounds again and again.

use alm_test_support::soak::soak;

use crate::{plan::ROUNDS, round::run};

#[test]
fn round_after_round_nothing_is_lost() {
    let names: Vec<_> = ROUNDS.iter().map(|round| round.name).collect();
    soak(&names, |nth, seed| run(&ROUNDS[nth], seed));
}
