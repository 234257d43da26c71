//! Deployments.

use std::collections::BTreeSet;

use crate::{
    changeset::Change,
    domain::{Deployment, DeploymentStatus, Revision, Subject as About, Timestamp},
    ports::{DeploymentFilter, Store, Unique},
    testing::{
        conformance::must::Must,
        fixtures::{app_id, at, deployment, deployment_id, environment, of, version_id},
    },
};

use super::{
    look::ALL,
    paging::{is_found, is_listed},
    refusal::{CHANGES, Refusal, change_together, is_refused, one_wins},
    subject::Subject,
};

/// `deployment` after a change: one revision on, with another status and other times.
fn changed(deployment: &Deployment) -> Deployment {
    Deployment {
        status: DeploymentStatus::Failed,
        updated_at: at(deployment.updated_at.micros() + 1),
        finished_at: Some(at(deployment.updated_at.micros() + 2)),
        revision: deployment.revision.next(),
        ..deployment.clone()
    }
}

fn update(next: &Deployment, expected: Revision) -> Change {
    Change::deployment_updated(next, expected, DeploymentStatus::Pending)
}

async fn all(store: &dyn Store) -> Vec<Deployment> {
    store.deployments(&DeploymentFilter::default(), None, ALL).await.must("list deployments")
}

/// Every filter that sets a member to what `like` has, or leaves it open.
fn filters_like(like: &Deployment) -> Vec<DeploymentFilter> {
    let set = |combination: u8, member: u8| combination & (1 << member) != 0;
    let filter = |combination| DeploymentFilter {
        app_id: set(combination, 0).then_some(like.app_id),
        version_id: set(combination, 1).then_some(like.version_id),
        environment: set(combination, 2).then(|| like.environment.clone()),
        status: set(combination, 3).then_some(like.status),
    };
    (0..16).map(filter).collect()
}

/// Checks that `deployment`, and only it, is shown by id and whatever list it belongs to.
async fn is_shown(store: &dyn Store, deployment: &Deployment) {
    let shown = store.deployment(deployment.id).await.must("read a deployment");
    assert_eq!(shown.as_ref(), Some(deployment), "the deployment by its id");
    for filter in filters_like(deployment) {
        let list = store.deployments(&filter, None, ALL).await.must("list deployments");
        assert_eq!(list, std::slice::from_ref(deployment), "the deployments that pass {filter:?}");
    }
}

pub(super) async fn a_deployment_reads_back_as_it_was_committed(subject: Subject) {
    let store = subject.store();
    assert_eq!(store.deployment(deployment_id(7)).await.must("read a deployment"), None, "there is no deployment yet");
    assert_eq!(all(store.as_ref()).await, []);

    let created = Deployment {
        environment: environment("eu-west_1.prod"),
        created_at: at(1_795_348_800_123_456),
        updated_at: at(1_795_348_800_123_457),
        ..deployment(7, 5, 3)
    };
    store.commit(of(Change::deployment_created(&created))).await.must("create a deployment");
    is_shown(store.as_ref(), &created).await;

    // each status is one that it can have
    let mut current = created;
    for status in DeploymentStatus::ALL {
        let finished_at = status.is_final().then(|| at(current.updated_at.micros() + 1));
        let next = Deployment { status, finished_at, ..changed(&current) };
        store.commit(of(update(&next, current.revision))).await.must(&format!("make a deployment {status}"));
        is_shown(store.as_ref(), &next).await;
        current = next;
    }

    store.commit(of(Change::deployment_deleted(&current))).await.must("delete a deployment");
    assert_eq!(store.deployment(deployment_id(7)).await.must("read a deployment"), None, "the deployment is gone");
    for filter in filters_like(&current) {
        let list = store.deployments(&filter, None, ALL).await.must("list deployments");
        assert_eq!(list, [], "the deployments that pass {filter:?}");
    }
}

pub(super) async fn a_deployment_is_never_inserted_over_another(subject: Subject) {
    let store = subject.store();
    let first = deployment(1, 1, 1);
    store.commit(of(Change::deployment_created(&first))).await.must("create a deployment");
    for again in [first.clone(), deployment(1, 2, 1), deployment(1, 1, 2), changed(&first)] {
        let refusal = Refusal::Taken(Unique::Id(About::Deployment(first.id)));
        let create = of(Change::deployment_created(&again));
        is_refused(store.as_ref(), "create a deployment with an id that is taken", create, refusal).await;
        is_shown(store.as_ref(), &first).await;
    }
    let like_it = of(Change::deployment_created(&deployment(2, 1, 1)));
    store.commit(like_it).await.must("create another deployment of the same version to the same environment");
}

