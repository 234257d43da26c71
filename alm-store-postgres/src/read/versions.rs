//! Reads of versions.

use alm_core::{
    domain::{Version, VersionId},
    ports::VersionFilter,
};
use sqlx::{PgConnection, QueryBuilder};

use crate::{
    error::Fault,
    label::{AMONG_LABELED, Wanted},
    row::{all, at_most, version_columns},
};

pub(super) async fn list(
    connection: &mut PgConnection,
    filter: &VersionFilter,
    after: Option<VersionId>,
    limit: usize,
) -> Result<Vec<Version>, Fault> {
    let mut query = QueryBuilder::new(concat!("SELECT ", version_columns!(), " FROM versions WHERE id > "));
    query.push_bind(after.map_or(0, VersionId::get));
    if let Some(app) = filter.app_id {
        query.push(" AND app_id = ").push_bind(app.get());
    }
    match Wanted::by(&filter.labels) {
        Wanted::Anything => {}
        Wanted::All(labels) => drop(query.push(AMONG_LABELED).push_bind(labels).push("::jsonb")),
        Wanted::Nothing => return Ok(Vec::new()),
    }
    query.push(" ORDER BY id LIMIT ").push_bind(at_most(limit));
    Ok(all(&query.build().fetch_all(connection).await?)?)
}
