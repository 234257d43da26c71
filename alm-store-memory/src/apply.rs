//! A changeset applied to a state gives the next state or an error. Pure: the state it is applied to stays as it is.

use std::sync::Arc;

use alm_core::{
    changeset::{Changeset, Checkpoint, ConsumerName, DeadLetter, Guard, IdempotencyRecord, Receipt, Write},
    domain::{
        App, AppId, AuditEntry, AuditIndex, Deployment, DeploymentId, DeploymentStatus, Event, Known, LogId,
        NewAuditEntry, ParentId, Position, Revision, Subject, Timestamp, User, UserRecord, Username, Version,
        VersionId,
    },
    ports::{Contention, StoreError, Unique},
};

use crate::state::{Ordered, State};

impl State {
    /// The state after `changeset`, or `None` with the first receipt when it was committed before.
    pub(crate) fn apply(&self, changeset: Changeset, log: LogId) -> Result<(Option<Self>, Receipt), StoreError> {
        if let Some(receipt) = self.receipts.get(&changeset.id()) {
            return Ok((None, *receipt));
        }
        let mut next = self.clone();
        let (stamp, writes, guards, events, checkpoint) = changeset.into_parts();
        for guard in guards {
            next.check(guard)?;
        }
        if let Some(checkpoint) = checkpoint {
            next.advance(checkpoint)?;
        }
        for write in writes {
            next.write(write, stamp.at)?;
        }
        let receipt = stamp.receipt();
        if !events.is_empty() {
            next.receipts.insert_mut(receipt.changeset, receipt);
        }
        for event in events {
            next.head = next.head.next();
            let event = Event { log, position: next.head, changeset: stamp.changeset, event };
            next.log.insert_mut(next.head, Arc::new(event));
        }
        Ok((Some(next), receipt))
    }

    fn check(&self, guard: Guard) -> Result<(), StoreError> {
        let holds = match guard {
            Guard::AppExists(id) => self.apps.contains_key(&id),
            Guard::VersionExists(id) => self.versions.contains_key(&id),
            Guard::ParentKnown(parent) => matches!(self.parents.get(&parent), Some(Known::Live { .. })),
            _ => return Err(StoreError::Unsupported("this guard")),
        };
        if holds { Ok(()) } else { Err(StoreError::GuardFailed(guard)) }
    }

    fn advance(&mut self, checkpoint: Checkpoint) -> Result<(), StoreError> {
        let Checkpoint { consumer, log, from, to } = checkpoint;
        let key = (consumer, log);
        let stands = self.checkpoints.get(&key).copied().unwrap_or(Position::START);
        if stands != from {
            return Err(StoreError::Conflict(Contention::Checkpoint(key.0)));
        }
        self.checkpoints.insert_mut(key, to);
        Ok(())
    }

    fn write(&mut self, write: Write, at: Timestamp) -> Result<(), StoreError> {
        match write {
            Write::InsertApp(app) => self.insert_app(app),
            Write::UpdateApp { app, expected } => self.update_app(app, expected),
            Write::DeleteApp { id, expected } => self.delete_app(id, expected),
            Write::InsertVersion(version) => self.insert_version(version),
            Write::UpdateVersion { version, expected } => self.update_version(version, expected),
            Write::DeleteVersion { id, expected } => self.delete_version(id, expected),
            Write::InsertDeployment(deployment) => self.insert_deployment(deployment),
            Write::UpdateDeployment { deployment, expected } => self.update_deployment(deployment, expected),
            Write::DeleteDeployment { id, expected } => self.delete_deployment(id, expected),
            Write::InsertUser(record) => self.insert_user(record),
            Write::UpdateUser { user, expected } => self.update_user(user, expected),
            Write::SetPassword { username, expected, old, new } => {
                let record = self.user_record(&username)?;
                if record.user.revision != expected || record.password_hash != old {
                    return Err(StoreError::Conflict(Contention::Revision(Subject::User(username))));
                }
                let user = User { revision: record.user.revision.next(), ..record.user.clone() };
                self.users.insert_mut(username, Arc::new(UserRecord { user, password_hash: new }));
                Ok(())
            }
            Write::RehashPassword { username, old, new } => {
                if let Some(record) = self.users.get(&username).filter(|record| record.password_hash == old) {
                    let record = UserRecord { user: record.user.clone(), password_hash: new };
                    self.users.insert_mut(username, Arc::new(record));
                }
                Ok(())
            }
            Write::DeleteUser { username } => self.delete_user(&username),
            Write::InsertCredential(credential) => self.insert_credential(credential),
            Write::UpdateCredential { credential, expected } => self.update_credential(credential, expected),
            Write::DeleteCredential { id } => self.delete_credential(id),
            Write::CredentialGone { id, until } => {
                self.revoke(id, until, at);
                Ok(())
            }
            Write::RecordAudit(entry) => {
                self.record_audit(entry);
                Ok(())
            }
            Write::RememberOutcome(record) => self.remember(record, at),
            Write::BuryEvent(letter) => {
                self.bury(letter);
                Ok(())
            }
            Write::SettleLetter { consumer, log, position } => self.settle(consumer, log, position),
            Write::ParentLearned { parent, app_id } => {
                self.learn(parent, app_id);
                Ok(())
            }
            Write::ParentGone { parent } => {
                self.parents.insert_mut(parent, Known::Gone);
                Ok(())
            }
            _ => Err(StoreError::Unsupported("this write")),
        }
    }

