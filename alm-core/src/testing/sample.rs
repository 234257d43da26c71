//! Something of everything that a store keeps, always the same: for a database that one version of a store has filled and a later
//! one reads.
//!
//! Keep a copy of such a database for each released version of your schema, and let a test bring it up to date and [`check`] it.
//! What the sample holds never changes, for the copies hold it too: what is new gets a sample of its own.
//!
//! ```
//! use alm_core::testing::sample;
//! use alm_store_memory::MemoryStore;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let store = MemoryStore::new();
//! sample::fill(&store).await;
//! sample::check(&store).await;
//! # }
//! ```

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::{
    changeset::{Change, Changeset, Checkpoint, DeadLetter, IdempotencyRecord, IdempotencyScope, Stamp, Write},
    domain::{
        Actor, App, AppName, AuditEntry, AuditIndex, Changelog, ChangesetId, Deployment, DeploymentStatus, Description,
        EventId, LogId, NewAuditEntry, PasswordHash, Position, Revision, Role, Subject, Tag, TraceParent, User,
        UserRecord, Version,
    },
    policy::Action,
    ports::{AppFilter, DeploymentFilter, Ids as _, LabelFilter, Sequence, Store, VersionFilter},
};

use super::{
    SequentialIds,
    fixtures::{
        account, answer, app, app_id, at, consumer, deployment, entry, environment, labels, letter, scope, username,
        version,
    },
    inspect::{audit_of, log_with},
};

/// Characters that are easily lost or taken for something else.
const ODD: &str = "\u{1f469}\u{200d}\u{1f680} x\u{301} ﷽ \u{10ffff} \\u0000 \\ %_?$1:a '; DROP TABLE apps; -- \"";

/// So many ids are taken of each sequence: more than the sample uses.
const TAKEN: u32 = 100;

const SEQUENCES: [Sequence; 3] = [Sequence::Apps, Sequence::Versions, Sequence::Deployments];

/// Commits the sample, and waits until its events stand in the log.
///
/// # Panics
/// The store holds something already, or fails.
pub async fn fill(store: &dyn Store) {
    for sequence in SEQUENCES {
        let block = store.allocate(sequence, TAKEN).await.expect("ids are given");
        assert_eq!(block.first, 1, "the store has been used before");
    }
    let changesets = changesets(store.log_id());
    let events: usize = changesets.iter().map(|changeset| changeset.events().len()).sum();
    for changeset in changesets {
        store.commit(changeset).await.expect("the sample is committed");
    }
    log_with(store, events as u64).await;
}

/// Reads everything, and takes an id of each kind.
///
/// # Panics
/// The store does not hold the sample as it was [filled](fill) in, or holds something else.
pub async fn check(store: &dyn Store) {
    let (log, changesets) = (store.log_id(), changesets(store.log_id()));
    let expected = Expected::of(&changesets);

    assert_eq!(store.apps(&AppFilter::default(), None, usize::MAX).await.expect("apps"), values(&expected.apps));
    let versions = store.versions(&VersionFilter::default(), None, usize::MAX).await.expect("versions");
    assert_eq!(versions, values(&expected.versions));
    let deployments = store.deployments(&DeploymentFilter::default(), None, usize::MAX).await.expect("deployments");
    assert_eq!(deployments, values(&expected.deployments));
    let running = store.running(app_id(1), None, usize::MAX).await.expect("what runs");
    let running: Vec<_> = running.iter().map(|runs| (runs.environment.as_str(), runs.deployment.id.get())).collect();
    assert_eq!(running, [("prod", 2), ("staging", 3)]);
    let odd = AppFilter { labels: vec![LabelFilter { key: "odd".into(), value: ODD.into() }], ..AppFilter::default() };
    assert_eq!(store.apps(&odd, None, usize::MAX).await.expect("apps by label").len(), 1);

    let users = store.users(None, usize::MAX).await.expect("accounts");
    // Earlier versions did not count the changes of accounts.
    let users: Vec<_> = users.into_iter().map(|user| User { revision: Revision::FIRST, ..user }).collect();
    let mut known: Vec<_> = expected.users.values().map(|record| record.user.clone()).collect();
    known.sort_by_key(|user| (user.created_at, user.username.clone()));
    assert_eq!(users, known);
    for (name, record) in &expected.users {
        let found = store.user(&username(name)).await.expect("an account").expect("the account is there");
        assert_eq!(found.user.role, record.user.role);
        assert_eq!(found.password_hash, record.password_hash);
    }
    for answer in &expected.answers {
        assert_eq!(store.remembered(&answer.scope).await.expect("an answer").as_ref(), Some(answer));
    }
    assert_eq!(audit_of(store).await, expected.audit);
    assert_eq!(
        store.dead_letters(&consumer("reader"), None, usize::MAX).await.expect("dead letters"),
        expected.letters
    );
    assert_eq!(
        store.checkpoint(&consumer("reader"), log).await.expect("a checkpoint"),
        expected.checkpoint.map(|checkpoint| checkpoint.to)
    );

    let events = changesets.iter().flat_map(|changeset| changeset.events().iter().map(|event| (changeset.id(), event)));
    let logged = log_with(store, 0).await;
    let found: Vec<_> = logged.iter().map(|event| (event.changeset, &event.event)).collect();
    assert_eq!(found, events.collect::<Vec<_>>());
    assert!(logged.iter().all(|event| event.log == log), "an event is of another log");
    for changeset in changesets.iter().filter(|changeset| !changeset.events().is_empty()) {
        assert_eq!(store.receipt(changeset.id()).await.expect("a receipt"), Some(changeset.receipt()));
    }
    for sequence in SEQUENCES {
        let next = store.allocate(sequence, 1).await.expect("an id").first;
        assert!(next > i64::from(TAKEN), "the id {next} was given before");
    }
}

