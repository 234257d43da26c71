//! Apps.

use alm_core::{
    domain::{App, AppId, AppName, Revision},
    ports::{AppFilter, StoreError},
};
use sqlx::{SqlitePool, sqlite::SqliteRow};

use super::{Statement, all, labels::Labels, one};
use crate::row::{Columns, at_most};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT app.id, app.name, app.description, app.labels, app.created_at, app.updated_at, app.revision ",
            $rest
        )
    };
}

const BY_ID: &str = select!("FROM alm_apps AS app WHERE app.id = ?1");
const PAGE: &str = select!("FROM alm_apps AS app WHERE app.id > ?1 ORDER BY app.id LIMIT ?2");
const NAMED: &str = select!("FROM alm_apps AS app WHERE app.name = ?3 AND app.id > ?1 LIMIT ?2");
const LABELLED: &str = select!(
    "FROM alm_app_labels AS label CROSS JOIN alm_apps AS app ON app.id = label.app_id
    WHERE label.key = ?3 AND label.value = ?4 AND label.app_id > ?1
        AND (?6 IS NULL OR app.name = ?6)
        AND NOT EXISTS (
            SELECT 1 FROM json_each(?5) AS wanted
            WHERE NOT EXISTS (
                SELECT 1 FROM alm_app_labels AS other
                WHERE other.key = wanted.value ->> 0 AND other.value = wanted.value ->> 1
                    AND other.app_id = label.app_id
            )
        )
    ORDER BY label.app_id LIMIT ?2"
);

/// The statements that read pages; the first asks for everything.
#[cfg(test)]
pub(super) const PAGES: &[&str] = &[PAGE, NAMED, LABELLED];

pub(crate) async fn by_id(readers: &SqlitePool, id: AppId) -> Result<Option<App>, StoreError> {
    one(readers, sqlx::query(BY_ID).bind(id.get()), parse).await
}

pub(crate) async fn page(
    readers: &SqlitePool,
    filter: &AppFilter,
    after: Option<AppId>,
    limit: usize,
) -> Result<Vec<App>, StoreError> {
    let page = |sql| sqlx::query(sql).bind(after.map_or(0, AppId::get)).bind(at_most(limit));
    let name = filter.name.as_ref().map(AppName::as_str);
    let statement: Statement = match (Labels::of(&filter.labels), name) {
        (None, None) => page(PAGE),
        (None, Some(name)) => page(NAMED).bind(name),
        (Some(labels), name) => page(LABELLED).bind(labels.key).bind(labels.value).bind(labels.all).bind(name),
    };
    all(readers, statement, parse).await
}

fn parse(row: &SqliteRow) -> Result<App, StoreError> {
    let mut columns = Columns::of("alm_apps", row);
    Ok(App {
        id: columns.find(AppId::new)?,
        name: columns.text()?,
        description: columns.text()?,
        labels: columns.json()?,
        created_at: columns.time()?,
        updated_at: columns.time()?,
        revision: columns.count(Revision::new)?,
    })
}
