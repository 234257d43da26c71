//! Histories can be committed from their first changeset to their last, and hold everything there is.

use std::{collections::BTreeSet, sync::Arc};

use alm_core::{
    changeset::{Changeset, Guard, Write},
    domain::{App, AuditEntry, Deployment, Event, EventType, LogId, Position, User, Version},
    ports::{AppFilter, AuditFilter, Committer, DeploymentFilter, EventLog, Reader, VersionFilter},
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

/// What a store shows after a history.
async fn told(log: LogId, changesets: Vec<Changeset>) -> Sight {
    let store = MemoryStore::with_log_id(log);
    for changeset in changesets {
        let shown = format!("{changeset:?}");
        store.commit(changeset).await.unwrap_or_else(|error| panic!("{error}: {shown}"));
    }
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
    assert_eq!(writes.len(), 15, "{writes:?}");
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
