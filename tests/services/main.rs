//! The use cases and the consumers on the store in memory: what holds whatever is asked, in whichever order, by however many at
//! once, and whatever fails meanwhile.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accounts;
mod audit;
mod audit_tree;
mod clocks;
mod consumers;
mod distributed;
mod errors;
mod fakes;
mod faults;
mod given;
mod idempotency;
mod ids;
mod model;
mod progress;
mod races;
mod relay;
mod retention;
mod rough_store;
mod sessions;
mod store_state;
mod supervision;
