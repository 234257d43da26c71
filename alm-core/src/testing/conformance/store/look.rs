//! A look at everything that a store shows.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use crate::{
    changeset::{ConsumerName, DeadLetter, IdempotencyRecord, Receipt},
    domain::{
        App, AppName, AuditEntry, ChangesetId, Credential, Deployment, Event, EventId, Known, ParentId, Position,
        RunningVersion, User, UserRecord, Version,
    },
    ports::{AppFilter, AuditFilter, CredentialFilter, DeploymentFilter, HeldCredential, Store, VersionFilter},
    testing::{
        conformance::{StoreCapability, must::Must, tasks::patience},
        fixtures::{app_id, consumer, credential_id, scope, username, version_id},
    },
};

use super::subject::Subject;

/// More than any case makes.
pub(super) const ALL: usize = 1_000_000;

/// Everything that a store shows of the resources that [`given`](super::given) names, but for the log, which may come later
/// than the commit.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Sight {
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
    held: Vec<Option<HeldCredential>>,
    credentials: Vec<Vec<Credential>>,
    remembered: Vec<Option<IdempotencyRecord>>,
    checkpoint: Option<Position>,
    letters: Vec<DeadLetter>,
    parents: Vec<Option<Known>>,
    revoked: Vec<bool>,
    receipts: Vec<Option<Receipt>>,
}

impl Sight {
    /// What `store` shows now; of receipts those of `changesets`.
    pub(super) async fn of(subject: &Subject, store: &dyn Store, changesets: &[ChangesetId]) -> Self {
        let mut sight = Self::default();
        if subject.can(StoreCapability::Apps) {
            sight.look_at_apps(store).await;
        }
        if subject.can(StoreCapability::Versions) {
            sight.look_at_versions(store).await;
        }
        if subject.can(StoreCapability::Deployments) {
            let tells = subject.can(StoreCapability::Versions) || subject.can(StoreCapability::Parents);
            sight.look_at_deployments(store, tells).await;
        }
        if subject.can(StoreCapability::Accounts) {
            sight.look_at_accounts(store).await;
        }
        if subject.can(StoreCapability::Audit) {
            sight.audit = audit_of(store).await;
        }
        if subject.can(StoreCapability::Parents) {
            for id in 1..4 {
                for parent in [ParentId::App(app_id(id)), ParentId::Version(version_id(id))] {
                    sight.parents.push(store.known(parent).await.must("tell what is known of a parent"));
                }
                let revoked = store.is_revoked(credential_id(id.unsigned_abs().into())).await;
                sight.revoked.push(revoked.must("tell whether a credential is revoked"));
            }
        }
        for key in ["ada", "new"] {
            sight.remembered.push(store.remembered(&scope(key)).await.must("read a remembered answer"));
        }
        for changeset in changesets {
            sight.receipts.push(store.receipt(*changeset).await.must("read a receipt"));
        }
        let reader = consumer("reader");
        sight.checkpoint = store.checkpoint(&reader, store.log_id()).await.must("read a checkpoint");
        sight.letters = letters_of(store, &reader).await;
        sight
    }

    async fn look_at_apps(&mut self, store: &dyn Store) {
        self.apps = store.apps(&AppFilter::default(), None, ALL).await.must("list apps");
        for name in ["a", "b", "c", "free", "new", "renamed"] {
            let name = AppName::parse(name).expect("the name of an app");
            let filter = AppFilter { name: Some(name), ..AppFilter::default() };
            self.named.push(store.apps(&filter, None, ALL).await.must("list apps by name"));
        }
    }

    async fn look_at_versions(&mut self, store: &dyn Store) {
        self.versions = store.versions(&VersionFilter::default(), None, ALL).await.must("list versions");
        for id in 1..4 {
            let filter = VersionFilter { app_id: Some(app_id(id)), ..VersionFilter::default() };
            self.versions_by_app.push(store.versions(&filter, None, ALL).await.must("list the versions of an app"));
        }
    }

    async fn look_at_accounts(&mut self, store: &dyn Store) {
        self.users = store.users(None, ALL).await.must("list accounts");
        for name in ["ada", "bob", "eve", "new"] {
            self.accounts.push(store.user(&username(name)).await.must("read an account"));
            let filter = CredentialFilter::SessionsOf(username(name));
            self.credentials.push(store.credentials(&filter, None, ALL).await.must("list the sessions of an account"));
        }
        self.credentials.push(store.credentials(&CredentialFilter::ApiKeys, None, ALL).await.must("list API keys"));
        for id in 1..6 {
            self.held.push(store.credential(credential_id(id)).await.must("read a credential"));
        }
    }

    async fn look_at_deployments(&mut self, store: &dyn Store, tells_what_runs: bool) {
        let list =
            async |filter: DeploymentFilter| store.deployments(&filter, None, ALL).await.must("list deployments");
        self.deployments = list(DeploymentFilter::default()).await;
        for id in 1..4 {
            let of_app = list(DeploymentFilter { app_id: Some(app_id(id)), ..DeploymentFilter::default() }).await;
            let of_version = DeploymentFilter { version_id: Some(version_id(id)), ..DeploymentFilter::default() };
            self.deployments_by_parent.push((of_app, list(of_version).await));
            if tells_what_runs {
                self.running.push(store.running(app_id(id), None, ALL).await.must("tell what runs where"));
            }
        }
    }
}

/// The whole audit log.
pub(super) async fn audit_of(store: &dyn Store) -> Vec<AuditEntry> {
    store.audit_entries(&AuditFilter::default(), None, ALL).await.must("list audit entries")
}

/// Everything that `consumer` gave up on.
pub(super) async fn letters_of(store: &dyn Store, consumer: &ConsumerName) -> Vec<DeadLetter> {
    store.dead_letters(consumer, None, ALL).await.must("list dead letters")
}

/// The log from its beginning, once `events` stand in it; more may.
///
/// Positions may be given later than the receipt, so it waits for them.
pub(super) async fn log_of(store: &dyn Store, events: usize) -> Vec<Arc<Event>> {
    let mut log: Vec<Arc<Event>> = Vec::new();
    let coming = async {
        loop {
            let position = Position::new(log.len() as u64);
            let more = store.read(position, 256).await.must("read the log");
            for (event, place) in more.iter().zip(log.len() as u64 + 1..) {
                assert_eq!(event.position.get(), place, "the log has a gap, or is out of order, after {position}");
                assert_eq!(event.log, store.log_id(), "an event says that it stands in another log");
            }
            let end = more.is_empty();
            log.extend(more);
            if end && log.len() >= events {
                break;
            }
            if end {
                wait(store, position).await;
            }
        }
    };
    let in_time = timeout(patience(), coming).await;
    assert!(in_time.is_ok(), "{events} events were committed, and after {:?} the log has {}", patience(), log.len());
    log
}

/// Waits until it is worth looking again: `changed` may miss what other handles commit.
pub(super) async fn wait(store: &dyn Store, position: Position) {
    if let Ok(changed) = timeout(Duration::from_millis(50), store.changed(position)).await {
        changed.must("wait for a change");
    }
}

/// The ids of events.
pub(super) fn ids_of(log: &[Arc<Event>]) -> Vec<EventId> {
    log.iter().map(|event| event.id).collect()
}
