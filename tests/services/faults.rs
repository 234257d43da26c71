//! Whatever fails, and wherever a process ends: each event has its effect once.

use std::{collections::BTreeMap, pin::pin, sync::Arc, task::Poll, time::Duration};

use alm_core::{
    Alm,
    changeset::{Changeset, Checkpoint, Stamp},
    domain::{Actor, AppId, ChangesetId, EventType, NewAuditEntry, Position, VersionId},
    ports::{BackendErrorKind, Committer, DeploymentFilter, EventLog, Ids, Outcome, SystemIds, VersionFilter},
    runtime::{AuditConsumer, Consumer, Handler},
    services::Precondition,
    testing::{
        Call, Fault, InstantTimer, Operation, Script,
        inspect::{assert_each_event_is_audited_once, audit_of, catch_up, log_of, settle, until},
        property,
    },
};
use alm_store_memory::MemoryStore;
use futures_util::FutureExt;
use proptest::{collection::vec, prelude::*, test_runner::TestRunner};
use tokio::{sync::oneshot, task::yield_now};

use crate::{
    given::{a_version, admin, an_app, environments, keyed, subjects, types_of},
    rough_store::{RoughStore, rough},
};

/// What the users of a service do while its consumers have a hard time.
#[derive(Clone, Copy, Debug)]
enum Deed {
    CreateVersion(usize),
    DeleteVersion(usize),
    DeleteApp(usize),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        6 => (0..3_usize).prop_map(Deed::CreateVersion),
        2 => (0..20_usize).prop_map(Deed::DeleteVersion),
        1 => (0..3_usize).prop_map(Deed::DeleteApp),
    ];
    vec(deed, 1..25)
}

struct Users {
    alm: Alm,
    apps: Vec<AppId>,
    versions: Vec<VersionId>,
}

impl Users {
    async fn of(store: Arc<MemoryStore>) -> Self {
        let alm = Alm::builder(store).build();
        let mut apps = Vec::new();
        for name in ["a", "b", "c"] {
            apps.push(alm.apps().create(&admin(), an_app(name)).await.unwrap().value.id);
        }
        Self { alm, apps, versions: Vec::new() }
    }

    async fn act(&mut self, deed: Deed) {
        let (cx, none) = (admin(), Precondition::none());
        // What is gone already can't be deleted or get versions; that is fine.
        match deed {
            Deed::CreateVersion(app) => {
                let new = a_version(self.apps[app], &format!("v{}", self.versions.len()));
                self.versions.extend(self.alm.versions().create(&cx, new).await.map(|created| created.value.id));
            }
            Deed::DeleteVersion(version) => {
                if let Some(version) = self.versions.get(version) {
                    drop(self.alm.versions().delete(&cx, *version, &none).await);
                }
            }
            Deed::DeleteApp(app) => drop(self.alm.apps().delete(&cx, self.apps[app], &none).await),
        }
    }

    /// Checks that every consumer has done all of its work, once.
    async fn assert_each_event_had_its_effect_once(&self) {
        assert_each_event_is_audited_once(self.alm.store().as_ref()).await;
        let store = self.alm.store();
        let log = log_of(self.alm.store().as_ref()).await;
        let times = |kind| {
            let mut times = BTreeMap::<_, usize>::new();
            for subject in subjects(&log, kind) {
                *times.entry(subject).or_default() += 1;
            }
            times
        };
        let deleted = times(EventType::VersionDeleted);
        assert!(deleted.values().all(|times| *times == 1), "{deleted:?}");
        let deleted = times(EventType::DeploymentDeleted);
        assert!(deleted.values().all(|times| *times == 1), "{deleted:?}");
        for version in store.versions(&VersionFilter::default(), None, usize::MAX).await.unwrap() {
            assert!(store.app(version.app_id).await.unwrap().is_some(), "{version:?} has no app");
            let filter = DeploymentFilter { version_id: Some(version.id), ..DeploymentFilter::default() };
            let deployments = store.deployments(&filter, None, usize::MAX).await.unwrap();
            let made: Vec<_> = deployments.iter().map(|deployment| deployment.environment.as_str()).collect();
            assert_eq!(made, ["dev", "prod"], "of {version:?}");
        }
        for deployment in store.deployments(&DeploymentFilter::default(), None, usize::MAX).await.unwrap() {
            assert!(store.version(deployment.version_id).await.unwrap().is_some(), "{deployment:?} has no version");
        }
    }
}

