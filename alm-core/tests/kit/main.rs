//! The test kit keeps its own promises.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bus_conformance;
mod flawed_buses;
mod histories;
mod mocks;
mod strategies;
