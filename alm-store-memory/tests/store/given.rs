//! Changesets to commit, and a look at everything that a store shows.

use std::sync::Arc;

use alm_core::{
    changeset::{
        Change, Changeset, Checkpoint, ConsumerName, DeadLetter, IdempotencyKey, IdempotencyRecord, IdempotencyScope,
        Receipt, Stamp,
    },
    domain::{
        Actor, App, AppId, AuditEntry, ChangesetId, Deployment, DeploymentId, DeploymentStatus, EnvironmentName, Event,
        EventId, Labels, LogId, NewAuditEntry, PasswordHash, Position, Revision, Role, RunningVersion, Timestamp, User,
        UserRecord, Username, Version, VersionId,
    },
    policy::Action,
    ports::{AppFilter, AuditFilter, DeploymentFilter, EventLog, Ids, Reader, SystemIds, VersionFilter},
};
use alm_store_memory::MemoryStore;

pub(crate) fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros).unwrap()
}

pub(crate) fn stamp(micros: i64) -> Stamp {
    let changeset = ChangesetId::new(SystemIds.uuid_v7());
    Stamp { changeset, at: at(micros), actor: Actor::parse("ada").unwrap(), trace: None }
}

pub(crate) fn event() -> EventId {
    EventId::new(SystemIds.uuid_v7())
}

/// A changeset of one change, decided at the epoch.
pub(crate) fn of(change: Change) -> Changeset {
    Changeset::of(stamp(0), change, event())
}

/// A changeset of some changes.
pub(crate) fn of_all(changes: impl IntoIterator<Item = Change>) -> Changeset {
    let mut changes = changes.into_iter();
    changes
        .by_ref()
        .take(1)
        .map(of)
        .next()
        .map(|first| changes.fold(first, |set, change| set.and(change, event())))
        .unwrap()
}

pub(crate) fn app_id(id: i64) -> AppId {
    AppId::new(id).unwrap()
}

pub(crate) fn version_id(id: i64) -> VersionId {
    VersionId::new(id).unwrap()
}

pub(crate) fn app(id: i64, name: &str) -> App {
    let (name, description) = (name.to_owned().try_into().unwrap(), String::new().try_into().unwrap());
    let (created_at, revision) = (at(0), Revision::FIRST);
    App { id: app_id(id), name, description, labels: Labels::default(), created_at, updated_at: created_at, revision }
}

pub(crate) fn version(id: i64, app: i64, tag: &str) -> Version {
    Version {
        id: version_id(id),
        app_id: app_id(app),
        tag: tag.to_owned().try_into().unwrap(),
        changelog: String::new().try_into().unwrap(),
        labels: Labels::default(),
        created_at: at(0),
        updated_at: at(0),
        revision: Revision::FIRST,
    }
}

pub(crate) fn environment(name: &str) -> EnvironmentName {
    EnvironmentName::parse(name).unwrap()
}

/// A deployment to `prod`; with `finished`, a successful one.
pub(crate) fn deployment(id: i64, version: i64, app: i64, finished: Option<i64>) -> Deployment {
    Deployment {
        id: DeploymentId::new(id).unwrap(),
        app_id: app_id(app),
        version_id: version_id(version),
        environment: environment("prod"),
        status: if finished.is_some() { DeploymentStatus::Successful } else { DeploymentStatus::Pending },
        created_at: at(0),
        updated_at: at(0),
        finished_at: finished.map(at),
        revision: Revision::FIRST,
    }
}

pub(crate) fn username(name: &str) -> Username {
    Username::parse(name).unwrap()
}

pub(crate) fn account(name: &str) -> UserRecord {
    let user = User { username: username(name), role: Role::User, created_at: at(0) };
    UserRecord { user, password_hash: PasswordHash::new("hash") }
}

pub(crate) fn scope(key: &str) -> IdempotencyScope {
    let key = IdempotencyKey::parse(key).unwrap();
    IdempotencyScope { principal: "ada".to_owned(), action: Action::CreateApp, key }
}

pub(crate) fn answer(key: &str, outcome: &str, created: i64, expires: i64) -> IdempotencyRecord {
    IdempotencyRecord {
        scope: scope(key),
        fingerprint: [1; 32],
        outcome: outcome.into(),
        created_at: at(created),
        expires_at: at(expires),
    }
}

pub(crate) fn consumer() -> ConsumerName {
    ConsumerName::parse("reader").unwrap()
}