pub(super) async fn a_deployment_that_is_not_there_is_neither_changed_nor_deleted(subject: Subject) {
    let store = subject.store();
    store.commit(of(Change::deployment_created(&deployment(1, 1, 1)))).await.must("create a deployment");
    store.commit(of(Change::deployment_created(&deployment(2, 1, 1)))).await.must("create a deployment");
    store.commit(of(Change::deployment_deleted(&deployment(2, 1, 1)))).await.must("delete a deployment");
    // One that never was, and one that is gone.
    for id in [3, 2] {
        let missing = deployment(id, 1, 1);
        let refusal = || Refusal::Missing(About::Deployment(missing.id));
        let update = of(update(&changed(&missing), Revision::FIRST));
        is_refused(store.as_ref(), "update a deployment that is not there", update, refusal()).await;
        let delete = of(Change::deployment_deleted(&missing));
        is_refused(store.as_ref(), "delete a deployment that is not there", delete, refusal()).await;
        is_shown(store.as_ref(), &deployment(1, 1, 1)).await;
    }
}

pub(super) async fn a_deployment_is_changed_only_at_its_revision(subject: Subject) {
    // given a deployment at revision 2
    let store = subject.store();
    let first = deployment(1, 1, 1);
    let current = Deployment { status: DeploymentStatus::Running, finished_at: None, ..changed(&first) };
    store.commit(of(Change::deployment_created(&first))).await.must("create a deployment");
    store.commit(of(update(&current, Revision::FIRST))).await.must("update a deployment");

    for revision in [1, 3, 4, i64::MAX as u64] {
        let (other, refusal) = (Revision::new(revision), || Refusal::Stale(About::Deployment(first.id)));
        let update = of(update(&changed(&current), other));
        is_refused(store.as_ref(), &format!("update at revision {revision} what is at 2"), update, refusal()).await;
        let delete = of(Change::deployment_deleted(&Deployment { revision: other, ..current.clone() }));
        is_refused(store.as_ref(), &format!("delete at revision {revision} what is at 2"), delete, refusal()).await;
        is_shown(store.as_ref(), &current).await;
    }
    store.commit(of(Change::deployment_deleted(&current))).await.must("delete a deployment at its revision");
}

pub(super) async fn of_many_who_end_one_deployment_one_does(subject: Subject) {
    use DeploymentStatus::{Canceled, Failed, Successful};
    let store = subject.store();
    for id in 1..=5 {
        let pending = deployment(id, 1, 1);
        store.commit(of(Change::deployment_created(&pending))).await.must("create a deployment");
        let ends: Vec<_> = (0..20)
            .zip([Successful, Failed, Canceled].into_iter().cycle())
            .map(|(n, status)| Deployment { status, finished_at: Some(at(n)), ..changed(&pending) })
            .collect();
        let rivals = ends.iter().map(|end| of(update(end, pending.revision))).collect();
        let refusal = Refusal::Stale(About::Deployment(pending.id));
        let winner = one_wins(&subject, "end a deployment", rivals, refusal).await;
        let shown = store.deployment(pending.id).await.must("read a deployment");
        assert_eq!(shown.as_ref(), Some(&ends[winner]), "the end that was acknowledged");
    }
}

pub(super) async fn no_change_of_a_deployment_is_lost_among_rivals(subject: Subject) {
    let store = subject.store();
    store.commit(of(Change::deployment_created(&deployment(1, 1, 1)))).await.must("create a deployment");
    change_together(&subject, &About::Deployment(deployment_id(1)), |store| {
        Box::pin(async move {
            let current = store.deployment(deployment_id(1)).await.must("read a deployment").expect("it is there");
            of(update(&changed(&current), current.revision))
        })
    })
    .await;
    let deployment = store.deployment(deployment_id(1)).await.must("read a deployment").expect("it is there");
    assert_eq!(deployment.revision.get(), 1 + CHANGES, "each change is a revision");
    assert_eq!(deployment.updated_at.micros().cast_unsigned(), CHANGES, "each change was made on the one before it");
}

