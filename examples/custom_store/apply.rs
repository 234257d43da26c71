//! A changeset applied to the state: what each write means, and when it is refused.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use alm_core::{
    changeset::{Checkpoint, ConsumerName, DeadLetter, Guard, IdempotencyRecord, Receipt, Stamp, Write},
    domain::{
        App, AuditEntry, AuditIndex, ChangesetId, Deployment, Event, Known, LogId, NewAuditEntry, NewEvent, Position,
        Revision, Subject, Timestamp, User, UserRecord, Username, Version,
    },
    ports::{Contention, StoreError, Unique},
};

use super::state::{Logged, Stand, State};

impl State {
    /// Makes all the parts of a changeset true.
    ///
    /// After an error some of them are and some are not: call it on a copy, and keep that only if all went well.
    pub(crate) fn apply(
        &mut self,
        stamp: &Stamp,
        writes: Vec<Write>,
        guards: Vec<Guard>,
        events: Vec<NewEvent>,
        checkpoint: Option<Checkpoint>,
    ) -> Result<Receipt, StoreError> {
        if let Some(first) = self.receipts.get(&stamp.changeset) {
            return Ok(*first);
        }
        for guard in guards {
            self.check(guard)?;
        }
        for write in writes {
            self.write(write, stamp.at)?;
        }
        if let Some(checkpoint) = checkpoint {
            self.move_on(checkpoint)?;
        }
        let receipt = stamp.receipt();
        // Without an event it needs no receipt, and those of consumers that only move on would be many.
        if !events.is_empty() {
            self.receipts.insert(receipt.changeset, receipt);
        }
        for event in events {
            self.append(event, stamp.changeset);
        }
        Ok(receipt)
    }

    fn check(&self, guard: Guard) -> Result<(), StoreError> {
        let holds = match guard {
            Guard::AppExists(id) => self.apps.contains_key(&id),
            Guard::VersionExists(id) => self.versions.contains_key(&id),
            Guard::ParentKnown(parent) => matches!(self.known(parent), Some(Known::Live { .. })),
            _ => return Err(StoreError::Unsupported("this guard")),
        };
        if holds { Ok(()) } else { Err(StoreError::GuardFailed(guard)) }
    }

    fn write(&mut self, write: Write, at: Timestamp) -> Result<(), StoreError> {
        match write {
            Write::InsertApp(app) => self.insert_app(app),
            Write::UpdateApp { app, expected } => self.update_app(app, expected),
            Write::DeleteApp { id, expected } => {
                expect(self.apps.get(&id).map(|old| old.revision), expected, Subject::App(id))?;
                self.apps.remove(&id);
                Ok(())
            }
            Write::InsertVersion(version) => self.insert_version(version),
            Write::UpdateVersion { version, expected } => {
                let old = self.versions.get(&version.id);
                expect(old.map(|old| old.revision), expected, Subject::Version(version.id))?;
                self.versions.insert(version.id, version);
                Ok(())
            }
            Write::DeleteVersion { id, expected } => {
                expect(self.versions.get(&id).map(|old| old.revision), expected, Subject::Version(id))?;
                self.versions.remove(&id);
                Ok(())
            }
            Write::InsertDeployment(deployment) => self.insert_deployment(deployment),
            Write::UpdateDeployment { deployment, expected } => {
                let old = self.deployments.get(&deployment.id);
                expect(old.map(|old| old.revision), expected, Subject::Deployment(deployment.id))?;
                self.deployments.insert(deployment.id, deployment);
                Ok(())
            }
            Write::DeleteDeployment { id, expected } => {
                expect(self.deployments.get(&id).map(|old| old.revision), expected, Subject::Deployment(id))?;
                self.deployments.remove(&id);
                Ok(())
            }
            Write::InsertUser(record) => self.insert_user(record),
            Write::UpdateUser { user, expected } => self.update_user(user, expected),
            Write::SetPassword { username, expected, old, new } => {
                let found = self.users.get_mut(&username).ok_or_else(|| no_such_user(username.clone()))?;
                if found.user.revision != expected || found.password_hash != old {
                    return Err(StoreError::Conflict(Contention::Revision(Subject::User(username))));
                }
                found.password_hash = new;
                found.user.revision = found.user.revision.next();
                Ok(())
            }
            Write::RehashPassword { username, old, new } => {
                // Whoever comes too late changes nothing, and that is no error.
                if let Some(found) = self.users.get_mut(&username).filter(|found| found.password_hash == old) {
                    found.password_hash = new;
                }
                Ok(())
            }
            Write::DeleteUser { username } => {
                self.users.remove(&username).map(drop).ok_or_else(|| no_such_user(username))
            }
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
            // What is gone stays gone, whatever is heard later.
            Write::ParentLearned { parent, .. } if self.known(parent) == Some(Known::Gone) => Ok(()),
            Write::ParentLearned { parent, app_id } => {
                self.know(parent, Some(app_id));
                Ok(())
            }
            Write::ParentGone { parent } => {
                self.know(parent, None);
                Ok(())
            }
            // A later version of ALM may know writes that this store does not.
            _ => Err(StoreError::Unsupported("this write")),
        }
    }

