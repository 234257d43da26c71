//! The reference store of ALM: everything in memory, gone when the process ends.
//!
//! The whole state is one immutable value of persistent maps. A commit makes the next value from the current one and swaps
//! it in, so a commit that fails leaves no trace by construction, and a read is a snapshot that waits for no one.
//!
//! ```
//! use std::sync::Arc;
//! use alm_core::{Alm, Context, Principal, domain::NewApp};
//! use alm_store_memory::MemoryStore;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let alm = Alm::builder(Arc::new(MemoryStore::new())).build();
//! let me = Context::new(Principal::system());
//! let app = alm.apps().create(&me, NewApp::parse("billing".into(), String::new(), Default::default())?).await?;
//! assert_eq!(app.value.id.get(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! Everything stays in memory, all audit entries too, and the log as long as it is not trimmed: for tests, for trying things
//! out, and for short-lived processes.

mod apply;
mod credentials;
mod read;
mod retention;
mod state;
mod store;
mod tree;

pub use store::MemoryStore;
