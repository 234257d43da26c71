//! Letters that are settled: events that a consumer could not handle, and has handled at last.

use crate::{
    changeset::{Changeset, DeadLetter},
    domain::{LogId, Position},
    ports::{Ids, Store, SystemIds},
    testing::{
        conformance::must::Must,
        fixtures::{answer, consumer, event_id, letter, progress, scope, stamp},
    },
};

use super::{
    given::failed,
    look::{Sight, ids_of, letters_of, log_of},
    refusal::{Refusal, is_refused, one_wins},
    subject::Subject,
};

/// The consumer `name` settles its letter about an event, with no effect.
fn settles(name: &str, log: LogId, position: u64) -> Changeset {
    Changeset::settling(stamp(0), consumer(name), log, Position::new(position))
}

fn not_there(name: &str, log: LogId, position: u64) -> Refusal {
    Refusal::Settled(consumer(name), log, Position::new(position))
}

/// Letters that have each something in common with the one of `reader` at 5: the first.
fn five_letters(log: LogId, other: LogId) -> [DeadLetter; 5] {
    [
        letter(log, 5, "this one"),
        letter(log, 6, "at another position"),
        letter(log, 50, "at one that looks like it"),
        letter(other, 5, "in another log"),
        DeadLetter { consumer: consumer("reader2"), ..letter(log, 5, "of another consumer") },
    ]
}

async fn bury(store: &dyn Store, letters: &[DeadLetter]) {
    let log = store.log_id();
    let stood = store.checkpoint(&consumer("reader"), log).await.must("read a checkpoint").map_or(0, Position::get);
    let buried = letters.iter().cloned().fold(progress(log, stood, stood + 1), Changeset::burying);
    store.commit(buried).await.must("bury events");
}

async fn all_letters(store: &dyn Store) -> Vec<DeadLetter> {
    let mut letters = letters_of(store, &consumer("reader")).await;
    letters.extend(letters_of(store, &consumer("reader2")).await);
    letters
}

pub(super) async fn a_letter_is_settled_together_with_its_effects(subject: Subject) {
    // given
    let store = subject.store();
    let store = store.as_ref();
    let (log, other) = (store.log_id(), LogId::new(SystemIds.uuid_v7()));
    let letters = five_letters(log, other);
    bury(store, &letters).await;
    let mut there = all_letters(store).await;
    assert_eq!(there.len(), 5);

    // when the effects can't be made
    let effect = |key: &str| answer(key, "outcome", 0, 100);
    store.commit(progress(log, 1, 2).remembering(effect("taken"))).await.must("remember an answer");
    let fails = settles("reader", log, 5).and(failed(), event_id()).remembering(effect("taken"));
    assert_eq!(store.commit(fails).await.must_fail("use a key that is taken").code(), "already-exists");
    // then the letter stays
    assert_eq!(all_letters(store).await, there, "the effects failed, so the letter must stay");

    // when they can
    let settled = settles("reader", log, 5).and(failed(), event_id()).remembering(effect("free"));
    store.commit(settled.clone()).await.must("settle a letter");
    // then it goes, and no other, and they are there
    there.retain(|letter| *letter != letters[0]);
    assert_eq!(all_letters(store).await, there, "that letter goes, and no other");
    assert!(store.remembered(&scope("free")).await.must("read a remembered answer").is_some(), "the effect is there");
    let expected: Vec<_> = settled.events().iter().map(|event| event.id).collect();
    assert_eq!(ids_of(&log_of(store, 1).await), expected, "the log has its event");
    let stands = store.checkpoint(&consumer("reader"), log).await.must("read a checkpoint");
    assert_eq!(stands, Some(Position::new(2)), "the checkpoint stays");
    // and whoever sends it again is told so
    store.commit(settled).await.must("settle a letter by the same changeset again");

    // when the event is given up once more
    bury(store, &letters[..1]).await;
    assert_eq!(all_letters(store).await.len(), 5, "it is there again");
    store.commit(settles("reader", log, 5)).await.must("settle a letter again");
    assert_eq!(all_letters(store).await, there);
}

pub(super) async fn a_letter_that_is_not_there_is_not_settled(subject: Subject) {
    // given
    let store = subject.store();
    let (log, other) = (store.log_id(), LogId::new(SystemIds.uuid_v7()));
    bury(store.as_ref(), &five_letters(log, other)).await;
    store.commit(settles("reader", log, 6)).await.must("settle a letter");
    let letters = all_letters(store.as_ref()).await;
    let sight = Sight::of(&subject, store.as_ref(), &[]).await;

    // when
    let absent = [
        ("reader", log, 6, "that is settled"),
        ("reader", log, 7, "that never was"),
        ("reader", other, 6, "that another log has"),
        ("reader2", log, 50, "that another consumer has"),
        ("nobody", log, 5, "of a consumer that has none"),
    ];
    for (name, log, position, which) in absent {
        let effects = |changeset: Changeset| changeset.remembering(answer("new", "outcome", 0, 100));
        let refusal = || not_there(name, log, position);
        let with_event = effects(settles(name, log, position)).and(failed(), event_id());
        is_refused(store.as_ref(), &format!("settle a letter {which}"), with_event, refusal()).await;
        let without = effects(settles(name, log, position));
        is_refused(store.as_ref(), &format!("settle a letter {which}, without an event"), without, refusal()).await;
    }

    // then
    assert_eq!(Sight::of(&subject, store.as_ref(), &[]).await, sight, "what is refused leaves no trace");
    assert_eq!(all_letters(store.as_ref()).await, letters, "the other letters are there still");
    let marker = settles("reader", log, 5).and(failed(), event_id());
    store.commit(marker.clone()).await.must("settle a letter");
    assert_eq!(
        ids_of(&log_of(store.as_ref(), 1).await),
        [marker.events()[0].id],
        "the log has no event of what failed"
    );
}

pub(super) async fn of_many_who_settle_one_letter_one_does(subject: Subject) {
    let store = subject.store();
    let log = store.log_id();
    let mut expected = Vec::new();
    for round in 1..=20 {
        bury(store.as_ref(), &[letter(log, round, "reason")]).await;
        let rivals: Vec<_> = (0..8).map(|_| settles("reader", log, round).and(failed(), event_id())).collect();
        let events: Vec<_> = rivals.iter().map(|rival| rival.events()[0].id).collect();
        let winner = one_wins(&subject, "settle one letter", rivals, not_there("reader", log, round)).await;
        assert_eq!(letters_of(store.as_ref(), &consumer("reader")).await, [], "it is settled");
        expected.push(events[winner]);
    }
    assert_eq!(ids_of(&log_of(store.as_ref(), expected.len()).await), expected, "each letter has one effect");
}
