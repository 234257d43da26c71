//! Histories can be committed from their first changeset to their last, and hold everything there is.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use alm_core::{
    changeset::{Changeset, Guard, Write},
    domain::{
        App, AuditEntry, Credential, CredentialId, Deployment, Event, EventType, Holder, LogId, Position, User,
        UserRecord, Username, Version,
    },
    ports::{
        AppFilter, AuditFilter, Committer, CredentialFilter, DeploymentFilter, EventLog, HeldCredential, Reader,
        VersionFilter,
    },
    testing::{
        property,
        strategies::{History, history},
    },
};
use alm_store_memory::MemoryStore;
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};

const ALL: usize = usize::MAX;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

type Sight = (Vec<App>, Vec<Version>, Vec<Deployment>, Vec<User>, Vec<AuditEntry>, Vec<Arc<Event>>);

/// A store after a history.
async fn committed(log: LogId, changesets: Vec<Changeset>) -> MemoryStore {
    let store = MemoryStore::with_log_id(log);
    for changeset in changesets {
        let shown = format!("{changeset:?}");
        store.commit(changeset).await.unwrap_or_else(|error| panic!("{error}: {shown}"));
    }
    store
}

/// What a store shows after a history.
async fn told(log: LogId, changesets: Vec<Changeset>) -> Sight {
    let store = committed(log, changesets).await;
    (
        store.apps(&AppFilter::default(), None, ALL).await.unwrap(),
        store.versions(&VersionFilter::default(), None, ALL).await.unwrap(),
        store.deployments(&DeploymentFilter::default(), None, ALL).await.unwrap(),
        store.users(None, ALL).await.unwrap(),
        store.audit_entries(&AuditFilter::default(), None, ALL).await.unwrap(),
        store.read(Position::START, ALL).await.unwrap(),
    )
}

proptest! {
    #![proptest_config(property(128))]

    #[test]
    fn a_history_is_committed_from_first_to_last_and_always_the_same(history in history(), log in any::<LogId>()) {
        let changesets = history.for_log(log);
        prop_assert_eq!(&changesets, &history.for_log(log));
        let events: usize = changesets.iter().map(|changeset| changeset.events().len()).sum();
        let shown = block_on(told(log, changesets.clone()));
        prop_assert_eq!(shown.5.len(), events);
        prop_assert_eq!(shown, block_on(told(log, changesets)));
    }

    #[test]
    fn a_resource_has_its_parents_and_a_consumer_stands_at_an_event(history in history()) {
        let changesets = history.changesets();
        let mut events = 0;
        for changeset in &changesets {
            if let Some(checkpoint) = changeset.checkpoint() {
                prop_assert_eq!(checkpoint.log, History::LOG);
                prop_assert!(checkpoint.from <= checkpoint.to && checkpoint.to.get() <= events);
            }
            events += changeset.events().len() as u64;
        }
        let (apps, versions, deployments, ..) = block_on(told(History::LOG, changesets));
        let parents: BTreeSet<_> = versions.iter().map(|version| (version.id, version.app_id)).collect();
        prop_assert!(versions.iter().all(|version| apps.iter().any(|app| app.id == version.app_id)));
        prop_assert!(deployments.iter().all(|it| parents.contains(&(it.version_id, it.app_id))));
    }
}

/// The accounts and credentials that must be there after some changesets, told without a store; and every credential that there
/// ever was.
#[derive(Default)]
struct Accounts {
    users: BTreeMap<Username, UserRecord>,
    credentials: BTreeMap<CredentialId, Credential>,
    ever: BTreeSet<CredentialId>,
}

