//! ALM over HTTP: [`router`] gives every route of the API as an [`axum::Router`], to be served alone or nested in a service of
//! one's own.
//!
//! - `/apps`, `/versions`, `/deployments`, `/audit/events`, `/users`, `/login`, `/events`: the API.
//! - `/openapi.json`, `/docs`: what it is, and a page to try it.
//! - `/healthz`, `/readyz`, `/metrics`: the state of the process.
//!
//! Where the services run apart, [`gateway`] gives their common front, and [`directory`] looks parents up at their owner.
//! [`auth`] holds the adapters for identity (JWT, argon2id), [`serve`](mod@serve) an accept loop with deadlines.
//!
//! # Example
//! ```
//! use std::sync::Arc;
//! use alm_core::Alm;
//! use alm_http::auth::{Argon2Hasher, Jwt, SystemSecrets};
//! use alm_store_memory::MemoryStore;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let jwt = Arc::new(Jwt::hs256(b"a secret of at least thirty-two bytes", "alm", "alm")?);
//! let alm = Alm::builder(Arc::new(MemoryStore::new()))
//!     .authenticator(jwt.clone())
//!     .token_issuer(jwt)
//!     .password_hasher(Arc::new(Argon2Hasher::default()))
//!     .secrets(Arc::new(SystemSecrets))
//!     .build();
//! let app: axum::Router = axum::Router::new().nest("/alm", alm_http::router(alm));
//! # Ok(())
//! # }
//! ```

pub mod auth;
mod cors;
pub mod directory;
mod docs;
mod envelope;
mod error;
mod forwarded;
pub mod gateway;
mod gauges;
mod headers;
mod openapi;
mod operations;
mod problem;
mod proxies;
mod request;
mod resources;
mod response;
mod router;
pub mod serve;
mod state;
mod trace;
pub mod upstream;

pub use cors::{CorsOrigins, InvalidOrigin};
pub use operations::metrics_router;
pub use problem::{Dependency, Problem, ProblemField};
pub use proxies::{InvalidNetwork, TrustedProxies};
pub use router::{Api, openapi, router};
pub use state::{MetricsRenderer, Readiness};
