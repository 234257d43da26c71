//! What runs where.

use crate::{
    changeset::{Change, Changeset},
    domain::{Deployment, DeploymentStatus, ParentId, RunningVersion, Version},
    ports::Store,
    testing::{
        conformance::must::Must,
        fixtures::{app_id, at, deployment, environment, of, of_all, stamp, successful, version, version_id},
    },
};

use super::{given::failed, look::ALL, paging::is_listed, subject::Subject};

async fn running(store: &dyn Store) -> Vec<RunningVersion> {
    store.running(app_id(1), None, ALL).await.must("tell what runs where")
}

/// What must be told of a deployment that runs.
fn told(version: &Version, deployment: &Deployment) -> RunningVersion {
    RunningVersion { version: Some(version.clone()), ..told_without_version(deployment) }
}

/// What must be told of a deployment that runs, and whose version lives elsewhere.
fn told_without_version(deployment: &Deployment) -> RunningVersion {
    RunningVersion {
        environment: deployment.environment.clone(),
        version: None,
        deployment: deployment.clone(),
        since: deployment.finished_at.expect("it is finished"),
    }
}

async fn create(store: &dyn Store, deployment: &Deployment) {
    store.commit(of(Change::deployment_created(deployment))).await.must("create a deployment");
}

/// Version `id` of the app 1 lives elsewhere.
async fn learn(store: &dyn Store, id: i64) {
    let learned = Changeset::learning(stamp(0), ParentId::Version(version_id(id)), app_id(1));
    store.commit(learned).await.must("learn of a version");
}

/// Version `id` is gone where it lived.
async fn part(store: &dyn Store, id: i64) {
    store.commit(of(failed()).parting(ParentId::Version(version_id(id)))).await.must("part from a version");
}

/// The versions 1 to 4 of the app 1, by their ids less one.
async fn four_versions(store: &dyn Store) -> [Version; 4] {
    let versions = [1, 2, 3, 4].map(|id| version(id, 1, &format!("v{id}")));
    for version in &versions {
        store.commit(of(Change::version_created(version))).await.must("create a version");
    }
    versions
}

pub(super) async fn what_finished_last_runs_and_the_higher_id_of_two_at_once(subject: Subject) {
    let store = subject.store();
    let versions = four_versions(store.as_ref()).await;
    assert_eq!(running(store.as_ref()).await, [], "nothing is deployed yet");

    // when they come neither in the order of their ids, nor in that in which they finished
    let (first, second, third, fourth) =
        (successful(7, 1, 1, 50), successful(9, 2, 1, 40), successful(8, 3, 1, 50), successful(5, 4, 1, 50));
    create(store.as_ref(), &first).await;
    assert_eq!(running(store.as_ref()).await, [told(&versions[0], &first)], "the only one runs");
    create(store.as_ref(), &second).await;
    assert_eq!(
        running(store.as_ref()).await,
        [told(&versions[0], &first)],
        "a higher id that finished earlier does not"
    );
    create(store.as_ref(), &third).await;
    assert_eq!(running(store.as_ref()).await, [told(&versions[2], &third)], "the higher id of two at once runs");
    create(store.as_ref(), &fourth).await;
    assert_eq!(running(store.as_ref()).await, [told(&versions[2], &third)], "the lower id of two at once does not");

    // when times differ by a microsecond, and before the epoch
    let later = successful(1, 1, 1, 51);
    create(store.as_ref(), &later).await;
    assert_eq!(running(store.as_ref()).await, [told(&versions[0], &later)], "a microsecond later is later");
    let early = [successful(20, 1, 1, -7), successful(21, 2, 1, -6)];
    for deployment in early {
        let there = Deployment { environment: environment("stage"), ..deployment };
        create(store.as_ref(), &there).await;
    }
    let stage = running(store.as_ref()).await.pop().map(|running| running.since);
    assert_eq!(stage, Some(at(-6)), "times before the epoch are in order, too");
}

