//! What the test kit itself promises.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod linearizability;
mod model;
mod odd_store;
