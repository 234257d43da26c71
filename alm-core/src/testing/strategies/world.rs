//! What there is after some changesets of a history, to know what can be done next.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    changeset::{
        Change, Changeset, Checkpoint, ConsumerName, DeadLetter, Guard, IdempotencyKey, IdempotencyRecord,
        IdempotencyScope, Stamp,
    },
    domain::{
        App, AppId, ChangesetId, CloudEvent, Deployment, DeploymentId, Event, EventId, LogId, NewAuditEntry,
        NewVersion, Position, Subject, Timestamp, Version, VersionId,
    },
    ports::Ids,
    testing::SequentialIds,
};

use super::{
    accounts::{Accounts, Rehash},
    intents::{Intent, Kind, Pick, Step},
};

// 2026-11-22T00:00:00Z: any time with room before and after.
const START: i64 = 1_795_305_600_000_000;

#[derive(Debug)]
pub(super) struct World {
    log: LogId,
    ids: SequentialIds,
    // The last id of an app, a version or a deployment, from one count: that no id of one is mistaken for another shows.
    last_id: i64,
    now: Timestamp,
    apps: BTreeMap<AppId, App>,
    versions: BTreeMap<VersionId, Version>,
    deployments: BTreeMap<DeploymentId, Deployment>,
    accounts: Accounts,
    // Until when the answer for a scope counts.
    remembered: BTreeMap<IdempotencyScope, Timestamp>,
    checkpoints: BTreeMap<ConsumerName, Position>,
    events: Vec<Event>,
}

