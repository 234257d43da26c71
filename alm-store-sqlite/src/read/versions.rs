//! Versions.

use alm_core::{
    domain::{AppId, Revision, Version, VersionId},
    ports::{StoreError, VersionFilter},
};
use sqlx::{SqlitePool, sqlite::SqliteRow};

use super::{Statement, all, labels::Labels, one};
use crate::row::{Columns, at_most};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT version.id, version.app_id, version.tag, version.changelog, version.labels, version.created_at,
                version.updated_at, version.revision ",
            $rest
        )
    };
}

macro_rules! labelled {
    ($sought:literal) => {
        concat!(
            select!(
                "FROM alm_version_labels AS label CROSS JOIN alm_versions AS version ON version.id = label.version_id
                WHERE label.key = ?3 AND label.value = ?4 AND label.version_id > ?1
                    AND NOT EXISTS (
                        SELECT 1 FROM json_each(?5) AS wanted
                        WHERE NOT EXISTS (
                            SELECT 1 FROM alm_version_labels AS other
                            WHERE other.key = wanted.value ->> 0 AND other.value = wanted.value ->> 1
                                AND other.version_id = label.version_id
                        )
                    ) "
            ),
            $sought,
            " ORDER BY label.version_id LIMIT ?2"
        )
    };
}

const BY_ID: &str = select!("FROM alm_versions AS version WHERE version.id = ?1");
const PAGE: &str = select!("FROM alm_versions AS version WHERE version.id > ?1 ORDER BY version.id LIMIT ?2");
const OF_APP: &str = select!(
    "FROM alm_versions AS version INDEXED BY alm_versions_of_app
    WHERE version.app_id = ?3 AND version.id > ?1 ORDER BY version.id LIMIT ?2"
);
const LABELLED: &str = labelled!("");
const LABELLED_OF_APP: &str = labelled!("AND label.app_id = ?6");

/// The statements that read pages; the first asks for everything.
#[cfg(test)]
pub(super) const PAGES: &[&str] = &[PAGE, OF_APP, LABELLED, LABELLED_OF_APP];

pub(crate) async fn by_id(readers: &SqlitePool, id: VersionId) -> Result<Option<Version>, StoreError> {
    one(readers, sqlx::query(BY_ID).bind(id.get()), parse).await
}

pub(crate) async fn page(
    readers: &SqlitePool,
    filter: &VersionFilter,
    after: Option<VersionId>,
    limit: usize,
) -> Result<Vec<Version>, StoreError> {
    let page = |sql| sqlx::query(sql).bind(after.map_or(0, VersionId::get)).bind(at_most(limit));
    let statement: Statement = match (Labels::of(&filter.labels), filter.app_id) {
        (None, None) => page(PAGE),
        (None, Some(app)) => page(OF_APP).bind(app.get()),
        (Some(labels), None) => page(LABELLED).bind(labels.key).bind(labels.value).bind(labels.all),
        (Some(labels), Some(app)) => {
            page(LABELLED_OF_APP).bind(labels.key).bind(labels.value).bind(labels.all).bind(app.get())
        }
    };
    all(readers, statement, parse).await
}

fn parse(row: &SqliteRow) -> Result<Version, StoreError> {
    columns(&mut Columns::of("alm_versions", row))
}

/// A version, from the next columns.
pub(super) fn columns(columns: &mut Columns<'_>) -> Result<Version, StoreError> {
    Ok(Version {
        id: columns.find(VersionId::new)?,
        app_id: columns.find(AppId::new)?,
        tag: columns.text()?,
        changelog: columns.text()?,
        labels: columns.json()?,
        created_at: columns.time()?,
        updated_at: columns.time()?,
        revision: columns.count(Revision::new)?,
    })
}
