//! Many at once, on real threads. Each race is run many times: on the store itself, where threads meet, and on one whose calls
//! take their time, where requests meet in the middle.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use alm_core::{
    Alm, Error,
    domain::{App, AppId, AppUpdate, Deployment, DeploymentStatus, EventData, EventType, VersionId},
    ports::{AppFilter, DeploymentFilter, Store, VersionFilter},
    services::{Created, Limit, Precondition},
    testing::{
        Fault, InstantTimer,
        inspect::{assert_each_event_is_audited_once, log_of, settle, until},
    },
};
use alm_store_memory::MemoryStore;
use tokio::sync::{Barrier, oneshot};

use crate::{
    given::{a_deployment, a_version, admin, an_app, environments, keyed, subjects, types_of},
    rough_store::rough,
};

const ROUNDS: usize = 40;

/// An empty store for each round.
fn stores() -> impl Iterator<Item = Arc<dyn Store>> {
    (0..ROUNDS).map(|round| {
        let store = Arc::new(MemoryStore::new());
        if round % 2 == 0 { store as Arc<dyn Store> } else { Arc::new(rough(store, Fault::None)) }
    })
}

fn alms() -> impl Iterator<Item = Alm> {
    stores().map(|store| Alm::builder(store).build())
}

/// Starts all of `tasks` at the same moment; gives what came of them.
async fn at_once<F: Future<Output: Send> + Send + 'static>(tasks: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let tasks: Vec<_> = tasks.into_iter().collect();
    let barrier = Arc::new(Barrier::new(tasks.len()));
    let running: Vec<_> = tasks
        .into_iter()
        .map(|task| {
            let barrier = barrier.clone();
            tokio::spawn(async move {
                barrier.wait().await;
                task.await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for task in running {
        answers.push(task.await.unwrap());
    }
    answers
}

async fn create(alm: Alm, name: &'static str, key: Option<(&'static str, u8)>) -> Result<Created<App>, Error> {
    let cx = match key {
        Some((key, request)) => keyed(admin(), key, request),
        None => admin(),
    };
    alm.apps().create(&cx, an_app(name)).await
}

async fn apps(alm: &Alm) -> Vec<App> {
    alm.apps().list(&admin(), &AppFilter::default(), None, Limit::default()).await.unwrap().items
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_twenty_creates_of_one_name_exactly_one_wins() {
    for alm in alms() {
        let answers = at_once((0..20).map(|_| create(alm.clone(), "billing", None))).await;

        let winners: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().ok()).collect();
        assert_eq!(winners.len(), 1);
        let losers = answers.iter().filter_map(|answer| answer.as_ref().err());
        assert!(losers.map(Error::code).all(|code| code == "app-name-taken"));
        assert_eq!(apps(&alm).await, [winners[0].value.clone()]);
        assert_eq!(types_of(&alm).await, ["AppCreated"]);
    }
}

/// Checks that every answer is the one app that there is, or that its request is still running; at least one made it.
async fn assert_one_effect(alm: &Alm, answers: &[Result<Created<App>, Error>]) {
    let all = apps(alm).await;
    assert_eq!(all.len(), 1);
    assert_eq!(types_of(alm).await, ["AppCreated"]);
    for answer in answers {
        match answer {
            Ok(created) => assert_eq!(created.value, all[0]),
            Err(error) => assert_eq!(error.code(), "idempotency-key-in-progress"),
        }
    }
    let first_hand = answers.iter().flatten().filter(|created| !created.replayed).count();
    assert_eq!(first_hand, 1, "one request did it, the others were told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_uses_of_one_idempotency_key_have_one_effect() {
    for alm in alms() {
        let answers = at_once((0..20).map(|_| create(alm.clone(), "billing", Some(("k", 1))))).await;
        assert_one_effect(&alm, &answers).await;

        let late = create(alm.clone(), "billing", Some(("k", 1))).await.unwrap();
        assert!(late.replayed);
        assert_eq!(apps(&alm).await, [late.value]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_that_share_an_idempotency_key_have_one_effect() {
    for store in stores() {
        let processes = [Alm::builder(store.clone()).build(), Alm::builder(store).build()];
        let answers = at_once((0..20).map(|i| create(processes[i % 2].clone(), "billing", Some(("k", 1))))).await;
        assert_one_effect(&processes[0], &answers).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_idempotency_key_serves_only_one_of_two_requests() {
    for alm in alms() {
        let request = |i: u8| if i.is_multiple_of(2) { ("billing", 0) } else { ("checkout", 1) };
        let tasks = (0..20).map(|i| {
            let (name, request) = request(i);
            create(alm.clone(), name, Some(("k", request)))
        });
        let answers = at_once(tasks).await;

        let all = apps(&alm).await;
        assert_eq!(all.len(), 1);
        for (i, answer) in (0..).zip(&answers) {
            let ours = request(i).0 == all[0].name.as_str();
            match answer {
                Ok(created) => assert!(ours && created.value == all[0]),
                Err(Error::IdempotencyInProgress) => {}
                Err(error) => assert!(!ours && matches!(error, Error::IdempotencyMismatch), "{error:?}"),
            }
        }
        let (other, request) = if all[0].name.as_str() == "billing" { request(1) } else { request(0) };
        let late = create(alm.clone(), other, Some(("k", request))).await;
        assert!(matches!(late, Err(Error::IdempotencyMismatch)));
    }
}

/// Checks that nothing is left and that each resource that was acknowledged was created once and deleted once.
async fn assert_all_gone(alm: &Alm, versions: &[VersionId], deployments: &[Deployment]) {
    let store = alm.store();
    assert_eq!(store.versions(&VersionFilter::default(), None, usize::MAX).await.unwrap(), []);
    assert_eq!(store.deployments(&DeploymentFilter::default(), None, usize::MAX).await.unwrap(), []);
    let log = log_of(alm.store().as_ref()).await;
    let sorted = |mut subjects: Vec<String>| {
        subjects.sort();
        subjects
    };
    let acknowledged = sorted(versions.iter().map(|id| format!("versions/{id}")).collect());
    assert_eq!(sorted(subjects(&log, EventType::VersionCreated)), acknowledged);
    assert_eq!(sorted(subjects(&log, EventType::VersionDeleted)), acknowledged);
    let acknowledged = sorted(deployments.iter().map(|deployment| format!("deployments/{}", deployment.id)).collect());
    assert_eq!(sorted(subjects(&log, EventType::DeploymentCreated)), acknowledged);
    assert_eq!(sorted(subjects(&log, EventType::DeploymentDeleted)), acknowledged);
}

/// Creates versions of `app` until there is no such app any more; gives their ids. Once it is `gone` none may come.
async fn create_versions(alm: Alm, app: AppId, worker: usize, gone: Arc<AtomicBool>) -> Vec<VersionId> {
    let mut ids = Vec::new();
    loop {
        let late = gone.load(Ordering::Relaxed);
        match alm.versions().create(&admin(), a_version(app, &format!("v{worker}.{}", ids.len()))).await {
            Ok(created) => ids.push(created.value.id),
            Err(error) => {
                assert_eq!(error.code(), "unknown-parent");
                return ids;
            }
        }
        assert!(!late, "an app that is gone got a version");
        tokio::task::yield_now().await;
    }
}

/// As [`create_versions`], for the deployments of a version.
async fn create_deployments(alm: Alm, version: VersionId, gone: Arc<AtomicBool>) -> Vec<Deployment> {
    let mut deployments = Vec::new();
    loop {
        let late = gone.load(Ordering::Relaxed);
        match alm.deployments().create(&admin(), a_deployment(version, "prod")).await {
            Ok(created) => deployments.push(created.value),
            Err(error) => {
                assert_eq!(error.code(), "unknown-parent");
                return deployments;
            }
        }
        assert!(!late, "a version that is gone got a deployment");
        tokio::task::yield_now().await;
    }
}

/// Waits until the log has grown by some events, so that what follows happens in the middle of things.
async fn until_busy(alm: &Alm, events: u64) {
    let after = alm.store().head().await.unwrap().get() + events;
    until("enough has happened", async || alm.store().head().await.unwrap().get() >= after).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_version_outlives_the_app_that_is_deleted_meanwhile() {
    for alm in alms() {
        let app = create(alm.clone(), "billing", None).await.unwrap().value.id;
        let gone = Arc::new(AtomicBool::new(false));
        let workers: Vec<_> =
            (0..4).map(|worker| tokio::spawn(create_versions(alm.clone(), app, worker, gone.clone()))).collect();
        until_busy(&alm, 8).await;
        alm.apps().delete(&admin(), app, &Precondition::none()).await.unwrap();
        // Already while the last creates are on their way.
        settle(&alm, &[]).await;
        gone.store(true, Ordering::Relaxed);
        let mut created = Vec::new();
        for worker in workers {
            created.extend(worker.await.unwrap());
        }

        settle(&alm, &[]).await;
        assert_all_gone(&alm, &created, &[]).await;
        assert_each_event_is_audited_once(alm.store().as_ref()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_deployment_outlives_the_version_that_is_deleted_meanwhile() {
    for (round, alm) in alms().enumerate() {
        let app = create(alm.clone(), "billing", None).await.unwrap().value.id;
        let version = alm.versions().create(&admin(), a_version(app, "v1")).await.unwrap().value.id;
        let gone = Arc::new(AtomicBool::new(false));
        let workers: Vec<_> =
            (0..4).map(|_| tokio::spawn(create_deployments(alm.clone(), version, gone.clone()))).collect();
        until_busy(&alm, 8).await;
        // The version goes by itself, or with its app by the cascade.
        if round % 4 < 2 {
            alm.versions().delete(&admin(), version, &Precondition::none()).await.unwrap();
        } else {
            alm.apps().delete(&admin(), app, &Precondition::none()).await.unwrap();
        }
        settle(&alm, &[]).await;
        gone.store(true, Ordering::Relaxed);
        let mut created = Vec::new();
        for worker in workers {
            created.extend(worker.await.unwrap());
        }

        settle(&alm, &[]).await;
        assert_all_gone(&alm, &[version], &created).await;
        assert_each_event_is_audited_once(alm.store().as_ref()).await;
    }
}

async fn increment(alm: &Alm, id: AppId) {
    loop {
        let app = alm.apps().get(&admin(), id).await.unwrap();
        let count = app.description.as_str().parse::<u32>().unwrap_or_default();
        let update = AppUpdate::parse("counter".into(), (count + 1).to_string(), [].into()).unwrap();
        match alm.apps().update(&admin(), id, update, &Precondition::one_of([app.revision])).await {
            Ok(updated) => {
                assert_eq!(updated.revision, app.revision.next());
                return;
            }
            Err(error) => assert_eq!(error.code(), "precondition-failed"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_conditional_update_is_lost() {
    for alm in alms() {
        let id = create(alm.clone(), "counter", None).await.unwrap().value.id;
        at_once((0..5).map(|_| {
            let alm = alm.clone();
            async move {
                for _ in 0..10 {
                    increment(&alm, id).await;
                }
            }
        }))
        .await;

        let app = alm.apps().get(&admin(), id).await.unwrap();
        assert_eq!((app.revision.get(), app.description.as_str()), (51, "50"));
        let told: Vec<_> = log_of(alm.store().as_ref())
            .await
            .iter()
            .filter_map(|event| match &event.data {
                EventData::AppUpdated(app) => app.description.as_str().parse::<u32>().ok(),
                _ => None,
            })
            .collect();
        assert_eq!(told, (1..=50).collect::<Vec<u32>>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_update_without_a_precondition_waits_for_its_turn() {
    for alm in alms() {
        let id = create(alm.clone(), "app", None).await.unwrap().value.id;
        let answers = at_once((0..20).map(|i| {
            let alm = alm.clone();
            async move {
                let update = AppUpdate::parse("app".into(), i.to_string(), [].into()).unwrap();
                alm.apps().update(&admin(), id, update, &Precondition::none()).await.map(|app| app.revision.get())
            }
        }))
        .await;
        let revisions: BTreeSet<_> = answers.into_iter().map(Result::unwrap).collect();
        assert_eq!(revisions, (2..=21).collect());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_deployment_reaches_exactly_one_final_status() {
    use DeploymentStatus::{Canceled, Failed, Pending, Running, Successful};
    for alm in alms() {
        let app = create(alm.clone(), "app", None).await.unwrap().value.id;
        let version = alm.versions().create(&admin(), a_version(app, "v1")).await.unwrap().value.id;
        let id = alm.deployments().create(&admin(), a_deployment(version, "prod")).await.unwrap().value.id;
        let wanted = [Running, Successful, Failed, Canceled].into_iter().cycle().take(16);
        let answers = at_once(wanted.map(|to| {
            let alm = alm.clone();
            async move { alm.deployments().set_status(&admin(), id, to, &Precondition::none()).await }
        }))
        .await;

        let moved: Vec<_> = answers.iter().flatten().collect();
        assert_eq!(moved.iter().filter(|deployment| deployment.status.is_final()).count(), 1);
        assert!(answers.iter().filter_map(|a| a.as_ref().err()).all(|error| error.code() == "illegal-transition"));
        let mut status = Pending;
        let mut told = 0;
        for event in log_of(alm.store().as_ref()).await {
            if let EventData::DeploymentUpdated(update) = &event.data {
                assert_eq!(update.previous_status, status);
                status = update.previous_status.to(update.deployment.status).unwrap();
                told += 1;
            }
        }
        let deployment = alm.deployments().get(&admin(), id).await.unwrap();
        assert_eq!((deployment.status, told), (status, moved.len()));
        assert_eq!(deployment.revision.get(), 1 + moved.len() as u64);
        assert!(deployment.finished_at.is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_consumers_of_two_processes_do_everything_once() {
    const VERSIONS: usize = 12;
    for store in stores() {
        let process = || Alm::builder(store.clone()).auto_deploy(environments(&["dev", "prod"])).build();
        let processes = [process(), process()];
        let mut stops = Vec::new();
        let running: Vec<_> = processes
            .iter()
            .map(|alm| {
                let (stop, stopped) = oneshot::channel::<()>();
                stops.push(stop);
                let alm = alm.clone();
                tokio::spawn(async move { alm.run(InstantTimer, async { drop(stopped.await) }).await })
            })
            .collect();

        let app = create(processes[0].clone(), "app", None).await.unwrap().value.id;
        let created = at_once((0..VERSIONS).map(|i| {
            let alm = processes[i % 2].clone();
            async move { alm.versions().create(&admin(), a_version(app, &format!("v{i}"))).await.unwrap().value.id }
        }))
        .await;
        until("every consumer is done", async || {
            processes[0].progress().await.unwrap().iter().all(|consumer| consumer.lag() == 0)
        })
        .await;
        drop(stops);
        for process in running {
            process.await.unwrap();
        }

        assert_each_event_is_audited_once(processes[0].store().as_ref()).await;
        let deployments = store.deployments(&DeploymentFilter::default(), None, usize::MAX).await.unwrap();
        let made: BTreeSet<_> = deployments.iter().map(|d| (d.version_id, d.environment.as_str())).collect();
        let due: BTreeSet<_> = created.iter().flat_map(|version| [(*version, "dev"), (*version, "prod")]).collect();
        assert_eq!(made, due);
        assert_eq!(deployments.len(), due.len(), "one deployment of each version to each environment");
    }
}
