//! Writes of versions.

use alm_core::domain::{Revision, Subject, Version, VersionId};
use sqlx::PgConnection;

use crate::{error::Fault, label::as_json};

use super::{
    at_revision, first_missing, not_changed,
    statement::{Rows, Statement},
};

/// Inserts versions, and gives a row for each.
pub(super) fn insert(statement: &mut Statement, versions: &[&Version]) {
    statement.push(
        "INSERT INTO versions (id, app_id, tag, changelog, labels, created_at, updated_at, revision) \
         SELECT id, app_id, tag, changelog, labels::jsonb, created_at, updated_at, revision FROM ",
    );
    Rows::of(statement)
        .column("bigint[]", versions.iter().map(|version| version.id.get()))
        .column("bigint[]", versions.iter().map(|version| version.app_id.get()))
        .column("text[]", versions.iter().map(|version| version.tag.as_str()))
        .column("text[]", versions.iter().map(|version| version.changelog.as_str()))
        .column("text[]", versions.iter().map(|version| as_json(&version.labels)))
        .column("bigint[]", versions.iter().map(|version| version.created_at.micros()))
        .column("bigint[]", versions.iter().map(|version| version.updated_at.micros()))
        .column("bigint[]", versions.iter().map(|version| at_revision(version.revision)))
        .called("new (id, app_id, tag, changelog, labels, created_at, updated_at, revision)")
        .push(" RETURNING 1");
}

pub(super) async fn update(
    connection: &mut PgConnection,
    version: &Version,
    expected: Revision,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE versions SET changelog = $3, labels = $4::jsonb, created_at = $5, updated_at = $6, revision = $7 \
         WHERE id = $1 AND revision = $2",
    )
    .bind(version.id.get())
    .bind(at_revision(expected))
    .bind(version.changelog.as_str())
    .bind(as_json(&version.labels))
    .bind(version.created_at.micros())
    .bind(version.updated_at.micros())
    .bind(at_revision(version.revision))
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Makes deletions, each at its revision.
pub(super) async fn delete(connection: &mut PgConnection, wanted: &[(VersionId, Revision)]) -> Result<(), Fault> {
    let gone: Vec<i64> = sqlx::query_scalar(
        "DELETE FROM versions USING unnest($1::bigint[], $2::bigint[]) AS wanted (id, revision) \
         WHERE versions.id = wanted.id AND versions.revision = wanted.revision RETURNING versions.id",
    )
    .bind(wanted.iter().map(|(id, _)| id.get()).collect::<Vec<_>>())
    .bind(wanted.iter().map(|(_, expected)| at_revision(*expected)).collect::<Vec<_>>())
    .fetch_all(&mut *connection)
    .await?;
    match first_missing(wanted, |(id, _)| id.get(), gone) {
        None => Ok(()),
        Some((id, _)) => Err(why_not(connection, id).await?),
    }
}

/// Why the version was not changed.
pub(super) async fn why_not(connection: &mut PgConnection, id: VersionId) -> Result<Fault, sqlx::Error> {
    let found = sqlx::query("SELECT FROM versions WHERE id = $1").bind(id.get()).fetch_optional(connection).await?;
    Ok(not_changed(found.is_some(), Subject::Version(id)))
}
