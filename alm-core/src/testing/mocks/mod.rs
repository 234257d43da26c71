//! A mock of every port, made by [mockall](https://docs.rs/mockall): each call is expected with what it answers, and a call that
//! is not expected panics.
//!
//! A mock knows nothing of what a port promises: a mocked store keeps nothing, has no unique names and checks no revision, so a
//! test with one also claims how the code under test goes about its work. For most tests, prefer a real store, `alm-store-memory`,
//! and inject faults into it. A mock is right for an answer that a real adapter can't be brought to give, and for a claim about
//! the calls themselves, such as "this is not asked at all".
//!
//! ```
//! use std::sync::Arc;
//! use alm_core::{
//!     Alm, Context, Error, Principal,
//!     domain::NewApp,
//!     ports::{BackendError, BackendErrorKind, IdBlock, Outcome},
//!     testing::mocks::MockStore,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut store = MockStore::new();
//! store.expect_allocate().returning(|_, count| Ok(IdBlock { first: 1, count }));
//! // The connection broke before the answer came.
//! store.expect_commit().times(1).returning(|_| {
//!     let (kind, outcome) = (BackendErrorKind::Timeout, Outcome::Unknown);
//!     Err(BackendError { kind, outcome, ..BackendError::internal("mock", "commit") }.into())
//! });
//!
//! let alm = Alm::builder(Arc::new(store)).build();
//! let new = NewApp::parse("billing".into(), String::new(), Default::default())?;
//! let error = alm.apps().create(&Context::new(Principal::system()), new).await.unwrap_err();
//! assert_eq!(error.outcome(), Outcome::Unknown);
//! # Ok(())
//! # }
//! ```
#![expect(clippy::pedantic, reason = "mockall writes most of the code here")]

/// The crate that the mocks are made by, in the version that they need: for `Sequence` and `predicate`.
pub use mockall;

mod auth;
mod bus;
mod clock;
mod directory;
mod handler;
mod store;

pub use auth::{
    MockAuthenticator, MockAuthorizer, MockPasswordHasher, MockPasswordPolicy, MockSecrets, MockTokenIssuer,
};
pub use bus::{MockEventBus, MockHeads, MockSubscription};
pub use clock::{MockClock, MockIds, MockTimer};
pub use directory::MockDirectory;
pub use handler::MockHandler;
pub use store::{MockLease, MockStore};
