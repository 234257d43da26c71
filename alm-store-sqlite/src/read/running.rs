//! What runs where.

use alm_core::{
    domain::{AppId, EnvironmentName, RunningVersion},
    ports::StoreError,
};
use sqlx::{SqlitePool, sqlite::SqliteRow};

use super::{all, deployments, versions};
use crate::row::{Columns, at_most};

/// Whether the version of the deployment `it` is here, or lives elsewhere. The cascade deletes a version before its deployments; in
/// between, it does not run any more.
macro_rules! counts {
    () => {
        "(EXISTS (SELECT 1 FROM alm_versions AS here WHERE here.id = it.version_id)
            OR EXISTS (
                SELECT 1 FROM alm_known_versions AS known WHERE known.id = it.version_id AND known.app_id IS NOT NULL
            ))"
    };
}

/// The first environment after another in which something runs.
macro_rules! place_after {
    ($other:literal) => {
        concat!(
            "(
                SELECT it.environment
                FROM alm_deployments AS it INDEXED BY alm_deployments_that_ran
                WHERE it.app_id = ?1 AND it.runs_since IS NOT NULL AND it.environment > ",
            $other,
            " AND ",
            counts!(),
            " ORDER BY it.environment LIMIT 1
            )"
        )
    };
}

// From environment to environment, each sought in the index after the one before; in each the newest that counts. So it
// costs what the environments are, however many deployments there were.
const RUNNING: &str = concat!(
    "WITH RECURSIVE place (environment) AS (
        SELECT ",
    place_after!("?2"),
    " UNION ALL
        SELECT ",
    place_after!("place.environment"),
    " FROM place WHERE place.environment IS NOT NULL
        LIMIT ?3
    )
    SELECT deployment.id, deployment.app_id, deployment.version_id, deployment.environment, deployment.status,
        deployment.created_at, deployment.updated_at, deployment.finished_at, deployment.revision,
        deployment.runs_since,
        version.id, version.app_id, version.tag, version.changelog, version.labels, version.created_at,
        version.updated_at, version.revision
    FROM place
    CROSS JOIN alm_deployments AS deployment ON deployment.id = (
        SELECT it.id
        FROM alm_deployments AS it INDEXED BY alm_deployments_that_ran
        WHERE it.app_id = ?1 AND it.environment = place.environment AND it.runs_since IS NOT NULL
            AND ",
    counts!(),
    " ORDER BY it.runs_since DESC, it.id DESC LIMIT 1
    )
    LEFT JOIN alm_versions AS version ON version.id = deployment.version_id
    ORDER BY place.environment"
);

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
    let mut columns = Columns::of("alm_deployments", row);
    let deployment = deployments::columns(&mut columns)?;
    let since = columns.time()?;
    let mut columns = columns.then("alm_versions");
    let version = if columns.are_there()? { Some(versions::columns(&mut columns)?) } else { None };
    Ok(RunningVersion { environment: deployment.environment.clone(), version, deployment, since })
}
