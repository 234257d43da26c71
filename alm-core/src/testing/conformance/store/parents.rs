//! Parents that live elsewhere: what is known of them, and that no child is committed once one is known to be gone.

use std::time::Duration;

use tokio::time::timeout;

use crate::{
    changeset::{Change, Changeset, Guard},
    domain::{EventId, Known, ParentId},
    ports::{Store, StoreError, VersionFilter},
    testing::{
        conformance::must::Must,
        fixtures::{app, app_id, event_id, of, progress, stamp, version, version_id},
    },
};

use super::{
    given::{at_once, ended, failed, send, start},
    look::{ALL, ids_of, log_of},
    subject::Subject,
};

fn an_app(id: i64) -> ParentId {
    ParentId::App(app_id(id))
}

fn a_version(id: i64) -> ParentId {
    ParentId::Version(version_id(id))
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with what a store says")]
fn live(app: i64) -> Option<Known> {
    Some(Known::Live { app_id: app_id(app) })
}

fn learned(parent: ParentId, app: i64) -> Changeset {
    Changeset::learning(stamp(0), parent, app_id(app))
}

/// An event, so that it has a place in the log, and that `parent` is gone.
fn parted(parent: ParentId) -> Changeset {
    of(failed()).parting(parent)
}

async fn known(store: &dyn Store, parent: ParentId) -> Option<Known> {
    store.known(parent).await.must("tell what is known of a parent")
}

async fn commit(store: &dyn Store, what: &str, changeset: Changeset) {
    store.commit(changeset).await.must(what);
}

pub(super) async fn what_is_known_of_a_parent_reads_back(subject: Subject) {
    let store = subject.store();
    let store = store.as_ref();
    let log = store.log_id();
    for parent in [an_app(1), a_version(1), an_app(i64::MAX)] {
        assert_eq!(known(store, parent).await, None, "of {parent} nothing was heard");
    }

    // when they are heard of
    commit(store, "learn of an app", learned(an_app(1), 1)).await;
    commit(store, "learn of a version", learned(a_version(7), 1)).await;
    commit(store, "learn of the last app", learned(an_app(i64::MAX), i64::MAX)).await;
    let both = progress(log, 0, 5).knowing(an_app(2), app_id(2)).knowing(a_version(8), app_id(2));
    commit(store, "learn as a consumer does", both.parting(an_app(3))).await;
    // then
    let expected = [(an_app(1), 1), (a_version(7), 1), (an_app(i64::MAX), i64::MAX), (an_app(2), 2), (a_version(8), 2)];
    for (parent, app) in expected {
        assert_eq!(known(store, parent).await, live(app), "of {parent}");
    }
    assert_eq!(known(store, an_app(3)).await, Some(Known::Gone), "it is gone, although nothing was heard of it before");

    // when they go
    commit(store, "part from an app", parted(an_app(1))).await;
    let both = progress(log, 5, 9).parting(an_app(2)).and(failed(), event_id()).parting(a_version(8));
    commit(store, "part as a consumer does", both).await;
    // then
    for parent in [an_app(1), an_app(2), a_version(8)] {
        assert_eq!(known(store, parent).await, Some(Known::Gone), "of {parent}");
    }
    assert_eq!(known(store, a_version(7)).await, live(1), "that its app goes is another matter");
    assert_eq!(known(store, an_app(i64::MAX)).await, live(i64::MAX), "another app stays");
}

pub(super) async fn a_parent_that_is_gone_stays_gone(subject: Subject) {
    let store = subject.store();
    let store = store.as_ref();
    for (parent, app) in [(an_app(1), 1), (a_version(2), 1)] {
        commit(store, "learn of a parent", learned(parent, app)).await;
        for _ in 0..2 {
            commit(store, "part from it", parted(parent)).await;
            // when the news come too late
            commit(store, "learn of what is gone", learned(parent, app)).await;
            assert_eq!(known(store, parent).await, Some(Known::Gone), "{parent} is gone");
        }
    }
    // when one changeset has both
    let late = of(failed()).parting(an_app(3)).knowing(an_app(3), app_id(3));
    commit(store, "part, and learn of it", late).await;
    let usual = of(failed()).knowing(an_app(4), app_id(4)).parting(an_app(4));
    commit(store, "learn, and part from it", usual).await;
    for parent in [an_app(3), an_app(4)] {
        assert_eq!(known(store, parent).await, Some(Known::Gone), "{parent} is gone");
    }
}

pub(super) async fn a_parent_is_learned_any_number_of_times(subject: Subject) {
    let store = subject.store();
    for _ in 0..2 {
        commit(store.as_ref(), "learn of an app again", learned(an_app(1), 1)).await;
        let twice = of(failed()).knowing(a_version(1), app_id(1)).knowing(a_version(1), app_id(1));
        commit(store.as_ref(), "learn of a version twice", twice).await;
    }
    commit(store.as_ref(), "learn of another app of a version", learned(a_version(1), 2)).await;
    assert_eq!(known(store.as_ref(), a_version(1)).await, live(2), "what was told last");

    // when many hear of the same at once, and of some also that they are gone
    let handles = subject.rivals().await;
    for round in 1..=20 {
        let (stays, goes) = (an_app(round * 10), an_app(round * 10 + 1));
        let mut news: Vec<_> = (0..4).flat_map(|_| [learned(stays, 1), learned(goes, 1)]).collect();
        news.insert(4, parted(goes));
        let sent = news.into_iter().zip(handles.iter().cycle());
        for answer in at_once(sent.map(|(changeset, handle)| send(handle.clone(), changeset))).await {
            answer.must("hear of a parent while others do");
        }
        assert_eq!(known(store.as_ref(), stays).await, live(1));
        assert_eq!(known(store.as_ref(), goes).await, Some(Known::Gone));
    }
}

pub(super) async fn apps_and_versions_are_known_apart(subject: Subject) {
    let store = subject.store();
    let store = store.as_ref();
    commit(store, "learn of an app", learned(an_app(1), 1)).await;
    assert_eq!(known(store, a_version(1)).await, None);
    is_stopped(store, a_version(1)).await;
    commit(store, "part from a version", parted(a_version(1))).await;
    assert_eq!(known(store, an_app(1)).await, live(1));
    commit(store, "commit under a guard that holds", guarded(an_app(1))).await;
    commit(store, "learn of a version", learned(a_version(2), 1)).await;
    assert_eq!(known(store, an_app(2)).await, None);
    is_stopped(store, an_app(2)).await;
}

pub(super) async fn what_is_known_of_a_parent_is_not_what_is_kept_here(subject: Subject) {
    let store = subject.store();
    let store = store.as_ref();
    // given an app of each kind
    commit(store, "create an app", of(Change::app_created(&app(1, "a")))).await;
    commit(store, "learn of an app", learned(an_app(2), 2)).await;

    // then
    assert_eq!(known(store, an_app(1)).await, None, "it lives here");
    is_stopped(store, an_app(1)).await;
    assert_eq!(store.app(app_id(2)).await.must("read an app"), None, "it lives elsewhere");
    let error = store.commit(of(failed()).guarded(Guard::AppExists(app_id(2)))).await;
    assert_eq!(error.must_fail("commit under a guard of an app that lives elsewhere").code(), "guard-failed");
    commit(store, "part from an app that lives here", parted(an_app(1))).await;
    assert!(store.app(app_id(1)).await.must("read an app").is_some(), "it is here still");
}

fn guarded(parent: ParentId) -> Changeset {
    of(failed()).guarded(Guard::ParentKnown(parent))
}

/// Checks that a commit under the guard of this parent is refused.
async fn is_stopped(store: &dyn Store, parent: ParentId) {
    let guard = Guard::ParentKnown(parent);
    let error = store.commit(guarded(parent)).await.must_fail("commit under a guard that does not hold");
    assert!(matches!(error, StoreError::GuardFailed(failed) if failed == guard), "it is refused as {error}");
}

pub(super) async fn a_commit_whose_parent_is_not_known_or_gone_is_stopped(subject: Subject) {
    let store = subject.store();
    let store = store.as_ref();
    for parent in [an_app(1), a_version(2)] {
        is_stopped(store, parent).await;
        // when the changeset itself brings what the guard wants, it does not help
        let own = guarded(parent).knowing(parent, app_id(1));
        assert_eq!(store.commit(own).await.must_fail("satisfy one's own guard").code(), "guard-failed");
        // when it is known
        commit(store, "learn of a parent", learned(parent, 1)).await;
        commit(store, "commit under a guard that holds", guarded(parent)).await;
        // when the changeset takes it away, it was still there
        commit(store, "part from what the guard wants", guarded(parent).parting(parent)).await;
        is_stopped(store, parent).await;
        // when it is heard of again
        commit(store, "learn of what is gone", learned(parent, 1)).await;
        is_stopped(store, parent).await;
    }
    // when one of several guards does not hold
    commit(store, "learn of an app", learned(an_app(3), 3)).await;
    let several = guarded(an_app(3)).guarded(Guard::ParentKnown(an_app(1))).guarded(Guard::ParentKnown(an_app(3)));
    let error = store.commit(several).await.must_fail("commit when one of several guards does not hold");
    let expected = Guard::ParentKnown(an_app(1));
    assert!(matches!(error, StoreError::GuardFailed(failed) if failed == expected), "it is refused as {error}");
}

/// The id of the first event.
fn event_of(changeset: &Changeset) -> EventId {
    changeset.events()[0].id
}

pub(super) async fn no_child_is_committed_once_its_parent_is_known_to_be_gone(subject: Subject) {
    let handles = subject.rivals().await;
    let store = &handles[0];
    let mut events = 0;
    for round in 1..=20 {
        // given a parent that is known
        let parent = app_id(round);
        commit(store.as_ref(), "learn of an app", learned(ParentId::App(parent), round)).await;

        // when children come and it goes, and someone hears late that it is there
        let child = |n| Change::version_created(&version(round * 10 + n, round, &format!("v{n}")));
        let guard = Guard::ParentKnown(ParentId::App(parent));
        let mut all: Vec<_> = (0..6).map(|n| of(child(n)).guarded(guard)).collect();
        all.push(learned(ParentId::App(parent), round));
        let end = parted(ParentId::App(parent));
        let ending = {
            let (store, end) = (handles[handles.len() - 1].clone(), end.clone());
            start(async move {
                store.commit(end).await.must("part from a parent");
                let children = VersionFilter { app_id: Some(parent), ..VersionFilter::default() };
                store.versions(&children, None, ALL).await.must("list the children")
            })
        };
        let sent = all.iter().zip(handles.iter().cycle());
        let answers = at_once(sent.map(|(changeset, handle)| send(handle.clone(), changeset.clone()))).await;
        let found = ended(ending).await;

        // then each child was committed before, and whoever parted from it has seen it; or it was refused
        let committed = answers[..6].iter().filter(|answer| answer.is_ok()).count();
        events += committed + 1;
        let log = ids_of(&log_of(store.as_ref(), events).await);
        let place = |changeset: &Changeset| log.iter().position(|id| *id == event_of(changeset));
        for (child, answer) in all.iter().zip(&answers).take(6) {
            match answer {
                Ok(_) => assert!(place(child) < place(&end), "a child was committed after its parent was gone"),
                Err(error) => assert_eq!(error.code(), "guard-failed", "{error}"),
            }
        }
        assert!(answers[6].is_ok(), "late news do no harm: {answers:?}");
        assert_eq!(found.len(), committed, "a child came after its parent was known to be gone");
        assert_eq!(known(store.as_ref(), ParentId::App(parent)).await, Some(Known::Gone));
    }
}

/// How long a slow commit goes on, so that another comes to wait for it if it must.
const MEANWHILE: Duration = Duration::from_millis(100);

pub(super) async fn a_guard_of_a_parent_elsewhere_holds_to_the_end_of_a_slow_commit(subject: Subject) {
    // given a version that is about to be committed
    let store = subject.store();
    commit(store.as_ref(), "learn of an app", learned(an_app(1), 1)).await;
    let child = of(Change::version_created(&version(1, 1, "v1"))).guarded(Guard::ParentKnown(an_app(1)));
    let held = subject.hold(child.clone()).await;

    // when it is heard that its app is gone before it is
    let end = parted(an_app(1));
    let parting = start(send(subject.store(), end.clone()));
    let released = {
        let _ = timeout(MEANWHILE, std::future::pending::<()>()).await;
        held.release().await
    };
    ended(parting).await.must("part from the app");

    // then it is there before the app goes, or not at all
    let log = ids_of(&log_of(store.as_ref(), 1 + usize::from(released.is_ok())).await);
    match released {
        Ok(_) => assert_eq!(log, [event_of(&child), event_of(&end)], "a child was committed after its parent was gone"),
        Err(error) => assert_eq!(error.code(), "guard-failed", "{error}"),
    }
}
