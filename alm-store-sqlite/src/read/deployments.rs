//! Deployments.

use alm_core::{
    domain::{AppId, Deployment, DeploymentId, DeploymentStatus, EnvironmentName, Revision, Timestamp, VersionId},
    ports::{DeploymentFilter, StoreError},
};
use sqlx::{SqlitePool, sqlite::SqliteRow};

use super::{all, one};
use crate::row::{Columns, at_most};

macro_rules! page {
    ($sought:literal) => {
        concat!(
            "SELECT id, app_id, version_id, environment, status, created_at, updated_at, finished_at, revision
            FROM alm_deployments ",
            $sought,
            // Whether a filter is sought or only compared; what is NULL lets everything through.
            " AND id > ?1
            AND (?3 IS NULL OR +app_id = ?3) AND (?4 IS NULL OR +version_id = ?4)
            AND (?5 IS NULL OR +environment = ?5) AND (?6 IS NULL OR +status = ?6)
            ORDER BY id LIMIT ?2"
        )
    };
}

const BY_ID: &str = "
    SELECT id, app_id, version_id, environment, status, created_at, updated_at, finished_at, revision
    FROM alm_deployments WHERE id = ?1";
const PAGE: &str = page!("WHERE TRUE");
const OF_VERSION: &str = page!("INDEXED BY alm_deployments_of_version WHERE version_id = ?4");
const OF_APP: &str = page!("INDEXED BY alm_deployments_of_app WHERE app_id = ?3");
const OF_APP_TO_ENVIRONMENT: &str =
    page!("INDEXED BY alm_deployments_of_app_to_environment WHERE app_id = ?3 AND environment = ?5");
const OF_APP_WITH_STATUS: &str =
    page!("INDEXED BY alm_deployments_of_app_with_status WHERE app_id = ?3 AND status = ?6");
const TO_ENVIRONMENT: &str = page!("INDEXED BY alm_deployments_to_environment WHERE environment = ?5");
const WITH_STATUS: &str = page!("INDEXED BY alm_deployments_with_status WHERE status = ?6");

/// The statements that read pages; the first asks for everything.
#[cfg(test)]
pub(super) const PAGES: &[&str] =
    &[PAGE, OF_VERSION, OF_APP, OF_APP_TO_ENVIRONMENT, OF_APP_WITH_STATUS, TO_ENVIRONMENT, WITH_STATUS];

pub(crate) async fn by_id(readers: &SqlitePool, id: DeploymentId) -> Result<Option<Deployment>, StoreError> {
    one(readers, sqlx::query(BY_ID).bind(id.get()), parse).await
}

pub(crate) async fn page(
    readers: &SqlitePool,
    filter: &DeploymentFilter,
    after: Option<DeploymentId>,
    limit: usize,
) -> Result<Vec<Deployment>, StoreError> {
    let statement = sqlx::query(narrowest(filter))
        .bind(after.map_or(0, DeploymentId::get))
        .bind(at_most(limit))
        .bind(filter.app_id.map(AppId::get))
        .bind(filter.version_id.map(VersionId::get))
        .bind(filter.environment.as_ref().map(EnvironmentName::as_str))
        .bind(filter.status.map(DeploymentStatus::as_str));
    all(readers, statement, parse).await
}

/// The statement whose index leaves the fewest to compare. Few deployments are under way at a time, and most have ended the
/// same way, so a status tells much or little.
fn narrowest(filter: &DeploymentFilter) -> &'static str {
    let app = filter.app_id.is_some();
    let environment = filter.environment.is_some();
    match filter.status {
        _ if filter.version_id.is_some() => OF_VERSION,
        Some(status) if !environment || !status.is_final() => {
            if app {
                OF_APP_WITH_STATUS
            } else {
                WITH_STATUS
            }
        }
        _ if app && environment => OF_APP_TO_ENVIRONMENT,
        _ if app => OF_APP,
        _ if environment => TO_ENVIRONMENT,
        _ => PAGE,
    }
}

fn parse(row: &SqliteRow) -> Result<Deployment, StoreError> {
    columns(&mut Columns::of("alm_deployments", row))
}

/// A deployment, from the next columns.
pub(super) fn columns(columns: &mut Columns<'_>) -> Result<Deployment, StoreError> {
    Ok(Deployment {
        id: columns.find(DeploymentId::new)?,
        app_id: columns.find(AppId::new)?,
        version_id: columns.find(VersionId::new)?,
        environment: columns.text()?,
        status: columns.find(DeploymentStatus::parse)?,
        created_at: columns.time()?,
        updated_at: columns.time()?,
        finished_at: columns.find(|micros: Option<i64>| match micros {
            None => Some(None),
            Some(micros) => Timestamp::from_micros(micros).map(Some),
        })?,
        revision: columns.count(Revision::new)?,
    })
}