pub(super) async fn only_what_is_successful_runs(subject: Subject) {
    let store = subject.store();
    let [version, ..] = four_versions(store.as_ref()).await;
    for (id, status) in (1..).zip(DeploymentStatus::ALL) {
        if status != DeploymentStatus::Successful {
            let finished_at = status.is_final().then(|| at(100 + id));
            create(store.as_ref(), &Deployment { status, finished_at, ..deployment(id, 1, 1) }).await;
        }
    }
    assert_eq!(running(store.as_ref()).await, [], "none of them is successful");

    // when one becomes successful
    let pending = deployment(1, 1, 1);
    let done = Deployment { revision: pending.revision.next(), ..successful(1, 1, 1, 5) };
    let change = Change::deployment_updated(&done, pending.revision, DeploymentStatus::Pending);
    store.commit(of(change)).await.must("update a deployment");
    assert_eq!(running(store.as_ref()).await, [told(&version, &done)], "it runs from then on");

    // when its version is changed, that is told as it is now
    let mut changed = version.clone();
    (changed.updated_at, changed.revision) = (at(9), version.revision.next());
    store.commit(of(Change::version_updated(&changed, version.revision))).await.must("update a version");
    assert_eq!(running(store.as_ref()).await, [told(&changed, &done)], "the version as it is now");

    // when it is not successful any more
    let failed = Deployment { status: DeploymentStatus::Failed, revision: done.revision.next(), ..done.clone() };
    let change = Change::deployment_updated(&failed, done.revision, DeploymentStatus::Successful);
    store.commit(of(change)).await.must("update a deployment");
    assert_eq!(running(store.as_ref()).await, [], "it does not run any more");
}

pub(super) async fn what_ran_before_runs_again_when_what_runs_is_gone(subject: Subject) {
    // given
    let store = subject.store();
    let versions = four_versions(store.as_ref()).await;
    let deployments = [(1, 10), (2, 20), (3, 30), (4, 40)].map(|(id, finished)| successful(id, id, 1, finished));
    for deployment in &deployments {
        create(store.as_ref(), deployment).await;
    }
    let runs = |place: usize| [told(&versions[place], &deployments[place])];
    assert_eq!(running(store.as_ref()).await, runs(3));

    // when the deployment goes
    store.commit(of(Change::deployment_deleted(&deployments[3]))).await.must("delete a deployment");
    assert_eq!(running(store.as_ref()).await, runs(2), "the deployment is gone");
    // when the version goes, its deployments being there still
    store.commit(of(Change::version_deleted(&versions[2]))).await.must("delete a version");
    assert_eq!(running(store.as_ref()).await, runs(1), "the version is gone");
    // when one goes that does not run
    store.commit(of(Change::deployment_deleted(&deployments[0]))).await.must("delete a deployment");
    assert_eq!(running(store.as_ref()).await, runs(1), "what runs is still there");
    // when the last goes
    store.commit(of(Change::version_deleted(&versions[1]))).await.must("delete a version");
    assert_eq!(running(store.as_ref()).await, [], "nothing is left that could run");
}

pub(super) async fn what_runs_of_versions_that_live_elsewhere_is_told_without_them(subject: Subject) {
    // given
    let store = subject.store();
    let store = store.as_ref();
    let (runs, later) = (successful(1, 1, 1, 10), successful(2, 2, 1, 20));
    let in_stage = Deployment { environment: environment("stage"), ..successful(3, 2, 1, 5) };
    for deployment in [&runs, &later, &in_stage] {
        create(store, deployment).await;
    }
    assert_eq!(running(store).await, [], "of their versions nothing was heard");

    // when they are heard of, one after the other
    learn(store, 1).await;
    assert_eq!(running(store).await, [told_without_version(&runs)], "the only one whose version is known");
    learn(store, 2).await;
    let both = [told_without_version(&later), told_without_version(&in_stage)];
    assert_eq!(running(store).await, both, "what finished last");
    // then pages have each, too
    let page = store.running(app_id(1), None, 1).await.must("tell what runs where");
    assert_eq!(page, both[..1], "the first page");
    let page = store.running(app_id(1), Some(&environment("prod")), 1).await.must("tell what runs where");
    assert_eq!(page, both[1..], "the second page");

    // when an app of the same id is known, that is another parent
    let app = Changeset::learning(stamp(0), ParentId::App(app_id(3)), app_id(3));
    store.commit(app).await.must("learn of an app");
    create(store, &successful(4, 3, 1, 30)).await;
    assert_eq!(running(store).await, both, "of version 3 nothing was heard, only of app 3");
}

pub(super) async fn what_ran_before_runs_again_when_a_version_elsewhere_is_gone(subject: Subject) {
    // given
    let store = subject.store();
    let store = store.as_ref();
    let deployments = [(1, 10), (2, 20), (3, 30)].map(|(id, finished)| successful(id, id, 1, finished));
    for deployment in &deployments {
        create(store, deployment).await;
        learn(store, deployment.version_id.get()).await;
    }
    let in_stage = Deployment { environment: environment("stage"), ..successful(4, 3, 1, 5) };
    create(store, &in_stage).await;
    let runs = |place: usize| told_without_version(&deployments[place]);
    assert_eq!(running(store).await, [runs(2), told_without_version(&in_stage)]);

    // when the version goes, its deployments being there still
    part(store, 3).await;
    assert_eq!(running(store).await, [runs(1)], "the version is gone, from every environment");
    let next = store.running(app_id(1), None, 1).await.must("tell what runs where");
    assert_eq!(next, [runs(1)], "a page of one has what counts");
    // when news of it come too late
    learn(store, 3).await;
    assert_eq!(running(store).await, [runs(1)], "it does not come back");
    // when one goes that does not run
    part(store, 1).await;
    assert_eq!(running(store).await, [runs(1)], "what runs is still there");
    // when the last goes
    part(store, 2).await;
    assert_eq!(running(store).await, [], "nothing is left that could run");
    // when one goes of which nothing was heard
    part(store, 9).await;
    create(store, &successful(9, 9, 1, 40)).await;
    assert_eq!(running(store).await, [], "it never ran");
}