impl Accounts {
    fn make(&mut self, write: &Write) {
        match write.clone() {
            Write::InsertUser(record) => drop(self.users.insert(record.user.username.clone(), record)),
            Write::UpdateUser { user, expected } => {
                let record = self.users.get_mut(&user.username).unwrap();
                assert_eq!((record.user.revision, expected.next()), (expected, user.revision));
                record.user = user;
            }
            Write::SetPassword { username, expected, old, new } => {
                let record = self.users.get_mut(&username).unwrap();
                assert_eq!((record.user.revision, &record.password_hash), (expected, &old));
                record.user.revision = record.user.revision.next();
                record.password_hash = new;
            }
            Write::RehashPassword { username, old, new } => {
                if let Some(record) = self.users.get_mut(&username).filter(|record| record.password_hash == old) {
                    record.password_hash = new;
                }
            }
            Write::DeleteUser { username } => drop(self.users.remove(&username)),
            Write::InsertCredential(credential) => {
                self.ever.insert(credential.id);
                // At its log-in a session is one of the account as it is.
                if let Holder::Session(session) = &credential.holder {
                    assert!(session.is_of(&self.users[&session.username].user));
                }
                assert_eq!(self.credentials.insert(credential.id, credential), None);
            }
            Write::UpdateCredential { credential, expected } => {
                let old = self.credentials.insert(credential.id, credential.clone()).unwrap();
                assert_eq!((old.revision, expected.next()), (expected, credential.revision));
            }
            Write::DeleteCredential { id } => drop(self.credentials.remove(&id).unwrap()),
            _ => {}
        }
    }
}

async fn has_accounts(store: &MemoryStore, expected: &Accounts) -> Result<(), TestCaseError> {
    let users = store.users(None, ALL).await.unwrap();
    prop_assert_eq!(users.len(), expected.users.len());
    for (username, record) in &expected.users {
        prop_assert_eq!(store.user(username).await.unwrap(), Some(record.clone()));
    }
    for id in &expected.ever {
        let credential = expected.credentials.get(id).cloned();
        let held = credential.map(|credential| {
            let account = credential.username().and_then(|username| expected.users.get(username));
            HeldCredential { account: account.map(|record| record.user.clone()), credential }
        });
        prop_assert_eq!(store.credential(*id).await.unwrap(), held);
    }
    let names: BTreeSet<_> = expected.credentials.values().filter_map(Credential::username).cloned().collect();
    for filter in names.into_iter().map(CredentialFilter::SessionsOf).chain([CredentialFilter::ApiKeys]) {
        let listed: Vec<_> = expected.credentials.values().filter(|one| filter.matches(one)).cloned().collect();
        prop_assert_eq!(store.credentials(&filter, None, ALL).await.unwrap(), listed);
    }
    Ok(())
}

proptest! {
    #![proptest_config(property(128))]

    #[test]
    fn accounts_and_credentials_are_there_as_they_were_written(history in history()) {
        let changesets = history.changesets();
        let mut expected = Accounts::default();
        changesets.iter().flat_map(Changeset::writes).for_each(|write| expected.make(write));
        block_on(async { has_accounts(&committed(History::LOG, changesets).await, &expected).await })?;
    }
}

fn kind(write: &Write) -> &'static str {
    match write {
        Write::InsertApp(_) => "insert app",
        Write::UpdateApp { .. } => "update app",
        Write::DeleteApp { .. } => "delete app",
        Write::InsertVersion(_) => "insert version",
        Write::UpdateVersion { .. } => "update version",
        Write::DeleteVersion { .. } => "delete version",
        Write::InsertDeployment(_) => "insert deployment",
        Write::UpdateDeployment { .. } => "update deployment",
        Write::DeleteDeployment { .. } => "delete deployment",
        Write::InsertUser(_) => "insert user",
        Write::SetPassword { .. } => "set password",
        Write::DeleteUser { .. } => "delete user",
        Write::UpdateUser { .. } => "update user",
        Write::RehashPassword { .. } => "rehash password",
        Write::InsertCredential(_) => "insert credential",
        Write::UpdateCredential { .. } => "update credential",
        Write::DeleteCredential { .. } => "delete credential",
        Write::RecordAudit(_) => "record audit",
        Write::RememberOutcome(_) => "remember outcome",
        Write::BuryEvent(_) => "bury event",
        other => panic!("a new kind of write, which histories should hold: {other:?}"),
    }
}

/// Always the same histories.
fn fixed(count: usize) -> impl Iterator<Item = History> {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(property(1), rng);
    let history = history();
    (0..count).map(move |_| history.new_tree(&mut runner).unwrap().current())
}

