//! Reads of apps.

use alm_core::{
    domain::{App, AppId},
    ports::AppFilter,
};
use sqlx::{PgConnection, QueryBuilder};

use crate::{
    error::Fault,
    label::{AMONG_LABELED, Wanted},
    row::{all, app_columns, at_most},
};

pub(super) async fn list(
    connection: &mut PgConnection,
    filter: &AppFilter,
    after: Option<AppId>,
    limit: usize,
) -> Result<Vec<App>, Fault> {
    let mut query = QueryBuilder::new(concat!("SELECT ", app_columns!(), " FROM apps WHERE id > "));
    query.push_bind(after.map_or(0, AppId::get));
    if let Some(name) = &filter.name {
        query.push(" AND name = ").push_bind(name.as_str());
    }
    match Wanted::by(&filter.labels) {
        Wanted::Anything => {}
        Wanted::All(labels) => drop(query.push(AMONG_LABELED).push_bind(labels).push("::jsonb")),
        Wanted::Nothing => return Ok(Vec::new()),
    }
    query.push(" ORDER BY id LIMIT ").push_bind(at_most(limit));
    Ok(all(&query.build().fetch_all(connection).await?)?)
}
