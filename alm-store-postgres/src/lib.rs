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
//! Events get their positions in the log with the commit or right after it, from whichever handle is first; see
//! [`EventLog`](alm_core::ports::EventLog) for what is promised of them.
//!
//! # To operate it
//! The guide `docs/postgresql.md` in the repository has the SQL for a role that can do the store's work
//! and can't change the audit log, and tells of TLS, pools, poolers, backups and upgrades.
//!
//! # Features
//! `tls`, on by default: connections in TLS, by rustls on aws-lc-rs; `sslmode=verify-full` in the URL asks for it.
//! [`sqlx`] is re-exported, for [`commit_in`](PostgresStore::commit_in) and [`PostgresOptions::new`].

mod commit;
mod connect;
mod error;
mod label;
mod options;
mod pool;
mod rate;
mod read;
mod retention;
mod role;
mod rotate;
mod row;
mod schema;
mod seal;
mod silence;
mod store;
mod tree;
mod url;

pub use options::PostgresOptions;
pub use sqlx;
pub use store::PostgresStore;
