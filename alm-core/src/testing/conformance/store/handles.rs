//! Several handles on the same data, as of several processes, and the same data after a restart.

use crate::{
    changeset::{Change, Changeset},
    domain::{Position, Revision},
    ports::{Contention, StoreError},
    testing::{
        conformance::must::Must,
        fixtures::{app, app_id, consumer, event_id, of, of_all, progress},
    },
};

use super::{
    given::{Handle, at_once, changeset, failed, populate, send, sound_parts},
    ids::{assert_different, sequences, take},
    look::{Sight, ids_of, log_of},
    subject::Subject,
};

pub(super) async fn a_commit_is_seen_through_every_handle(subject: Subject) {
    let (one, other) = (subject.store(), subject.another_handle().await);
    assert_eq!(one.log_id(), other.log_id(), "it is one log");
    let mut committed = populate(&subject).await;
    committed.push(changeset(other.log_id(), &sound_parts(&subject), 3));
    let known: Vec<_> = committed.iter().map(Changeset::id).collect();

    let through_one = Sight::of(&subject, one.as_ref(), &known).await;
    assert_eq!(Sight::of(&subject, other.as_ref(), &known).await, through_one);

    other.commit(committed[1].clone()).await.must("commit through the other handle");
    let through_other = Sight::of(&subject, other.as_ref(), &known).await;
    assert_eq!(Sight::of(&subject, one.as_ref(), &known).await, through_other);
    let events = committed.iter().map(|changeset| changeset.events().len()).sum();
    assert_eq!(log_of(one.as_ref(), events).await, log_of(other.as_ref(), events).await);
}

pub(super) async fn of_two_handles_that_want_one_name_one_gets_it(subject: Subject) {
    let (one, other) = (subject.store(), subject.another_handle().await);
    for round in 1..=20 {
        let wanting = |store: &Handle, id| send(store.clone(), of(Change::app_created(&app(id, &format!("a{round}")))));
        let answers = at_once([wanting(&one, 2 * round), wanting(&other, 2 * round + 1)]).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
        for error in answers.into_iter().filter_map(Result::err) {
            assert_eq!(error.code(), "already-exists", "{error}");
        }
    }
}

pub(super) async fn no_change_is_lost_between_handles(subject: Subject) {
    const EACH: u64 = 20;
    let (one, other) = (subject.store(), subject.another_handle().await);
    one.commit(of(Change::app_created(&app(1, "a")))).await.must("create an app");
    let count = |store: Handle| async move {
        let mut done = 0;
        while done < EACH {
            let mut app = store.app(app_id(1)).await.must("read an app").expect("it is there");
            let expected = app.revision;
            app.revision = expected.next();
            // Here the other one may come between.
            tokio::task::yield_now().await;
            match store.commit(of(Change::app_updated(&app, expected))).await {
                Ok(_) => done += 1,
                Err(error) => assert_eq!(error.code(), "conflict", "{error}"),
            }
        }
    };
    let _: Vec<()> = at_once([count(one.clone()), count(other)]).await;
    let app = one.app(app_id(1)).await.must("read an app").expect("it is there");
    assert_eq!(app.revision, Revision::new(1 + 2 * EACH));
}

pub(super) async fn no_two_handles_give_the_same_id(subject: Subject) {
    let handles = [subject.store(), subject.another_handle().await, subject.another_handle().await];
    for sequence in sequences(&subject) {
        let taking = |store: Handle| async move { take(store.as_ref(), sequence).await };
        let taken = at_once(handles.iter().cycle().take(9).map(|store| taking(store.clone()))).await;
        assert_different(&taken.concat());
    }
}

