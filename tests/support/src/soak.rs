//! Rounds of load and faults: what they come to, once each as a test, or again and again.

use std::{collections::BTreeMap, env, fmt, str::FromStr, time::Instant};

use crate::{journal::Violation, load::Common};

/// Why a fault is none, so that the round says nothing.
pub type NoFault = String;

/// What a round has come to.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "each is what it is called")]
pub struct Report {
    pub faults: u64,
    pub asked: u64,
    pub done: u64,
    pub unanswered: u64,
    pub audited: usize,
    pub violations: Vec<Violation>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { faults, asked, done, unanswered, audited, violations } = self;
        write!(
            f,
            "{faults} faults, {asked} asked, {done} done, {unanswered} unanswered, {audited} audited, {} violations",
            violations.len()
        )
    }
}

impl Report {
    /// With what the clients have counted.
    pub fn of(faults: u64, clients: &Common, audited: usize, violations: Vec<Violation>) -> Self {
        let (asked, done, unanswered) = (clients.count_asked(), clients.count_done(), clients.count_unanswered());
        Self { faults, asked, done, unanswered, audited, violations }
    }
}

/// Runs the round of that name with a seed of its own; all that was promised must hold.
#[track_caller]
pub fn hold(name: &str, run: impl FnOnce(u64) -> Result<Report, NoFault>) {
    let seed = setting("ALM_SOAK_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("{name} --seed {seed}");
    let report = run(seed).unwrap_or_else(|no_fault| panic!("seed {seed}: {no_fault}"));
    println!("{report}");
    report.violations.iter().for_each(|violation| println!("{violation}"));
    assert!(report.violations.is_empty(), "seed {seed}: {report}");
}

/// Runs rounds of these names, one after the other. In the suite it is one, a different one each time; `scripts/soak` sets how
/// many.
#[track_caller]
pub fn soak(names: &[&str], run: impl Fn(usize, u64) -> Result<Report, NoFault>) {
    let rounds = setting("ALM_SOAK_ROUNDS").unwrap_or(1_usize);
    let seed = setting("ALM_SOAK_SEED").unwrap_or_else(|| fastrand::u64(..));
    let mut random = fastrand::Rng::with_seed(seed);
    let first = if rounds < names.len() { random.usize(..names.len()) } else { 0 };
    println!("{rounds} rounds --seed {seed}");
    let begun = Instant::now();
    let (mut total, mut failed) = (Report::default(), BTreeMap::new());
    for number in 0..rounds {
        let nth = (first + number) % names.len();
        let name = names[nth];
        let seed = random.u64(..);
        match run(nth, seed) {
            Ok(report) => {
                let passed = begun.elapsed().as_secs();
                println!("round {}/{rounds}, {passed} s: {name}: {report}", number + 1);
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
                println!("round {}/{rounds}: {name}: no fault: {no_fault}", number + 1);
                *failed.entry("NoFault".to_owned()).or_insert(0) += 1;
            }
        }
    }
    println!("{rounds} rounds in {} s, --seed {seed}: {total}: {failed:?}", begun.elapsed().as_secs());
    assert!(failed.is_empty(), "--seed {seed}: {failed:?}");
}

fn setting<T: FromStr>(name: &str) -> Option<T> {
    env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name}={value}")))
}
