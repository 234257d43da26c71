//! Reads of deployments, and of what runs where.

use alm_core::{
    domain::{AppId, Deployment, DeploymentId, EnvironmentName, RunningVersion},
    ports::DeploymentFilter,
};
use sqlx::{PgConnection, Postgres, QueryBuilder};

use crate::{
    error::Fault,
    row::{Deployed, all, at_most, deployment_columns, version_columns},
};

pub(super) async fn list(
    connection: &mut PgConnection,
    filter: &DeploymentFilter,
    after: Option<DeploymentId>,
    limit: usize,
) -> Result<Vec<Deployment>, Fault> {
    Ok(all(&page(filter, after, limit).build().fetch_all(connection).await?)?)
}

/// The statement that reads a page.
pub(super) fn page(filter: &DeploymentFilter, after: Option<DeploymentId>, limit: usize) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(concat!("SELECT ", deployment_columns!(), " FROM deployments WHERE id > "));
    query.push_bind(after.map_or(0, DeploymentId::get));
    if let Some(app) = filter.app_id {
        query.push(" AND app_id = ").push_bind(app.get());
    }
    if let Some(version) = filter.version_id {
        query.push(" AND version_id = ").push_bind(version.get());
    }
    if let Some(environment) = &filter.environment {
        query.push(" AND environment = ").push_bind(environment.as_str());
    }
    if let Some(status) = filter.status {
        query.push(" AND status = ").push_bind(status.as_str());
    }
    query.push(" ORDER BY id LIMIT ").push_bind(at_most(limit));
    query
}

/// From environment to environment by a seek in the index, and in each to the deployment that finished last, whatever number
/// came before. One whose version is neither here nor lives elsewhere is passed over: the cascade deletes a version before its
/// deployments.
pub(super) const RUNNING: &str = concat!(
    "WITH RECURSIVE environments (name) AS ( \
         (SELECT environment FROM deployments WHERE app_id = $1 AND status = 'successful' AND environment > $2 \
          ORDER BY environment LIMIT 1) \
         UNION ALL \
         SELECT (SELECT environment FROM deployments \
                 WHERE app_id = $1 AND status = 'successful' AND environment > environments.name \
                 ORDER BY environment LIMIT 1) \
         FROM environments WHERE environments.name IS NOT NULL \
     ) \
     SELECT last.* FROM environments CROSS JOIN LATERAL ( \
         SELECT ",
    deployment_columns!(),
    ", ",
    version_columns!(),
    "    FROM deployments LEFT JOIN versions ON versions.id = deployments.version_id \
         WHERE deployments.app_id = $1 AND deployments.status = 'successful' \
         AND deployments.environment = environments.name \
         AND (versions.id IS NOT NULL OR (SELECT app_id IS NOT NULL FROM known_versions WHERE id = deployments.version_id)) \
         ORDER BY coalesce(deployments.finished_at, deployments.updated_at) DESC, deployments.id DESC LIMIT 1 \
     ) last \
     ORDER BY environments.name LIMIT $3"
);

pub(super) async fn running(
    connection: &mut PgConnection,
    app: AppId,
    after: Option<&EnvironmentName>,
    limit: usize,
) -> Result<Vec<RunningVersion>, Fault> {
    let rows = sqlx::query(RUNNING)
        .bind(app.get())
        // No name is empty, so every one comes after the empty text.
        .bind(after.map_or("", EnvironmentName::as_str))
        .bind(at_most(limit))
        .fetch_all(connection)
        .await?;
    let runs = |Deployed(deployment, version)| RunningVersion {
        environment: deployment.environment.clone(),
        since: deployment.finished_at.unwrap_or(deployment.updated_at),
        version,
        deployment,
    };
    Ok(all(&rows)?.into_iter().map(runs).collect())
}
