//! Credentials that other services held and that are gone.

use alm_core::domain::{CredentialId, Timestamp};
use sqlx::PgConnection;

/// Keeps that it is gone, for as long as was told at the longest.
///
/// Two of the oldest go for each that comes, so what has expired goes faster than anything comes. Those that another commit is just
/// clearing away or keeping for longer are left to it.
pub(super) async fn keep(
    connection: &mut PgConnection,
    id: CredentialId,
    until: Timestamp,
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "WITH expired AS ( \
             SELECT id FROM revocations WHERE until <= $3 AND id <> $1 ORDER BY until LIMIT 2 FOR UPDATE SKIP LOCKED \
         ), gone AS ( \
             DELETE FROM revocations USING expired WHERE revocations.id = expired.id \
         ) \
         INSERT INTO revocations (id, until) VALUES ($1, $2) \
         ON CONFLICT (id) DO UPDATE SET until = excluded.until WHERE revocations.until < excluded.until",
    )
    .bind(id.get())
    .bind(until.micros())
    .bind(at.micros())
    .execute(connection)
    .await?;
    Ok(())
}
