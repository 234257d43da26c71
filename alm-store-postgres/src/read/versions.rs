//! Reads of versions.

use alm_core::{
    domain::{Version, VersionId},
    ports::VersionFilter,
};
use sqlx::{PgConnection, Postgres, QueryBuilder};

use crate::{
    error::Fault,
    label::{Wanted, WantedLabels},
    row::{all, at_most, version_columns},
};

pub(super) async fn list(
    connection: &mut PgConnection,
    filter: &VersionFilter,
    after: Option<VersionId>,
    limit: usize,
) -> Result<Vec<Version>, Fault> {
    let Some(mut page) = page(filter, after, limit) else { return Ok(Vec::new()) };
    Ok(all(&page.build().fetch_all(connection).await?)?)
}

/// The statement that reads a page, unless nothing can be on it.
pub(super) fn page(filter: &VersionFilter, after: Option<VersionId>, limit: usize) -> Option<QueryBuilder<Postgres>> {
    let after = after.map_or(0, VersionId::get);
    let mut query = QueryBuilder::new(concat!("SELECT ", version_columns!(), " FROM "));
    match Wanted::by(&filter.labels) {
        Wanted::Nothing => return None,
        Wanted::Anything => {
            query.push("versions WHERE id > ").push_bind(after);
            if let Some(app) = filter.app_id {
                query.push(" AND app_id = ").push_bind(app.get());
            }
            query.push(" ORDER BY id LIMIT ").push_bind(at_most(limit));
        }
        Wanted::All(WantedLabels { first: (key, value), all: labels }) => {
            // The versions are looked up one by one, in the order in which their labels stand in the index.
            query.push("(SELECT version_id FROM version_labels WHERE key = ").push_bind(key);
            query.push(" AND value = ").push_bind(value).push(" AND version_id > ").push_bind(after);
            if let Some(app) = filter.app_id {
                query.push(" AND app_id = ").push_bind(app.get());
            }
            query.push(
                " ORDER BY version_id) label \
                 CROSS JOIN LATERAL (SELECT * FROM versions WHERE id = label.version_id OFFSET 0) versions \
                 WHERE versions.labels @> ",
            );
            query.push_bind(labels).push("::jsonb ORDER BY label.version_id LIMIT ").push_bind(at_most(limit));
        }
    }
    Some(query)
}
