//! What runs where.

use alm_core::{
    domain::{AppId, EnvironmentName, RunningVersion},
    ports::StoreError,
};
use sqlx::{SqlitePool, sqlite::SqliteRow};

use super::{all, deployments, versions};
use crate::row::{Columns, at_most};

// From environment to environment, each sought in the index after the one before; in each the newest that counts. So it
// costs what the environments are, however many deployments there were. The cascade deletes a version before its deployments;
// in between, it does not run any more.
const RUNNING: &str = "
    WITH RECURSIVE place (environment) AS (
        SELECT (
            SELECT it.environment
            FROM alm_deployments AS it INDEXED BY alm_deployments_that_ran
            CROSS JOIN alm_versions AS what ON what.id = it.version_id
            WHERE it.app_id = ?1 AND it.runs_since IS NOT NULL AND it.environment > ?2
            ORDER BY it.environment LIMIT 1
        )
        UNION ALL
        SELECT (
            SELECT it.environment
            FROM alm_deployments AS it INDEXED BY alm_deployments_that_ran
            CROSS JOIN alm_versions AS what ON what.id = it.version_id
            WHERE it.app_id = ?1 AND it.runs_since IS NOT NULL AND it.environment > place.environment
            ORDER BY it.environment LIMIT 1
        )
        FROM place WHERE place.environment IS NOT NULL
        LIMIT ?3
    )
    SELECT version.id, version.app_id, version.tag, version.changelog, version.labels, version.created_at,
        version.updated_at, version.revision,
        deployment.id, deployment.app_id, deployment.version_id, deployment.environment, deployment.status,
        deployment.created_at, deployment.updated_at, deployment.finished_at, deployment.revision,
        deployment.runs_since
    FROM place
    CROSS JOIN alm_deployments AS deployment ON deployment.id = (
        SELECT it.id
        FROM alm_deployments AS it INDEXED BY alm_deployments_that_ran
        CROSS JOIN alm_versions AS what ON what.id = it.version_id
        WHERE it.app_id = ?1 AND it.environment = place.environment AND it.runs_since IS NOT NULL
        ORDER BY it.runs_since DESC, it.id DESC LIMIT 1
    )
    CROSS JOIN alm_versions AS version ON version.id = deployment.version_id
    ORDER BY place.environment";

/// The statements that read pages.
#[cfg(test)]
pub(super) const PAGES: &[&str] = &[RUNNING];

pub(crate) async fn page(
    readers: &SqlitePool,
    app: AppId,
    after: Option<&EnvironmentName>,
    limit: usize,
) -> Result<Vec<RunningVersion>, StoreError> {
    let after = after.map_or("", EnvironmentName::as_str);
    all(readers, sqlx::query(RUNNING).bind(app.get()).bind(after).bind(at_most(limit)), parse).await
}

fn parse(row: &SqliteRow) -> Result<RunningVersion, StoreError> {
    let mut columns = Columns::of("alm_versions", row);
    let version = versions::columns(&mut columns)?;
    let mut columns = columns.then("alm_deployments");
    let deployment = deployments::columns(&mut columns)?;
    let since = columns.time()?;
    Ok(RunningVersion { environment: deployment.environment.clone(), version, deployment, since })
}
