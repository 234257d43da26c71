//! What goes from the log, what is left of it, and what whoever asks for what is gone is told.

use std::sync::Arc;

use futures_util::{FutureExt, future::BoxFuture};
use tokio::time::timeout;

use crate::{
    changeset::Changeset,
    domain::{Event, Position},
    ports::{EventLog, Store, StoreError, Trimmed},
    testing::{
        conformance::{must::Must, tasks::patience},
        fixtures::{at, event_id, of, of_all, stamp},
    },
};

use super::{
    given::{Handle, at_once, failed, populate},
    look::{ALL, Sight, ids_of, log_of, wait},
    subject::Subject,
};

/// Commits an event at each of these times; gives the log.
async fn events_at(store: &dyn Store, times: &[i64]) -> Vec<Arc<Event>> {
    for micros in times {
        store.commit(Changeset::of(stamp(*micros), failed(), event_id())).await.must("commit an event");
    }
    log_of(store, times.len()).await
}

/// Trims the log; gives how many events went, and where the log begins.
async fn trim(store: &dyn Store, up_to: u64, before: i64, limit: usize) -> (u64, u64) {
    let trimmed = store.trim(Position::new(up_to), at(before), limit).await;
    let Trimmed { events, oldest } = trimmed.must("trim the log");
    (events, oldest.get())
}

/// Checks that a read after `after` is told that the log begins at `oldest`.
async fn is_gone(store: &dyn Store, after: u64, oldest: u64) {
    let error = store.read(Position::new(after), 1).await.must_fail(&format!("read after {after} what was trimmed"));
    let told = matches!(&error, StoreError::Gone { oldest: told } if told.get() == oldest);
    assert!(told, "a read after {after} of a log that begins at {oldest} must be told so, and is told: {error:?}");
}

/// Checks that of `log` just the first `trimmed` events are gone.
async fn is_left(store: &dyn Store, log: &[Arc<Event>], trimmed: usize) {
    let oldest = trimmed as u64 + 1;
    assert_eq!(store.oldest().await.must("tell where the log begins").get(), oldest, "where the log begins");
    assert_eq!(store.head().await.must("read the head").get(), log.len() as u64, "the head stays");
    for after in 0..trimmed {
        is_gone(store, after as u64, oldest).await;
    }
    for after in trimmed..log.len() + 2 {
        for limit in [1, 2, ALL] {
            let page = store.read(Position::new(after as u64), limit).await.must("read what is left");
            let expected: Vec<_> = log.iter().skip(after).take(limit).cloned().collect();
            assert_eq!(page, expected, "{limit} after {after}, of a log that begins at {oldest}");
        }
    }
}

pub(super) async fn the_log_is_trimmed_from_the_front(subject: Subject) {
    let store = subject.store();
    assert_eq!(trim(store.as_ref(), 10, 10, ALL).await, (0, 1), "there is nothing to trim");
    is_left(store.as_ref(), &[], 0).await;

    let log = events_at(store.as_ref(), &[0; 12]).await;
    is_left(store.as_ref(), &log, 0).await;
    for (up_to, gone) in [(5, 5), (6, 1), (11, 5)] {
        assert_eq!(trim(store.as_ref(), up_to, 1, ALL).await, (gone, up_to + 1), "trimmed up to {up_to}");
        is_left(store.as_ref(), &log, usize::try_from(up_to).expect("a small number")).await;
    }
}

pub(super) async fn no_more_is_trimmed_than_was_asked_for(subject: Subject) {
    // given times that go back
    let store = subject.store();
    let log = events_at(store.as_ref(), &[10, 20, 15, 40, 12, 30]).await;
    let end = i64::MAX as u64;
    for (up_to, before, limit, gone, left, why) in [
        (end, 10, ALL, 0, 0, "the first event did not happen before it"),
        (0, 100, ALL, 0, 0, "no event is so low"),
        (end, 100, 0, 0, 0, "none may go"),
        (end, 21, 2, 2, 2, "two may go"),
        (end, 21, usize::MAX, 1, 3, "the fourth event is younger, though the fifth is not"),
        (2, 100, ALL, 0, 3, "those are gone already"),
        (5, 100, ALL, 2, 5, "the sixth event is higher"),
        (end, 100, ALL, 1, 6, "all may go"),
        (end, 100, ALL, 0, 6, "nothing is there"),
    ] {
        let trimmed = trim(store.as_ref(), up_to, before, limit).await;
        assert_eq!(trimmed, (gone, left as u64 + 1), "up to {up_to}, before {before}, at most {limit}: {why}");
        is_left(store.as_ref(), &log, left).await;
    }
}

