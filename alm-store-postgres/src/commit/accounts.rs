//! Writes of accounts.

use alm_core::domain::{PasswordHash, Revision, Subject, User, UserRecord, Username};
use sqlx::PgConnection;

use crate::{error::Fault, row::json_text};

use super::{at_revision, not_changed};

pub(super) async fn insert(connection: &mut PgConnection, record: &UserRecord) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO accounts (username, role, grants, created_at, revision, password_hash) \
         VALUES ($1, $2, $3::json, $4, $5, $6)",
    )
    .bind(record.user.username.as_str())
    .bind(record.user.role.as_str())
    .bind(json_text(&record.user.grants)?)
    .bind(record.user.created_at.micros())
    .bind(at_revision(record.user.revision))
    .bind(record.password_hash.as_str().as_bytes())
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn update(
    connection: &mut PgConnection,
    user: &User,
    expected: Revision,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE accounts SET role = $3, grants = $4::json, revision = $5 WHERE username = $1 AND revision = $2",
    )
    .bind(user.username.as_str())
    .bind(at_revision(expected))
    .bind(user.role.as_str())
    .bind(json_text(&user.grants)?)
    .bind(at_revision(user.revision))
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Why the account was not changed.
pub(super) async fn why_not(connection: &mut PgConnection, username: &Username) -> Result<Fault, sqlx::Error> {
    let found = sqlx::query("SELECT FROM accounts WHERE username = $1").bind(username.as_str());
    Ok(not_changed(found.fetch_optional(connection).await?.is_some(), Subject::User(username.clone())))
}

pub(super) async fn set_password(
    connection: &mut PgConnection,
    username: &Username,
    expected: Revision,
    old: &PasswordHash,
    new: &PasswordHash,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE accounts SET password_hash = $4, revision = revision + 1
         WHERE username = $1 AND revision = $2 AND password_hash = $3",
    )
    .bind(username.as_str())
    .bind(at_revision(expected))
    .bind(old.as_str().as_bytes())
    .bind(new.as_str().as_bytes())
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Puts `new` in the place of `old`, unless there is something else by now.
pub(super) async fn rehash(
    connection: &mut PgConnection,
    username: &Username,
    old: &PasswordHash,
    new: &PasswordHash,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE accounts SET password_hash = $3 WHERE username = $1 AND password_hash = $2")
        .bind(username.as_str())
        .bind(old.as_str().as_bytes())
        .bind(new.as_str().as_bytes())
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn delete(connection: &mut PgConnection, username: &Username) -> Result<bool, sqlx::Error> {
    let done = sqlx::query("DELETE FROM accounts WHERE username = $1").bind(username.as_str());
    Ok(done.execute(connection).await?.rows_affected() > 0)
}
