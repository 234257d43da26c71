//! The test kit keeps its own promises.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bus_conformance;
mod contracts;
mod faults;
mod flawed_buses;
mod flawed_stores;
mod flawed_trees;
mod histories;
mod linearizability;
mod memory_bus;
mod mocks;
mod model;
mod odd_store;
mod strategies;
