//! Remembered answers.

use serde_json::{Value, json};

use crate::{
    changeset::{Change, Changeset, IdempotencyKey, IdempotencyRecord, IdempotencyScope},
    domain::Timestamp,
    policy::Action,
    ports::{Store, Unique},
    testing::{
        conformance::must::Must,
        fixtures::{answer, at, checkpoint, consumer, event_id, letter, of, scope, stamp, username},
    },
};

use super::{
    labelled::ODD,
    look::{ids_of, letters_of, log_of},
    refusal::{Refusal, is_refused, one_wins},
    subject::Subject,
};

/// A changeset made at `micros`, which remembers `record`.
fn remembering(micros: i64, record: &IdempotencyRecord) -> Changeset {
    Changeset::of(stamp(micros), Change::login_failed(&username("ada")), event_id()).remembering(record.clone())
}

fn taken() -> Refusal {
    Refusal::Taken(Unique::IdempotencyKey)
}

async fn remembered(store: &dyn Store, scope: &IdempotencyScope) -> Option<IdempotencyRecord> {
    store.remembered(scope).await.must("read a remembered answer")
}

/// Checks that just `record` is remembered for its scope.
async fn is_remembered(store: &dyn Store, record: &IdempotencyRecord) {
    let found =
        remembered(store, &record.scope).await.unwrap_or_else(|| panic!("nothing is remembered for {record:?}"));
    // One by one: the record's `Debug` does not show its outcome.
    assert_eq!(found.scope, record.scope);
    assert_eq!(found.outcome, record.outcome, "the outcome");
    assert_eq!(found.fingerprint, record.fingerprint, "the fingerprint");
    assert_eq!((found.created_at, found.expires_at), (record.created_at, record.expires_at), "created and expires");
}

pub(super) async fn an_answer_reads_back_as_it_was_remembered(subject: Subject) {
    let store = subject.store();
    assert_eq!(remembered(store.as_ref(), &scope("k")).await, None, "nothing is remembered yet");
    let object =
        json!({ "id": 7, "name": ODD, "": [null, true, 0.5, i64::MIN, i64::MAX], "\0": "\0", "ключ": { "a": {} } });
    let outcomes = [object, json!([]), json!("\0"), json!("x".repeat(100_000)), json!(1), json!(false), Value::Null];
    for (outcome, n) in outcomes.into_iter().zip(0_u8..) {
        let mut record = IdempotencyRecord {
            outcome,
            created_at: at(1_795_348_800_123_456),
            expires_at: at(1_795_348_800_123_457),
            ..answer(&format!("k{n}"), "", 0, 100)
        };
        for (byte, value) in record.fingerprint.iter_mut().zip(n * 32..) {
            *byte = value;
        }
        store.commit(remembering(0, &record)).await.must("remember an answer");
        is_remembered(store.as_ref(), &record).await;
    }
}

pub(super) async fn the_longest_key_and_principal_come_back(subject: Subject) {
    let store = subject.store();
    let visible: String = ('!'..='~').cycle().take(255).collect();
    let record = |principal: String, key: &str| IdempotencyRecord {
        scope: IdempotencyScope { principal, ..scope(key) },
        fingerprint: [255; 32],
        created_at: Timestamp::MIN,
        expires_at: Timestamp::MAX,
        ..answer("k", &format!("the outcome of {key}"), 0, 0)
    };
    let records =
        [record("\u{10ffff}".repeat(256), &visible), record(ODD.to_owned(), &visible), record(ODD.to_owned(), "%")];
    for record in &records {
        store.commit(remembering(0, record)).await.must("remember an answer under a long key");
    }
    for record in &records {
        is_remembered(store.as_ref(), record).await;
        is_refused(store.as_ref(), "use a long key again", remembering(0, record), taken()).await;
    }
}

