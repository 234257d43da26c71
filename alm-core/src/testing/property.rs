//! How property tests run.

use std::hash::{BuildHasher, RandomState};

use proptest::test_runner::{Config, RngSeed};

/// Property tests write nothing into the tree: a failure shows the seed, and the seed gives the failure again.
pub fn property(cases: u32) -> Config {
    let mut config = Config { cases, failure_persistence: None, ..Config::default() };
    if matches!(config.rng_seed, RngSeed::Random) {
        config.rng_seed = RngSeed::Fixed(RandomState::new().hash_one(cases));
    }
    // Shown when the test fails.
    eprintln!("PROPTEST_RNG_SEED={}", config.rng_seed);
    config
}
