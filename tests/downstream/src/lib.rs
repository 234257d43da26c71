//! Someone else's project: a store of its own, a service that embeds ALM, and tests that are made of ALM's test kit.
//!
//! It stands outside of the workspace and is built as a stranger would build it: against the features of alm-core, with nothing
//! of the kit's own dependencies in its manifest.

// The store is the one of docs/writing-an-adapter.md: whoever follows that has it in a crate like this.
#[path = "../../../examples/custom_store/apply.rs"]
mod apply;
#[path = "../../../examples/custom_store/credentials.rs"]
mod credentials;
#[path = "../../../examples/custom_store/file.rs"]
mod file;
#[cfg(test)]
#[path = "../../../examples/custom_store/harness.rs"]
mod harness;
#[path = "../../../examples/custom_store/read.rs"]
mod read;
pub mod releases;
#[path = "../../../examples/custom_store/state.rs"]
mod state;
#[path = "../../../examples/custom_store/store.rs"]
mod store;

#[cfg(test)]
mod tests;
