//! A system that loses events: that they are missing must be found.

use alm_test_support::{journal::Kind as Broken, nats::NatsServer, soak::Report};
use sqlx::{Connection, Executor, sqlite::SqliteConnection};

use crate::{
    bus::Bus,
    fault::Fault,
    round::{Load, Round, found, settled},
    system::{Kind, Nats, Service, System},
};

/// More requests than a service's log takes to have one more event.
const ENOUGH: u64 = 150;

#[test]
fn an_event_that_the_audit_consumer_has_passed_over_is_found() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let report = runtime.block_on(pass_over());
    let missing = report.violations.iter().filter(|violation| violation.kind == Broken::NotAudited).count();
    assert!(missing >= 1, "{report}: {:?}", report.violations);
}

async fn pass_over() -> Report {
    let round = Round { name: "broken", store: Kind::Sqlite, cycles: 1, fault: Fault::Kill(Service::Audit) };
    let mut random = fastrand::Rng::new();
    let mut system = System::start(round.store, 1, Nats::One(NatsServer::start()), None).await;
    let bus = Bus::connect(&system.nats.url()).await;
    let front = system.front();
    let load = Load::on(&front, &mut random).await;

    load.common.done(ENOUGH).await;
    system.kill(Service::Audit).unwrap();
    let mut database = SqliteConnection::connect(&system.database(Service::Audit)).await.unwrap();
    let moved = database.execute("UPDATE alm_checkpoints SET position = position + 1 WHERE consumer = 'audit'").await;
    assert!(moved.unwrap().rows_affected() > 0, "it has read something");
    database.close().await.unwrap();
    load.common.done(ENOUGH).await;
    system.begin(Service::Audit);

    let common = load.end().await;
    settled(&front, &common, &bus, 0).await.unwrap();
    let (audited, violations) = found(&front, &round, &[]).await;
    Report::of(1, &common, audited, violations)
}
