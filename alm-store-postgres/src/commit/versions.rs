//! Writes of versions.

use alm_core::{
    changeset::Write,
    domain::{Revision, Subject, Version, VersionId},
};
use sqlx::PgConnection;

use crate::{error::Fault, label::as_json};

use super::{at_revision, not_changed};

/// Keeps the version from being deleted until the transaction ends; whether it is there.
pub(super) async fn hold(connection: &mut PgConnection, id: VersionId) -> Result<bool, sqlx::Error> {
    let found = sqlx::query("SELECT FROM versions WHERE id = $1 FOR KEY SHARE");
    Ok(found.bind(id.get()).fetch_optional(connection).await?.is_some())
}

pub(super) async fn insert(connection: &mut PgConnection, version: &Version) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO versions (id, app_id, tag, changelog, labels, created_at, updated_at, revision) \
         VALUES ($1, $2, $3, $4, $5::jsonb, $6, $7, $8)",
    )
    .bind(version.id.get())
    .bind(version.app_id.get())
    .bind(version.tag.as_str())
    .bind(version.changelog.as_str())
    .bind(as_json(&version.labels))
    .bind(version.created_at.micros())
    .bind(version.updated_at.micros())
    .bind(at_revision(version.revision))
    .execute(connection)
    .await?;
    Ok(())
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
pub(super) async fn delete(connection: &mut PgConnection, deletions: &[Write]) -> Result<(), Fault> {
    let wanted = deletions.iter().filter_map(|write| match write {
        Write::DeleteVersion { id, expected } => Some((id.get(), at_revision(*expected))),
        _ => None,
    });
    let (ids, revisions): (Vec<i64>, Vec<i64>) = wanted.unzip();
    let mut gone: Vec<i64> = sqlx::query_scalar(
        "DELETE FROM versions USING unnest($1::bigint[], $2::bigint[]) AS wanted (id, revision) \
         WHERE versions.id = wanted.id AND versions.revision = wanted.revision RETURNING versions.id",
    )
    .bind(&ids)
    .bind(&revisions)
    .fetch_all(&mut *connection)
    .await?;
    gone.sort_unstable();
    for write in deletions {
        let Write::DeleteVersion { id, .. } = write else { continue };
        match gone.binary_search(&id.get()) {
            // One that is to be deleted twice is not there the second time.
            Ok(place) => drop(gone.remove(place)),
            Err(_) => return Err(why_not(connection, *id).await?),
        }
    }
    Ok(())
}

/// Why the version was not changed.
pub(super) async fn why_not(connection: &mut PgConnection, id: VersionId) -> Result<Fault, sqlx::Error> {
    let found = sqlx::query("SELECT FROM versions WHERE id = $1").bind(id.get()).fetch_optional(connection).await?;
    Ok(not_changed(found.is_some(), Subject::Version(id)))
}
