//! Commits: all or nothing, under guards, once.

use crate::{
    changeset::{Change, Changeset},
    domain::{Position, Revision},
    ports::{AppFilter, Contention, Outcome, StoreError},
    testing::{
        conformance::{must::Must, tasks::polled},
        fixtures::{answer, app, app_id, checkpoint, consumer, event_id, of, of_all, progress, scope, stamp, username},
    },
};

use super::{
    given::{at_once, broken_parts, changeset, ended, failed, populate, send, sound_parts, start},
    look::{ALL, Sight, ids_of, log_of},
    subject::Subject,
};

pub(super) async fn a_changeset_that_fails_anywhere_leaves_no_trace(subject: Subject) {
    // given
    let before = populate(&subject).await;
    let store = subject.store();
    let (sound, broken) = (sound_parts(&subject), broken_parts(&subject));
    let known: Vec<_> = before.iter().map(Changeset::id).collect();
    let sight = Sight::of(&subject, store.as_ref(), &known).await;

    // when a part that can't be committed stands at each place in turn, and each such part at some place
    let places = sound.len() + 1;
    let tries = (0..places.max(broken.len())).map(|turn| (turn * 7 % places, &broken[turn % broken.len()]));
    let at_each_place = (0..places).map(|place| (place, &broken[place % broken.len()]));
    for (place, (part, code)) in at_each_place.chain(tries) {
        let mut parts = sound.clone();
        parts.insert(place, part.clone());
        let failing = changeset(store.log_id(), &parts, 3);
        let id = failing.id();
        let error = store.commit(failing).await.must_fail(&format!("commit {part:?} at place {place}"));

        // then nothing of it is there
        assert_eq!(error.code(), *code, "{part:?} at place {place} is refused as {error}");
        assert_eq!(Sight::of(&subject, store.as_ref(), &known).await, sight, "{part:?} at place {place}");
        assert_eq!(store.receipt(id).await.must("read a receipt"), None);
    }

    // then it was that one part, and none of the events is in the log either
    let committed = changeset(store.log_id(), &sound, 3);
    store.commit(committed.clone()).await.must("commit the others");
    let expected: Vec<_> =
        before.iter().chain([&committed]).flat_map(Changeset::events).map(|event| event.id).collect();
    assert_eq!(ids_of(&log_of(store.as_ref(), expected.len()).await), expected);
}

pub(super) async fn a_commit_from_a_checkpoint_that_has_moved_leaves_no_trace(subject: Subject) {
    let before = populate(&subject).await;
    let store = subject.store();
    let known: Vec<_> = before.iter().map(Changeset::id).collect();
    let sight = Sight::of(&subject, store.as_ref(), &known).await;

    for from in [0, 2, 4] {
        let stale = changeset(store.log_id(), &sound_parts(&subject), from);
        let error = store.commit(stale).await.must_fail(&format!("move a checkpoint from {from}, which stands at 3"));

        let expected =
            matches!(&error, StoreError::Conflict(Contention::Checkpoint(name)) if *name == consumer("reader"));
        assert!(expected, "it is refused as {error}");
        assert_eq!(Sight::of(&subject, store.as_ref(), &known).await, sight);
    }

    let marker = of(failed());
    store.commit(marker.clone()).await.must("commit an event");
    let expected: Vec<_> = before.iter().chain([&marker]).flat_map(Changeset::events).map(|event| event.id).collect();
    assert_eq!(ids_of(&log_of(store.as_ref(), expected.len()).await), expected);
}

pub(super) async fn every_refusal_says_that_nothing_was_applied(subject: Subject) {
    populate(&subject).await;
    let store = subject.store();
    for (part, code) in broken_parts(&subject) {
        let failing = changeset(store.log_id(), std::slice::from_ref(&part), 3);
        let error = store.commit(failing).await.must_fail(&format!("commit {part:?}"));
        assert_eq!(error.code(), code, "{part:?} is refused as {error}");
        assert_eq!(error.outcome(), Outcome::NotApplied, "{part:?}");
        assert_eq!(error.is_retryable(), code == "conflict", "{part:?}");
    }
}

pub(super) async fn the_same_changeset_twice_gives_the_first_receipt(subject: Subject) {
    // given
    populate(&subject).await;
    let store = subject.store();
    let changeset = changeset(store.log_id(), &sound_parts(&subject), 3);
    let known = [changeset.id()];
    assert_eq!(store.receipt(changeset.id()).await.must("read a receipt"), None, "it is not committed yet");

    // when
    let first = store.commit(changeset.clone()).await.must("commit it");
    let sight = Sight::of(&subject, store.as_ref(), &known).await;
    let again = store.commit(changeset.clone()).await.must("commit it again");

    // then
    assert_eq!((first.changeset, first.at), (changeset.id(), changeset.at()));
    assert_eq!(again, first);
    assert_eq!(store.receipt(changeset.id()).await.must("read a receipt"), Some(first));
    assert_eq!(Sight::of(&subject, store.as_ref(), &known).await, sight, "it had its effect once");
    let log = log_of(store.as_ref(), changeset.events().len()).await;
    for event in changeset.events() {
        assert!(log.iter().filter(|logged| logged.id == event.id).count() <= 1, "its events stand in the log once");
    }
}

pub(super) async fn the_first_receipt_also_answers_when_the_changeset_would_fail_now(subject: Subject) {
    // given a changeset that moves a checkpoint, and one after it
    let store = subject.store();
    let log = store.log_id();
    let first = progress(log, 0, 1).and(Change::login_failed(&username("ada")), event_id());
    let receipt = store.commit(first.clone()).await.must("commit it");
    store.commit(progress(log, 1, 2)).await.must("move on");

    // when the first is sent again
    let again = store.commit(first).await.must("commit it again");

    // then it is known, and moves nothing
    assert_eq!(again, receipt);
    let stands = store.checkpoint(&consumer("reader"), log).await.must("read a checkpoint");
    assert_eq!(stands, Some(Position::new(2)));
}

