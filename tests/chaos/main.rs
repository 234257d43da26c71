//! The five services as processes on one NATS, each with a database of its own, under load while processes, NATS and the network
//! between them fail; afterwards everything that clients were told is held against what there is, and every event of every log
//! against the audit log.
//!
//! It runs the example server, built with the feature `failpoints`; `scripts/soak --chaos` runs the same rounds for as long as one
//! likes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod broken;
mod bus;
mod fault;
mod look;
mod messages;
mod plan;
mod round;
mod soak;
mod system;
