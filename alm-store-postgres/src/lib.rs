//! A store of ALM in `PostgreSQL` 15 or newer.

mod commit;
mod error;
mod label;
mod options;
mod pool;
mod read;
mod row;
mod schema;
mod seal;
mod store;

pub use options::PostgresOptions;
pub use sqlx;
pub use store::PostgresStore;
