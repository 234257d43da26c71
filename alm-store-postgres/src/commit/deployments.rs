//! Writes of deployments.

use alm_core::{
    changeset::Write,
    domain::{Deployment, DeploymentId, Revision, Subject, Timestamp},
};
use sqlx::PgConnection;

use crate::error::Fault;

use super::{at_revision, not_changed};

pub(super) async fn insert(connection: &mut PgConnection, deployment: &Deployment) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO deployments \
         (id, app_id, version_id, environment, status, created_at, updated_at, finished_at, revision) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(deployment.id.get())
    .bind(deployment.app_id.get())
    .bind(deployment.version_id.get())
    .bind(deployment.environment.as_str())
    .bind(deployment.status.as_str())
    .bind(deployment.created_at.micros())
    .bind(deployment.updated_at.micros())
    .bind(deployment.finished_at.map(Timestamp::micros))
    .bind(at_revision(deployment.revision))
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn update(
    connection: &mut PgConnection,
    deployment: &Deployment,
    expected: Revision,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE deployments SET status = $3, created_at = $4, updated_at = $5, finished_at = $6, revision = $7 \
         WHERE id = $1 AND revision = $2",
    )
    .bind(deployment.id.get())
    .bind(at_revision(expected))
    .bind(deployment.status.as_str())
    .bind(deployment.created_at.micros())
    .bind(deployment.updated_at.micros())
    .bind(deployment.finished_at.map(Timestamp::micros))
    .bind(at_revision(deployment.revision))
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Makes deletions, each at its revision.
pub(super) async fn delete(connection: &mut PgConnection, deletions: &[Write]) -> Result<(), Fault> {
    let wanted = deletions.iter().filter_map(|write| match write {
        Write::DeleteDeployment { id, expected } => Some((id.get(), at_revision(*expected))),
        _ => None,
    });
    let (ids, revisions): (Vec<i64>, Vec<i64>) = wanted.unzip();
    let mut gone: Vec<i64> = sqlx::query_scalar(
        "DELETE FROM deployments USING unnest($1::bigint[], $2::bigint[]) AS wanted (id, revision) \
         WHERE deployments.id = wanted.id AND deployments.revision = wanted.revision RETURNING deployments.id",
    )
    .bind(&ids)
    .bind(&revisions)
    .fetch_all(&mut *connection)
    .await?;
    gone.sort_unstable();
    for write in deletions {
        let Write::DeleteDeployment { id, .. } = write else { continue };
        match gone.binary_search(&id.get()) {
            // One that is to be deleted twice is not there the second time.
            Ok(place) => drop(gone.remove(place)),
            Err(_) => return Err(why_not(connection, *id).await?),
        }
    }
    Ok(())
}

/// Why the deployment was not changed.
pub(super) async fn why_not(connection: &mut PgConnection, id: DeploymentId) -> Result<Fault, sqlx::Error> {
    let found = sqlx::query("SELECT FROM deployments WHERE id = $1").bind(id.get()).fetch_optional(connection).await?;
    Ok(not_changed(found.is_some(), Subject::Deployment(id)))
}
