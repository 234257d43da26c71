//! Writes of accounts.

use alm_core::domain::{PasswordHash, UserRecord, Username};
use sqlx::PgConnection;

pub(super) async fn insert(connection: &mut PgConnection, record: &UserRecord) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO accounts (username, role, created_at, password_hash) VALUES ($1, $2, $3, $4)")
        .bind(record.user.username.as_str())
        .bind(record.user.role.as_str())
        .bind(record.user.created_at.micros())
        .bind(record.password_hash.as_str().as_bytes())
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn set_password(
    connection: &mut PgConnection,
    username: &Username,
    hash: &PasswordHash,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query("UPDATE accounts SET password_hash = $2 WHERE username = $1")
        .bind(username.as_str())
        .bind(hash.as_str().as_bytes())
        .execute(connection)
        .await?;
    Ok(done.rows_affected() > 0)
}

pub(super) async fn delete(connection: &mut PgConnection, username: &Username) -> Result<bool, sqlx::Error> {
    let done = sqlx::query("DELETE FROM accounts WHERE username = $1").bind(username.as_str());
    Ok(done.execute(connection).await?.rows_affected() > 0)
}
