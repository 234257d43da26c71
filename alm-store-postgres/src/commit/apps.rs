//! Writes of apps.

use alm_core::domain::{App, AppId, Revision, Subject};
use sqlx::PgConnection;

use crate::{error::Fault, label::as_json};

use super::{at_revision, not_changed};

/// Keeps the app from being deleted until the transaction ends; whether it is there.
pub(super) async fn hold(connection: &mut PgConnection, id: AppId) -> Result<bool, sqlx::Error> {
    let found = sqlx::query("SELECT FROM apps WHERE id = $1 FOR KEY SHARE");
    Ok(found.bind(id.get()).fetch_optional(connection).await?.is_some())
}

pub(super) async fn insert(connection: &mut PgConnection, app: &App) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO apps (id, name, description, labels, created_at, updated_at, revision) \
         VALUES ($1, $2, $3, $4::jsonb, $5, $6, $7)",
    )
    .bind(app.id.get())
    .bind(app.name.as_str())
    .bind(app.description.as_str())
    .bind(as_json(&app.labels))
    .bind(app.created_at.micros())
    .bind(app.updated_at.micros())
    .bind(at_revision(app.revision))
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn update(connection: &mut PgConnection, app: &App, expected: Revision) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE apps SET name = $3, description = $4, labels = $5::jsonb, created_at = $6, updated_at = $7, revision = $8 \
         WHERE id = $1 AND revision = $2",
    )
    .bind(app.id.get())
    .bind(at_revision(expected))
    .bind(app.name.as_str())
    .bind(app.description.as_str())
    .bind(as_json(&app.labels))
    .bind(app.created_at.micros())
    .bind(app.updated_at.micros())
    .bind(at_revision(app.revision))
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

pub(super) async fn delete(connection: &mut PgConnection, id: AppId, expected: Revision) -> Result<bool, sqlx::Error> {
    let done = sqlx::query("DELETE FROM apps WHERE id = $1 AND revision = $2");
    Ok(done.bind(id.get()).bind(at_revision(expected)).execute(connection).await?.rows_affected() > 0)
}

/// Why the app was not changed.
pub(super) async fn why_not(connection: &mut PgConnection, id: AppId) -> Result<Fault, sqlx::Error> {
    let found = sqlx::query("SELECT FROM apps WHERE id = $1").bind(id.get()).fetch_optional(connection).await?;
    Ok(not_changed(found.is_some(), Subject::App(id)))
}
