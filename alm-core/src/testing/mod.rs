//! What it takes to test software that embeds ALM, and adapters that plug into it.
//!
//! Depend on alm-core from `[dev-dependencies]` with the features that you need; nothing here is part of a release build.

mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
mod faults;
pub mod fixtures;
pub mod inspect;
pub mod linearizability;
mod memory_bus;
#[cfg(feature = "mocks")]
pub mod mocks;
#[cfg(feature = "proptest1")]
pub mod model;
#[cfg(feature = "proptest1")]
mod property;
pub mod sample;
#[cfg(feature = "proptest1")]
pub mod strategies;

pub use clock::{InstantTimer, ManualClock, QuickTimer, SequentialIds};
pub use faults::{Call, Fault, Faulty, FaultyBus, Gate, Operation, Plan, Script, Seeded, Switch};
pub use memory_bus::MemoryBus;
#[cfg(feature = "proptest1")]
pub use property::property;

// The examples of the guides, run as tests.
#[cfg(all(doctest, feature = "conformance", feature = "mocks", feature = "proptest1"))]
mod guides {
    #[doc = include_str!("../../../docs/writing-an-adapter.md")]
    mod writing_an_adapter {}
    #[doc = include_str!("../../../docs/testing-with-alm.md")]
    mod testing_with_alm {}
}
