//! What tests start from, and how they look at what came of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use alm_core::{
    Alm, Context, Principal,
    changeset::IdempotencyKey,
    domain::{
        Actor, AppId, AuditEntry, EnvironmentName, Event, EventType, NewApp, NewDeployment, NewVersion, Position, Role,
        Timestamp, VersionId,
    },
    ports::{AuditFilter, Clock, Store, Timer},
    runtime::{AuditConsumer, AutoDeploy, Cascade, Consumer, Handler},
    services::Idempotency,
};
use async_trait::async_trait;
use proptest::test_runner::{Config, RngSeed};

/// A clock that stands until a test moves it.
#[derive(Debug)]
pub(crate) struct ManualClock(AtomicI64);

impl ManualClock {
    /// It stands so many microseconds after the epoch.
    pub(crate) fn at(micros: i64) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(micros)))
    }

    pub(crate) fn move_by(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed)).unwrap()
    }
}

/// A timer that lets others have their turn and returns: no test waits for time to pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InstantTimer;

#[async_trait]
impl Timer for InstantTimer {
    async fn sleep(&self, _: Duration) {
        tokio::task::yield_now().await;
    }
}

pub(crate) fn by(name: &str, role: Role) -> Context {
    Context::new(Principal::new(Actor::parse(name).unwrap(), role))
}

pub(crate) fn admin() -> Context {
    by("ada", Role::Admin)
}

pub(crate) fn user() -> Context {
    by("bob", Role::User)
}

/// The call sent under an idempotency key; `request` stands for what it asks for.
pub(crate) fn keyed(cx: Context, key: &str, request: u8) -> Context {
    cx.with_idempotency(Idempotency { key: IdempotencyKey::parse(key).unwrap(), fingerprint: [request; 32] })
}

pub(crate) fn an_app(name: &str) -> NewApp {
    NewApp::parse(name.to_owned(), String::new(), BTreeMap::new()).unwrap()
}

pub(crate) fn a_version(app: AppId, tag: &str) -> NewVersion {
    NewVersion::parse(app, tag.to_owned(), String::new(), BTreeMap::new()).unwrap()
}

pub(crate) fn a_deployment(version: VersionId, environment: &str) -> NewDeployment {
    NewDeployment::parse(version, None, environment.to_owned()).unwrap()
}

pub(crate) fn environments(names: &[&str]) -> Vec<EnvironmentName> {
    names.iter().map(|name| EnvironmentName::parse(*name).unwrap()).collect()
}

/// Waits for something that must come about.
#[expect(clippy::future_not_send, reason = "the test awaits it where it stands")]
pub(crate) async fn until(condition: impl AsyncFn() -> bool) {
    let coming = async {
        while !condition().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), coming).await.expect("it comes about");
}

pub(crate) async fn catch_up(alm: &Alm, handler: impl Handler + 'static) -> Position {
    Consumer::new(alm.clone(), Arc::new(handler)).catch_up(&InstantTimer).await.unwrap()
}

/// Lets the built-in consumers work until nothing is left to do.
pub(crate) async fn settle(alm: &Alm, auto_deploy: &[&str]) {
    loop {
        let before = alm.store().head().await.unwrap();
        catch_up(alm, Cascade).await;
        catch_up(alm, AutoDeploy::to(environments(auto_deploy))).await;
        catch_up(alm, AuditConsumer).await;
        if alm.store().head().await.unwrap() == before {
            return;
        }
    }
}

/// The whole log, which is gapless and has no event twice.
pub(crate) async fn log_of(alm: &Alm) -> Vec<Arc<Event>> {
    let store = alm.store();
    let mut log = Vec::new();
    loop {
        let position = Position::new(log.len() as u64);
        let events = store.read(position, 100).await.unwrap();
        if events.is_empty() {
            break;
        }
        log.extend(events);
    }
    let positions: Vec<_> = log.iter().map(|event| event.position.get()).collect();
    assert_eq!(positions, (1..=log.len() as u64).collect::<Vec<_>>(), "the log has a gap");
    assert_eq!(store.head().await.unwrap().get(), log.len() as u64);
    let ids: BTreeSet<_> = log.iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), log.len(), "an event stands in the log twice");
    log
}

pub(crate) async fn types_of(alm: &Alm) -> Vec<&'static str> {
    log_of(alm).await.iter().map(|event| event.data.event_type().as_str()).collect()
}

/// What the events of one type are about, in their order.
pub(crate) fn subjects(log: &[Arc<Event>], event_type: EventType) -> Vec<String> {
    log.iter().filter(|event| event.data.event_type() == event_type).map(|event| event.subject.to_string()).collect()
}

pub(crate) async fn audit_of(store: &dyn Store) -> Vec<AuditEntry> {
    store.audit_entries(&AuditFilter::default(), None, usize::MAX).await.unwrap()
}

/// Checks that the audit log is the event log, one to one and in its order.
pub(crate) async fn assert_each_event_is_audited_once(alm: &Alm) {
    let (log, audit) = (log_of(alm).await, audit_of(alm.store().as_ref()).await);
    assert_eq!(audit.len(), log.len());
    for (event, entry) in log.iter().zip(&audit) {
        let event_type = event.data.event_type();
        assert_eq!(entry.index.get(), event.position.get());
        assert_eq!(entry.event_id, event.id);
        assert_eq!(entry.event_type, event_type.as_str());
        assert_eq!(entry.source_service, event_type.source().as_str());
        assert_eq!(entry.payload, event.data.to_json());
        assert_eq!(entry.timestamp, event.time.millis());
        assert_eq!(entry.actor, event.actor);
        assert_eq!(entry.subject, event.subject.to_string());
    }
}

/// Property tests write nothing into the tree: a failure shows the seed, and the seed gives the failure again.
pub(crate) fn property(cases: u32) -> Config {
    let mut config = Config { cases, failure_persistence: None, ..Config::default() };
    if matches!(config.rng_seed, RngSeed::Random) {
        config.rng_seed = RngSeed::Fixed(RandomState::new().hash_one(cases));
    }
    // Shown when the test fails.
    eprintln!("PROPTEST_RNG_SEED={}", config.rng_seed);
    config
}
