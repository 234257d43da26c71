//! The log: gapless positions in the order of the commits, revealed in that order, never changed.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::time::timeout;

use crate::{
    changeset::{Change, Changeset, Stamp},
    domain::{Actor, Description, Event, EventData, Position, Revision, Subject as About, TraceParent},
    policy::Action,
    testing::{
        conformance::{
            must::Must,
            tasks::{patience, polled_once},
        },
        fixtures::{app, app_id, at, event_id, of, of_all, progress, stamp, username},
    },
};

use super::{
    given::{Handle, ended, failed, populate, start},
    look::{ids_of, log_of, wait},
    subject::Subject,
};

/// Changesets of one, two and three events in turn.
fn changesets(count: usize) -> impl Iterator<Item = Changeset> {
    (0..count).map(|n| of_all(failed(), (0..n % 3).map(|_| failed())))
}

pub(super) async fn an_event_stands_in_the_log_as_it_was_committed(subject: Subject) {
    // given
    let store = subject.store();
    let mut committed = populate(&subject).await;
    let trace = TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").expect("a traceparent");
    let actor = Actor::parse("Ада \u{1f680} <ada@example.org>").expect("an actor");
    let full = Stamp { actor: actor.clone(), trace: Some(trace), ..stamp(1_795_348_800_123_456) };
    let denied = Change::access_denied(&actor, Action::DeleteApp, About::App(app_id(7)));
    let changeset = Changeset::of(full, denied, event_id()).and(Change::login_succeeded(&username("ada")), event_id());
    store.commit(changeset.clone()).await.must("commit events");
    committed.push(changeset);

    // then
    let expected: Vec<_> = committed
        .iter()
        .flat_map(|changeset| changeset.events().iter().map(|event| (changeset.id(), event.clone())))
        .collect();
    let log = log_of(store.as_ref(), expected.len()).await;
    assert_eq!(log.len(), expected.len());
    for (event, (changeset, told)) in log.iter().zip(expected) {
        assert_eq!(event.changeset, changeset);
        assert_eq!(event.event, told);
    }
}

pub(super) async fn positions_are_gapless_in_the_order_of_the_commits(subject: Subject) {
    let store = subject.store();
    let mut expected = Vec::new();
    for changeset in changesets(40) {
        store.commit(changeset.clone()).await.must("commit events");
        expected.extend(changeset.events().iter().map(|event| event.id));
    }
    assert_eq!(ids_of(&log_of(store.as_ref(), expected.len()).await), expected);
}

pub(super) async fn the_head_is_the_position_of_the_newest_event(subject: Subject) {
    let store = subject.store();
    assert_eq!(store.head().await.must("read the head"), Position::START, "the log is empty");
    assert_eq!(store.read(Position::START, 10).await.must("read the log"), []);
    store.commit(progress(store.log_id(), 0, 0)).await.must("commit without an event");
    assert_eq!(store.head().await.must("read the head"), Position::START, "there was no event");

    store.commit(of_all(failed(), [failed(), failed()])).await.must("commit events");
    let log = log_of(store.as_ref(), 3).await;
    assert_eq!(store.head().await.must("read the head"), Position::new(3));
    assert_eq!(store.read(Position::new(1), 1).await.must("read the log"), log[1..2]);
    assert_eq!(store.read(Position::new(3), 10).await.must("read behind the head"), []);
    assert_eq!(store.read(Position::new(99), 10).await.must("read far behind the head"), []);
    assert_eq!(store.read(Position::START, usize::MAX).await.must("read without a limit"), log);
}

/// Commits `rounds` changesets from each of three tasks; gives how many events that is, and the tasks.
async fn writers(subject: &Subject, rounds: usize) -> (usize, Vec<tokio::task::JoinHandle<()>>) {
    let write = |store: Handle| async move {
        for changeset in changesets(rounds) {
            store.commit(changeset).await.must("commit events");
        }
    };
    let events: usize = changesets(rounds).map(|changeset| changeset.events().len()).sum();
    let handles = subject.rivals().await;
    (3 * events, handles.iter().cycle().take(3).map(|handle| start(write(handle.clone()))).collect())
}