pub(super) async fn a_live_key_stops_the_whole_changeset(subject: Subject) {
    // given
    let store = subject.store();
    let first = answer("k", "first", 0, 100);
    let committed = remembering(0, &first);
    store.commit(committed.clone()).await.must("remember an answer");

    // when the key is used again while its answer counts, up to the last microsecond
    let log = store.log_id();
    for micros in [-1, 0, 50, 99] {
        let again = Changeset::progress(stamp(micros), checkpoint(log, 0, 1))
            .and(Change::login_failed(&username("ada")), event_id())
            .burying(letter(log, 1, "reason"))
            .remembering(answer("other", "other", micros, 1000))
            .remembering(answer("k", "second", micros, 1000));
        let id = again.id();
        is_refused(store.as_ref(), &format!("use at {micros} a key that expires at 100"), again, taken()).await;

        // then nothing of it is there
        is_remembered(store.as_ref(), &first).await;
        assert_eq!(remembered(store.as_ref(), &scope("other")).await, None, "another answer of what was refused");
        assert_eq!(store.receipt(id).await.must("read a receipt"), None);
        assert_eq!(store.checkpoint(&consumer("reader"), log).await.must("read a checkpoint"), None);
        assert_eq!(letters_of(store.as_ref(), &consumer("reader")).await, []);
    }
    let last = of(Change::login_failed(&username("ada")));
    store.commit(last.clone()).await.must("commit an event");
    let expected: Vec<_> = committed.events().iter().chain(last.events()).map(|event| event.id).collect();
    assert_eq!(ids_of(&log_of(store.as_ref(), 2).await), expected, "no event of what was refused is in the log");
}

pub(super) async fn an_expired_key_makes_room(subject: Subject) {
    let store = subject.store();
    store.commit(remembering(0, &answer("k", "first", 0, 100))).await.must("remember an answer");
    // It expires at its last moment, not after it; and the changeset's time counts, not the answer's.
    let second = IdempotencyRecord { fingerprint: [2; 32], ..answer("k", "second", 7, 200) };
    store.commit(remembering(100, &second)).await.must("use at 100 a key that expires at 100");
    is_remembered(store.as_ref(), &second).await;

    is_refused(
        store.as_ref(),
        "use at 199 a key that expires at 200",
        remembering(199, &answer("k", "x", 300, 400)),
        taken(),
    )
    .await;
    is_remembered(store.as_ref(), &second).await;

    // One that expires as it comes counts at no time.
    let third = answer("k", "third", 201, 201);
    store.commit(remembering(201, &third)).await.must("use at 201 a key that expires at 200");
    let fourth = answer("k", "fourth", 201, 300);
    store.commit(remembering(201, &fourth)).await.must("use at 201 a key that expires at 201");
    is_remembered(store.as_ref(), &fourth).await;
}

pub(super) async fn what_expires_takes_nothing_live_along(subject: Subject) {
    // given answers of which every other one expires early
    let store = subject.store();
    let early = |n| n % 2 == 0;
    let record = |n: i64| answer(&format!("k{n}"), &format!("outcome {n}"), 0, if early(n) { 10 } else { 1000 });
    for n in 0..20 {
        store.commit(remembering(0, &record(n))).await.must("remember an answer");
    }
    // of which one comes again, before a store has come to clear it away
    let again = answer("k18", "again", 10, 1000);
    store.commit(remembering(10, &again)).await.must("use at 10 a key that expires at 10");

    // when others come, for which a store may make room
    for n in 0..20 {
        store.commit(remembering(20, &answer(&format!("new{n}"), "new", 20, 1000))).await.must("remember an answer");
    }

    // then what counts is there
    is_remembered(store.as_ref(), &again).await;
    for n in (0..20).filter(|n| !early(*n)) {
        is_remembered(store.as_ref(), &record(n)).await;
        is_refused(store.as_ref(), "use a key whose answer still counts", remembering(20, &record(n)), taken()).await;
    }
}