const REFUSED: Fault = Fault::Refused(BackendErrorKind::Unavailable);
const REQUEST_LOST: Fault = Fault::RequestLost(BackendErrorKind::Unavailable);
const ANSWER_LOST: Fault = Fault::AnswerLost(BackendErrorKind::Unavailable);

fn process(store: RoughStore) -> Alm {
    Alm::builder(Arc::new(store)).auto_deploy(environments(&["dev", "prod"])).build()
}

async fn run_until_caught_up(consumers: &Alm, users: &Alm) {
    let caught_up = async {
        while users.progress().await.unwrap().iter().any(|consumer| consumer.lag() > 0) {
            yield_now().await;
        }
    };
    let run = consumers.run(InstantTimer, caught_up);
    tokio::time::timeout(Duration::from_secs(20), run).await.expect("the consumers catch up");
}

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future);
}

#[test]
fn whatever_becomes_of_its_commits_a_consumer_has_its_effects_once() {
    let fault = prop_oneof![Just(Fault::None), Just(REFUSED), Just(REQUEST_LOST), Just(ANSWER_LOST)];
    let strategy = (deeds(), deeds(), vec(fault, 0..60));
    let run = TestRunner::new(property(64)).run(&strategy, |(before, meanwhile, faults)| {
        block_on(async {
            let store = Arc::new(MemoryStore::new());
            let mut users = Users::of(store.clone()).await;
            for deed in before {
                users.act(deed).await;
            }
            let consumers = process(rough(store, Script::on(Operation::Commit, faults)));
            let alm = users.alm.clone();
            let busy = async {
                for deed in meanwhile {
                    users.act(deed).await;
                    yield_now().await;
                }
            };
            tokio::join!(busy, run_until_caught_up(&consumers, &alm));
            run_until_caught_up(&consumers, &alm).await;
            users.assert_each_event_had_its_effect_once().await;
        });
        Ok(())
    });
    run.unwrap();
}

