//! Ids for new resources.

use alm_core::ports::{IdBlock, Sequence, StoreError};
use sqlx::SqliteConnection;

use crate::error::fault;

const ALLOCATE: &str = "UPDATE alm_sequences SET next = next + ?2 WHERE name = ?1 RETURNING next - ?2";

/// Takes `count` ids.
pub(crate) async fn allocate(
    connection: &mut SqliteConnection,
    sequence: Sequence,
    count: u32,
) -> Result<IdBlock, StoreError> {
    let name = match sequence {
        Sequence::Apps => "apps",
        Sequence::Versions => "versions",
        Sequence::Deployments => "deployments",
    };
    let first = sqlx::query_scalar(ALLOCATE).bind(name).bind(count).fetch_one(connection).await;
    Ok(IdBlock { first: first.map_err(|error| fault("allocate", error))?, count })
}
