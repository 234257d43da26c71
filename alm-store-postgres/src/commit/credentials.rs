//! Writes of sessions and API keys.

use alm_core::domain::{Credential, CredentialId, Holder, Revision};
use sqlx::PgConnection;

use crate::{error::Fault, row::json_text};

use super::{at_revision, not_changed};

pub(super) async fn insert(connection: &mut PgConnection, credential: &Credential) -> Result<(), sqlx::Error> {
    let (username, name) = match &credential.holder {
        Holder::Session(session) => (Some(session.username.as_str()), None),
        Holder::ApiKey(key) => (None, Some(key.name.as_str())),
    };
    sqlx::query(
        "INSERT INTO credentials (id, username, name, revision, expires_at, body) VALUES ($1, $2, $3, $4, $5, $6::json)",
    )
    .bind(credential.id.get())
    .bind(username)
    .bind(name)
    .bind(at_revision(credential.revision))
    .bind(credential.expires_at.micros())
    .bind(json_text(credential)?)
    .execute(connection)
    .await?;
    Ok(())
}

/// Its holder is the same.
pub(super) async fn update(
    connection: &mut PgConnection,
    credential: &Credential,
    expected: Revision,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE credentials SET revision = $3, expires_at = $4, body = $5::json WHERE id = $1 AND revision = $2",
    )
    .bind(credential.id.get())
    .bind(at_revision(expected))
    .bind(at_revision(credential.revision))
    .bind(credential.expires_at.micros())
    .bind(json_text(credential)?)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

pub(super) async fn delete(connection: &mut PgConnection, id: CredentialId) -> Result<bool, sqlx::Error> {
    let done = sqlx::query("DELETE FROM credentials WHERE id = $1").bind(id.get());
    Ok(done.execute(connection).await?.rows_affected() > 0)
}

/// Why the credential was not changed.
pub(super) async fn why_not(connection: &mut PgConnection, credential: &Credential) -> Result<Fault, sqlx::Error> {
    let found = sqlx::query("SELECT FROM credentials WHERE id = $1").bind(credential.id.get());
    Ok(not_changed(found.fetch_optional(connection).await?.is_some(), credential.subject()))
}
