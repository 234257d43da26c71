//! One binary for each target, named after it.

#![no_main]
#![allow(clippy::unwrap_used, dead_code, reason = "a finding is a panic, and a binary runs one target of all")]

use std::{env, fs, path::Path};

use libfuzzer_sys::fuzz_target;

#[path = "../targets/mod.rs"]
mod targets;

const NAME: &str = env!("CARGO_BIN_NAME");

/// Puts the seeds to what libFuzzer begins with.
fn plant() {
    let Ok(folder) = env::var("ALM_FUZZ_SEEDS") else { return };
    for (number, seed) in (targets::named(NAME).seeds)().iter().enumerate() {
        fs::write(Path::new(&folder).join(format!("seed-{number}")), seed).unwrap();
    }
}

fuzz_target!(init: plant(), |data: &[u8]| (targets::named(NAME).run)(data));
