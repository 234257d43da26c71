//! Writes of sessions and API keys.

use alm_core::{
    domain::{ApiKeyName, Credential, CredentialId, Holder, Revision, Subject},
    ports::{StoreError, Unique},
};
use sqlx::SqliteConnection;

use super::rows::{run, unchanged};
use crate::{
    error::taken,
    row::{json_text, stored},
};

const EXISTS: &str = "SELECT EXISTS (SELECT 1 FROM alm_credentials WHERE id = ?1)";
const INSERT: &str = "
    INSERT INTO alm_credentials (id, username, name, revision, expires_at, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
// Its holder is the same.
const UPDATE: &str = "
    UPDATE alm_credentials SET revision = ?3, expires_at = ?4, body = ?5 WHERE id = ?1 AND revision = ?2";
const DELETE: &str = "DELETE FROM alm_credentials WHERE id = ?1";

pub(super) async fn insert(connection: &mut SqliteConnection, credential: &Credential) -> Result<(), StoreError> {
    let (username, name) = match &credential.holder {
        Holder::Session(session) => (Some(session.username.as_str()), None),
        Holder::ApiKey(key) => (None, Some(&key.name)),
    };
    let statement = sqlx::query(INSERT)
        .bind(credential.id.get())
        .bind(username)
        .bind(name.map(ApiKeyName::as_str))
        .bind(stored(credential.revision.get())?)
        .bind(credential.expires_at.micros())
        .bind(json_text(credential)?);
    match statement.execute(connection).await {
        Ok(_) => Ok(()),
        Err(error) => {
            let name = name.cloned().map(Unique::ApiKeyName);
            Err(taken("commit", error, Unique::Id(credential.subject()), name))
        }
    }
}

pub(super) async fn update(
    connection: &mut SqliteConnection,
    credential: &Credential,
    expected: Revision,
) -> Result<(), StoreError> {
    let statement = sqlx::query(UPDATE)
        .bind(credential.id.get())
        .bind(stored(expected.get())?)
        .bind(stored(credential.revision.get())?)
        .bind(credential.expires_at.micros())
        .bind(json_text(credential)?);
    match run(connection, statement).await?.rows_affected() {
        0 => Err(unchanged(connection, EXISTS, credential.id.get(), credential.subject()).await),
        _ => Ok(()),
    }
}

pub(super) async fn delete(connection: &mut SqliteConnection, id: CredentialId) -> Result<(), StoreError> {
    match run(connection, sqlx::query(DELETE).bind(id.get())).await?.rows_affected() {
        // Whose session it would have been, no one knows.
        0 => Err(StoreError::NotFound(Subject::ApiKey(id))),
        _ => Ok(()),
    }
}