pub(super) async fn deployments_are_found_by_every_filter(subject: Subject) {
    // given deployments of every kind: of two apps with two versions each, to two environments, of every status
    let store = subject.store();
    let (environments, mut deployments) = (["prod", "prod-eu"], Vec::new());
    for n in 0..40 {
        let version = 1 + n % 4;
        deployments.push(Deployment {
            environment: environment(environments[usize::from(n / 4 % 2 == 1)]),
            status: DeploymentStatus::ALL[usize::try_from(n / 8).expect("a small number")],
            ..deployment(100 - n, version, 1 + version % 2)
        });
    }
    for deployment in &deployments {
        store.commit(of(Change::deployment_created(deployment))).await.must("create a deployment");
    }
    // and some that have changed, and some that are gone
    for place in [1, 8, 14, 23] {
        let next = Deployment { status: DeploymentStatus::Canceled, ..changed(&deployments[place]) };
        store.commit(of(update(&next, deployments[place].revision))).await.must("update a deployment");
        deployments[place] = next;
    }
    for place in [30, 16, 3] {
        let gone = deployments.remove(place);
        store.commit(of(Change::deployment_deleted(&gone))).await.must("delete a deployment");
    }
    deployments.sort_by_key(|deployment| deployment.id);

    // then
    let nowhere = Deployment { environment: environment("prod-"), ..deployment(1, 9, 9) };
    let mixed = Deployment { app_id: app_id(1), version_id: version_id(1), ..deployments[0].clone() };
    let mut sizes = BTreeSet::new();
    for like in deployments.iter().step_by(5).chain([&nowhere, &mixed]) {
        for filter in filters_like(like) {
            let expected: Vec<_> = deployments.iter().filter(|other| filter.matches(other)).cloned().collect();
            sizes.insert(expected.len());
            let read = |after, limit| store.deployments(&filter, after, limit);
            is_found(&format!("the deployments that pass {filter:?}"), &expected, |found| found.id, read).await;
        }
    }
    assert!(sizes.len() > 6, "the filters of this case tell too little: {sizes:?}");
}

pub(super) async fn the_longest_and_strangest_deployment_comes_back(subject: Subject) {
    let store = subject.store();
    let longest = Deployment {
        environment: environment(&"._-9".repeat(16)),
        status: DeploymentStatus::Canceled,
        created_at: Timestamp::MIN,
        updated_at: Timestamp::MAX,
        finished_at: Some(Timestamp::MIN),
        revision: Revision::new(i64::MAX as u64 - 1),
        ..deployment(i64::MAX, i64::MAX, i64::MAX)
    };
    store.commit(of(Change::deployment_created(&longest))).await.must("create a deployment with the longest values");
    is_shown(store.as_ref(), &longest).await;

    let revision = Revision::new(i64::MAX as u64);
    let last = Deployment { finished_at: Some(Timestamp::MAX), revision, ..longest.clone() };
    store.commit(of(update(&last, longest.revision))).await.must("update it to the last revision");
    is_shown(store.as_ref(), &last).await;
    for filter in filters_like(&last) {
        let after = store.deployments(&filter, Some(last.id), ALL).await.must("list after the greatest id");
        assert_eq!(after, []);
    }
    store.commit(of(Change::deployment_deleted(&last))).await.must("delete it");
}

pub(super) async fn deployments_are_listed_by_id_in_pages(subject: Subject) {
    // given deployments that do not come in the order of their ids
    let store = subject.store();
    let ids = [30, 4, 1 << 40, 5, 12, 100, 6, i64::MAX, 99, 9];
    let mut expected: Vec<_> = (0..).zip(ids).map(|(n, id)| deployment(id, 1 + n % 2, 1 + n / 2 % 2)).collect();
    for deployment in &expected {
        store.commit(of(Change::deployment_created(deployment))).await.must("create a deployment");
    }
    expected.sort_by_key(|deployment| deployment.id);

    // then
    for filter in [filters_like(&deployment(1, 1, 1)), filters_like(&deployment(1, 2, 2))].concat() {
        let expected: Vec<_> = expected.iter().filter(|deployment| filter.matches(deployment)).cloned().collect();
        let read = |after, limit| store.deployments(&filter, after, limit);
        is_listed(&format!("the deployments that pass {filter:?}"), &expected, |deployment| deployment.id, read).await;
        // when a page begins where nothing is, or at a deployment that does not pass
        for after in [1, 4, 7, 12, 101] {
            let rest = expected.iter().find(|deployment| deployment.id.get() > after);
            let page = store.deployments(&filter, Some(deployment_id(after)), 1).await.must("list deployments");
            assert_eq!(page.first(), rest, "the one after {after} that passes {filter:?}");
        }
    }
}