    fn insert_app(&mut self, app: App) -> Result<(), StoreError> {
        if self.apps.contains_key(&app.id) {
            return Err(taken(Unique::Id(Subject::App(app.id))));
        }
        claim(&mut self.app_names, app.name.clone(), app.id).map_err(|name| taken(Unique::AppName(name)))?;
        self.apps.insert_mut(app.id, Arc::new(app));
        Ok(())
    }

    fn update_app(&mut self, app: App, expected: Revision) -> Result<(), StoreError> {
        let old = expect(self.apps.get(&app.id), || Subject::App(app.id), expected, |old| old.revision)?;
        if old.name != app.name {
            self.app_names.remove_mut(&old.name);
            claim(&mut self.app_names, app.name.clone(), app.id).map_err(|name| taken(Unique::AppName(name)))?;
        }
        self.apps.insert_mut(app.id, Arc::new(app));
        Ok(())
    }

    fn delete_app(&mut self, id: AppId, expected: Revision) -> Result<(), StoreError> {
        let old = expect(self.apps.get(&id), || Subject::App(id), expected, |old| old.revision)?;
        self.app_names.remove_mut(&old.name);
        self.apps.remove_mut(&id);
        Ok(())
    }

    fn insert_version(&mut self, version: Version) -> Result<(), StoreError> {
        let Version { id, app_id, .. } = version;
        if self.versions.contains_key(&id) {
            return Err(taken(Unique::Id(Subject::Version(id))));
        }
        claim(&mut self.version_tags, (app_id, version.tag.clone()), id)
            .map_err(|(app_id, tag)| taken(Unique::VersionTag { app_id, tag }))?;
        self.versions_by_app.insert_mut((app_id, id));
        self.versions.insert_mut(id, Arc::new(version));
        Ok(())
    }

    fn update_version(&mut self, version: Version, expected: Revision) -> Result<(), StoreError> {
        let subject = || Subject::Version(version.id);
        expect(self.versions.get(&version.id), subject, expected, |old| old.revision)?;
        self.versions.insert_mut(version.id, Arc::new(version));
        Ok(())
    }

    fn delete_version(&mut self, id: VersionId, expected: Revision) -> Result<(), StoreError> {
        let old = expect(self.versions.get(&id), || Subject::Version(id), expected, |old| old.revision)?;
        self.version_tags.remove_mut(&(old.app_id, old.tag.clone()));
        self.versions_by_app.remove_mut(&(old.app_id, id));
        self.versions.remove_mut(&id);
        Ok(())
    }

    fn insert_deployment(&mut self, deployment: Deployment) -> Result<(), StoreError> {
        let Deployment { id, app_id, version_id, .. } = deployment;
        if self.deployments.contains_key(&id) {
            return Err(taken(Unique::Id(Subject::Deployment(id))));
        }
        self.deployments_by_app.insert_mut((app_id, id));
        self.deployments_by_version.insert_mut((version_id, id));
        self.note_success(&deployment);
        self.deployments.insert_mut(id, Arc::new(deployment));
        Ok(())
    }

    fn update_deployment(&mut self, deployment: Deployment, expected: Revision) -> Result<(), StoreError> {
        let id = deployment.id;
        let old = expect(self.deployments.get(&id), || Subject::Deployment(id), expected, |old| old.revision)?;
        self.forget_success(&old);
        self.note_success(&deployment);
        self.deployments.insert_mut(id, Arc::new(deployment));
        Ok(())
    }

    fn delete_deployment(&mut self, id: DeploymentId, expected: Revision) -> Result<(), StoreError> {
        let old = expect(self.deployments.get(&id), || Subject::Deployment(id), expected, |old| old.revision)?;
        self.forget_success(&old);
        self.deployments_by_app.remove_mut(&(old.app_id, id));
        self.deployments_by_version.remove_mut(&(old.version_id, id));
        self.deployments.remove_mut(&id);
        Ok(())
    }

    fn note_success(&mut self, deployment: &Deployment) {
        if let Some(key) = success(deployment) {
            let mut environments = self.successes.get(&deployment.app_id).cloned().unwrap_or_default();
            let mut there = environments.get(&deployment.environment).cloned().unwrap_or_default();
            there.insert_mut(key);
            environments.insert_mut(deployment.environment.clone(), there);
            self.successes.insert_mut(deployment.app_id, environments);
        }
    }

