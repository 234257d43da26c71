//! The audit log.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    changeset::Changeset,
    domain::{Actor, AuditEntry, AuditIndex, NewAuditEntry, Timestamp},
    ports::{AuditFilter, Store},
    testing::{
        conformance::must::Must,
        fixtures::{at, checkpoint, entry, event_id, of, progress, stamp},
    },
};

use super::{
    given::{Handle, at_once, changeset, failed, populate, sound_parts},
    labelled::ODD,
    look::{ALL, audit_of},
    paging::{is_found, is_listed},
    subject::Subject,
};

/// A changeset that records `entries`.
fn recording(entries: impl IntoIterator<Item = NewAuditEntry>) -> Changeset {
    entries.into_iter().fold(of(failed()), Changeset::recording)
}

/// `entries` as the store must show them, from the index `first` on.
fn indexed(first: u64, entries: impl IntoIterator<Item = NewAuditEntry>) -> Vec<AuditEntry> {
    let indexed = |(index, entry)| AuditEntry { index: AuditIndex::new(index), entry };
    (first..).zip(entries).map(indexed).collect()
}

/// Fails unless the entries have the indexes from 1 on, one after the other.
fn assert_gapless(entries: &[AuditEntry]) {
    let indexes: Vec<_> = entries.iter().map(|entry| entry.index.get()).collect();
    assert_eq!(indexes, (1..=entries.len() as u64).collect::<Vec<_>>(), "the indexes must go from 1 on without a gap");
}

/// Payloads of every kind.
fn payloads() -> Vec<Value> {
    let nested = (0..50).fold(json!(1), |inner, n| if n % 2 == 0 { json!([inner]) } else { json!({ "in": inner }) });
    vec![
        Value::Null,
        json!(true),
        json!(false),
        json!(0),
        json!(i64::MIN),
        json!(i64::MAX),
        json!(-1.5),
        json!(1.0),
        json!(""),
        json!("null"),
        json!("NUL \0 and \u{1} and \u{7f}"),
        json!(ODD),
        json!([]),
        json!({}),
        json!([[], {}, null, "", 0, [[]]]),
        json!({ "": "", "\0": "\0", "ключ": "é", "e\u{301}": "é", "a": 1, "A": 2, "$ref": "#", "a.b": [], "b": { "a": null } }),
        nested,
        json!("x".repeat(100_000)),
        json!({ "text": "\u{1f680}\0".repeat(20_000) }),
    ]
}

pub(super) async fn audit_entries_read_back_as_they_were_recorded(subject: Subject) {
    // given
    let store = subject.store();
    let mut entries: Vec<_> = payloads().into_iter().map(|payload| NewAuditEntry { payload, ..entry("") }).collect();
    for (event_type, source_service, about) in [
        ("SomethingThatIsNotYetKnown", "FutureService", "things/7"),
        ("", "", ""),
        (ODD, ODD, ODD),
        ("appcreated", "APPSERVICE", "apps/-1"),
        ("AppCreated ", " AppService", "/"),
        ("é", "e\u{301}", "users/../apps"),
    ] {
        let texts = (event_type.to_owned(), source_service.to_owned(), about.to_owned());
        entries.push(NewAuditEntry {
            event_type: texts.0,
            source_service: texts.1,
            subject: texts.2,
            ..entry("odd texts")
        });
    }
    for (timestamp, recorded_at) in [
        (i64::MIN, Timestamp::MIN),
        (-1, at(-1)),
        (1_795_348_800_123, at(1_795_348_800_123_456)),
        (i64::MAX, Timestamp::MAX),
    ] {
        let actor = Actor::parse(format!("Ада {}", "\u{1f680}".repeat(252))).expect("an actor");
        entries.push(NewAuditEntry { timestamp, recorded_at, actor, ..entry("odd times") });
    }
    for entries in entries.chunks(4) {
        store.commit(recording(entries.to_vec())).await.must("record audit entries");
    }

    // then
    let expected = indexed(1, entries);
    let shown = audit_of(store.as_ref()).await;
    assert_eq!(shown.len(), expected.len());
    for (shown, expected) in shown.iter().zip(&expected) {
        assert_eq!(shown, expected, "an entry of the list");
        let by_index = store.audit_entry(expected.index).await.must("read an audit entry");
        assert_eq!(by_index.as_ref(), Some(expected), "the entry by its index");
    }
}

