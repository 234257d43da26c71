//! What is known of parents that live elsewhere.

use alm_core::{
    domain::{AppId, ParentId},
    ports::StoreError,
};
use sqlx::SqliteConnection;

use super::rows::{exists, run};

/// Where those are found that are known and live, by their ids.
pub(super) const LIVE_APPS: &str = "(SELECT id FROM alm_known_apps WHERE app_id IS NOT NULL)";
pub(super) const LIVE_VERSIONS: &str = "(SELECT id FROM alm_known_versions WHERE app_id IS NOT NULL)";

/// The statement for apps, or that for versions, and the id.
fn for_one<T>(parent: ParentId, for_an_app: T, for_a_version: T) -> (T, i64) {
    match parent {
        ParentId::App(id) => (for_an_app, id.get()),
        ParentId::Version(id) => (for_a_version, id.get()),
    }
}

pub(super) async fn is_live(connection: &mut SqliteConnection, parent: ParentId) -> Result<bool, StoreError> {
    let (sql, id) = for_one(
        parent,
        "SELECT EXISTS (SELECT 1 FROM alm_known_apps WHERE id = ?1 AND app_id IS NOT NULL)",
        "SELECT EXISTS (SELECT 1 FROM alm_known_versions WHERE id = ?1 AND app_id IS NOT NULL)",
    );
    exists(connection, sql, id).await
}

/// Keeps that it is live, unless it is gone.
pub(super) async fn learn(
    connection: &mut SqliteConnection,
    parent: ParentId,
    app_id: AppId,
) -> Result<(), StoreError> {
    let (sql, id) = for_one(
        parent,
        "INSERT INTO alm_known_apps (id, app_id) VALUES (?1, ?2)
         ON CONFLICT (id) DO UPDATE SET app_id = excluded.app_id WHERE app_id IS NOT NULL",
        "INSERT INTO alm_known_versions (id, app_id) VALUES (?1, ?2)
         ON CONFLICT (id) DO UPDATE SET app_id = excluded.app_id WHERE app_id IS NOT NULL",
    );
    run(connection, sqlx::query(sql).bind(id).bind(app_id.get())).await.map(drop)
}

/// Keeps that it is gone.
pub(super) async fn part(connection: &mut SqliteConnection, parent: ParentId) -> Result<(), StoreError> {
    let (sql, id) = for_one(
        parent,
        "INSERT INTO alm_known_apps (id) VALUES (?1) ON CONFLICT (id) DO UPDATE SET app_id = NULL",
        "INSERT INTO alm_known_versions (id) VALUES (?1) ON CONFLICT (id) DO UPDATE SET app_id = NULL",
    );
    run(connection, sqlx::query(sql).bind(id)).await.map(drop)
}
