//! What every adapter must do, as tests that an adapter's own test suite runs.
//!
//! The ports' docs say what an adapter promises, and name behind each promise the cases that check it. The cases stand in
//! [`store::CASES`].
//!
//! # A store
//! Write a [`StoreHarness`]: how to make a store that is fresh and used by no one else, and what the store can do. Then
//!
//! ```
//! use std::sync::Arc;
//! use alm_core::{ports::Store, testing::conformance::{StoreCapability, StoreHarness, StoreSubject}};
//! use alm_store_memory::MemoryStore;
//!
//! struct Harness;
//!
//! impl StoreHarness for Harness {
//!     type Subject = Memory;
//!
//!     fn capabilities(&self) -> &[StoreCapability] {
//!         &StoreCapability::SERVICES
//!     }
//!
//!     async fn fresh(&self) -> Memory {
//!         Memory(Arc::new(MemoryStore::new()))
//!     }
//! }
//!
//! struct Memory(Arc<MemoryStore>);
//!
//! impl StoreSubject for Memory {
//!     fn store(&self) -> Arc<dyn Store> {
//!         self.0.clone()
//!     }
//! }
//!
//! alm_core::store_conformance!(Harness);
//! # fn main() {}
//! ```
//!
//! makes one `#[test]` of each case. [`store::run_all`] runs the same cases and gives a [`Report`].

pub mod bus;
mod case;
mod expand;
mod kept;

mod must;
mod report;
pub mod store;
mod tasks;
pub mod tree;

pub use bus::{BusCapability, BusHarness, BusSubject};
pub use case::{Capability, Case};
pub use report::{Report, Verdict};
pub use store::{HeldCommit, StoreCapability, StoreHarness, StoreSubject};
pub use tree::{TreeCapability, TreeHarness, TreeSubject};