pub(super) async fn audit_indexes_are_gapless_in_the_order_of_the_commits(subject: Subject) {
    let store = subject.store();
    let mut expected = Vec::new();
    for n in 0..30 {
        // Times and event ids go back, and say nothing about the order.
        let entries: Vec<_> =
            (0..n % 4).map(|m| NewAuditEntry { timestamp: -n, ..entry(&format!("{n} {m}")) }).rev().collect();
        let first = expected.len() as u64 + 1;
        store.commit(recording(entries.clone())).await.must("record audit entries");
        expected.extend(indexed(first, entries));
        // What is refused takes no index.
        let refused = progress(store.log_id(), 7, 8).recording(entry("refused"));
        store.commit(refused).await.must_fail("move a checkpoint from where it does not stand");
        assert_eq!(audit_of(store.as_ref()).await, expected);
    }
}

pub(super) async fn racing_commits_leave_no_gap_in_the_audit_log(subject: Subject) {
    // given commits of one to three entries, of which some are refused
    let store = subject.store();
    let commit = |store: Handle, task: usize| async move {
        for n in 0..12 {
            let entries: Vec<_> = (0..=n % 3).map(|m| entry(&format!("{task} {n} {m}"))).collect();
            store.commit(recording(entries)).await.must("record audit entries");
            let refused = progress(store.log_id(), 7, 8).recording(entry("refused"));
            store.commit(refused).await.must_fail("move a checkpoint from where it does not stand");
        }
    };
    // when
    let handles = subject.rivals().await;
    let tasks = (0..6).zip(handles.iter().cycle()).map(|(task, handle)| commit(handle.clone(), task));
    let _: Vec<()> = at_once(tasks).await;

    // then
    let shown = audit_of(store.as_ref()).await;
    assert_gapless(&shown);
    let payloads: Vec<_> = shown.iter().filter_map(|entry| entry.payload.as_str()).collect();
    let different: BTreeSet<_> = payloads.iter().collect();
    assert_eq!((payloads.len(), different.len()), (6 * 24, 6 * 24), "each entry that was committed is there once");
    for together in payloads.chunk_by(|a, b| a.split(' ').take(2).eq(b.split(' ').take(2))) {
        let places: Vec<_> = together.iter().filter_map(|payload| payload.split(' ').nth(2)).collect();
        assert_eq!(places, ["0", "1", "2"][..places.len()], "the entries of one commit stand together, in their order");
    }
    let commits = payloads.chunk_by(|a, b| a.split(' ').take(2).eq(b.split(' ').take(2))).count();
    assert_eq!(commits, 6 * 12, "another commit came between the entries of one");
    for task in 0..6 {
        let of_task = payloads.iter().filter_map(|payload| payload.strip_prefix(&format!("{task} ")));
        let turns: Vec<u32> = of_task.filter_map(|rest| rest.split(' ').next()?.parse().ok()).collect();
        assert!(turns.is_sorted(), "commits that were made one after the other stand in that order: {turns:?}");
    }
}

pub(super) async fn an_audit_entry_never_changes(subject: Subject) {
    // given a store with something of everything, and entries about it
    let store = subject.store();
    populate(&subject).await;
    let about = ["apps/1", "apps/2", "versions/3", "deployments/3", "users/ada", "users/bob"];
    store
        .commit(recording(about.map(|about| NewAuditEntry { subject: about.to_owned(), ..entry(about) })))
        .await
        .must("record audit entries");
    let before = audit_of(store.as_ref()).await;
    let bytes = |entries: &[AuditEntry]| serde_json::to_string(entries).expect("entries are JSON");
    let written = bytes(&before);

    // when what they are about is changed and deleted, and other entries come
    store.commit(changeset(store.log_id(), &sound_parts(&subject), 3)).await.must("change and delete");
    for n in 0..20 {
        store.commit(recording([entry(&format!("{n}"))])).await.must("record an audit entry");
    }

    // then
    let after = audit_of(store.as_ref()).await;
    assert_eq!(after.len(), before.len() + 21, "nothing is deleted");
    assert_eq!(bytes(&after[..before.len()]), written, "nothing is changed");
}

