//! A server that takes its time is not taken for one that is gone.

use std::{sync::Arc, time::Duration};

use alm_core::{
    changeset::{Change, Changeset},
    domain::Revision,
    ports::Committer,
    testing::fixtures::{app, of},
};
use alm_store_postgres::{PostgresStore, sqlx};
use alm_test_support::eventually;

use crate::place::Place;

fn change() -> Changeset {
    let mut changed = app(1, "a");
    changed.revision = Revision::FIRST.next();
    of(Change::app_updated(&changed, Revision::FIRST))
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_long_on_a_server_that_is_there_gets_the_answer() {
    // given a host that holds a row
    let place = Place::migrated().await;
    let options = place.options().lock_timeout(Duration::from_secs(20)).statement_timeout(Duration::from_secs(20));
    let store = Arc::new(PostgresStore::connect(&options.application_name(place.schema())).await.unwrap());
    store.commit(of(Change::app_created(&app(1, "a")))).await.unwrap();
    let pool = place.pool();
    let mut transaction = pool.begin().await.unwrap();
    store.commit_in(&mut transaction, change()).await.unwrap();
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.commit(change()).await }
    });

    // when it has waited for so long that it has doubted more than once
    let waits = "SELECT count(*) FROM pg_stat_activity \
                 WHERE application_name = $1 AND wait_event_type = 'Lock' AND now() - query_start > interval '2.5 seconds'";
    eventually("it waits for long", async || {
        let waiting: i64 = sqlx::query_scalar(waits).bind(place.schema()).fetch_one(&pool).await.unwrap();
        (waiting == 1).then_some(())
    })
    .await;
    transaction.rollback().await.unwrap();

    // then
    waiting.await.unwrap().unwrap();
}
