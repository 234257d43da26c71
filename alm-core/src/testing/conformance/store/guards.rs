//! Guards: what a changeset was decided on holds when it is committed, and no child outlives its parent.

use std::time::Duration;

use tokio::time::timeout;

use crate::{
    changeset::{Change, Changeset, Guard},
    domain::EventId,
    ports::{AppFilter, StoreError},
    testing::{
        conformance::must::Must,
        fixtures::{app, app_id, deployment, of, username, version, version_id},
    },
};

use super::{
    given::{at_once, ended, failed, send, start},
    look::{ALL, ids_of, log_of},
    subject::Subject,
};

async fn guard_stops_the_commit(subject: Subject, guard: Guard, parent: Change) {
    let store = subject.store();
    let guarded = || of(failed()).guarded(guard);
    let error = store.commit(guarded()).await.must_fail("commit under a guard that does not hold");
    assert!(matches!(error, StoreError::GuardFailed(failed) if failed == guard), "it is refused as {error}");
    store.commit(of(parent)).await.must("create what the guard wants");
    store.commit(guarded()).await.must("commit under a guard that holds");
}

pub(super) async fn a_commit_whose_app_is_not_there_is_stopped(subject: Subject) {
    guard_stops_the_commit(subject, Guard::AppExists(app_id(1)), Change::app_created(&app(1, "a"))).await;
}

pub(super) async fn a_commit_whose_version_is_not_there_is_stopped(subject: Subject) {
    let parent = Change::version_created(&version(1, 1, "v1"));
    guard_stops_the_commit(subject, Guard::VersionExists(version_id(1)), parent).await;
}

pub(super) async fn a_guard_is_about_what_was_there_before(subject: Subject) {
    let store = subject.store();
    let guard = Guard::AppExists(app_id(1));
    let guarded = |change| of(change).guarded(guard);

    // when the changeset itself brings what the guard wants, it does not help
    let error = store.commit(guarded(Change::app_created(&app(1, "a")))).await.must_fail("satisfy one's own guard");
    assert!(matches!(error, StoreError::GuardFailed(failed) if failed == guard), "it is refused as {error}");

    // when it takes it away, it was still there
    store.commit(of(Change::app_created(&app(1, "a")))).await.must("create an app");
    store.commit(guarded(Change::app_deleted(&app(1, "a")))).await.must("delete what the guard wants");
    store.commit(guarded(Change::login_failed(&username("ada")))).await.must_fail("commit when it is gone");
}

/// How long a slow commit goes on, so that another comes to wait for it if it must.
const MEANWHILE: Duration = Duration::from_millis(100);

/// The id of the only event.
fn event_of(changeset: &Changeset) -> EventId {
    changeset.events()[0].id
}

/// Lets a parent go while children of it come, and checks that each child was committed before, or refused.
async fn race(subject: &Subject, known: &mut usize, parent: Change, children: Vec<Changeset>, end: Change) {
    // given
    let handles = subject.rivals().await;
    handles[0].commit(of(parent)).await.must("create a parent");

    // when
    let end = of(end);
    let all: Vec<_> = children.iter().chain([&end]).cloned().collect();
    let sent = all.iter().zip(handles.iter().cycle());
    let answers = at_once(sent.map(|(changeset, handle)| send(handle.clone(), changeset.clone()))).await;

    // then
    assert!(answers.last().is_some_and(Result::is_ok), "a parent can be deleted: {answers:?}");
    *known += 1 + answers.iter().filter(|answer| answer.is_ok()).count();
    let log = ids_of(&log_of(handles[0].as_ref(), *known).await);
    let place = |changeset: &Changeset| log.iter().position(|id| *id == event_of(changeset));
    for (child, answer) in children.iter().zip(answers) {
        match answer {
            Ok(_) => assert!(place(child) < place(&end), "a child was committed after its parent was gone"),
            Err(error) => assert_eq!(error.code(), "guard-failed", "{error}"),
        }
    }
}

pub(super) async fn no_version_is_committed_once_its_app_is_gone(subject: Subject) {
    let mut known = 0;
    for round in 1..=20 {
        let parent = app(round, "a");
        let child = |n| Change::version_created(&version(round * 10 + n, round, &format!("v{n}")));
        let children = (0..6).map(|n| of(child(n)).guarded(Guard::AppExists(parent.id))).collect();
        let (begin, end) = (Change::app_created(&parent), Change::app_deleted(&parent));
        race(&subject, &mut known, begin, children, end).await;
    }
}

pub(super) async fn no_deployment_is_committed_once_its_version_is_gone(subject: Subject) {
    let mut known = 0;
    for round in 1..=20 {
        let parent = version(round, 1, "v1");
        let child = |n| Change::deployment_created(&deployment(round * 10 + n, round, 1));
        let children = (0..6).map(|n| of(child(n)).guarded(Guard::VersionExists(parent.id))).collect();
        let (begin, end) = (Change::version_created(&parent), Change::version_deleted(&parent));
        race(&subject, &mut known, begin, children, end).await;
    }
}

pub(super) async fn a_guard_holds_to_the_end_of_a_slow_commit(subject: Subject) {
    // given a version that is about to be committed
    let store = subject.store();
    let parent = app(1, "a");
    store.commit(of(Change::app_created(&parent))).await.must("create an app");
    let child = of(Change::version_created(&version(1, 1, "v1"))).guarded(Guard::AppExists(parent.id));
    let held = subject.hold(child.clone()).await;

    // when its app is deleted before it is
    let end = of(Change::app_deleted(&parent));
    let deleting = start(send(subject.store(), end.clone()));
    let released = {
        let _ = timeout(MEANWHILE, std::future::pending::<()>()).await;
        held.release().await
    };
    ended(deleting).await.must("delete the app");

    // then it is there before the app goes, or not at all
    let log = ids_of(&log_of(store.as_ref(), 2 + usize::from(released.is_ok())).await);
    match released {
        Ok(_) => {
            assert_eq!(log[1..], [event_of(&child), event_of(&end)], "a child was committed after its parent was gone");
        }
        Err(error) => assert_eq!(error.code(), "guard-failed", "{error}"),
    }
}

pub(super) async fn a_name_is_taken_once_by_slow_commits(subject: Subject) {
    // given a commit that is about to take a name
    let store = subject.store();
    let held = subject.hold(of(Change::app_created(&app(1, "a")))).await;

    // when another wants it, too
    let wanting = start(send(subject.store(), of(Change::app_created(&app(2, "a")))));
    let _ = timeout(MEANWHILE, std::future::pending::<()>()).await;
    let answers = [held.release().await, ended(wanting).await];

    // then one of them gets it
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    for error in answers.into_iter().filter_map(Result::err) {
        assert_eq!(error.code(), "already-exists", "{error}");
    }
    let apps = store.apps(&AppFilter::default(), None, ALL).await.must("list apps");
    assert_eq!(apps.len(), 1);
}