pub(super) async fn of_many_who_send_one_changeset_each_gets_the_same_receipt(subject: Subject) {
    let store = subject.store();
    for round in 0..10 {
        let changeset = progress(store.log_id(), round, round + 1)
            .and(Change::login_failed(&username("ada")), event_id())
            .remembering(answer(&format!("k{round}"), "outcome", 0, 100));
        let handles = subject.rivals().await;
        let sending = handles.iter().cycle().take(8).map(|handle| send(handle.clone(), changeset.clone()));
        let receipts = at_once(sending).await;
        let first = store.receipt(changeset.id()).await.must("read a receipt");
        for receipt in receipts {
            assert_eq!(Some(receipt.must("commit what others commit too")), first);
        }
    }
    assert_eq!(log_of(store.as_ref(), 10).await.len(), 10, "each changeset had its effect once");
}

pub(super) async fn a_changeset_may_be_large(subject: Subject) {
    let store = subject.store();
    let more = (0..999).map(|_| Change::login_failed(&username("ada")));
    let changeset = of_all(Change::login_failed(&username("ada")), more);
    store.commit(changeset.clone()).await.must("commit a thousand changes at once");
    let expected: Vec<_> = changeset.events().iter().map(|event| event.id).collect();
    assert_eq!(ids_of(&log_of(store.as_ref(), expected.len()).await), expected);
}

pub(super) async fn writes_are_made_in_their_order(subject: Subject) {
    // given
    let store = subject.store();
    store.commit(of(Change::app_created(&app(1, "a")))).await.must("create an app");
    let mut renamed = app(1, "b");
    renamed.revision = Revision::FIRST.next();

    // when a name becomes free before it is taken, in one changeset
    let swapped = of_all(
        Change::app_updated(&renamed, Revision::FIRST),
        [Change::app_created(&app(2, "a")), Change::app_deleted(&renamed), Change::app_created(&app(3, "b"))],
    );
    store.commit(swapped).await.must("take the names that the same changeset made free");

    // then
    let apps = store.apps(&AppFilter::default(), None, ALL).await.must("list apps");
    assert_eq!(apps, [app(2, "a"), app(3, "b")]);

    // when it is the other way round
    let taken = of_all(Change::app_created(&app(4, "b")), [Change::app_deleted(&app(3, "b"))]);
    let error = store.commit(taken).await.must_fail("take a name before it is free");
    assert_eq!(error.code(), "already-exists");
}

pub(super) async fn a_commit_that_is_dropped_is_whole_or_nothing(subject: Subject) {
    let store = subject.store();
    let log = store.log_id();
    let mut expected = Vec::new();
    for (times, from) in (1..=200).zip(0..) {
        // given
        let changeset = Changeset::progress(stamp(0), checkpoint(log, from, from + 1))
            .and(Change::login_failed(&username("ada")), event_id())
            .remembering(answer(&format!("k{from}"), "outcome", 0, 100));
        expected.extend(changeset.events().iter().map(|event| event.id));

        // when it is dropped at the so many-th place at which it waits
        let mut commit = store.commit(changeset.clone());
        let done = polled(&mut commit, times).await;
        drop(commit);

        // then it can be sent again: had only a part of it been done, that would be refused
        store.commit(changeset).await.must("commit again what was dropped");
        let stands = store.checkpoint(&consumer("reader"), log).await.must("read a checkpoint");
        assert_eq!(stands, Some(Position::new(from + 1)));
        let kept = store.remembered(&scope(&format!("k{from}"))).await.must("read a remembered answer");
        assert!(kept.is_some(), "what is committed with the checkpoint is there");
        if let Some(answer) = done {
            answer.must("commit it");
            break;
        }
    }
    assert_eq!(ids_of(&log_of(store.as_ref(), expected.len()).await), expected, "each event stands in the log once");
}

pub(super) async fn a_read_sees_a_commit_whole_or_not_at_all(subject: Subject) {
    // given two apps that are always changed together
    const ROUNDS: u64 = 100;
    let store = subject.store();
    let both = of_all(Change::app_created(&app(1, "a")), [Change::app_created(&app(2, "b"))]);
    store.commit(both).await.must("create two apps");
    let writer = {
        let store = subject.store();
        start(async move {
            for round in 1..=ROUNDS {
                let expected = Revision::new(round);
                let changed = |mut app: crate::domain::App| {
                    app.revision = expected.next();
                    Change::app_updated(&app, expected)
                };
                let both = of_all(changed(app(1, "a")), [changed(app(2, "b"))]);
                store.commit(both).await.must("change two apps together");
            }
        })
    };

    let mut last = Revision::FIRST;
    while last.get() <= ROUNDS {
        let apps = store.apps(&AppFilter::default(), None, ALL).await.must("list apps");
        let [first, second] = apps.as_slice() else { panic!("there are two apps, and it shows {apps:?}") };
        assert_eq!(first.revision, second.revision, "a commit is seen in part");
        assert!(first.revision >= last, "a read shows less than the one before it");
        last = first.revision;
        tokio::task::yield_now().await;
        if writer.is_finished() && last.get() <= ROUNDS {
            ended(writer).await;
            let app = store.app(app_id(1)).await.must("read an app").expect("it is there");
            assert_eq!(app.revision.get(), ROUNDS + 1, "the last commit is not seen");
            return;
        }
    }
    ended(writer).await;
}
