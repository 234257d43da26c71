//! Writes of deployments.

use alm_core::domain::{Deployment, DeploymentId, Revision, Subject, Timestamp};
use sqlx::PgConnection;

use crate::error::Fault;

use super::{
    at_revision, first_missing, not_changed,
    statement::{Rows, Statement},
};

/// Inserts deployments, and gives a row for each.
pub(super) fn insert(statement: &mut Statement, deployments: &[&Deployment]) {
    statement.push(
        "INSERT INTO deployments \
         (id, app_id, version_id, environment, status, created_at, updated_at, finished_at, revision) \
         SELECT id, app_id, version_id, environment, status, created_at, updated_at, finished_at, revision FROM ",
    );
    Rows::of(statement)
        .column("bigint[]", deployments.iter().map(|deployment| deployment.id.get()))
        .column("bigint[]", deployments.iter().map(|deployment| deployment.app_id.get()))
        .column("bigint[]", deployments.iter().map(|deployment| deployment.version_id.get()))
        .column("text[]", deployments.iter().map(|deployment| deployment.environment.as_str()))
        .column("text[]", deployments.iter().map(|deployment| deployment.status.as_str()))
        .column("bigint[]", deployments.iter().map(|deployment| deployment.created_at.micros()))
        .column("bigint[]", deployments.iter().map(|deployment| deployment.updated_at.micros()))
        .column("bigint[]", deployments.iter().map(|deployment| deployment.finished_at.map(Timestamp::micros)))
        .column("bigint[]", deployments.iter().map(|deployment| at_revision(deployment.revision)))
        .called("new (id, app_id, version_id, environment, status, created_at, updated_at, finished_at, revision)")
        .push(" RETURNING 1");
}

/// Makes changes, each at its revision, and gives the ids of those that were made.
pub(super) fn update(statement: &mut Statement, changes: &[(&Deployment, Revision)]) {
    statement.push(
        "UPDATE deployments SET status = new.status, created_at = new.created_at, updated_at = new.updated_at, \
                finished_at = new.finished_at, revision = new.revision FROM ",
    );
    Rows::of(statement)
        .column("bigint[]", changes.iter().map(|(deployment, _)| deployment.id.get()))
        .column("bigint[]", changes.iter().map(|(_, expected)| at_revision(*expected)))
        .column("text[]", changes.iter().map(|(deployment, _)| deployment.status.as_str()))
        .column("bigint[]", changes.iter().map(|(deployment, _)| deployment.created_at.micros()))
        .column("bigint[]", changes.iter().map(|(deployment, _)| deployment.updated_at.micros()))
        .column("bigint[]", changes.iter().map(|(deployment, _)| deployment.finished_at.map(Timestamp::micros)))
        .column("bigint[]", changes.iter().map(|(deployment, _)| at_revision(deployment.revision)))
        .called("new (id, expected, status, created_at, updated_at, finished_at, revision)")
        .push(" WHERE deployments.id = new.id AND deployments.revision = new.expected RETURNING deployments.id");
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
