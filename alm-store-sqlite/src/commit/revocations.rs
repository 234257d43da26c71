//! Credentials that other services held and that are gone.

use alm_core::{
    domain::{CredentialId, Timestamp},
    ports::StoreError,
};
use sqlx::SqliteConnection;

use super::rows::run;

const FORGET: &str = "
    DELETE FROM alm_revocations
    WHERE id IN (SELECT id FROM alm_revocations WHERE until <= ?1 ORDER BY until LIMIT 2)";
const KEEP: &str = "
    INSERT INTO alm_revocations (id, until) VALUES (?1, ?2)
    ON CONFLICT (id) DO UPDATE SET until = excluded.until WHERE until < excluded.until";

/// Keeps that it is gone, for as long as was told at the longest.
pub(super) async fn keep(
    connection: &mut SqliteConnection,
    id: CredentialId,
    until: Timestamp,
    at: Timestamp,
) -> Result<(), StoreError> {
    // Two of the oldest go for each that comes, so what has expired goes faster than anything comes.
    run(connection, sqlx::query(FORGET).bind(at.micros())).await?;
    run(connection, sqlx::query(KEEP).bind(id.get()).bind(until.micros())).await.map(drop)
}
