//! The test kit keeps its own promises.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bus_conformance;
mod flawed_buses;
mod histories;
mod linearizability;
mod mocks;
mod model;
mod odd_store;
mod strategies;
