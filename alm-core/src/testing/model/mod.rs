//! A model of ALM to compare a store with: the services over the store must do what a model of plain maps does, whatever is
//! asked of them in whichever order.
//!
//! ```
//! # use alm_store_memory::MemoryStore as MyStore;
//! use std::sync::Arc;
//! use alm_core::{ports::Store, testing::model::Check};
//!
//! // #[test]
//! fn my_store_does_what_the_model_does() {
//!     alm_core::testing::model::check(|| async { Arc::new(MyStore::new()) as Arc<dyn Store> });
//! }
//! # Check::new().cases(10).run(|| async { Arc::new(MyStore::new()) as Arc<dyn Store> });
//! ```
//!
//! The model numbers resources by itself, for it does not know which ids the store gives and to which microsecond something
//! happens; [`System`] translates. To go beyond what [`check()`] does, take the parts: [`Command`]s are made by [`commands`],
//! told to the [`Model`] and to the [`System`], which compares.

mod ask;
mod check;
mod command;
mod comparison;
mod reference;
mod rows;
mod system;
mod told;

pub use check::{Check, check};
pub use command::{Agreed, Command, DeploymentsOf, Label, Number, Who, commands};
pub use comparison::{Comparison, MakeStore};
pub use reference::Model;
pub use system::System;
pub use told::{Answer, Told, UNKNOWN};
