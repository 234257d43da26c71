//! What the store promises, on a real `PostgreSQL`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;
mod place;
mod server;