/// The events after `after`, once there are so many.
async fn read_on(store: &dyn Store, after: u64, events: usize) -> Vec<Arc<Event>> {
    let coming = async {
        loop {
            let page = store.read(Position::new(after), ALL).await.must("read the end of the log");
            if page.len() >= events {
                return page;
            }
            wait(store, Position::new(after + page.len() as u64)).await;
        }
    };
    timeout(patience(), coming).await.unwrap_or_else(|_| panic!("{events} events come after {after}"))
}

/// Checks that a log that has nothing but its head goes on behind it.
async fn goes_on(store: &dyn Store, head: u64) {
    let next = of_all(failed(), [failed()]);
    store.commit(next.clone()).await.must("commit to a log that was trimmed to its end");
    let woken = timeout(patience(), store.changed(Position::new(head))).await;
    assert!(woken.is_ok(), "whoever waits at the end of a log that was trimmed is not woken");
    let log = read_on(store, head, 2).await;
    assert_eq!(ids_of(&log), next.events().iter().map(|event| event.id).collect::<Vec<_>>());
    let positions: Vec<_> = log.iter().map(|event| event.position.get()).collect();
    assert_eq!(positions, [head + 1, head + 2], "the log goes on behind its head, and gives no position again");
}

pub(super) async fn a_log_that_was_trimmed_to_its_end_goes_on_behind_it(subject: Subject) {
    let store = subject.store();
    let mut head = events_at(store.as_ref(), &[0; 3]).await.len() as u64;
    for _ in 0..3 {
        assert_eq!(trim(store.as_ref(), head, 1, ALL).await.1, head + 1, "all of it is trimmed");
        assert_eq!(store.head().await.must("read the head").get(), head, "the head stays");
        assert_eq!(store.oldest().await.must("tell where the log begins").get(), head + 1);
        assert_eq!(store.read(Position::new(head), ALL).await.must("read after the head"), []);
        is_gone(store.as_ref(), head - 1, head + 1).await;
        is_gone(store.as_ref(), 0, head + 1).await;
        goes_on(store.as_ref(), head).await;
        head += 2;
    }
}

pub(super) async fn what_many_trim_at_once_goes_once(subject: Subject) {
    let store = subject.store();
    let log = events_at(store.as_ref(), &[0; 60]).await;
    let work = |store: Handle| async move {
        let mut gone = 0;
        loop {
            match trim(store.as_ref(), 50, 1, 7).await {
                (0, oldest) if oldest > 50 => return gone,
                (events, _) => gone += events,
            }
        }
    };
    let handles = subject.rivals().await;
    let gone: Vec<u64> = at_once(handles.iter().cycle().take(6).map(|handle| work(handle.clone()))).await;
    assert_eq!(gone.iter().sum::<u64>(), 50, "each event goes once: {gone:?}");
    is_left(store.as_ref(), &log, 50).await;
}

/// Reads the log up to the position `end`, always at its front, where it is trimmed meanwhile. Each page follows on the one
/// before, unless what is between them is said to be gone.
async fn follow(store: &dyn EventLog, end: u64) {
    let mut seen = Position::START;
    while seen.get() < end {
        match store.read(seen, 1).await {
            Ok(page) => {
                for event in &page {
                    assert_eq!(event.position, seen.next(), "an event is passed over, and the reader is not told");
                    seen = event.position;
                }
            }
            Err(StoreError::Gone { oldest }) => {
                assert!(oldest > seen.next(), "what is after {seen} is not gone when the log begins at {oldest}");
                seen = oldest.previous();
            }
            Err(error) => panic!("a log that is trimmed can be read: {error}"),
        }
        seen = seen.max(store.oldest().await.must("tell where the log begins").previous());
        tokio::task::yield_now().await;
    }
}

