//! What is known of parents that live elsewhere.

use alm_core::domain::{Known, ParentId};
use sqlx::PgConnection;

use crate::{error::Fault, row::known_parent};

/// The statements, each with the table that it reads.
pub(super) const OF_AN_APP: &str = "SELECT id, app_id FROM known_apps WHERE id = $1";
pub(super) const OF_A_VERSION: &str = "SELECT id, app_id FROM known_versions WHERE id = $1";

pub(super) async fn known(connection: &mut PgConnection, parent: ParentId) -> Result<Option<Known>, Fault> {
    let (table, sql, id) = match parent {
        ParentId::App(id) => ("known_apps", OF_AN_APP, id.get()),
        ParentId::Version(id) => ("known_versions", OF_A_VERSION, id.get()),
    };
    let row = sqlx::query(sql).bind(id).fetch_optional(connection).await?;
    Ok(row.as_ref().map(|row| known_parent(table, row)).transpose()?)
}
