//! What it takes to test software that embeds ALM, and adapters that plug into it.
//!
//! Depend on alm-core from `[dev-dependencies]` with the features that you need; nothing here is part of a release build.

mod clock;
pub mod fixtures;
pub mod inspect;
pub mod linearizability;
#[cfg(feature = "proptest1")]
pub mod model;
#[cfg(feature = "proptest1")]
mod property;

pub use clock::{InstantTimer, ManualClock, SequentialIds};
#[cfg(feature = "proptest1")]
pub use property::property;
