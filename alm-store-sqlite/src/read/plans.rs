//! How `SQLite` reads pages: by seeking in an index, however long the tables are.

use std::iter;

use sqlx::{AssertSqlSafe, Row as _};

use super::{apps, audit, consumers, credentials, deployments, events, running, tree, users, versions};
use crate::SqliteOptions;

/// What is as short as the filter, or as what is found.
const SHORT: [&str; 4] = ["SCAN wanted VIRTUAL TABLE", "SCAN place", "SCAN page", "SCAN CONSTANT ROW"];

#[tokio::test]
async fn no_page_is_found_by_reading_a_table_that_grows() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteOptions::new(folder.path().join("alm.db")).migrate(true).open().await.unwrap();
    let pages = [
        apps::PAGES,
        versions::PAGES,
        deployments::PAGES,
        running::PAGES,
        audit::PAGES,
        users::PAGES,
        credentials::PAGES,
        consumers::PAGES,
        events::PAGES,
        tree::PAGES,
    ];
    for (sql, is_narrowed) in
        pages.iter().flat_map(|pages| pages.iter().zip([false].into_iter().chain(iter::repeat(true))))
    {
        let plan = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let steps = sqlx::query(plan).fetch_all(store.readers()).await.unwrap();
        let steps: Vec<String> = steps.iter().map(|step| step.get("detail")).collect();
        for step in &steps {
            let scans = step.starts_with("SCAN") && !SHORT.iter().any(|short| step.starts_with(short));
            // Only what runs is sorted after it was found: as many rows as the page has.
            let sorts = step.contains("TEMP B-TREE") && !running::PAGES.contains(sql);
            // To go through the rows by their ids is right only for what asks for all of them.
            let walks = is_narrowed && step.contains("(rowid>?)") && !step.contains("=?");
            assert!(!scans && !sorts && !walks, "{step}, in {steps:#?}, for {sql}");
        }
    }
    store.close().await;
}
