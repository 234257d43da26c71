//! The test kit itself: what it promises to those who test with it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod faults;
mod memory_bus;
