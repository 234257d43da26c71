//! The record of a software product's life: **applications** have **versions**, versions are **deployed** to environments, and
//! every change stands in an append-only **audit log**.
//!
//! This crate is the domain, its ports and its use cases. It has no SQL, no HTTP and no message bus, and it brings no runtime:
//! the host plugs adapters in, calls [`Alm`], and spawns [`Alm::run`].
//!
//! - [`domain`]: values that are parsed once and valid ever after.
//! - [`changeset`]: the one way to change anything. State, the events that tell of it, and how far a consumer has read are
//!   committed together or not at all.
//! - [`ports`]: what ALM needs from outside, and what an adapter promises.
//! - [`policy`]: who may do what, as one table.
//! - [`services`]: the use cases.
//! - [`runtime`]: consumers of the event log: audit, cascade, auto-deploy, and the host's own.
//!
//! The library reads no environment, opens no socket, spawns nothing and installs no logger.
//!
//! # Example
//! ```
//! use std::sync::Arc;
//! use alm_core::{Alm, Context, Principal, domain::NewApp, ports::AppFilter};
//! use alm_store_memory::MemoryStore;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let alm = Alm::builder(Arc::new(MemoryStore::new())).build();
//! let me = Context::new(Principal::system());
//!
//! let new = NewApp::parse("billing".into(), "handles invoicing".into(), Default::default())?;
//! let app = alm.apps().create(&me, new).await?.value;
//! assert_eq!(alm.apps().get(&me, app.id).await?, app);
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//! None is on by default.
//!
//! | feature | brings |
//! |---|---|
//! | `tokio` | `ports::TokioTimer`, to run consumers on tokio |
//! | `tlog` | [`tlog`]: a transparency log over the audit log, by SHA-256 and Ed25519 of aws-lc-rs |
//! | `metrics` | counters and gauges of the `metrics` crate: commits, events, deployments, lag; `docs/metrics.md` lists them |
//! | `testing` | [`testing`]: a clock and ids that a test decides, fixtures, fault injection, a bus in memory, a checker of histories |
//! | `mocks` | `testing::mocks`: a mock of every port, by mockall |
//! | `proptest1` | `testing::strategies` for every domain type and `testing::model`, by proptest 1 |
//! | `conformance` | `store_conformance!`, `tree_conformance!` and `bus_conformance!`: what every adapter must do, as tests |

pub mod changeset;
pub mod domain;
mod measured;
pub mod policy;
pub mod ports;
pub mod runtime;
pub mod services;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "tlog")]
pub mod tlog;

pub use policy::{Principal, RoleTable};
pub use services::{Alm, AlmBuilder, Context, Error};
