//! The state of the example store, which is right.

#[path = "../../../../examples/custom_store/apply.rs"]
mod apply;
#[path = "../../../../examples/custom_store/credentials.rs"]
mod credentials;
#[path = "../../../../examples/custom_store/read.rs"]
mod read;
#[path = "../../../../examples/custom_store/state.rs"]
mod state;

pub(super) use state::{Logged, State};
