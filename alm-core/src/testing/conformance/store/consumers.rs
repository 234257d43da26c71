//! Consumers: how far they have read, and what they gave up on.

use serde_json::json;

use crate::{
    changeset::{Change, Changeset, Checkpoint, ConsumerName, DeadLetter},
    domain::{LogId, Position, Timestamp},
    ports::{Ids, Store, SystemIds},
    testing::{
        conformance::must::Must,
        fixtures::{answer, at, checkpoint, consumer, event_id, letter, progress, scope, stamp, username},
    },
};

use super::{
    labelled::ODD,
    look::{ALL, ids_of, letters_of, log_of},
    paging::{Page, is_listed},
    refusal::{Refusal, is_refused, one_wins},
    subject::Subject,
};

fn another_log() -> LogId {
    LogId::new(SystemIds.uuid_v7())
}

async fn stands(store: &dyn Store, name: &str, log: LogId) -> Option<u64> {
    store.checkpoint(&consumer(name), log).await.must("read a checkpoint").map(Position::get)
}

/// The consumer `name` moves on.
fn moves(name: &str, log: LogId, from: u64, to: u64) -> Changeset {
    Changeset::progress(stamp(0), Checkpoint { consumer: consumer(name), ..checkpoint(log, from, to) })
}

fn moved(name: &str) -> Refusal {
    Refusal::Moved(consumer(name))
}

pub(super) async fn a_checkpoint_is_kept_by_consumer_and_log(subject: Subject) {
    let store = subject.store();
    let longest = "z9-_".repeat(8)[..31].to_owned();
    let names = ["reader", "reader2", "read_r", longest.as_str()];
    // A consumer may read the log of another store and keep its checkpoint here.
    let logs = [store.log_id(), another_log(), another_log()];
    let keys: Vec<_> = names.iter().flat_map(|name| logs.map(|log| (*name, log))).collect();
    for ((name, log), position) in keys.iter().zip(10..) {
        assert_eq!(stands(store.as_ref(), name, *log).await, None, "{name} has never stood anywhere in {log}");
        store.commit(moves(name, *log, 0, position)).await.must("move from the start of a log");
    }
    for ((name, log), position) in keys.iter().zip(10..) {
        assert_eq!(stands(store.as_ref(), name, *log).await, Some(position), "where {name} stands in {log}");
    }
    store.commit(moves("reader", logs[1], 11, 1000)).await.must("move on");
    for ((name, log), position) in keys.iter().zip(10..) {
        let expected = if position == 11 { 1000 } else { position };
        assert_eq!(stands(store.as_ref(), name, *log).await, Some(expected), "where {name} stands in {log}");
    }
}

pub(super) async fn a_checkpoint_moves_only_from_where_it_stands(subject: Subject) {
    let store = subject.store();
    let log = store.log_id();
    let early = moves("reader", log, 1, 2);
    is_refused(store.as_ref(), "move from 1 a checkpoint that never stood anywhere", early, moved("reader")).await;
    assert_eq!(stands(store.as_ref(), "reader", log).await, None);

    store.commit(progress(log, 0, 5)).await.must("move from the start of a log");
    for from in [0, 4, 6, i64::MAX as u64] {
        let what = format!("move from {from} a checkpoint that stands at 5");
        is_refused(store.as_ref(), &what, moves("reader", log, from, from.max(6)), moved("reader")).await;
        assert_eq!(stands(store.as_ref(), "reader", log).await, Some(5), "where it stood");
    }
    store.commit(progress(log, 5, 6)).await.must("move from where it stands");
}

pub(super) async fn a_checkpoint_may_stay_and_may_go_anywhere(subject: Subject) {
    let store = subject.store();
    let log = store.log_id();
    let mut from = 0;
    for to in [0, 0, 1, 1, 1 << 40, i64::MAX as u64 - 1, i64::MAX as u64, i64::MAX as u64] {
        store.commit(progress(log, from, to)).await.must(&format!("move from {from} to {to}"));
        assert_eq!(stands(store.as_ref(), "reader", log).await, Some(to));
        from = to;
    }
}