pub(super) async fn no_position_is_revealed_before_those_below_it(subject: Subject) {
    // given writers whose commits have one to three events
    let store = subject.store();
    let (events, writers) = writers(&subject, 40).await;

    // when the log is read meanwhile, by pages that end anywhere or not before the head
    let mut log: Vec<Arc<Event>> = Vec::new();
    for limit in [1, 2, 3, 1000].into_iter().cycle() {
        if log.len() >= events {
            break;
        }
        let seen = log.len() as u64;
        let head = store.head().await.must("read the head");
        let page = store.read(Position::new(seen), limit).await.must("read the log");
        // then all that the head has promised is there, and nothing is left out
        let promised = head.get().saturating_sub(seen).min(limit as u64);
        assert!(page.len() as u64 >= promised, "the head was {head}, and after {seen} there are {} events", page.len());
        assert!(page.len() <= limit, "a page has more than its limit");
        for (event, position) in page.iter().zip(seen + 1..) {
            assert_eq!(event.position.get(), position, "a position is revealed before the one below it");
        }
        if page.is_empty() {
            wait(store.as_ref(), Position::new(seen)).await;
        }
        log.extend(page);
    }
    for writer in writers {
        ended(writer).await;
    }

    // then what was read never changes
    assert_eq!(log_of(store.as_ref(), events).await, log);
}

pub(super) async fn the_events_of_one_commit_stand_together(subject: Subject) {
    let store = subject.store();
    let (events, writers) = writers(&subject, 40).await;
    for writer in writers {
        ended(writer).await;
    }
    let log = log_of(store.as_ref(), events).await;
    let mut commits = BTreeSet::new();
    for together in log.chunk_by(|a, b| a.changeset == b.changeset) {
        assert!(commits.insert(together[0].changeset), "another commit came between the events of one");
    }
}

pub(super) async fn a_commit_that_is_held_open_loses_nothing(subject: Subject) {
    // given a slow commit, and two that end while it is open
    let store = subject.store();
    let slow = of_all(failed(), [failed()]);
    let held = subject.hold(slow.clone()).await;
    let quick: Vec<_> = changesets(2).collect();
    for changeset in &quick {
        store.commit(changeset.clone()).await.must("commit while another commit is open");
    }
    // and a reader who has read all there was
    let mut seen: Vec<Arc<Event>> = Vec::new();
    for _ in 0..10 {
        let position = Position::new(seen.len() as u64);
        seen.extend(store.read(position, 10).await.must("read the log"));
        wait(store.as_ref(), position).await;
    }
    assert!(
        ids_of(&seen).iter().all(|id| slow.events().iter().all(|event| event.id != *id)),
        "it is not committed yet"
    );

    // when it ends
    held.release().await.must("end the slow commit");
    let last = of(failed());
    store.commit(last.clone()).await.must("commit after it");

    // then the reader misses nothing, and nothing that was read has changed
    let all: Vec<_> = quick.iter().chain([&slow, &last]).flat_map(Changeset::events).map(|event| event.id).collect();
    let log = log_of(store.as_ref(), all.len()).await;
    assert_eq!(log[..seen.len()], seen, "what was read has changed");
    let ids = ids_of(&log);
    assert_eq!(ids.len(), all.len());
    assert!(all.iter().all(|id| ids.contains(id)), "an event is lost");
    assert_eq!(ids.last(), all.last(), "the log does not follow the order of the commits");
}

pub(super) async fn pages_of_the_log_give_each_event_once(subject: Subject) {
    let store = subject.store();
    let mut expected = Vec::new();
    for changeset in changesets(20) {
        store.commit(changeset.clone()).await.must("commit events");
        expected.extend(changeset.events().iter().map(|event| event.id));
    }
    log_of(store.as_ref(), expected.len()).await;
    for limit in 1..10 {
        let mut ids = Vec::new();
        loop {
            let page = store.read(Position::new(ids.len() as u64), limit).await.must("read the log");
            let full = page.len() == limit;
            ids.extend(ids_of(&page));
            assert!(full || ids.len() == expected.len(), "a page within the log is not full");
            if page.is_empty() {
                break;
            }
        }
        assert_eq!(ids, expected, "by pages of {limit}");
    }
}