/// Polls `future` at most so often, then drops it where it stands.
async fn dropped_after(polls: usize, future: impl Future<Output = ()>) {
    let (mut future, mut left) = (pin!(future), polls);
    std::future::poll_fn(|cx| {
        if left == 0 || future.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        left -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[test]
fn a_process_may_end_anywhere_and_the_next_one_goes_on() {
    let strategy = (deeds(), vec(0..40_usize, 1..20));
    let run = TestRunner::new(property(64)).run(&strategy, |(deeds, lives)| {
        block_on(async {
            let store = Arc::new(MemoryStore::new());
            let mut users = Users::of(store.clone()).await;
            let mut deeds = deeds.into_iter();
            for polls in lives {
                for deed in deeds.by_ref().take(3) {
                    users.act(deed).await;
                }
                // A new process each time, and on a slow store each turn is a place to end.
                let consumers = process(rough(store.clone(), Fault::None));
                dropped_after(polls, consumers.run(InstantTimer, std::future::pending())).await;
            }
            run_until_caught_up(&process(rough(store, Fault::None)), &users.alm).await;
            users.assert_each_event_had_its_effect_once().await;
        });
        Ok(())
    });
    run.unwrap();
}

#[tokio::test]
async fn a_consumer_that_finds_its_place_taken_goes_on_from_there() {
    // given someone else under the same name who is a little faster, each time
    let store = Arc::new(MemoryStore::new());
    let direct = Alm::builder(store.clone()).build();
    let faster = store.clone();
    let rough = rough(store, move |call: &Call<'_>| {
        let first = |changeset: &&Changeset| changeset.checkpoint().is_some_and(|mark| mark.from.get() < 3);
        if let Some(changeset) = call.changeset.filter(first) {
            faster.commit(changeset.clone()).now_or_never().unwrap().unwrap();
        }
        Fault::None
    });
    for name in ["a", "b", "c"] {
        direct.apps().create(&admin(), an_app(name)).await.unwrap();
    }

    // when
    let slower = Alm::builder(Arc::new(rough)).build();
    catch_up(&slower, AuditConsumer).await;
    direct.apps().create(&admin(), an_app("d")).await.unwrap();
    let position = catch_up(&slower, AuditConsumer).await;

    // then
    assert_eq!(position.get(), 4);
    assert_each_event_is_audited_once(direct.store().as_ref()).await;
    assert_eq!(direct.store().dead_letters(&AuditConsumer.name(), None, 1).await.unwrap(), []);
}

#[tokio::test]
async fn a_consumer_that_finds_itself_set_back_does_not_skip_what_lies_between() {
    // given someone else under the same name who meanwhile has done a part of it
    let store = Arc::new(MemoryStore::new());
    let direct = Alm::builder(store.clone()).build();
    let other = store.clone();
    let rough = rough(store, move |call: &Call<'_>| {
        let whole = call.changeset.and_then(Changeset::checkpoint).filter(|checkpoint| checkpoint.to.get() == 3);
        let Some(whole) = whole else { return Fault::None };
        let part = Checkpoint { to: Position::new(1), ..whole.clone() };
        if part.from == Position::START {
            let first = other.read(Position::START, 1).now_or_never().unwrap().unwrap();
            let (changeset, at) = (ChangesetId::new(SystemIds.uuid_v7()), first[0].time);
            let stamp = Stamp { changeset, at, actor: Actor::system(), trace: None };
            let part = Changeset::progress(stamp, part).recording(NewAuditEntry::of(&first[0], at));
            other.commit(part).now_or_never().unwrap().unwrap();
        }
        Fault::None
    });
    for name in ["a", "b", "c"] {
        direct.apps().create(&admin(), an_app(name)).await.unwrap();
    }

    // when
    let position = catch_up(&Alm::builder(Arc::new(rough)).build(), AuditConsumer).await;

    // then
    assert_eq!(position.get(), 3);
    assert_each_event_is_audited_once(direct.store().as_ref()).await;
}

#[tokio::test]
async fn a_consumer_says_when_the_store_failed_and_goes_on_from_where_it_stands() {
    for (fault, stands) in [(REFUSED, None), (REQUEST_LOST, None), (ANSWER_LOST, Some(1))] {
        // given
        let store = Arc::new(MemoryStore::new());
        let direct = Alm::builder(store.clone()).build();
        direct.apps().create(&admin(), an_app("a")).await.unwrap();
        let alm = Alm::builder(Arc::new(rough(store, Script::on(Operation::Commit, [fault])))).build();
        let consumer = Consumer::new(alm, Arc::new(AuditConsumer));

        // when
        let failed = consumer.catch_up(&InstantTimer).await.unwrap_err();

        // then
        assert_eq!(failed.code(), "backend");
        let checkpoint = direct.store().checkpoint(&AuditConsumer.name(), direct.store().log_id()).await.unwrap();
        assert_eq!(checkpoint, stands.map(Position::new));
        assert_eq!(consumer.catch_up(&InstantTimer).await.unwrap().get(), 1);
        assert_each_event_is_audited_once(direct.store().as_ref()).await;
    }
}

#[tokio::test]
async fn the_run_ends_when_the_shutdown_does() {
    let alm = Alm::builder(Arc::new(MemoryStore::new())).build();
    alm.apps().create(&admin(), an_app("a")).await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = {
        let alm = alm.clone();
        tokio::spawn(async move { alm.run(InstantTimer, async { drop(stopped.await) }).await })
    };
    until("the event is audited", async || audit_of(alm.store().as_ref()).await.len() == 1).await;
    assert!(!running.is_finished());

    drop(stop);
    until("the consumers stop", async || running.is_finished()).await;

    running.await.unwrap();
    // What comes now waits for the next run.
    alm.apps().create(&admin(), an_app("b")).await.unwrap();
    assert_eq!(audit_of(alm.store().as_ref()).await.len(), 1);
    settle(&alm, &[]).await;
    assert_each_event_is_audited_once(alm.store().as_ref()).await;
}

#[tokio::test]
async fn a_request_whose_answer_was_lost_can_be_sent_again_under_its_key() {
    for fault in [REFUSED, REQUEST_LOST, ANSWER_LOST] {
        // given
        let script = Script::on(Operation::Commit, [fault.clone()]);
        let alm = Alm::builder(Arc::new(rough(Arc::new(MemoryStore::new()), script))).build();
        let cx = keyed(admin(), "k", 1);
        let lost = alm.apps().create(&cx, an_app("a")).await.unwrap_err();
        assert_eq!(lost.outcome(), if fault == REFUSED { Outcome::NotApplied } else { Outcome::Unknown });
        assert!(lost.is_retryable());

        // when
        let created = alm.apps().create(&cx, an_app("a")).await.unwrap();

        // then
        assert_eq!(created.replayed, fault == ANSWER_LOST);
        assert_eq!(types_of(&alm).await, ["AppCreated"]);
        assert_eq!(alm.apps().get(&admin(), created.value.id).await.unwrap(), created.value);
    }
}