    fn forget_success(&mut self, deployment: &Deployment) {
        let Some(key) = success(deployment) else { return };
        let Some(mut environments) = self.successes.get(&deployment.app_id).cloned() else { return };
        let Some(mut there) = environments.get(&deployment.environment).cloned() else { return };
        there.remove_mut(&key);
        if there.is_empty() {
            environments.remove_mut(&deployment.environment);
        } else {
            environments.insert_mut(deployment.environment.clone(), there);
        }
        if environments.is_empty() {
            self.successes.remove_mut(&deployment.app_id);
        } else {
            self.successes.insert_mut(deployment.app_id, environments);
        }
    }

    fn insert_user(&mut self, record: UserRecord) -> Result<(), StoreError> {
        let username = record.user.username.clone();
        if self.users.contains_key(&username) {
            return Err(taken(Unique::Username(username)));
        }
        self.users_by_age.insert_mut((record.user.created_at, username.clone()));
        self.users.insert_mut(username, Arc::new(record));
        Ok(())
    }

    fn delete_user(&mut self, username: &Username) -> Result<(), StoreError> {
        let created_at = self.user_record(username)?.user.created_at;
        self.users_by_age.remove_mut(&(created_at, username.clone()));
        self.users.remove_mut(username);
        Ok(())
    }

    fn update_user(&mut self, user: User, expected: Revision) -> Result<(), StoreError> {
        let subject = || Subject::User(user.username.clone());
        let old = expect(self.users.get(&user.username), subject, expected, |old| old.user.revision)?;
        let record = UserRecord { password_hash: old.password_hash.clone(), user };
        self.users.insert_mut(record.user.username.clone(), Arc::new(record));
        Ok(())
    }

    fn user_record(&self, username: &Username) -> Result<&UserRecord, StoreError> {
        self.users.get(username).map(AsRef::as_ref).ok_or_else(|| StoreError::NotFound(Subject::User(username.clone())))
    }

    fn record_audit(&mut self, entry: NewAuditEntry) {
        let index = AuditIndex::new(self.audit.len() as u64).next();
        self.audit.push_back_mut(Arc::new(AuditEntry { index, entry }));
    }

    fn remember(&mut self, record: IdempotencyRecord, at: Timestamp) -> Result<(), StoreError> {
        if self.remembered.get(&record.scope).is_some_and(|old| old.is_live(at)) {
            return Err(taken(Unique::IdempotencyKey));
        }
        // Two of the oldest go for each that comes, so what has expired goes faster than anything comes.
        self.forget_answers(at, 2);
        self.remembered_ever += 1;
        self.remembered_by_expiry.insert_mut((record.expires_at, self.remembered_ever), record.scope.clone());
        self.remembered.insert_mut(record.scope.clone(), Arc::new(record));
        Ok(())
    }

    fn bury(&mut self, letter: DeadLetter) {
        let key = (letter.consumer.clone(), letter.log, letter.position);
        self.dead_letters.insert_mut(key, Arc::new(letter));
    }

    fn settle(&mut self, consumer: ConsumerName, log: LogId, position: Position) -> Result<(), StoreError> {
        let key = (consumer, log, position);
        if self.dead_letters.remove_mut(&key) {
            return Ok(());
        }
        Err(StoreError::Conflict(Contention::DeadLetter { consumer: key.0, log, position }))
    }

    fn learn(&mut self, parent: ParentId, app_id: AppId) {
        if self.parents.get(&parent) != Some(&Known::Gone) {
            self.parents.insert_mut(parent, Known::Live { app_id });
        }
    }
}

pub(crate) fn taken(what: Unique) -> StoreError {
    StoreError::AlreadyExists(what)
}

/// What is there, if it is there at the expected revision.
pub(crate) fn expect<T>(
    found: Option<&Arc<T>>,
    subject: impl Fn() -> Subject,
    expected: Revision,
    revision: impl Fn(&T) -> Revision,
) -> Result<Arc<T>, StoreError> {
    let found = found.ok_or_else(|| StoreError::NotFound(subject()))?;
    if revision(found) != expected {
        return Err(StoreError::Conflict(Contention::Revision(subject())));
    }
    Ok(found.clone())
}

/// Gives `key` to `owner` unless someone has it; then gives it back.
pub(crate) fn claim<K: Ord, V>(index: &mut Ordered<K, V>, key: K, owner: V) -> Result<(), K> {
    if index.contains_key(&key) {
        return Err(key);
    }
    index.insert_mut(key, owner);
    Ok(())
}

fn success(deployment: &Deployment) -> Option<(Timestamp, DeploymentId)> {
    (deployment.status == DeploymentStatus::Successful)
        .then(|| (deployment.finished_at.unwrap_or(deployment.updated_at), deployment.id))
}
