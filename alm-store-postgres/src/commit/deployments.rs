//! Writes of deployments.

use alm_core::domain::{Deployment, DeploymentId, Revision, Subject, Timestamp};
use sqlx::PgConnection;

use crate::error::Fault;

use super::{at_revision, first_missing, not_changed};

pub(super) async fn insert(connection: &mut PgConnection, deployments: &[&Deployment]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO deployments \
         (id, app_id, version_id, environment, status, created_at, updated_at, finished_at, revision) \
         SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], \
                              $7::bigint[], $8::bigint[], $9::bigint[])",
    )
    .bind(deployments.iter().map(|deployment| deployment.id.get()).collect::<Vec<_>>())
    .bind(deployments.iter().map(|deployment| deployment.app_id.get()).collect::<Vec<_>>())
    .bind(deployments.iter().map(|deployment| deployment.version_id.get()).collect::<Vec<_>>())
    .bind(deployments.iter().map(|deployment| deployment.environment.as_str()).collect::<Vec<_>>())
    .bind(deployments.iter().map(|deployment| deployment.status.as_str()).collect::<Vec<_>>())
    .bind(deployments.iter().map(|deployment| deployment.created_at.micros()).collect::<Vec<_>>())
    .bind(deployments.iter().map(|deployment| deployment.updated_at.micros()).collect::<Vec<_>>())
    .bind(deployments.iter().map(|deployment| deployment.finished_at.map(Timestamp::micros)).collect::<Vec<_>>())
    .bind(deployments.iter().map(|deployment| at_revision(deployment.revision)).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Makes changes, each at its revision.
pub(super) async fn update(connection: &mut PgConnection, changes: &[(&Deployment, Revision)]) -> Result<(), Fault> {
    let done: Vec<i64> = sqlx::query_scalar(
        "UPDATE deployments SET status = new.status, created_at = new.created_at, updated_at = new.updated_at, \
                finished_at = new.finished_at, revision = new.revision \
         FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[]) \
              AS new (id, expected, status, created_at, updated_at, finished_at, revision) \
         WHERE deployments.id = new.id AND deployments.revision = new.expected RETURNING deployments.id",
    )
    .bind(changes.iter().map(|(deployment, _)| deployment.id.get()).collect::<Vec<_>>())
    .bind(changes.iter().map(|(_, expected)| at_revision(*expected)).collect::<Vec<_>>())
    .bind(changes.iter().map(|(deployment, _)| deployment.status.as_str()).collect::<Vec<_>>())
    .bind(changes.iter().map(|(deployment, _)| deployment.created_at.micros()).collect::<Vec<_>>())
    .bind(changes.iter().map(|(deployment, _)| deployment.updated_at.micros()).collect::<Vec<_>>())
    .bind(changes.iter().map(|(deployment, _)| deployment.finished_at.map(Timestamp::micros)).collect::<Vec<_>>())
    .bind(changes.iter().map(|(deployment, _)| at_revision(deployment.revision)).collect::<Vec<_>>())
    .fetch_all(&mut *connection)
    .await?;
    match first_missing(changes, |(deployment, _)| deployment.id.get(), done) {
        None => Ok(()),
        Some((deployment, _)) => Err(why_not(connection, deployment.id).await?),
    }
}

/// Makes deletions, each at its revision.
pub(super) async fn delete(connection: &mut PgConnection, wanted: &[(DeploymentId, Revision)]) -> Result<(), Fault> {
    let gone: Vec<i64> = sqlx::query_scalar(
        "DELETE FROM deployments USING unnest($1::bigint[], $2::bigint[]) AS wanted (id, revision) \
         WHERE deployments.id = wanted.id AND deployments.revision = wanted.revision RETURNING deployments.id",
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

/// Why the deployment was not changed.
pub(super) async fn why_not(connection: &mut PgConnection, id: DeploymentId) -> Result<Fault, sqlx::Error> {
    let found = sqlx::query("SELECT FROM deployments WHERE id = $1").bind(id.get()).fetch_optional(connection).await?;
    Ok(not_changed(found.is_some(), Subject::Deployment(id)))
}
