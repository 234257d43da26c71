//! Pages of what an app has.

use alm_core::{
    domain::{AppId, Deployment, DeploymentId, Version, VersionId},
    ports::StoreError,
};
use sqlx::{PgConnection, Row as _, postgres::PgRow};

use crate::{
    error::{Fault, corrupt},
    row::{all, at_most, deployment_columns, version_columns},
};

use super::Question;

macro_rules! page_of {
    ($(#[$doc:meta])* $page:ident, $id:ident, $value:ident, $columns:ident, $table:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(crate) struct $page {
            pub(crate) app: AppId,
            pub(crate) after: Option<$id>,
            pub(crate) limit: usize,
        }

        impl $page {
            pub(crate) const STATEMENT: &str = concat!(
                "SELECT page.*, asked.place \
                 FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS asked (app, after, most, place) \
                      CROSS JOIN LATERAL (SELECT ",
                $columns!(),
                " FROM ",
                $table,
                " WHERE app_id = asked.app AND id > asked.after ORDER BY id LIMIT asked.most) page"
            );

            /// The page that these rows are.
            pub(crate) fn of(rows: &[PgRow]) -> Result<Vec<$value>, StoreError> {
                let mut page: Vec<$value> = all(rows)?;
                // As they are already, in general: to have the server say so would cost it more.
                page.sort_unstable_by_key(|value| value.id);
                Ok(page)
            }
        }

        impl Question for $page {
            // Whoever asks parses them: so one task need not do it for all.
            type Answer = Vec<PgRow>;

            // Each may have two hundred long texts.
            const MOST: usize = 8;

            async fn answers(pages: &[Self], connection: &mut PgConnection) -> Result<Vec<Vec<PgRow>>, Fault> {
                let rows = sqlx::query(Self::STATEMENT)
                    .bind(pages.iter().map(|page| page.app.get()).collect::<Vec<i64>>())
                    .bind(pages.iter().map(|page| page.after.map_or(0, $id::get)).collect::<Vec<i64>>())
                    .bind(pages.iter().map(|page| at_most(page.limit)).collect::<Vec<i64>>());
                let rows = rows.fetch_all(connection).await?;
                apart(rows, pages.len())
            }
        }
    };
}
page_of!(
    /// Versions of an app.
    VersionsOf, VersionId, Version, version_columns, "versions"
);
page_of!(
    /// Deployments of an app.
    DeploymentsOf, DeploymentId, Deployment, deployment_columns, "deployments"
);

/// The rows of each page: the last column says which page a row belongs to, from 1 on.
fn apart(rows: Vec<PgRow>, pages: usize) -> Result<Vec<Vec<PgRow>>, Fault> {
    let mut apart: Vec<Vec<PgRow>> = (0..pages).map(|_| Vec::new()).collect();
    for row in rows {
        let place: i64 = row.try_get(row.len() - 1)?;
        let page = usize::try_from(place - 1).ok().and_then(|place| apart.get_mut(place));
        page.ok_or_else(|| corrupt("read pages", format!("there is no page {place}")))?.push(row);
    }
    Ok(apart)
}