    fn insert_app(&mut self, app: App) -> Result<(), StoreError> {
        self.name_is_free(&app)?;
        insert(&mut self.apps, app.id, Unique::Id(Subject::App(app.id)), app)
    }

    fn update_app(&mut self, app: App, expected: Revision) -> Result<(), StoreError> {
        expect(self.apps.get(&app.id).map(|old| old.revision), expected, Subject::App(app.id))?;
        self.name_is_free(&app)?;
        self.apps.insert(app.id, app);
        Ok(())
    }

    fn name_is_free(&self, app: &App) -> Result<(), StoreError> {
        let taken = self.apps.values().any(|other| other.id != app.id && other.name == app.name);
        if taken { Err(StoreError::AlreadyExists(Unique::AppName(app.name.clone()))) } else { Ok(()) }
    }

    fn insert_version(&mut self, version: Version) -> Result<(), StoreError> {
        let Version { id, app_id, ref tag, .. } = version;
        if self.versions.values().any(|other| other.id != id && other.app_id == app_id && other.tag == *tag) {
            return Err(StoreError::AlreadyExists(Unique::VersionTag { app_id, tag: tag.clone() }));
        }
        insert(&mut self.versions, id, Unique::Id(Subject::Version(id)), version)
    }

    fn insert_deployment(&mut self, deployment: Deployment) -> Result<(), StoreError> {
        let id = deployment.id;
        insert(&mut self.deployments, id, Unique::Id(Subject::Deployment(id)), deployment)
    }

    fn insert_user(&mut self, record: UserRecord) -> Result<(), StoreError> {
        let name = record.user.username.clone();
        insert(&mut self.users, name.clone(), Unique::Username(name), record)
    }

    fn update_user(&mut self, user: User, expected: Revision) -> Result<(), StoreError> {
        let old = self.users.get(&user.username);
        expect(old.map(|old| old.user.revision), expected, Subject::User(user.username.clone()))?;
        // Its password stays.
        if let Some(record) = self.users.get_mut(&user.username) {
            record.user = user;
        }
        Ok(())
    }

    fn record_audit(&mut self, entry: NewAuditEntry) {
        let index = AuditIndex::new(self.audit.len() as u64).next();
        self.audit.push(AuditEntry { index, entry });
    }

    fn remember(&mut self, record: IdempotencyRecord, at: Timestamp) -> Result<(), StoreError> {
        // What has expired goes, whatever key it has, so that the file does not grow for ever.
        self.remembered.retain(|old| old.is_live(at));
        if self.remembered.iter().any(|old| old.scope == record.scope) {
            return Err(StoreError::AlreadyExists(Unique::IdempotencyKey));
        }
        self.remembered.push(record);
        Ok(())
    }

    fn bury(&mut self, letter: DeadLetter) {
        let place = |letter: &DeadLetter| (letter.consumer.clone(), letter.log, letter.position);
        self.dead_letters.retain(|old| place(old) != place(&letter));
        self.dead_letters.push(letter);
    }

    fn settle(&mut self, consumer: ConsumerName, log: LogId, position: Position) -> Result<(), StoreError> {
        let is_it = |letter: &DeadLetter| (&letter.consumer, letter.log, letter.position) == (&consumer, log, position);
        match self.dead_letters.iter().position(is_it) {
            Some(place) => drop(self.dead_letters.remove(place)),
            None => return Err(StoreError::Conflict(Contention::DeadLetter { consumer, log, position })),
        }
        Ok(())
    }

    fn move_on(&mut self, checkpoint: Checkpoint) -> Result<(), StoreError> {
        let Checkpoint { consumer, log, from, to } = checkpoint;
        let stand = self.checkpoints.iter_mut().find(|stand| stand.consumer == consumer && stand.log == log);
        if stand.as_ref().map_or(Position::START, |stand| stand.position) != from {
            return Err(StoreError::Conflict(Contention::Checkpoint(consumer)));
        }
        match stand {
            Some(stand) => stand.position = to,
            None => self.checkpoints.push(Stand { consumer, log, position: to }),
        }
        Ok(())
    }

    fn append(&mut self, event: NewEvent, changeset: ChangesetId) {
        let position = self.head().next();
        self.log.push(Logged(Arc::new(Event { log: self.log_id, position, changeset, event })));
    }
}

/// Adds what must not be there yet.
pub(crate) fn insert<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, unique: Unique, value: V) -> Result<(), StoreError> {
    match map.entry(key) {
        Entry::Vacant(place) => {
            place.insert(value);
            Ok(())
        }
        Entry::Occupied(_) => Err(StoreError::AlreadyExists(unique)),
    }
}

/// Fails unless `subject` was found, and at the expected revision.
pub(crate) fn expect(found: Option<Revision>, expected: Revision, subject: Subject) -> Result<(), StoreError> {
    match found {
        None => Err(StoreError::NotFound(subject)),
        Some(found) if found != expected => Err(StoreError::Conflict(Contention::Revision(subject))),
        Some(_) => Ok(()),
    }
}

fn no_such_user(username: Username) -> StoreError {
    StoreError::NotFound(Subject::User(username))
}