pub(super) async fn a_version_that_is_here_is_told_whatever_is_known_of_it(subject: Subject) {
    // given
    let store = subject.store();
    let store = store.as_ref();
    let here = version(1, 1, "v1");
    store.commit(of(Change::version_created(&here))).await.must("create a version");
    let (runs, elsewhere) = (successful(1, 1, 1, 10), successful(2, 2, 1, 20));
    create(store, &runs).await;
    create(store, &elsewhere).await;
    assert_eq!(running(store).await, [told(&here, &runs)]);

    // when it is known as well
    learn(store, 1).await;
    assert_eq!(running(store).await, [told(&here, &runs)], "it is here");
    // when one elsewhere runs, and goes
    learn(store, 2).await;
    assert_eq!(running(store).await, [told_without_version(&elsewhere)], "what finished last, wherever its version is");
    part(store, 2).await;
    assert_eq!(running(store).await, [told(&here, &runs)], "what ran before runs again");
    // when it is said to be gone, and is not
    part(store, 1).await;
    assert_eq!(running(store).await, [told(&here, &runs)], "what is here counts");
}

pub(super) async fn environments_are_told_in_byte_order_in_pages(subject: Subject) {
    // given, by their bytes: - . 0-9 _ a-z
    let names =
        ["-", "0", "9z", "_", "a", "a-b", "a.b", "a0", "a_b", "aa", "ab", "prod", "prod-eu", "prod.eu", "prod0"];
    let store = subject.store();
    let version = version(1, 1, "v1");
    let mut changes = vec![Change::version_created(&version)];
    let mut expected = Vec::new();
    for (id, name) in (1..).zip(names.iter().rev()) {
        let there = Deployment { environment: environment(name), ..successful(id, 1, 1, id) };
        let before = Deployment { environment: environment(name), ..successful(id + 100, 1, 1, 0) };
        changes.extend([Change::deployment_created(&there), Change::deployment_created(&before)]);
        expected.push(told(&version, &there));
    }
    let first = changes.remove(0);
    store.commit(of_all(first, changes)).await.must("create a version and its deployments");
    expected.sort_by(|a, b| a.environment.cmp(&b.environment));

    // then
    let store = store.as_ref();
    is_listed(
        "what runs where",
        &expected,
        |running| running.environment.clone(),
        |after, limit| Box::pin(async move { store.running(app_id(1), after.as_ref(), limit).await }),
    )
    .await;
    for (after, next) in [("a-", Some("a-b")), ("ac", Some("prod")), ("prod1", None)] {
        let page = store.running(app_id(1), Some(&environment(after)), 1).await.must("tell what runs where");
        let page = page.first().map(|running| running.environment.as_str());
        assert_eq!(page, next, "what comes after {after:?}, where nothing runs");
    }
}

pub(super) async fn what_runs_of_other_apps_does_not_mix_in(subject: Subject) {
    let store = subject.store();
    let (mine, other) = (version(1, 1, "v1"), version(2, 2, "v1"));
    let (runs, runs_too) = (successful(1, 1, 1, 10), successful(2, 2, 2, 20));
    let elsewhere = Deployment { environment: environment("stage"), ..successful(3, 2, 2, 30) };
    let all = [
        Change::version_created(&other),
        Change::deployment_created(&runs),
        Change::deployment_created(&runs_too),
        Change::deployment_created(&elsewhere),
    ];
    store.commit(of_all(Change::version_created(&mine), all)).await.must("create versions and their deployments");

    assert_eq!(running(store.as_ref()).await, [told(&mine, &runs)]);
    let of_other = store.running(app_id(2), None, ALL).await.must("tell what runs where");
    assert_eq!(of_other, [told(&other, &runs_too), told(&other, &elsewhere)]);
    assert_eq!(
        store.running(app_id(3), None, ALL).await.must("tell what runs where"),
        [],
        "of an app that is not there"
    );
}