#[test]
fn histories_hold_every_kind_of_write_event_and_guard() {
    let changesets: Vec<_> = fixed(200).flat_map(|history| history.changesets()).collect();
    let writes: BTreeSet<_> = changesets.iter().flat_map(Changeset::writes).map(kind).collect();
    assert_eq!(writes.len(), 20, "{writes:?}");
    let events: BTreeSet<_> =
        changesets.iter().flat_map(Changeset::events).map(|event| event.data.type_name()).collect();
    assert_eq!(events, EventType::ALL.iter().map(|kind| kind.as_str()).collect());
    let guards = || changesets.iter().flat_map(Changeset::guards);
    assert!(guards().any(|guard| matches!(guard, Guard::AppExists(_))));
    assert!(guards().any(|guard| matches!(guard, Guard::VersionExists(_))));
    assert!(changesets.iter().any(|changeset| changeset.writes().len() > 2));
    assert!(changesets.iter().any(|changeset| changeset.writes().is_empty() && !changeset.events().is_empty()));
    assert!(changesets.iter().any(|changeset| changeset.writes().is_empty() && changeset.checkpoint().is_some()));
}

#[test]
fn names_and_remembered_answers_come_again() {
    let again = fixed(200).any(|history| {
        let changesets = history.changesets();
        let writes = || changesets.iter().flat_map(Changeset::writes);
        let mut names = BTreeSet::new();
        writes().any(|write| matches!(write, Write::InsertApp(app) if !names.insert(app.name.clone())))
    });
    assert!(again, "no name was taken again after its app was gone");
    let again = fixed(200).any(|history| {
        let changesets = history.changesets();
        let mut scopes = BTreeSet::new();
        let mut writes = changesets.iter().flat_map(Changeset::writes);
        writes.any(|write| matches!(write, Write::RememberOutcome(record) if !scopes.insert(record.scope.clone())))
    });
    assert!(again, "no key was used again after its answer had expired");
}

/// Whether in one of the histories something happens, when they are made one write after the other.
fn ever(histories: &[Vec<Changeset>], happens: impl Fn(&Accounts, &Write) -> bool) -> bool {
    histories.iter().any(|changesets| {
        let mut accounts = Accounts::default();
        changesets.iter().flat_map(Changeset::writes).any(|write| {
            let happens = happens(&accounts, write);
            accounts.make(write);
            happens
        })
    })
}

#[test]
fn what_can_be_told_apart_of_accounts_and_credentials_happens() {
    let histories: Vec<_> = fixed(200).map(|history| history.changesets()).collect();
    let is_outlived = |before: &Accounts, write: &Write| match write {
        Write::UpdateCredential { credential: Credential { holder: Holder::Session(session), .. }, .. } => {
            !before.users.get(&session.username).is_some_and(|record| session.is_of(&record.user))
        }
        _ => false,
    };
    assert!(ever(&histories, is_outlived), "a session is renewed that outlives what its account was");
    let leaves_sessions = |before: &Accounts, write: &Write| match write {
        Write::DeleteUser { username } => before.credentials.values().any(|one| one.username() == Some(username)),
        _ => false,
    };
    assert!(ever(&histories, leaves_sessions), "an account goes that has sessions");
    let rehashes = |before: &Accounts, write: &Write, late: bool| match write {
        Write::RehashPassword { username, old, .. } => {
            before.users.get(username).is_none_or(|record| record.password_hash != *old) == late
        }
        _ => false,
    };
    for late in [true, false] {
        assert!(ever(&histories, |before, write| rehashes(before, write, late)), "a rehash that is late: {late}");
    }
    let is_kept = |_: &Accounts, write: &Write| match write {
        Write::UpdateCredential { credential: Credential { holder: Holder::ApiKey(key), .. }, .. } => {
            key.retired.is_some()
        }
        _ => false,
    };
    assert!(ever(&histories, is_kept), "the secret that an API key had counts on");
}

#[test]
fn a_history_shrinks_to_what_matters() {
    let mut runner = TestRunner::new_with_rng(property(1), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let has_deployment = |history: &History| {
        let changesets = history.changesets();
        changesets.iter().flat_map(Changeset::writes).any(|write| matches!(write, Write::InsertDeployment(_)))
    };
    let mut tree = loop {
        let tree = history().new_tree(&mut runner).unwrap();
        if has_deployment(&tree.current()) {
            break tree;
        }
    };
    let mut least = tree.current();
    let mut smaller = tree.simplify();
    while smaller {
        let history = tree.current();
        smaller = if has_deployment(&history) {
            least = history;
            tree.simplify()
        } else {
            tree.complicate()
        };
    }
    let writes: usize = least.changesets().iter().map(|changeset| changeset.writes().len()).sum();
    assert_eq!(writes, 3, "an app, a version and a deployment are enough: {least:?}");
}