pub(crate) fn checkpoint(store: &MemoryStore, from: u64, to: u64) -> Checkpoint {
    Checkpoint { consumer: consumer(), log: store.log_id(), from: Position::new(from), to: Position::new(to) }
}

/// What a consumer has done: nothing but move on.
pub(crate) fn progress(store: &MemoryStore, from: u64, to: u64) -> Changeset {
    Changeset::progress(stamp(0), checkpoint(store, from, to))
}

pub(crate) fn entry(payload: &str) -> NewAuditEntry {
    NewAuditEntry {
        event_id: event(),
        event_type: "AppCreated".to_owned(),
        source_service: "AppService".to_owned(),
        payload: payload.into(),
        timestamp: 0,
        recorded_at: at(0),
        actor: Actor::system(),
        subject: "apps/1".to_owned(),
    }
}

pub(crate) fn letter(log: LogId, position: u64, reason: &str) -> DeadLetter {
    DeadLetter {
        consumer: consumer(),
        log,
        position: Position::new(position),
        event_id: event(),
        document: reason.into(),
        reason: reason.to_owned(),
        at: at(0),
    }
}

/// Everything that a store shows of the resources that the tests here name.
#[derive(Debug, PartialEq)]
pub(crate) struct Sight {
    apps: Vec<App>,
    named: Vec<Vec<App>>,
    versions: Vec<Version>,
    versions_by_app: Vec<Vec<Version>>,
    deployments: Vec<Deployment>,
    deployments_by_parent: Vec<(Vec<Deployment>, Vec<Deployment>)>,
    running: Vec<Vec<RunningVersion>>,
    audit: Vec<AuditEntry>,
    users: Vec<User>,
    accounts: Vec<Option<UserRecord>>,
    remembered: Vec<Option<IdempotencyRecord>>,
    checkpoint: Option<Position>,
    letters: Vec<DeadLetter>,
    receipts: Vec<Option<Receipt>>,
    log: Vec<Arc<Event>>,
    head: Position,
}

pub(crate) const ALL: usize = usize::MAX;

pub(crate) async fn sight(store: &MemoryStore, changesets: &[ChangesetId]) -> Sight {
    let apps = store.apps(&AppFilter::default(), None, ALL).await.unwrap();
    let mut sight = Sight {
        named: Vec::new(),
        versions: store.versions(&VersionFilter::default(), None, ALL).await.unwrap(),
        versions_by_app: Vec::new(),
        deployments: store.deployments(&DeploymentFilter::default(), None, ALL).await.unwrap(),
        deployments_by_parent: Vec::new(),
        running: Vec::new(),
        audit: store.audit_entries(&AuditFilter::default(), None, ALL).await.unwrap(),
        users: store.users(None, ALL).await.unwrap(),
        accounts: Vec::new(),
        remembered: Vec::new(),
        checkpoint: store.checkpoint(&consumer(), store.log_id()).await.unwrap(),
        letters: store.dead_letters(&consumer(), None, ALL).await.unwrap(),
        receipts: Vec::new(),
        log: store.read(Position::START, ALL).await.unwrap(),
        head: store.head().await.unwrap(),
        apps,
    };
    for name in ["a", "b", "c", "new", "renamed"] {
        let filter = AppFilter { name: Some(name.to_owned().try_into().unwrap()), ..AppFilter::default() };
        sight.named.push(store.apps(&filter, None, ALL).await.unwrap());
    }
    for id in 1..10 {
        let of_app = VersionFilter { app_id: Some(app_id(id)), ..VersionFilter::default() };
        sight.versions_by_app.push(store.versions(&of_app, None, ALL).await.unwrap());
        let of_app = DeploymentFilter { app_id: Some(app_id(id)), ..DeploymentFilter::default() };
        let of_version = DeploymentFilter { version_id: Some(version_id(id)), ..DeploymentFilter::default() };
        let of_app = store.deployments(&of_app, None, ALL).await.unwrap();
        sight.deployments_by_parent.push((of_app, store.deployments(&of_version, None, ALL).await.unwrap()));
        sight.running.push(store.running(app_id(id), None, ALL).await.unwrap());
    }
    for name in ["ada", "bob", "new"] {
        sight.accounts.push(store.user(&username(name)).await.unwrap());
        sight.remembered.push(store.remembered(&scope(name)).await.unwrap());
    }
    for changeset in changesets {
        sight.receipts.push(store.receipt(*changeset).await.unwrap());
    }
    sight
}