pub(super) async fn events_of_one_subject_stand_in_the_order_of_its_changes(subject: Subject) {
    // given tasks that change one app, each on what it has read
    const CHANGES: u64 = 60;
    let store = subject.store();
    store.commit(of(Change::app_created(&app(1, "a")))).await.must("create an app");
    let change = |store: Handle| async move {
        // Of those who try at the same time one is always faster than the others.
        for _ in 0..CHANGES * 10 {
            let mut app = store.app(app_id(1)).await.must("read an app").expect("it is there");
            let expected = app.revision;
            if expected.get() > CHANGES {
                return;
            }
            app.revision = expected.next();
            app.description = Description::parse(app.revision.to_string()).expect("a description");
            // Another may have been faster.
            if let Err(error) = store.commit(of(Change::app_updated(&app, expected))).await {
                assert_eq!(error.code(), "conflict", "{error}");
            }
        }
        panic!("the app is changed again and again, and does not get to revision {CHANGES}");
    };
    for task in (0..4).map(|_| start(change(subject.store()))).collect::<Vec<_>>() {
        ended(task).await;
    }

    // then the log tells of the revisions one after the other
    let events = usize::try_from(CHANGES).expect("a small number") + 1;
    let log = log_of(store.as_ref(), events).await;
    let told = log.iter().filter_map(|event| match &event.data {
        EventData::AppUpdated(data) => Some(data.description.as_str().to_owned()),
        _ => None,
    });
    let expected = (Revision::FIRST.next().get()..=CHANGES + 1).map(|revision| revision.to_string());
    assert_eq!(told.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

pub(super) async fn whoever_waits_for_events_is_woken(subject: Subject) {
    // given
    let store = subject.store();
    store.commit(of(failed())).await.must("commit an event");
    log_of(store.as_ref(), 1).await;
    let mut waiting = Box::pin(async {
        while store.head().await.must("read the head") < Position::new(2) {
            store.changed(Position::new(1)).await.must("wait for events");
        }
    });
    // Until it waits; should it not come to that, it finds the event without being woken.
    let early = timeout(Duration::from_millis(50), &mut waiting).await;
    assert!(early.is_err(), "it must go on to wait: there is no second event");

    // when
    store.commit(of(failed())).await.must("commit an event");

    // then
    let woken = timeout(patience(), waiting).await;
    assert!(woken.is_ok(), "whoever waits for the second event is not woken by it");
    let at_once = timeout(patience(), store.changed(Position::START)).await;
    assert!(at_once.is_ok(), "whoever waits for what is there already must not wait");
}

pub(super) async fn a_wait_that_is_dropped_hinders_no_later_one(subject: Subject) {
    let store = subject.store();
    for round in 0..10 {
        assert!(polled_once(&mut store.changed(Position::new(round))).await.is_none_or(|woken| woken.is_ok()));
        store.commit(of(failed())).await.must("commit an event");
        let woken = timeout(patience(), store.changed(Position::new(round))).await;
        assert!(woken.is_ok(), "whoever waits after another wait was dropped is not woken");
        log_of(store.as_ref(), usize::try_from(round).expect("a small number") + 1).await;
    }
}

pub(super) async fn times_may_be_equal_or_go_back(subject: Subject) {
    let store = subject.store();
    let mut expected = Vec::new();
    for micros in [5, 5, 3, -1, 9] {
        let changeset = Changeset::of(stamp(micros), failed(), event_id());
        store.commit(changeset).await.must("commit an event of any time");
        expected.push(at(micros));
    }
    let times: Vec<_> = log_of(store.as_ref(), expected.len()).await.iter().map(|event| event.time).collect();
    assert_eq!(times, expected, "the log follows the commits, not the clocks");
}
