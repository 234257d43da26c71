//! Writes of versions.

use alm_core::{
    domain::{Revision, Subject, Version, VersionId},
    ports::{StoreError, Unique},
};
use sqlx::SqliteConnection;

use super::rows::{Insert, Statement, run, unchanged};
use crate::{
    error::taken,
    row::{json_text, stored},
};

pub(super) const EXISTS: &str = "SELECT EXISTS (SELECT 1 FROM alm_versions WHERE id = ?1)";
const INSERT: Insert = Insert {
    into: "alm_versions (id, app_id, tag, changelog, labels, created_at, updated_at, revision)",
    values: 8,
    select: "*",
    on_conflict: "",
};
// App and tag never change, which the indexes rely on.
const UPDATE: &str = "
    UPDATE alm_versions
    SET changelog = ?2, labels = ?3, created_at = ?4, updated_at = ?5, revision = ?6
    WHERE id = ?1 AND revision = ?7";
const DELETE: &str = "DELETE FROM alm_versions WHERE id = ?1 AND revision = ?2";

pub(super) async fn insert(connection: &mut SqliteConnection, versions: &[&Version]) -> Result<(), StoreError> {
    INSERT.all(connection, versions, bind, tag_or_id_taken).await
}

fn bind(statement: Statement, version: &Version) -> Result<Statement, StoreError> {
    Ok(statement
        .bind(version.id.get())
        .bind(version.app_id.get())
        .bind(version.tag.as_str())
        .bind(version.changelog.as_str())
        .bind(json_text(&version.labels)?)
        .bind(version.created_at.micros())
        .bind(version.updated_at.micros())
        .bind(stored(version.revision.get())?))
}

fn tag_or_id_taken(error: sqlx::Error, version: &Version) -> StoreError {
    let tag = Unique::VersionTag { app_id: version.app_id, tag: version.tag.clone() };
    taken("commit", error, Unique::Id(Subject::Version(version.id)), Some(tag))
}

pub(super) async fn update(
    connection: &mut SqliteConnection,
    version: &Version,
    expected: Revision,
) -> Result<(), StoreError> {
    let statement = sqlx::query(UPDATE)
        .bind(version.id.get())
        .bind(version.changelog.as_str())
        .bind(json_text(&version.labels)?)
        .bind(version.created_at.micros())
        .bind(version.updated_at.micros())
        .bind(stored(version.revision.get())?)
        .bind(stored(expected.get())?);
    match run(connection, statement).await?.rows_affected() {
        0 => Err(unchanged(connection, EXISTS, version.id.get(), Subject::Version(version.id)).await),
        _ => Ok(()),
    }
}

pub(super) async fn delete(
    connection: &mut SqliteConnection,
    id: VersionId,
    expected: Revision,
) -> Result<(), StoreError> {
    let statement = sqlx::query(DELETE).bind(id.get()).bind(stored(expected.get())?);
    match run(connection, statement).await?.rows_affected() {
        0 => Err(unchanged(connection, EXISTS, id.get(), Subject::Version(id)).await),
        _ => Ok(()),
    }
}
