//! How property tests run.

use std::hash::{BuildHasher, RandomState};

use proptest::test_runner::{Config, RngSeed, contextualize_config};

/// The configuration of a property test: so many cases, or as many as `PROPTEST_CASES` says. It writes nothing into the tree: a
/// failure shows the seed, and that seed in `PROPTEST_RNG_SEED` gives the failure again.
///
/// ```
/// use alm_core::testing::{property, strategies::app_name};
/// use proptest::prelude::*;
///
/// proptest!(property(64), |(name in app_name())| {
///     prop_assert!(!name.as_str().is_empty());
/// });
/// ```
pub fn property(cases: u32) -> Config {
    let mut config = contextualize_config(Config { cases, failure_persistence: None, ..Config::default() });
    if matches!(config.rng_seed, RngSeed::Random) {
        config.rng_seed = RngSeed::Fixed(RandomState::new().hash_one(cases));
    }
    // The harness shows it when the test fails.
    eprintln!("PROPTEST_RNG_SEED={}", config.rng_seed);
    config
}
