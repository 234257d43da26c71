//! The server and its database are killed under load, at random and at named points; afterwards everything that clients were
//! told is held against what there is.
//!
//! It runs the example server, built with the feature `failpoints`; `scripts/soak` runs the same rounds for as long as one likes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod broken;
mod plan;
mod round;
mod soak;
mod system;
