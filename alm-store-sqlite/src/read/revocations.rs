//! Credentials that other services held and that are gone.

use alm_core::{domain::CredentialId, ports::StoreError};
use sqlx::SqlitePool;

use super::one;

const REVOKED: &str = "SELECT id FROM alm_revocations WHERE id = ?1";

pub(crate) async fn is_revoked(readers: &SqlitePool, id: CredentialId) -> Result<bool, StoreError> {
    Ok(one(readers, sqlx::query(REVOKED).bind(id.get()), |_| Ok(())).await?.is_some())
}
