//! Writes of apps.

use alm_core::{
    domain::{App, AppId, Revision, Subject},
    ports::{StoreError, Unique},
};
use sqlx::SqliteConnection;

use super::rows::{run, unchanged};
use crate::{
    error::taken,
    row::{json_text, stored},
};

pub(super) const EXISTS: &str = "SELECT EXISTS (SELECT 1 FROM alm_apps WHERE id = ?1)";
const INSERT: &str = "
    INSERT INTO alm_apps (id, name, description, labels, created_at, updated_at, revision)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const UPDATE: &str = "
    UPDATE alm_apps
    SET name = ?2, description = ?3, labels = ?4, created_at = ?5, updated_at = ?6, revision = ?7
    WHERE id = ?1 AND revision = ?8";
const DELETE: &str = "DELETE FROM alm_apps WHERE id = ?1 AND revision = ?2";

pub(super) async fn insert(connection: &mut SqliteConnection, app: &App) -> Result<(), StoreError> {
    write(connection, INSERT, app, None).await.map(drop)
}

pub(super) async fn update(connection: &mut SqliteConnection, app: &App, expected: Revision) -> Result<(), StoreError> {
    match write(connection, UPDATE, app, Some(expected)).await? {
        0 => Err(unchanged(connection, EXISTS, app.id.get(), Subject::App(app.id)).await),
        _ => Ok(()),
    }
}

async fn write(
    connection: &mut SqliteConnection,
    sql: &'static str,
    app: &App,
    expected: Option<Revision>,
) -> Result<u64, StoreError> {
    let mut statement = sqlx::query(sql)
        .bind(app.id.get())
        .bind(app.name.as_str())
        .bind(app.description.as_str())
        .bind(json_text(&app.labels)?)
        .bind(app.created_at.micros())
        .bind(app.updated_at.micros())
        .bind(stored(app.revision.get())?);
    if let Some(expected) = expected {
        statement = statement.bind(stored(expected.get())?);
    }
    match statement.execute(connection).await {
        Ok(done) => Ok(done.rows_affected()),
        Err(error) => {
            let (id, name) = (Unique::Id(Subject::App(app.id)), Unique::AppName(app.name.clone()));
            Err(taken("commit", error, id, Some(name)))
        }
    }
}

pub(super) async fn delete(connection: &mut SqliteConnection, id: AppId, expected: Revision) -> Result<(), StoreError> {
    let statement = sqlx::query(DELETE).bind(id.get()).bind(stored(expected.get())?);
    match run(connection, statement).await?.rows_affected() {
        0 => Err(unchanged(connection, EXISTS, id.get(), Subject::App(id)).await),
        _ => Ok(()),
    }
}