pub(super) async fn the_same_event_recorded_again_is_another_entry(subject: Subject) {
    let store = subject.store();
    let first = entry("first");
    let forged = NewAuditEntry { payload: json!("forged"), actor: Actor::anonymous(), timestamp: 9, ..first.clone() };
    let entries = [first.clone(), forged.clone(), first, forged];
    store.commit(recording(entries[..1].to_vec())).await.must("record an audit entry");
    store.commit(recording(entries[1..].to_vec())).await.must("record the same event again");
    assert_eq!(
        audit_of(store.as_ref()).await,
        indexed(1, entries),
        "the first entry is as it was, and the others follow"
    );
}

/// Entries of many kinds: every combination of the members that are filtered by occurs, or nearly so.
fn population() -> Vec<NewAuditEntry> {
    let kind = |n: usize| NewAuditEntry {
        event_type: ["AppCreated", "AppDeleted", "appcreated"][n % 3].to_owned(),
        source_service: ["AppService", "Other"][n % 2].to_owned(),
        actor: Actor::parse(["ada", "Ada", "system", "%", "ada "][n % 5]).expect("an actor"),
        subject: ["apps/1", "apps/11", "apps", "apps/_", "users/ada", "", ODD][n % 7].to_owned(),
        timestamp: [0, 1, -1, 2, 1000, -1000, 1_795_348_800_123, 999, i64::MAX, i64::MIN, 3][n % 11],
        ..entry(&n.to_string())
    };
    (0..120).map(kind).collect()
}

fn filters() -> Vec<AuditFilter> {
    let text = |text: &str| Some(text.to_owned());
    let actor = |name: &str| Some(Actor::parse(name).expect("an actor"));
    let time = |micros: i64| Some(at(micros));
    let full = AuditFilter {
        event_type: text("AppCreated"),
        source_service: text("AppService"),
        actor: actor("ada"),
        subject: text("apps/1"),
        since: time(-1000),
        until: time(3000),
    };
    // Every combination of what is set and what is open.
    let set = |combination: u8, member: u8| combination & (1 << member) != 0;
    let mut filters: Vec<_> = (0..64)
        .map(|combination| AuditFilter {
            event_type: full.event_type.clone().filter(|_| set(combination, 0)),
            source_service: full.source_service.clone().filter(|_| set(combination, 1)),
            actor: full.actor.clone().filter(|_| set(combination, 2)),
            subject: full.subject.clone().filter(|_| set(combination, 3)),
            since: full.since.filter(|_| set(combination, 4)),
            until: full.until.filter(|_| set(combination, 5)),
        })
        .collect();
    let none = AuditFilter::default;
    for wanted in
        ["", "%", "App%", "App_reated", "AppCreated ", "appcreated", "apps/1", "apps/11", "apps/_", ODD, "AppCreated\0"]
    {
        filters.push(AuditFilter { event_type: text(wanted), ..none() });
        filters.push(AuditFilter { source_service: text(wanted), ..none() });
        filters.push(AuditFilter { subject: text(wanted), ..none() });
    }
    filters.extend(
        ["ada", "Ada", "ada ", "%", "system", "nobody"].map(|name| AuditFilter { actor: actor(name), ..none() }),
    );
    // Times are compared in whole milliseconds, rounded down.
    for micros in
        [0, 1, 999, 1000, 1001, 1999, 2000, -1, -999, -1000, -1001, 1_000_000, -1_000_000, 1_795_348_800_123_456]
    {
        filters.push(AuditFilter { since: time(micros), ..none() });
        filters.push(AuditFilter { until: time(micros), ..none() });
        filters.push(AuditFilter { since: time(micros), until: time(micros + 1000), ..none() });
        filters.push(AuditFilter { since: time(micros), until: time(micros), ..none() });
    }
    for (since, until) in [(Timestamp::MIN, Timestamp::MAX), (Timestamp::MAX, Timestamp::MIN)] {
        filters.push(AuditFilter { since: Some(since), ..none() });
        filters.push(AuditFilter { until: Some(until), ..none() });
        filters.push(AuditFilter { since: Some(since), until: Some(until), ..none() });
    }
    filters
}

