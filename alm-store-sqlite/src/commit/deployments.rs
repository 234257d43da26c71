//! Writes of deployments.

use alm_core::{
    domain::{Deployment, DeploymentId, DeploymentStatus, Revision, Subject, Timestamp},
    ports::{StoreError, Unique},
};
use sqlx::SqliteConnection;

use super::rows::{Insert, Statement, run, unchanged};
use crate::{error::taken, row::stored};

const EXISTS: &str = "SELECT EXISTS (SELECT 1 FROM alm_deployments WHERE id = ?1)";
const INSERT: Insert = Insert {
    into: "alm_deployments (
        id, app_id, version_id, environment, status, created_at, updated_at, finished_at, runs_since, revision
    )",
    values: 10,
    select: "*",
    on_conflict: "",
};
// App, version and environment never change.
const UPDATE: &str = "
    UPDATE alm_deployments
    SET status = ?2, created_at = ?3, updated_at = ?4, finished_at = ?5, runs_since = ?6, revision = ?7
    WHERE id = ?1 AND revision = ?8";
const DELETE: &str = "DELETE FROM alm_deployments WHERE id = ?1 AND revision = ?2";

pub(super) async fn insert(connection: &mut SqliteConnection, deployments: &[&Deployment]) -> Result<(), StoreError> {
    INSERT.all(connection, deployments, bind, id_taken).await
}

fn bind(statement: Statement, deployment: &Deployment) -> Result<Statement, StoreError> {
    Ok(statement
        .bind(deployment.id.get())
        .bind(deployment.app_id.get())
        .bind(deployment.version_id.get())
        .bind(deployment.environment.as_str())
        .bind(deployment.status.as_str())
        .bind(deployment.created_at.micros())
        .bind(deployment.updated_at.micros())
        .bind(deployment.finished_at.map(Timestamp::micros))
        .bind(runs_since(deployment))
        .bind(stored(deployment.revision.get())?))
}

fn id_taken(error: sqlx::Error, deployment: &Deployment) -> StoreError {
    taken("commit", error, Unique::Id(Subject::Deployment(deployment.id)), None)
}

pub(super) async fn update(
    connection: &mut SqliteConnection,
    deployment: &Deployment,
    expected: Revision,
) -> Result<(), StoreError> {
    let id = deployment.id;
    let statement = sqlx::query(UPDATE)
        .bind(id.get())
        .bind(deployment.status.as_str())
        .bind(deployment.created_at.micros())
        .bind(deployment.updated_at.micros())
        .bind(deployment.finished_at.map(Timestamp::micros))
        .bind(runs_since(deployment))
        .bind(stored(deployment.revision.get())?)
        .bind(stored(expected.get())?);
    match run(connection, statement).await?.rows_affected() {
        0 => Err(unchanged(connection, EXISTS, id.get(), Subject::Deployment(id)).await),
        _ => Ok(()),
    }
}

pub(super) async fn delete(
    connection: &mut SqliteConnection,
    id: DeploymentId,
    expected: Revision,
) -> Result<(), StoreError> {
    let statement = sqlx::query(DELETE).bind(id.get()).bind(stored(expected.get())?);
    match run(connection, statement).await?.rows_affected() {
        0 => Err(unchanged(connection, EXISTS, id.get(), Subject::Deployment(id)).await),
        _ => Ok(()),
    }
}

fn runs_since(deployment: &Deployment) -> Option<i64> {
    (deployment.status == DeploymentStatus::Successful)
        .then(|| deployment.finished_at.unwrap_or(deployment.updated_at).micros())
}
