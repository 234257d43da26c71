//! The rounds again and again.

use std::{collections::BTreeMap, env, str::FromStr, time::Instant};

use crate::{
    plan::ROUNDS,
    round::{Report, run},
};

fn setting<T: FromStr>(name: &str) -> Option<T> {
    env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name}={value}")))
}

/// In the suite it is one round, a different one each time; `scripts/soak` sets how many.
#[test]
fn round_after_round_nothing_is_torn() {
    let rounds = setting("ALM_SOAK_ROUNDS").unwrap_or(1_usize);
    let seed = setting("ALM_SOAK_SEED").unwrap_or_else(|| fastrand::u64(..));
    let mut random = fastrand::Rng::with_seed(seed);
    let first = if rounds < ROUNDS.len() { random.usize(..ROUNDS.len()) } else { 0 };
    println!("{rounds} rounds --seed {seed}");
    let begun = Instant::now();
    let (mut total, mut failed) = (Report::default(), BTreeMap::new());
    for number in 0..rounds {
        let round = &ROUNDS[(first + number) % ROUNDS.len()];
        let seed = random.u64(..);
        match run(round, seed) {
            Ok(report) => {
                let passed = begun.elapsed().as_secs();
                println!("round {}/{rounds}, {passed} s: {}: {report}", number + 1, round.name);
                for violation in &report.violations {
                    println!("  {violation}");
                    *failed.entry(format!("{:?}", violation.kind)).or_insert(0) += 1;
                }
                total.faults += report.faults;
                total.asked += report.asked;
                total.done += report.done;
                total.unanswered += report.unanswered;
                total.audited += report.audited;
                total.violations.extend(report.violations);
            }
            Err(no_fault) => {
                println!("round {}/{rounds}: {}: no fault: {no_fault}", number + 1, round.name);
                *failed.entry("NoFault".to_owned()).or_insert(0) += 1;
            }
        }
    }
    println!("{rounds} rounds in {} s, --seed {seed}: {total}: {failed:?}", begun.elapsed().as_secs());
    assert!(failed.is_empty(), "--seed {seed}: {failed:?}");
}
