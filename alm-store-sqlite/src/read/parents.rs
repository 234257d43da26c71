//! What is known of parents that live elsewhere.

use alm_core::{
    domain::{AppId, Known, ParentId},
    ports::StoreError,
};
use sqlx::SqlitePool;

use super::one;
use crate::row::Columns;

pub(crate) async fn known(readers: &SqlitePool, parent: ParentId) -> Result<Option<Known>, StoreError> {
    let (table, sql, id) = match parent {
        ParentId::App(id) => ("alm_known_apps", "SELECT id, app_id FROM alm_known_apps WHERE id = ?1", id.get()),
        ParentId::Version(id) => {
            ("alm_known_versions", "SELECT id, app_id FROM alm_known_versions WHERE id = ?1", id.get())
        }
    };
    one(readers, sqlx::query(sql).bind(id), |row| {
        let mut columns = Columns::of(table, row);
        columns.take::<i64>()?;
        columns.find(|app_id: Option<i64>| match app_id {
            None => Some(Known::Gone),
            Some(app_id) => AppId::new(app_id).map(|app_id| Known::Live { app_id }),
        })
    })
    .await
}
