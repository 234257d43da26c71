//! A store of ALM in `PostgreSQL` 15 or newer, for several processes, and for hosts that have it already.
//!
//! ```no_run
//! use std::sync::Arc;
//! use alm_core::{Alm, Context, Principal, domain::NewApp};
//! use alm_store_postgres::{PostgresOptions, PostgresStore};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let options = PostgresOptions::parse("postgres://alm@localhost/alm")?;
//! PostgresStore::migrate(&options).await?;
//! let alm = Alm::builder(Arc::new(PostgresStore::connect(&options).await?)).build();
//! let me = Context::new(Principal::system());
//! alm.apps().create(&me, NewApp::parse("billing".into(), String::new(), Default::default())?).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What it does to a database
//! It lives in a schema of its own, `alm` unless [another](PostgresOptions::schema) is named, and touches nothing outside of it.
//! [`PostgresStore::migrate`] makes the schema and brings it up to date; which migrations were made stands in the table
//! `alm_migrations`. A commit is one transaction in `READ COMMITTED`, and when the receipt is given, it is as durable as the
//! server's settings make it: leave `fsync`, `full_page_writes` and `synchronous_commit` on.
//! [`PostgresStore::commit_in`] puts a changeset into a transaction of the host.
//!
//! Events get their positions in the log right after the commit, from whichever handle is first; see
//! [`EventLog`](alm_core::ports::EventLog) for what is promised of them.
//!
//! # The role to work under
//! Let the owner of the schema migrate, and a role that owns nothing do the work. With these grants it can add to the audit log
//! and read it, and not change it; to everyone else, the owner included, triggers refuse that. Make them again after a migration
//! that brings tables:
//!
//! ```sql
//! GRANT USAGE ON SCHEMA alm TO alm_service;
//! GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA alm TO alm_service;
//! GRANT USAGE ON ALL SEQUENCES IN SCHEMA alm TO alm_service;
//! REVOKE UPDATE, DELETE ON alm.audit_entries FROM alm_service;
//! REVOKE INSERT, UPDATE, DELETE ON alm.alm_migrations FROM alm_service;
//! REVOKE INSERT, DELETE ON alm.audit_head, alm.log, alm.log_oldest, alm.sequences FROM alm_service;
//! ```
//!
//! # TLS
//! It comes from `sqlx`, which this crate [re-exports](sqlx) without it. A host that needs it depends on `sqlx` as well and turns
//! on the feature `tls-rustls-aws-lc-rs`; cargo unites the features. Then say `sslmode=verify-full` in the URL: unless it says
//! so, `sqlx` is content with a connection in clear.

mod commit;
mod error;
mod label;
mod options;
mod pool;
mod read;
mod retention;
mod row;
mod schema;
mod seal;
mod store;

pub use options::PostgresOptions;
pub use sqlx;
pub use store::PostgresStore;
