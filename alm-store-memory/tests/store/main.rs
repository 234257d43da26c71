//! What the store promises: all that the ports say, and a little more.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod beyond;
mod conformance;
