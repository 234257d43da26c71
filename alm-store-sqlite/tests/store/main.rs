//! What the store promises: all that the ports say, and what it says of itself.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;
mod crash;
mod faults;
mod full_disk;
mod grouping;
mod histories;
mod in_folder;
mod migrations;
mod model;
mod roles;
mod rotations;
mod together;
mod trims;
mod upgrades;
mod values;