pub(super) async fn audit_entries_are_found_by_every_filter(subject: Subject) {
    let store = subject.store();
    for entries in population().chunks(10) {
        store.commit(recording(entries.to_vec())).await.must("record audit entries");
    }
    let all = audit_of(store.as_ref()).await;
    assert_eq!(all.len(), 120);
    let mut sizes = BTreeSet::new();
    for filter in filters() {
        let expected: Vec<_> = all.iter().filter(|entry| filter.matches(entry)).cloned().collect();
        sizes.insert(expected.len());
        let what = format!("the audit entries that pass {filter:?}");
        if expected.len() < 30 {
            is_found(&what, &expected, |entry| entry.index, |after, limit| store.audit_entries(&filter, after, limit))
                .await;
        } else {
            let found = store.audit_entries(&filter, None, ALL).await.must("list audit entries");
            assert_eq!(found, expected, "the list of {what}");
        }
    }
    assert!(sizes.len() > 15, "the filters of this case tell too little: {sizes:?}");
}

pub(super) async fn audit_entries_are_listed_by_index_in_pages(subject: Subject) {
    let store = subject.store();
    let none = AuditFilter::default();
    assert_eq!(store.audit_entries(&none, Some(AuditIndex::FIRST), ALL).await.must("list audit entries"), []);
    for entries in population()[..15].chunks(2) {
        store.commit(recording(entries.to_vec())).await.must("record audit entries");
    }
    let all = indexed(1, audit_of(store.as_ref()).await.into_iter().map(|entry| entry.entry));
    assert_eq!(all.len(), 15);
    let by_type = AuditFilter { event_type: Some("AppCreated".to_owned()), ..none.clone() };
    for filter in [none, by_type] {
        let expected: Vec<_> = all.iter().filter(|entry| filter.matches(entry)).cloned().collect();
        let read = |after, limit| store.audit_entries(&filter, after, limit);
        is_listed(&format!("the audit entries that pass {filter:?}"), &expected, |entry| entry.index, read).await;
        for after in [15, 16, 1000, i64::MAX as u64] {
            let page = store.audit_entries(&filter, Some(AuditIndex::new(after)), ALL).await.must("list audit entries");
            assert_eq!(page, [], "after {after} there is nothing");
        }
    }
}

async fn is_nowhere(store: &dyn Store, index: u64) {
    let found = store.audit_entry(AuditIndex::new(index)).await.must("look for an audit entry");
    assert_eq!(found, None, "there is no entry at the index {index}");
}

pub(super) async fn there_is_nothing_at_an_index_that_was_not_given(subject: Subject) {
    let store = subject.store();
    is_nowhere(store.as_ref(), 1).await;
    for entries in [1, 2] {
        store.commit(recording((0..entries).map(|_| entry("x")))).await.must("record audit entries");
    }
    let late = Changeset::progress(stamp(0), checkpoint(store.log_id(), 0, 1)).and(failed(), event_id());
    store.commit(late).await.must("commit without an audit entry");
    assert!(store.audit_entry(AuditIndex::new(3)).await.must("read an audit entry").is_some(), "the third is there");
    for index in [0, 4, 5, 1 << 40, i64::MAX as u64] {
        is_nowhere(store.as_ref(), index).await;
    }
}
