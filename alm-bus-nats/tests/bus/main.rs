//! The bus on real servers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod checkpoints;
mod conformance;
mod given;
mod identity;
mod limits;
mod outages;
mod replays;
mod streams;
mod subscriptions;
