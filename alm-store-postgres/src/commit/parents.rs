//! What is known of parents that live elsewhere.

use alm_core::domain::{AppId, ParentId};
use sqlx::PgConnection;

/// The statement for apps, or that for versions, and the id.
fn for_one(parent: ParentId, for_an_app: &'static str, for_a_version: &'static str) -> (&'static str, i64) {
    match parent {
        ParentId::App(id) => (for_an_app, id.get()),
        ParentId::Version(id) => (for_a_version, id.get()),
    }
}

/// Keeps that it is live, unless it is gone. What is known already takes no lock: most of what is heard is, and those who commit
/// children hold the row.
pub(super) async fn learn(connection: &mut PgConnection, parent: ParentId, app_id: AppId) -> Result<(), sqlx::Error> {
    let (sql, id) = for_one(
        parent,
        "INSERT INTO known_apps (id, app_id) SELECT $1, $2 \
         WHERE NOT EXISTS (SELECT FROM known_apps WHERE id = $1 AND (app_id IS NULL OR app_id = $2)) \
         ON CONFLICT (id) DO UPDATE SET app_id = excluded.app_id WHERE known_apps.app_id IS NOT NULL",
        "INSERT INTO known_versions (id, app_id) SELECT $1, $2 \
         WHERE NOT EXISTS (SELECT FROM known_versions WHERE id = $1 AND (app_id IS NULL OR app_id = $2)) \
         ON CONFLICT (id) DO UPDATE SET app_id = excluded.app_id WHERE known_versions.app_id IS NOT NULL",
    );
    sqlx::query(sql).bind(id).bind(app_id.get()).execute(connection).await.map(drop)
}

/// Keeps that it is gone. It waits for those who hold it, and whoever comes after them sees that it is gone.
pub(super) async fn part(connection: &mut PgConnection, parent: ParentId) -> Result<(), sqlx::Error> {
    let (sql, id) = for_one(
        parent,
        "INSERT INTO known_apps (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET app_id = NULL \
         WHERE known_apps.app_id IS NOT NULL",
        "INSERT INTO known_versions (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET app_id = NULL \
         WHERE known_versions.app_id IS NOT NULL",
    );
    sqlx::query(sql).bind(id).execute(connection).await.map(drop)
}
