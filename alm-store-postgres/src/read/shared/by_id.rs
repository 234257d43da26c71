//! What has an id, if anything.

use alm_core::domain::{App, AppId, Deployment, DeploymentId, Version, VersionId};
use sqlx::PgConnection;

use crate::{
    error::Fault,
    row::{all, app_columns, deployment_columns, version_columns},
};

use super::Question;

macro_rules! by_id {
    ($id:ident, $value:ident, $columns:ident, $table:literal) => {
        impl Question for $id {
            type Answer = Option<$value>;

            const MOST: usize = 128;

            async fn answers(ids: &[Self], connection: &mut PgConnection) -> Result<Vec<Option<$value>>, Fault> {
                let statement = concat!("SELECT ", $columns!(), " FROM ", $table, " WHERE id = ANY($1) ORDER BY id");
                let numbers: Vec<i64> = ids.iter().map(|id| id.get()).collect();
                let found: Vec<$value> = all(&sqlx::query(statement).bind(numbers).fetch_all(connection).await?)?;
                let one = |id| found.binary_search_by_key(id, |value| value.id).ok().map(|place| found[place].clone());
                Ok(ids.iter().map(one).collect())
            }
        }
    };
}
by_id!(AppId, App, app_columns, "apps");
by_id!(VersionId, Version, version_columns, "versions");
by_id!(DeploymentId, Deployment, deployment_columns, "deployments");
