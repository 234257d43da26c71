//! Everything that reads what comes from outside, given what no one would send. `ALM_FUZZ_SECONDS` says for how long each target runs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod engine;
mod targets;

/// A test for each target.
macro_rules! fuzzed {
    ($($name:ident),+) => {
        $(
            #[test]
            fn $name() {
                engine::run(targets::named(stringify!($name)));
            }
        )+

        #[test]
        fn every_target_has_a_test_and_a_binary_for_libfuzzer() {
            let tested = [$(stringify!($name)),+];
            let manifest = include_str!("libfuzzer/Cargo.toml");
            for target in &targets::ALL {
                assert!(tested.contains(&target.name), "{}", target.name);
                assert!(manifest.contains(&format!("name = \"{}\"\npath = \"fuzz.rs\"", target.name)), "{}", target.name);
            }
        }
    };
}

fuzzed!(token, claims, keys, cursor, event, note, tree, request, values);