pub(super) async fn a_key_is_one_principals_for_one_action(subject: Subject) {
    let store = subject.store();
    let key = |key: &str| IdempotencyKey::parse(key).expect("an idempotency key");
    let scope =
        |principal: &str, action, of: &str| IdempotencyScope { principal: principal.to_owned(), action, key: key(of) };
    let mut scopes = vec![
        scope("ada", Action::CreateApp, "k"),
        scope("Ada", Action::CreateApp, "k"),
        scope("ada ", Action::CreateApp, "k"),
        scope("", Action::CreateApp, "k"),
        scope("ada", Action::CreateApp, "K"),
        scope("ada", Action::CreateApp, "k2"),
        scope("bob", Action::CreateApp, "k2"),
        scope("adak", Action::CreateApp, "2"),
    ];
    scopes.extend(
        Action::ALL.iter().filter(|action| **action != Action::CreateApp).map(|action| scope("ada", *action, "k")),
    );
    let records: Vec<_> = (0..)
        .zip(scopes)
        .map(|(n, scope)| IdempotencyRecord { scope, ..answer("k", &format!("outcome {n}"), n, 1000) })
        .collect();
    for record in &records {
        let what = format!("remember an answer for {:?}, which nothing is remembered for", record.scope);
        store.commit(remembering(0, record)).await.must(&what);
    }
    for record in &records {
        is_remembered(store.as_ref(), record).await;
    }
}

pub(super) async fn of_many_who_use_one_key_one_is_let(subject: Subject) {
    let store = subject.store();
    // In the second half of the rounds there is an answer which has expired.
    for round in 0..10 {
        let (key, micros) = (format!("k{}", round % 5), 100 * (round / 5));
        let records: Vec<_> =
            (0..10).map(|n| answer(&key, &format!("outcome {round} {n}"), micros, micros + 100)).collect();
        let rivals: Vec<_> = records.iter().map(|record| remembering(micros, record)).collect();
        let ids: Vec<_> = rivals.iter().map(Changeset::id).collect();
        let winner = one_wins(&subject, "use one key", rivals, taken()).await;
        is_remembered(store.as_ref(), &records[winner]).await;
        for (place, id) in ids.into_iter().enumerate() {
            let receipt = store.receipt(id).await.must("read a receipt");
            assert_eq!(
                receipt.is_some(),
                place == winner,
                "whether there is a receipt of a commit that won or was refused"
            );
        }
    }
}

pub(super) async fn expired_answers_are_forgotten_and_no_live_one(subject: Subject) {
    // given answers of which every other one expires at 10
    let store = subject.store();
    let record = |n: i64| answer(&format!("k{n}"), &format!("outcome {n}"), 0, if n % 2 == 0 { 10 } else { 1000 });
    for n in 0..20 {
        store.commit(remembering(0, &record(n))).await.must("remember an answer");
    }
    let forget = async |now, limit| store.forget_answers(at(now), limit).await.must("forget answers that have expired");

    // when they are forgotten by small numbers
    assert_eq!(forget(9, 100).await, 0, "none has expired at 9");
    assert_eq!(forget(10, 0).await, 0, "none may go");
    assert_eq!(forget(10, 3).await, 3, "ten have expired, and three may go");
    assert_eq!(forget(10, usize::MAX).await, 7, "seven are left");
    assert_eq!(forget(999, 100).await, 0, "none is left");

    // then
    for n in 0..20 {
        if n % 2 == 1 {
            is_remembered(store.as_ref(), &record(n)).await;
            is_refused(store.as_ref(), "use a key whose answer still counts", remembering(20, &record(n)), taken())
                .await;
        } else {
            let found = remembered(store.as_ref(), &record(n).scope).await;
            assert_eq!(found, None, "it has expired and was forgotten");
            // Also by a clock that is behind.
            store.commit(remembering(5, &record(n))).await.must("use a key whose answer was forgotten");
        }
    }
}
