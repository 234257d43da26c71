//! What tests of several packages share: throwaway servers, faults, and the check of what survived them.
//!
//! Whatever goes wrong in here fails the test by a panic.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test fails by panicking")]

pub mod certificates;
pub mod journal;
pub mod load;
pub mod migrations;
pub mod nats;
pub mod network;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod small_disk;
pub mod soak;
pub mod wire;

use std::time::{Duration, Instant};

/// Longer than anything in a test should take.
pub const LONG: Duration = Duration::from_secs(20);

/// Looks again and again until there is something to see.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LONG;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < deadline, "this did not come about: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
