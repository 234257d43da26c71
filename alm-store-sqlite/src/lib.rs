//! ALM in one `SQLite` file: for a host that embeds ALM, and for a server that needs no database beside it.
//!
//! ```
//! use std::sync::Arc;
//! use alm_core::{Alm, Context, Principal, domain::NewApp};
//! use alm_store_sqlite::SqliteStore;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let file = folder.path().join("alm.db");
//! SqliteStore::migrate(&file).await?;
//! let store = SqliteStore::open(&file).await?;
//!
//! let alm = Alm::builder(Arc::new(store.clone())).build();
//! let me = Context::new(Principal::system());
//! let app = alm.apps().create(&me, NewApp::parse("billing".into(), String::new(), Default::default())?).await?;
//! assert_eq!(app.value.id.get(), 1);
//!
//! store.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! - **Durable.** The file is in write-ahead mode, and a receipt is given once the disk has it ([`Synchronous::Full`]).
//! - **Fast.** Each store has one connection that writes; what waits for it is committed in one transaction, and changesets that
//!   only add by the same few statements. One that is refused does not touch the others: it is rolled back to a savepoint, and
//!   told what it would be told alone. Reads have connections of their own and wait for no one.
//! - **Shared.** Several stores, also of several processes on one machine, may be open on one file. It must not lie on a network
//!   file system, whose locks `SQLite` can't rely on.
//! - **Beside your tables.** All tables begin with `alm_`, the one of the migrations too, so the file may be the host's own.
//!   Migrations run only when asked for.
//!
//! The store needs a tokio runtime with time enabled; what it spawns ends with the last handle, or with
//! [`close`](SqliteStore::close).

mod commit;
mod error;
mod options;
mod read;
mod role;
mod rotate;
mod row;
mod schema;
mod store;
mod writer;

pub use options::{SqliteOptions, Synchronous};
pub use store::SqliteStore;