pub(super) async fn a_checkpoint_and_its_effect_are_one(subject: Subject) {
    // given a consumer at 3, with an effect that can't be made twice
    let store = subject.store();
    let log = store.log_id();
    let effect = |from, key: &str| {
        progress(log, from, from + 1)
            .remembering(answer(key, "outcome", 0, 100))
            .burying(letter(log, from + 1, "reason"))
            .and(Change::login_failed(&username("ada")), event_id())
    };
    let first = effect(3, "first");
    store.commit(progress(log, 0, 3)).await.must("move from the start of a log");
    store.commit(first.clone()).await.must("commit a checkpoint and an effect");
    assert_eq!(stands(store.as_ref(), "reader", log).await, Some(4));
    assert_eq!(letters_of(store.as_ref(), &consumer("reader")).await.len(), 1, "the effect is there");

    // when the effect fails
    let error = store.commit(effect(4, "first")).await.must_fail("use an idempotency key that is taken");
    assert_eq!(error.code(), "already-exists", "{error}");
    // then the checkpoint stays
    assert_eq!(stands(store.as_ref(), "reader", log).await, Some(4), "the effect failed, so it must not move");
    assert_eq!(letters_of(store.as_ref(), &consumer("reader")).await.len(), 1, "nothing of what failed is there");

    // when the checkpoint fails
    is_refused(store.as_ref(), "move from 3 a checkpoint that stands at 4", effect(3, "second"), moved("reader")).await;
    // then there is no effect
    assert_eq!(store.remembered(&scope("second")).await.must("read a remembered answer"), None);
    assert_eq!(letters_of(store.as_ref(), &consumer("reader")).await.len(), 1, "nothing of what failed is there");

    // when both can be made
    let second = effect(4, "second");
    store.commit(second.clone()).await.must("commit a checkpoint and an effect");
    assert_eq!(stands(store.as_ref(), "reader", log).await, Some(5));
    let expected: Vec<_> = first.events().iter().chain(second.events()).map(|event| event.id).collect();
    assert_eq!(ids_of(&log_of(store.as_ref(), 2).await), expected, "the log has the events of what was committed");
}

pub(super) async fn of_many_who_move_one_checkpoint_one_does(subject: Subject) {
    let store = subject.store();
    for log in [store.log_id(), another_log()] {
        for from in 0..20 {
            let rivals: Vec<_> = (1..=8)
                .map(|n| progress(log, from * 10, from * 10 + 10).burying(letter(log, from * 10 + n, "x")))
                .collect();
            let winner = one_wins(&subject, "move one checkpoint", rivals, moved("reader")).await;
            assert_eq!(stands(store.as_ref(), "reader", log).await, Some(from * 10 + 10));
            let after = Some((log, Position::new(from * 10)));
            let letters = store.dead_letters(&consumer("reader"), after, ALL).await.must("list dead letters");
            let effects: Vec<_> =
                letters.iter().filter(|letter| letter.log == log).map(|letter| letter.position.get()).collect();
            assert_eq!(
                effects,
                [from * 10 + 1 + winner as u64],
                "the one effect of the one whose commit was acknowledged"
            );
        }
    }
}

/// Buries `letters`, some in a commit.
async fn bury(store: &dyn Store, letters: &[DeadLetter]) {
    let mut from = store.checkpoint(&consumer("undertaker"), store.log_id()).await.must("read a checkpoint");
    for some in letters.chunks(3) {
        let stood = from.unwrap_or(Position::START).get();
        let changeset =
            some.iter().cloned().fold(moves("undertaker", store.log_id(), stood, stood + 1), Changeset::burying);
        store.commit(changeset).await.must("bury events");
        from = Some(Position::new(stood + 1));
    }
}