fn values<K, V: Clone>(map: &BTreeMap<K, V>) -> Vec<V> {
    map.values().cloned().collect()
}

/// What changesets come to.
#[derive(Default)]
struct Expected {
    apps: BTreeMap<i64, App>,
    versions: BTreeMap<i64, Version>,
    deployments: BTreeMap<i64, Deployment>,
    users: BTreeMap<String, UserRecord>,
    answers: Vec<IdempotencyRecord>,
    audit: Vec<AuditEntry>,
    letters: Vec<DeadLetter>,
    checkpoint: Option<Checkpoint>,
}

impl Expected {
    fn of(changesets: &[Changeset]) -> Self {
        let mut expected = Self::default();
        for changeset in changesets {
            for write in changeset.writes() {
                expected.make(write);
            }
            if let Some(checkpoint) = changeset.checkpoint() {
                expected.checkpoint = Some(checkpoint.clone());
            }
        }
        expected
    }

    fn make(&mut self, write: &Write) {
        match write.clone() {
            Write::InsertApp(app) | Write::UpdateApp { app, .. } => drop(self.apps.insert(app.id.get(), app)),
            Write::DeleteApp { id, .. } => drop(self.apps.remove(&id.get())),
            Write::InsertVersion(version) | Write::UpdateVersion { version, .. } => {
                self.versions.insert(version.id.get(), version);
            }
            Write::DeleteVersion { id, .. } => drop(self.versions.remove(&id.get())),
            Write::InsertDeployment(deployment) | Write::UpdateDeployment { deployment, .. } => {
                self.deployments.insert(deployment.id.get(), deployment);
            }
            Write::DeleteDeployment { id, .. } => drop(self.deployments.remove(&id.get())),
            Write::InsertUser(record) => drop(self.users.insert(record.user.username.to_string(), record)),
            Write::SetPassword { username, new, .. } => {
                self.users.get_mut(username.as_str()).expect("an account").password_hash = new;
            }
            Write::DeleteUser { username } => drop(self.users.remove(username.as_str())),
            Write::RecordAudit(entry) => {
                self.audit.push(AuditEntry { index: AuditIndex::new(self.audit.len() as u64 + 1), entry });
            }
            Write::RememberOutcome(record) => self.answers.push(record),
            Write::BuryEvent(letter) => self.letters.push(letter),
            // A database of an earlier version has none of these, and the sample is of every version.
            Write::SettleLetter { .. }
            | Write::ParentLearned { .. }
            | Write::ParentGone { .. }
            | Write::UpdateUser { .. }
            | Write::RehashPassword { .. }
            | Write::InsertCredential(_)
            | Write::UpdateCredential { .. }
            | Write::DeleteCredential { .. }
            | Write::CredentialGone { .. } => {}
        }
    }
}

/// Makes changesets, one each second since the epoch.
#[derive(Default)]
struct Maker {
    ids: SequentialIds,
    made: Vec<Changeset>,
}

impl Maker {
    fn now(&self) -> i64 {
        i64::try_from(self.made.len()).expect("a few") * 1_000_000 + 123_456
    }

    fn stamp(&self) -> Stamp {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        Stamp {
            changeset: ChangesetId::new(self.ids.uuid_v7()),
            at: at(self.now()),
            actor: Actor::from(&username("ada")),
            trace: self.made.len().is_multiple_of(2).then(|| TraceParent::parse(trace).expect("a traceparent")),
        }
    }

    fn event(&self) -> EventId {
        EventId::new(self.ids.uuid_v7())
    }

    fn add(&mut self, change: Change) {
        let changeset = Changeset::of(self.stamp(), change, self.event());
        self.made.push(changeset);
    }
}

/// The sample, of a store with that log.
fn changesets(log: LogId) -> Vec<Changeset> {
    let mut maker = Maker::default();
    apps(&mut maker);
    versions(&mut maker);
    deployments(&mut maker);
    accounts(&mut maker);
    consumers(&mut maker, log);
    maker.made
}

