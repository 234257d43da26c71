//! Whatever is committed is there as it was committed, also when the file is opened again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use alm_core::{
    changeset::{Changeset, Receipt, Write},
    domain::{
        App, AuditEntry, AuditIndex, Credential, CredentialId, Deployment, Event, LogId, NewEvent, Position, User,
        UserRecord, Version,
    },
    ports::{AppFilter, AuditFilter, Committer, DeploymentFilter, EventLog, Reader, VersionFilter},
    testing::{
        property,
        strategies::{History, history},
    },
};
use alm_store_sqlite::SqliteStore;
use proptest::prelude::*;

use crate::in_folder::InFolder;

/// All that can be read of the state and the log.
#[derive(Debug, PartialEq)]
struct Everything {
    apps: Vec<App>,
    versions: Vec<Version>,
    deployments: Vec<Deployment>,
    users: Vec<User>,
    records: Vec<UserRecord>,
    credentials: Vec<Credential>,
    audit: Vec<AuditEntry>,
    log: Vec<Arc<Event>>,
    receipts: Vec<Option<Receipt>>,
}

impl Everything {
    async fn of(store: &SqliteStore, changesets: &[Changeset]) -> Self {
        let users = store.users(None, usize::MAX).await.unwrap();
        let mut records = Vec::new();
        for user in &users {
            records.extend(store.user(&user.username).await.unwrap());
        }
        let mut credentials = Vec::new();
        for id in ever(changesets) {
            credentials.extend(store.credential(id).await.unwrap().map(|held| held.credential));
        }
        let mut receipts = Vec::new();
        for changeset in changesets {
            receipts.push(store.receipt(changeset.id()).await.unwrap());
        }
        Self {
            apps: store.apps(&AppFilter::default(), None, usize::MAX).await.unwrap(),
            versions: store.versions(&VersionFilter::default(), None, usize::MAX).await.unwrap(),
            deployments: store.deployments(&DeploymentFilter::default(), None, usize::MAX).await.unwrap(),
            users,
            records,
            credentials,
            audit: store.audit_entries(&AuditFilter::default(), None, usize::MAX).await.unwrap(),
            log: store.read(Position::START, usize::MAX).await.unwrap(),
            receipts,
        }
    }

    /// What must be there after the changesets, told without a store.
    fn after(changesets: &[Changeset], log: LogId) -> Self {
        let (mut apps, mut versions, mut deployments) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (mut accounts, mut audit, mut events) = (BTreeMap::new(), Vec::new(), Vec::new());
        let mut credentials = BTreeMap::new();
        let event = |position: usize, changeset: &Changeset, event: &NewEvent| {
            let position = Position::new(position as u64 + 1);
            Arc::new(Event { log, position, changeset: changeset.id(), event: event.clone() })
        };
        for changeset in changesets {
            for write in changeset.writes() {
                match write.clone() {
                    Write::InsertApp(app) | Write::UpdateApp { app, .. } => drop(apps.insert(app.id, app)),
                    Write::DeleteApp { id, .. } => drop(apps.remove(&id)),
                    Write::InsertVersion(version) | Write::UpdateVersion { version, .. } => {
                        drop(versions.insert(version.id, version));
                    }
                    Write::DeleteVersion { id, .. } => drop(versions.remove(&id)),
                    Write::InsertDeployment(deployment) | Write::UpdateDeployment { deployment, .. } => {
                        drop(deployments.insert(deployment.id, deployment));
                    }
                    Write::DeleteDeployment { id, .. } => drop(deployments.remove(&id)),
                    Write::InsertUser(record) => drop(accounts.insert(record.user.username.clone(), record)),
                    Write::SetPassword { username, new, .. } => {
                        let record = accounts.get_mut(&username).unwrap();
                        record.password_hash = new;
                        record.user.revision = record.user.revision.next();
                    }
                    Write::UpdateUser { user, .. } => {
                        let record = accounts.get_mut(&user.username).unwrap();
                        record.user = user;
                    }
                    Write::RehashPassword { username, old, new } => {
                        if let Some(record) = accounts.get_mut(&username).filter(|record| record.password_hash == old) {
                            record.password_hash = new;
                        }
                    }
                    Write::InsertCredential(credential) | Write::UpdateCredential { credential, .. } => {
                        drop(credentials.insert(credential.id, credential));
                    }
                    Write::DeleteCredential { id } => drop(credentials.remove(&id)),
                    Write::DeleteUser { username } => drop(accounts.remove(&username)),
                    Write::RecordAudit(entry) => {
                        audit.push(AuditEntry { index: AuditIndex::new(audit.len() as u64 + 1), entry });
                    }
                    _ => {}
                }
            }
            for new in changeset.events() {
                events.push(event(events.len(), changeset, new));
            }
        }
        let mut records: Vec<UserRecord> = accounts.into_values().collect();
        records.sort_by_key(|record| (record.user.created_at, record.user.username.clone()));
        let receipt = |changeset: &Changeset| (!changeset.events().is_empty()).then(|| changeset.receipt());
        Self {
            apps: apps.into_values().collect(),
            versions: versions.into_values().collect(),
            deployments: deployments.into_values().collect(),
            users: records.iter().map(|record| record.user.clone()).collect(),
            records,
            credentials: credentials.into_values().collect(),
            audit,
            log: events,
            receipts: changesets.iter().map(receipt).collect(),
        }
    }
}

/// Every credential that there ever was.
fn ever(changesets: &[Changeset]) -> BTreeSet<CredentialId> {
    let writes = changesets.iter().flat_map(Changeset::writes);
    let created = writes.filter_map(|write| match write {
        Write::InsertCredential(credential) => Some(credential.id),
        _ => None,
    });
    created.collect()
}

async fn committed(history: History) -> Result<(), TestCaseError> {
    // given
    let mut subject = InFolder::new().await;
    let log = subject.store.log_id();
    let changesets = history.for_log(log);
    for changeset in &changesets {
        subject.store.commit(changeset.clone()).await.map_err(|error| TestCaseError::fail(format!("{error:?}")))?;
    }

    // when
    let before = Everything::of(&subject.store, &changesets).await;
    let reopened = subject.reopen().await;
    let after = Everything::of(&reopened, &changesets).await;

    // then
    prop_assert_eq!(&before, &Everything::after(&changesets, log));
    prop_assert_eq!(before, after);
    prop_assert_eq!(reopened.log_id(), log);
    Ok(())
}

proptest! {
    #![proptest_config(property(24))]

    #[test]
    fn what_is_committed_is_there_also_when_the_file_is_opened_again(history in history()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(committed(history))?;
    }
}