pub(super) async fn dead_letters_read_back_as_they_were_buried(subject: Subject) {
    let store = subject.store();
    let log = store.log_id();
    assert_eq!(letters_of(store.as_ref(), &consumer("reader")).await, [], "there is none yet");
    let document = json!({
        "specversion": "1.0", "id": "x", "": null, "\0": "\0", "ключ": ODD, "data": { "n": [1, -1, 0.5, i64::MAX, true, [], {}] },
    });
    let letters = [
        letter(log, 1, "a plain reason"),
        letter(log, 2, ""),
        DeadLetter { document, at: at(1_795_348_800_123_456), ..letter(log, 3, &format!("NUL \0 {ODD}")) },
        DeadLetter { document: json!(null), at: Timestamp::MIN, ..letter(log, 4, "\0") },
        DeadLetter { document: json!("x".repeat(100_000)), at: Timestamp::MAX, ..letter(log, 5, &"é".repeat(50_000)) },
        letter(log, i64::MAX as u64, "the last position"),
    ];
    bury(store.as_ref(), &letters).await;
    let shown = letters_of(store.as_ref(), &consumer("reader")).await;
    assert_eq!(shown.len(), letters.len());
    for (shown, letter) in shown.iter().zip(&letters) {
        assert_eq!(shown, letter);
    }
}

pub(super) async fn dead_letters_are_listed_by_log_and_position_in_pages(subject: Subject) {
    // given letters of two consumers, from three logs, that do not come in their order
    let store = subject.store();
    let logs = [another_log(), store.log_id(), LogId::new(uuid::Uuid::max())];
    let owned = |name: &str, log, position| DeadLetter { consumer: consumer(name), ..letter(log, position, name) };
    let mut letters = Vec::new();
    for position in [9, 10, 2, 100, i64::MAX as u64] {
        for log in logs {
            letters.push(owned("reader", log, position));
            letters.push(owned("reader2", log, position - position % 2));
        }
    }
    bury(store.as_ref(), &letters).await;

    let key = |letter: &DeadLetter| (letter.log, letter.position);
    letters.sort_by_key(key);
    let store = store.as_ref();
    for name in ["reader", "reader2", "read_r", "other"].map(consumer) {
        let expected: Vec<_> = letters.iter().filter(|letter| letter.consumer == name).cloned().collect();
        let read = |after, limit| -> Page<'_, DeadLetter> { store.dead_letters(&name, after, limit) };
        is_listed(&format!("what {name} gave up on"), &expected, key, read).await;
        // when a page begins where no letter is
        for after in logs.map(|log| (log, Position::new(50))).into_iter().chain([(another_log(), Position::START)]) {
            let next = expected.iter().find(|letter| key(letter) > after);
            let page = store.dead_letters(&name, Some(after), 1).await.must("list dead letters");
            assert_eq!(page.first(), next, "what {name} gave up on after {after:?}");
        }
    }
}

pub(super) async fn an_event_buried_again_replaces_its_letter(subject: Subject) {
    let store = subject.store();
    let log = store.log_id();
    let others = [
        DeadLetter { consumer: ConsumerName::parse("other").expect("a name"), ..letter(log, 5, "of another consumer") },
        letter(another_log(), 5, "in another log"),
        letter(log, 6, "at another position"),
    ];
    bury(store.as_ref(), &others).await;
    bury(store.as_ref(), &[letter(log, 5, "first")]).await;

    // when it is buried again, by another commit and twice by one
    let again = DeadLetter { document: json!({"again": true}), at: at(7), ..letter(log, 5, "second") };
    let last = DeadLetter { document: json!([3]), at: at(6), ..letter(log, 5, "third") };
    for letters in [vec![again.clone()], vec![again, last]] {
        bury(store.as_ref(), &letters).await;
        let shown = letters_of(store.as_ref(), &consumer("reader")).await;
        let here: Vec<_> =
            shown.iter().filter(|shown| shown.log == log && shown.position == Position::new(5)).collect();
        // then it is there once, as it was buried last
        assert_eq!(here, letters.iter().rev().take(1).collect::<Vec<_>>(), "the newest letter of that event is kept");
        assert_eq!(shown.len(), 3, "the other letters of the consumer are there still");
        assert_eq!(letters_of(store.as_ref(), &consumer("other")).await, others[..1]);
    }
}
