//! What the store promises, on a real `PostgreSQL`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod audit_role;
mod beyond;
mod conformance;
mod groups;
mod host_transaction;
mod migrations;
mod model;
mod network;
mod outages;
mod place;
mod roles;
mod rotations;
mod silence;
mod tls;
mod upgrades;