pub(super) async fn whoever_reads_while_the_log_is_trimmed_sees_no_gap(subject: Subject) {
    const COMMITS: u64 = 8;
    const TEN: u64 = 10;
    const EVENTS: u64 = 4 * COMMITS * TEN;
    let handles = subject.rivals().await;
    let one = |place: usize| handles[place % handles.len()].clone();
    let commit = |store: Handle| async move {
        for _ in 0..COMMITS {
            store.commit(of_all(failed(), (1..TEN).map(|_| failed()))).await.must("commit events");
        }
    };
    // given a log, and those who commit more
    commit(one(0)).await;
    log_of(one(0).as_ref(), 80).await;
    // and one who trims whatever there is, by small steps
    let cut = |store: Handle| async move {
        let keep_up = async {
            while trim(store.as_ref(), EVENTS, 1, 3).await.1 <= EVENTS {
                tokio::task::yield_now().await;
            }
        };
        assert!(timeout(patience(), keep_up).await.is_ok(), "what was committed can be trimmed");
    };
    // when others read
    let read = |store: Handle| async move {
        let following = timeout(patience(), follow(store.as_ref(), EVENTS)).await;
        assert!(following.is_ok(), "whoever reads a log that is trimmed gets to its end");
    };
    let mut tasks: Vec<BoxFuture<'static, ()>> = vec![cut(one(1)).boxed()];
    tasks.extend((0..3).flat_map(|place| [read(one(place)).boxed(), commit(one(place)).boxed()]));
    // then they see each event after the one before, or are told
    at_once(tasks).await;
}

pub(super) async fn trimming_the_log_touches_nothing_else(subject: Subject) {
    // given something of everything
    let store = subject.store();
    let events: usize = populate(&subject).await.iter().map(|changeset| changeset.events().len()).sum();
    log_of(store.as_ref(), events).await;
    let sight = Sight::of(&subject, store.as_ref(), &[]).await;

    // when
    let gone = events as u64;
    assert_eq!(trim(store.as_ref(), gone, 1, ALL).await, (gone, gone + 1), "all of it is trimmed");

    // then
    assert_eq!(Sight::of(&subject, store.as_ref(), &[]).await, sight);
}

pub(super) async fn a_changeset_is_known_as_long_as_its_events_stand(subject: Subject) {
    // given changesets of three events
    let store = subject.store();
    let changesets: Vec<_> = (0..4).map(|_| of_all(failed(), [failed(), failed()])).collect();
    for changeset in &changesets {
        store.commit(changeset.clone()).await.must("commit events");
    }
    log_of(store.as_ref(), 12).await;

    // when the first is gone, and one event of the second
    assert_eq!(trim(store.as_ref(), 4, 1, ALL).await, (4, 5));

    // then those that are whole have had their effect
    for changeset in &changesets[2..] {
        let receipt = store.receipt(changeset.id()).await.must("read a receipt");
        assert_eq!(receipt.map(|receipt| receipt.changeset), Some(changeset.id()), "its events stand in the log");
        store.commit(changeset.clone()).await.must("commit again what stands in the log");
    }
    store.commit(of(failed())).await.must("commit an event");
    assert_eq!(read_on(store.as_ref(), 12, 1).await.len(), 1, "a changeset had its effect again");

    // and the others are known or not, but not in between
    let mut head = 13;
    for changeset in &changesets[..2] {
        let known = store.receipt(changeset.id()).await.must("read a receipt").is_some();
        let receipt = store.commit(changeset.clone()).await.must("commit again what was trimmed");
        assert_eq!(receipt.changeset, changeset.id());
        let new = if known { 0 } else { 3 };
        store.commit(of(failed())).await.must("commit an event");
        let log = read_on(store.as_ref(), head, new + 1).await;
        assert_eq!(log.len(), new + 1, "what has a receipt has no effect, and what has none has one");
        head += log.len() as u64;
    }
}

pub(super) async fn a_trim_is_seen_through_every_handle(subject: Subject) {
    let (one, other) = (subject.store(), subject.another_handle().await);
    let log = events_at(one.as_ref(), &[0; 6]).await;
    assert_eq!(log_of(other.as_ref(), 6).await, log);
    assert_eq!(trim(one.as_ref(), 2, 1, ALL).await, (2, 3));
    is_left(other.as_ref(), &log, 2).await;
    assert_eq!(trim(other.as_ref(), 6, 1, 2).await, (2, 5), "it goes on where the other handle has stopped");
    is_left(one.as_ref(), &log, 4).await;
    assert_eq!(trim(other.as_ref(), 6, 1, ALL).await, (2, 7));
    goes_on(one.as_ref(), 6).await;
}

pub(super) async fn where_the_log_begins_survives_a_restart(mut subject: Subject) {
    // given
    let store = subject.store();
    let log = events_at(store.as_ref(), &[0; 5]).await;
    trim(store.as_ref(), 2, 1, ALL).await;

    // when
    drop(store);
    let store = subject.reopen().await;

    // then
    is_left(store.as_ref(), &log, 2).await;

    // when nothing is left
    trim(store.as_ref(), 5, 1, ALL).await;
    drop(store);
    let store = subject.reopen().await;

    // then
    is_left(store.as_ref(), &log, 5).await;
    goes_on(store.as_ref(), 5).await;
}
