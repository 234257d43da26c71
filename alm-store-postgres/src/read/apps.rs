//! Reads of apps.

use alm_core::{
    domain::{App, AppId},
    ports::AppFilter,
};
use sqlx::{PgConnection, Postgres, QueryBuilder};

use crate::{
    error::Fault,
    label::{Wanted, WantedLabels},
    row::{all, app_columns, at_most},
};

pub(super) async fn list(
    connection: &mut PgConnection,
    filter: &AppFilter,
    after: Option<AppId>,
    limit: usize,
) -> Result<Vec<App>, Fault> {
    let Some(mut page) = page(filter, after, limit) else { return Ok(Vec::new()) };
    Ok(all(&page.build().fetch_all(connection).await?)?)
}

/// The statement that reads a page, unless nothing can be on it.
pub(super) fn page(filter: &AppFilter, after: Option<AppId>, limit: usize) -> Option<QueryBuilder<Postgres>> {
    let after = after.map_or(0, AppId::get);
    let mut query = QueryBuilder::new(concat!("SELECT ", app_columns!(), " FROM "));
    let labels = match Wanted::by(&filter.labels) {
        Wanted::Nothing => return None,
        Wanted::Anything => None,
        Wanted::All(labels) => Some(labels),
    };
    match (labels, &filter.name) {
        // The apps are looked up one by one, in the order in which their labels stand in the index.
        (Some(WantedLabels { first: (key, value), all: labels }), None) => {
            query.push("(SELECT app_id FROM app_labels WHERE key = ").push_bind(key);
            query.push(" AND value = ").push_bind(value).push(" AND app_id > ").push_bind(after).push(
                " ORDER BY app_id) label CROSS JOIN LATERAL (SELECT * FROM apps WHERE id = label.app_id OFFSET 0) apps \
                 WHERE apps.labels @> ",
            );
            query.push_bind(labels).push("::jsonb ORDER BY label.app_id");
        }
        // One at most has the name.
        (labels, name) => {
            query.push("apps WHERE id > ").push_bind(after);
            if let Some(name) = name {
                query.push(" AND name = ").push_bind(name.as_str());
            }
            if let Some(labels) = labels {
                query.push(" AND labels @> ").push_bind(labels.all).push("::jsonb");
            }
            query.push(" ORDER BY id");
        }
    }
    query.push(" LIMIT ").push_bind(at_most(limit));
    Some(query)
}