fn apps(maker: &mut Maker) {
    let billing = App {
        description: Description::parse(format!("handles\r\n\tinvoicing\n{ODD}")).expect("a description"),
        labels: labels(&[("team", "money"), ("odd", ODD)]),
        created_at: at(1),
        updated_at: at(2),
        ..app(1, "billing")
    };
    maker.add(Change::app_created(&billing));
    maker.add(Change::app_created(&app(2, "renamed later")));
    let renamed = App {
        name: AppName::parse(ODD).expect("the name of an app"),
        updated_at: at(maker.now()),
        revision: Revision::FIRST.next(),
        ..app(2, "renamed later")
    };
    maker.add(Change::app_updated(&renamed, Revision::FIRST));
    maker.add(Change::app_created(&app(3, "gone")));
    maker.add(Change::app_deleted(&app(3, "gone")));
}

fn versions(maker: &mut Maker) {
    maker.add(Change::version_created(&version(1, 1, "v1")));
    let changed = Version {
        changelog: Changelog::parse(format!("fixed\n{ODD}")).expect("a changelog"),
        labels: labels(&[("commit", "4bf92f")]),
        updated_at: at(maker.now()),
        revision: Revision::FIRST.next(),
        ..version(1, 1, "v1")
    };
    maker.add(Change::version_updated(&changed, Revision::FIRST));
    let odd = Version { tag: Tag::parse("v2-ünïcödé-\u{1f680}").expect("a tag"), ..version(2, 1, "v2") };
    maker.add(Change::version_created(&odd));
    maker.add(Change::version_created(&version(3, 2, "v1")));
    maker.add(Change::version_deleted(&version(3, 2, "v1")));
}

fn deployments(maker: &mut Maker) {
    for (id, version, place, last) in [
        (1, 1, "prod", DeploymentStatus::Successful),
        (2, 2, "prod", DeploymentStatus::Successful),
        (3, 1, "staging", DeploymentStatus::Successful),
        (4, 2, "staging", DeploymentStatus::Failed),
        (5, 1, "prod", DeploymentStatus::Canceled),
    ] {
        let created = Deployment { environment: environment(place), ..deployment(id, version, 1) };
        maker.add(Change::deployment_created(&created));
        let now = at(maker.now());
        let done = Deployment {
            status: last,
            updated_at: now,
            finished_at: Some(now),
            revision: Revision::FIRST.next(),
            ..created
        };
        maker.add(Change::deployment_updated(&done, Revision::FIRST, DeploymentStatus::Pending));
    }
    maker.add(Change::deployment_created(&deployment(6, 1, 1)));
    maker.add(Change::deployment_created(&deployment(7, 1, 1)));
    maker.add(Change::deployment_deleted(&deployment(7, 1, 1)));
}

fn accounts(maker: &mut Maker) {
    let ada = User::create(username("ada"), Role::Admin, BTreeSet::new(), at(1));
    let ada = UserRecord { user: ada, password_hash: PasswordHash::new("first") };
    maker.add(Change::user_created(&ada));
    maker.add(Change::user_created(&account("bob")));
    maker.add(Change::user_created(&account("eve")));
    maker.add(Change::password_changed(&ada, PasswordHash::new("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA")));
    maker.add(Change::user_deleted(&username("eve")));
    maker.add(Change::login_succeeded(&username("ada")));
    maker.add(Change::login_failed(&username("eve")));
    let subject = Subject::App(app_id(1));
    maker.add(Change::access_denied(&Actor::from(&username("bob")), Action::DeleteApp, subject));
}

fn consumers(maker: &mut Maker, log: LogId) {
    let progress =
        |from, to| Checkpoint { consumer: consumer("reader"), log, from: Position::new(from), to: Position::new(to) };
    let payloads = [json!({"id": 1, "name": "billing"}), json!(["NUL \0", ODD, -1.5, i64::MAX, null]), json!(null)];
    for (payload, position) in payloads.into_iter().zip(1_u64..) {
        let entry = NewAuditEntry {
            event_id: maker.event(),
            event_type: format!("OfLater{ODD}"),
            payload,
            timestamp: position.cast_signed() - 2,
            recorded_at: at(maker.now()),
            ..entry("")
        };
        let changeset = Changeset::progress(maker.stamp(), progress(position - 1, position)).recording(entry);
        maker.made.push(changeset);
    }
    let letter = DeadLetter { event_id: maker.event(), document: json!({"odd": [ODD, "\0"]}), ..letter(log, 4, ODD) };
    let changeset = Changeset::progress(maker.stamp(), progress(3, 4)).burying(letter);
    maker.made.push(changeset);
    let keyed = IdempotencyRecord {
        scope: IdempotencyScope { action: Action::CreateVersion, ..scope("key") },
        outcome: json!({"odd": [ODD, "\0"], "id": 1}),
        ..answer("key", "", 5, i64::from(i32::MAX))
    };
    let changeset = Changeset::of(maker.stamp(), Change::login_succeeded(&username("bob")), maker.event());
    maker.made.push(changeset.remembering(keyed));
}
