//! Writes of apps.

use alm_core::{
    domain::{App, AppId, Revision, Subject},
    ports::{StoreError, Unique},
};
use sqlx::SqliteConnection;

use super::rows::{Insert, Statement, run, unchanged};
use crate::{
    error::taken,
    row::{json_text, stored},
};

pub(super) const EXISTS: &str = "SELECT EXISTS (SELECT 1 FROM alm_apps WHERE id = ?1)";
const INSERT: Insert = Insert {
    into: "alm_apps (id, name, description, labels, created_at, updated_at, revision)",
    values: 7,
    select: "*",
    on_conflict: "",
};
const UPDATE: &str = "
    UPDATE alm_apps
    SET name = ?2, description = ?3, labels = ?4, created_at = ?5, updated_at = ?6, revision = ?7
    WHERE id = ?1 AND revision = ?8";
const DELETE: &str = "DELETE FROM alm_apps WHERE id = ?1 AND revision = ?2";

pub(super) async fn insert(connection: &mut SqliteConnection, apps: &[&App]) -> Result<(), StoreError> {
    INSERT.all(connection, apps, bind, name_or_id_taken).await
}

pub(super) async fn update(connection: &mut SqliteConnection, app: &App, expected: Revision) -> Result<(), StoreError> {
    let statement = bind(sqlx::query(UPDATE), app)?.bind(stored(expected.get())?);
    match statement.execute(&mut *connection).await {
        Ok(done) if done.rows_affected() == 0 => {
            Err(unchanged(connection, EXISTS, app.id.get(), Subject::App(app.id)).await)
        }
        Ok(_) => Ok(()),
        Err(error) => Err(name_or_id_taken(error, app)),
    }
}

fn bind(statement: Statement, app: &App) -> Result<Statement, StoreError> {
    Ok(statement
        .bind(app.id.get())
        .bind(app.name.as_str())
        .bind(app.description.as_str())
        .bind(json_text(&app.labels)?)
        .bind(app.created_at.micros())
        .bind(app.updated_at.micros())
        .bind(stored(app.revision.get())?))
}

fn name_or_id_taken(error: sqlx::Error, app: &App) -> StoreError {
    taken("commit", error, Unique::Id(Subject::App(app.id)), Some(Unique::AppName(app.name.clone())))
}

pub(super) async fn delete(connection: &mut SqliteConnection, id: AppId, expected: Revision) -> Result<(), StoreError> {
    let statement = sqlx::query(DELETE).bind(id.get()).bind(stored(expected.get())?);
    match run(connection, statement).await?.rows_affected() {
        0 => Err(unchanged(connection, EXISTS, id.get(), Subject::App(id)).await),
        _ => Ok(()),
    }
}
