//! What the store promises: a commit is all or nothing, a read is a snapshot, the log is gapless.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod commits;
mod conformance;
mod given;
mod reads;
