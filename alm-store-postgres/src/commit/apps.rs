//! Writes of apps.

use alm_core::domain::{App, AppId, Revision, Subject};
use sqlx::PgConnection;

use crate::{error::Fault, label::as_json};

use super::{
    at_revision, not_changed,
    statement::{Rows, Statement},
};

/// Inserts apps, and gives a row for each.
pub(super) fn insert(statement: &mut Statement, apps: &[&App]) {
    statement.push(
        "INSERT INTO apps (id, name, description, labels, created_at, updated_at, revision) \
         SELECT id, name, description, labels::jsonb, created_at, updated_at, revision FROM ",
    );
    Rows::of(statement)
        .column("bigint[]", apps.iter().map(|app| app.id.get()))
        .column("text[]", apps.iter().map(|app| app.name.as_str()))
        .column("text[]", apps.iter().map(|app| app.description.as_str()))
        .column("text[]", apps.iter().map(|app| as_json(&app.labels)))
        .column("bigint[]", apps.iter().map(|app| app.created_at.micros()))
        .column("bigint[]", apps.iter().map(|app| app.updated_at.micros()))
        .column("bigint[]", apps.iter().map(|app| at_revision(app.revision)))
        .called("new (id, name, description, labels, created_at, updated_at, revision)")
        .push(" RETURNING 1");
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