pub(super) async fn what_several_handles_commit_is_one_log(subject: Subject) {
    // given
    let handles = [subject.store(), subject.another_handle().await];
    let changesets: Vec<_> = (0..40).map(|n| of_all(failed(), (0..n % 3).map(|_| failed()))).collect();

    // when
    let sent = changesets.iter().zip(handles.iter().cycle());
    let answers = at_once(sent.map(|(changeset, store)| send(store.clone(), changeset.clone()))).await;
    for answer in answers {
        answer.must("commit events through several handles");
    }

    // then through each it has every event once, at the same place
    let mut expected: Vec<_> = changesets.iter().flat_map(Changeset::events).map(|event| event.id).collect();
    let log = log_of(handles[0].as_ref(), expected.len()).await;
    assert_eq!(log_of(handles[1].as_ref(), expected.len()).await, log);
    let mut ids = ids_of(&log);
    ids.sort_unstable();
    expected.sort_unstable();
    assert_eq!(ids, expected);
}

pub(super) async fn of_two_handles_that_move_one_checkpoint_one_does(subject: Subject) {
    let (one, other) = (subject.store(), subject.another_handle().await);
    let log = one.log_id();
    for from in 0..20 {
        let answers = at_once([&one, &other].map(|store| send(store.clone(), progress(log, from, from + 1)))).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
        for error in answers.into_iter().filter_map(Result::err) {
            assert!(matches!(error, StoreError::Conflict(Contention::Checkpoint(_))), "{error}");
        }
    }
}

pub(super) async fn a_changeset_sent_through_two_handles_has_one_effect(subject: Subject) {
    let (one, other) = (subject.store(), subject.another_handle().await);
    for from in 0..20 {
        let changeset = progress(one.log_id(), from, from + 1).and(failed(), event_id());
        let receipts = at_once([&one, &other].map(|store| send(store.clone(), changeset.clone()))).await;
        for receipt in receipts {
            let receipt = receipt.must("commit what the other handle commits too");
            assert_eq!((receipt.changeset, receipt.at), (changeset.id(), changeset.at()));
        }
    }
    assert_eq!(log_of(one.as_ref(), 20).await.len(), 20);
}

pub(super) async fn what_was_committed_survives_a_restart(mut subject: Subject) {
    // given
    let mut committed = populate(&subject).await;
    let store = subject.store();
    let id = store.log_id();
    let more = changeset(id, &sound_parts(&subject), 3);
    store.commit(more.clone()).await.must("commit more");
    committed.push(more);
    let known: Vec<_> = committed.iter().map(Changeset::id).collect();
    let sight = Sight::of(&subject, store.as_ref(), &known).await;
    let events = committed.iter().map(|changeset| changeset.events().len()).sum();
    let log = log_of(store.as_ref(), events).await;

    // when
    drop(store);
    let store = subject.reopen().await;

    // then
    assert_eq!(store.log_id(), id, "it is the same log");
    assert_eq!(Sight::of(&subject, store.as_ref(), &known).await, sight);
    assert_eq!(log_of(store.as_ref(), events).await, log);
    for changeset in committed {
        let receipt = store.commit(changeset.clone()).await.must("commit again what was committed before the restart");
        assert_eq!((receipt.changeset, receipt.at), (changeset.id(), changeset.at()));
    }
    assert_eq!(Sight::of(&subject, store.as_ref(), &known).await, sight, "a changeset had its effect again");
}

pub(super) async fn what_is_acknowledged_at_the_last_moment_survives_a_restart(mut subject: Subject) {
    // given commits of which the log may not tell yet
    let mut expected = Vec::new();
    for round in 0..5 {
        let store = subject.store();
        let changeset = progress(store.log_id(), round, round + 1).and(failed(), event_id());
        store.commit(changeset.clone()).await.must("commit an event");
        expected.extend(changeset.events().iter().map(|event| event.id));

        // when
        drop(store);
        let store = subject.reopen().await;

        // then
        let stands = store.checkpoint(&consumer("reader"), store.log_id()).await.must("read a checkpoint");
        assert_eq!(stands, Some(Position::new(round + 1)));
        assert_eq!(ids_of(&log_of(store.as_ref(), expected.len()).await), expected);
    }
}

pub(super) async fn no_id_is_given_again_after_a_restart(mut subject: Subject) {
    for sequence in sequences(&subject) {
        let mut ids = take(subject.store().as_ref(), sequence).await;
        for _ in 0..3 {
            let store = subject.reopen().await;
            ids.extend(take(store.as_ref(), sequence).await);
        }
        assert_different(&ids);
    }
}