impl World {
    pub(super) fn new(log: LogId) -> Self {
        Self {
            log,
            ids: SequentialIds::default(),
            last_id: 0,
            now: Timestamp::from_micros(START).expect("a time of our days"),
            apps: BTreeMap::new(),
            versions: BTreeMap::new(),
            deployments: BTreeMap::new(),
            accounts: Accounts::default(),
            remembered: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    /// The changeset of a step, or `None` when nothing in it can be done.
    pub(super) fn take(&mut self, step: &Step) -> Option<Changeset> {
        self.now = Timestamp::from_micros(self.now.micros() + step.later).unwrap_or(self.now);
        let changeset = ChangesetId::new(self.ids.uuid_v7());
        let stamp = Stamp { changeset, at: self.now, actor: step.by.clone(), trace: step.trace.clone() };
        let progress = self.progress(stamp.clone(), &step.kind);
        let (mut changes, mut guards) = (Vec::new(), Vec::new());
        // A guard is looked at before the first write, so it can only be of what was there before.
        let (apps, versions): (Vec<_>, Vec<_>) =
            (self.apps.keys().copied().collect(), self.versions.keys().copied().collect());
        for intent in &step.intents {
            let (more, guard) = self.meet(intent, &stamp);
            guards.extend(guard.filter(|_| !more.is_empty()).filter(|guard| match guard {
                Guard::AppExists(id) => apps.contains(id),
                Guard::VersionExists(id) => versions.contains(id),
                // Nothing here lives elsewhere.
                Guard::ParentKnown(_) => false,
            }));
            changes.extend(more);
        }
        let mut changes = changes.into_iter();
        let mut changeset = match progress {
            Some(changeset) => changeset,
            None => Changeset::of(stamp, changes.next()?, self.event_id()),
        };
        for change in changes {
            changeset = changeset.and(change, self.event_id());
        }
        for guard in guards {
            changeset = changeset.guarded(guard);
        }
        for Rehash { username, old, new } in self.accounts.rehashed() {
            changeset = changeset.rehashing(&username, old, new);
        }
        for event in changeset.events() {
            let position = Position::new(self.events.len() as u64 + 1);
            self.events.push(Event { log: self.log, position, changeset: changeset.id(), event: event.clone() });
        }
        let answer = self.answer(&changeset, &step.kind);
        Some(changeset.remembering(answer))
    }

    fn event_id(&self) -> EventId {
        EventId::new(self.ids.uuid_v7())
    }

    fn number(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }

    /// What a consumer commits, up to here: its checkpoint, entries of the audit log, and what it gives up on.
    fn progress(&mut self, stamp: Stamp, kind: &Kind) -> Option<Changeset> {
        let Kind::Consumer { name, events, records, gives_up } = kind else { return None };
        let from = self.checkpoints.get(name).copied().unwrap_or(Position::START);
        let read: Vec<_> = self.events.iter().filter(|event| event.position > from).take(*events).cloned().collect();
        let to = read.last().map_or(from, |event| event.position);
        self.checkpoints.insert(name.clone(), to);
        let at = stamp.at;
        let checkpoint = Checkpoint { consumer: name.clone(), log: self.log, from, to };
        let mut changeset = Changeset::progress(stamp, checkpoint);
        for event in read.iter().filter(|_| *records) {
            changeset = changeset.recording(NewAuditEntry::of(event, at));
        }
        if let Some(event) = read.first().filter(|_| *gives_up) {
            changeset = changeset.burying(DeadLetter {
                consumer: name.clone(),
                log: self.log,
                position: event.position,
                event_id: event.id,
                document: serde_json::to_value(CloudEvent::from(event)).expect("a document is JSON"),
                reason: "it can't be handled".to_owned(),
                at,
            });
        }
        Some(changeset)
    }

    /// The answer to remember, unless one for the same key still counts.
    fn answer(&mut self, changeset: &Changeset, kind: &Kind) -> Option<IdempotencyRecord> {
        let Kind::Remembered { key, action, seconds } = *kind else { return None };
        let key = IdempotencyKey::parse(format!("key-{key}")).expect("visible ASCII");
        let scope = IdempotencyScope { principal: changeset.actor().as_str().to_owned(), action, key };
        let (created_at, expires_at) = (changeset.at(), changeset.at().plus_seconds(seconds));
        if self.remembered.get(&scope).is_some_and(|until| created_at < *until) {
            return None;
        }
        self.remembered.insert(scope.clone(), expires_at);
        let outcome = changeset.events().first().map_or(Value::Null, |event| event.data.to_json());
        let fingerprint = [u8::try_from(seconds % 251).unwrap_or_default(); 32];
        Some(IdempotencyRecord { scope, fingerprint, outcome, created_at, expires_at })
    }

    /// What follows from an intent, with the guard that it needs; no change when it can't be done.
    fn meet(&mut self, intent: &Intent, stamp: &Stamp) -> (Vec<Change>, Option<Guard>) {
        let guard = match intent {
            Intent::CreateVersion(app, ..) => picked(&self.apps, *app).map(|app| Guard::AppExists(app.id)),
            Intent::CreateDeployment(version, _) => {
                picked(&self.versions, *version).map(|version| Guard::VersionExists(version.id))
            }
            _ => None,
        };
        let changes = match intent {
            Intent::DeleteApp(app) => picked(&self.apps, *app).cloned().map(|app| self.delete_app(&app)),
            Intent::DeleteVersion(version) => {
                picked(&self.versions, *version).cloned().map(|version| self.delete_version(&version))
            }
            _ => self.change(intent, stamp).map(|change| vec![change]),
        };
        (changes.unwrap_or_default(), guard)
    }

    fn delete_app(&mut self, app: &App) -> Vec<Change> {
        let versions: Vec<_> = self.versions.values().filter(|version| version.app_id == app.id).cloned().collect();
        let mut changes: Vec<_> = versions.iter().flat_map(|version| self.delete_version(version)).collect();
        self.apps.remove(&app.id);
        changes.push(Change::app_deleted(app));
        changes
    }

    fn delete_version(&mut self, version: &Version) -> Vec<Change> {
        let (gone, kept) = std::mem::take(&mut self.deployments)
            .into_iter()
            .partition(|(_, deployment)| deployment.version_id == version.id);
        self.deployments = kept;
        let gone: BTreeMap<DeploymentId, Deployment> = gone;
        let mut changes: Vec<_> = gone.values().map(Change::deployment_deleted).collect();
        self.versions.remove(&version.id);
        changes.push(Change::version_deleted(version));
        changes
    }

    fn change(&mut self, intent: &Intent, stamp: &Stamp) -> Option<Change> {
        let at = stamp.at;
        match intent.clone() {
            Intent::CreateApp(new) => {
                if self.apps.values().any(|app| app.name == new.name) {
                    return None;
                }
                let app = App::create(new, AppId::new(self.number())?, at);
                self.apps.insert(app.id, app.clone());
                Some(Change::app_created(&app))
            }
            Intent::UpdateApp(app, new) => {
                let old = picked(&self.apps, app)?;
                if self.apps.values().any(|other| other.name == new.name && other.id != old.id) {
                    return None;
                }
                let (expected, app) = (old.revision, old.update(new, at)?);
                self.apps.insert(app.id, app.clone());
                Some(Change::app_updated(&app, expected))
            }
            Intent::CreateVersion(app, tag, changelog, labels) => {
                let app_id = picked(&self.apps, app)?.id;
                if self.versions.values().any(|version| version.app_id == app_id && version.tag == tag) {
                    return None;
                }
                let new = NewVersion { app_id, tag, changelog, labels };
                let version = Version::create(new, VersionId::new(self.number())?, at);
                self.versions.insert(version.id, version.clone());
                Some(Change::version_created(&version))
            }
            Intent::UpdateVersion(version, update) => {
                let old = picked(&self.versions, version)?;
                let (expected, version) = (old.revision, old.update(update, at)?);
                self.versions.insert(version.id, version.clone());
                Some(Change::version_updated(&version, expected))
            }
            Intent::CreateDeployment(version, to) => {
                let (app_id, version_id) =
                    picked(&self.versions, version).map(|version| (version.app_id, version.id))?;
                let deployment = Deployment::create(DeploymentId::new(self.number())?, app_id, version_id, to, at);
                self.deployments.insert(deployment.id, deployment.clone());
                Some(Change::deployment_created(&deployment))
            }
            Intent::MoveDeployment(deployment, to) => {
                let old = picked(&self.deployments, deployment)?;
                let (expected, previous) = (old.revision, old.status);
                let deployment = old.clone().transition(to, at).ok()?;
                self.deployments.insert(deployment.id, deployment.clone());
                Some(Change::deployment_updated(&deployment, expected, previous))
            }
            Intent::DeleteDeployment(deployment) => {
                let id = picked(&self.deployments, deployment)?.id;
                self.deployments.remove(&id).map(|gone| Change::deployment_deleted(&gone))
            }
            Intent::BeDenied(action, app) => {
                let subject = picked(&self.apps, app).map_or(Subject::Apps, |app| Subject::App(app.id));
                Some(Change::access_denied(&stamp.actor, action, subject))
            }
            account => self.accounts.change(account, at),
        }
    }
}

pub(super) fn picked<K: Ord, V>(from: &BTreeMap<K, V>, pick: Pick) -> Option<&V> {
    from.values().nth(pick.checked_rem(from.len())?)
}
