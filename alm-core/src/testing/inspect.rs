//! How tests let ALM work and look at what came of it.
//!
//! A store may give events their positions some time after the commit, so nothing here takes it that they stand in the log at
//! once: what waits, waits for a condition, and panics when it has not come about in 20 seconds.
//!
//! # Panics
//! All of them, when the store fails or breaks its contract.
#![expect(clippy::missing_panics_doc, reason = "said once, for the whole module")]

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    domain::{AuditEntry, EnvironmentName, Event, Position},
    ports::{AuditFilter, EventLog, Store},
    runtime::{AuditConsumer, AutoDeploy, Cascade, Consumer, Handler, SessionConsumer, yield_now},
    services::Alm,
};

use super::InstantTimer;

/// How long a condition may take to come about.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many events are read at once.
const BATCH: usize = 100;

/// Bounds how long a test waits.
struct Patience(Instant);

impl Patience {
    #[expect(
        clippy::disallowed_methods,
        reason = "how long a test waits is no business of the clock that the test decides"
    )]
    fn new() -> Self {
        Self(Instant::now())
    }

    /// Lets the others work.
    async fn wait_for(&self, what: &str) {
        assert!(self.0.elapsed() < PATIENCE, "it has not come about that {what}");
        yield_now().await;
    }
}

/// Waits until `condition` holds; `what` names it.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use alm_core::testing::inspect::until;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let looked = AtomicU32::new(0);
/// until("it was looked at three times", async || looked.fetch_add(1, Ordering::Relaxed) == 2).await;
/// # }
/// ```
pub async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let patience = Patience::new();
    while !condition().await {
        patience.wait_for(what).await;
    }
}

/// Lets `handler` handle what is in the log; gives the position of the last event that it has handled.
pub async fn catch_up(alm: &Alm, handler: impl Handler + 'static) -> Position {
    Consumer::new(alm.clone(), Arc::new(handler)).catch_up(&InstantTimer).await.expect("the consumer catches up")
}

/// Lets the built-in consumers work until nothing is left to do; `auto_deploy` are the environments that new versions are
/// deployed to.
///
/// What it can't know of are events that are committed and not yet in the log: on a store that gives them their positions
/// later, say with [`settle_at`] how many there are going to be.
pub async fn settle(alm: &Alm, auto_deploy: &[&str]) {
    settle_at(alm, auto_deploy, 0).await;
}

/// The same, and waits until the log has at least `events` events, those of the consumers included.
pub async fn settle_at(alm: &Alm, auto_deploy: &[&str], events: u64) {
    let environments: Vec<_> =
        auto_deploy.iter().map(|name| EnvironmentName::parse(*name).expect("the name of an environment")).collect();
    let patience = Patience::new();
    loop {
        let before = head(alm.store().as_ref()).await;
        catch_up(alm, Cascade::default()).await;
        catch_up(alm, SessionConsumer::default()).await;
        catch_up(alm, AutoDeploy::to(environments.clone())).await;
        catch_up(alm, AuditConsumer).await;
        let after = head(alm.store().as_ref()).await;
        if after == before && after.get() >= events {
            return;
        }
        patience.wait_for(&format!("the log stands still at {events} events or more; it has {after}")).await;
    }
}

/// The log as it is now, from the oldest event that is kept. It has no gap, and no event twice.
pub async fn log_of(log: &dyn EventLog) -> Vec<Arc<Event>> {
    log_with(log, 0).await
}

/// The same, as soon as there were at least `events` events, those that were trimmed included.
pub async fn log_with(log: &dyn EventLog, events: u64) -> Vec<Arc<Event>> {
    let patience = Patience::new();
    let mut all: Vec<Arc<Event>> = Vec::new();
    let trimmed = log.oldest().await.expect("the log says where it begins").previous().get();
    loop {
        let seen = trimmed + all.len() as u64;
        let more = log.read(Position::new(seen), BATCH).await.expect("the log is read");
        assert!(more.len() <= BATCH, "more events than were asked for");
        for (event, position) in more.iter().zip(seen + 1..) {
            assert_eq!(event.position.get(), position, "the log has a gap");
        }
        let seen = seen + more.len() as u64;
        let end = more.len() < BATCH;
        all.extend(more);
        if !end {
            continue;
        }
        let head = head(log).await.get();
        assert!(head >= seen, "the log has {seen} events, and its head is {head}");
        if head == seen && seen >= events {
            break;
        }
        patience.wait_for(&format!("the log has {} events; it has {seen}", head.max(events))).await;
    }
    let ids: BTreeSet<_> = all.iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), all.len(), "an event stands in the log twice");
    all
}

async fn head(log: &dyn EventLog) -> Position {
    log.head().await.expect("the head of the log is read")
}

/// The whole audit log.
pub async fn audit_of(store: &dyn Store) -> Vec<AuditEntry> {
    store.audit_entries(&AuditFilter::default(), None, usize::MAX).await.expect("the audit log is read")
}

/// Checks that the audit log is the event log, one to one and in its order. That is so once the consumers have
/// [settled](settle).
pub async fn assert_each_event_is_audited_once(store: &dyn Store) {
    let (audit, log) = (audit_of(store).await, log_of(store).await);
    assert_eq!(audit.len(), log.len(), "as many audit entries as events");
    for (event, entry) in log.iter().zip(&audit) {
        assert_eq!(entry.index.get(), event.position.get());
        assert_eq!(entry.event_id, event.id);
        assert_eq!(entry.event_type, event.data.type_name());
        assert_eq!(entry.source_service, event.data.source_name());
        assert_eq!(entry.payload, event.data.to_json());
        assert_eq!(entry.timestamp, event.time.millis());
        assert_eq!(entry.actor, event.actor);
        assert_eq!(entry.subject, event.subject.to_string());
    }
}
