//! Values come back as they went, and are found by what they are.

use alm_core::{
    changeset::{Change, DeadLetter},
    domain::{
        App, AppId, AuditIndex, Credential, CredentialId, Labels, NewApiKey, NewAuditEntry, Revision, Role, SecretHash,
        Version,
    },
    ports::{
        AppFilter, AuditFilter, BackendErrorKind, Committer, EventLog, LabelFilter, Reader, StoreError, Unique,
        VersionFilter,
    },
    testing::{
        fixtures::{app, at, entry, labels as labelled, letter, of, of_all, progress, username, version},
        property,
        strategies::labels,
    },
};
use alm_store_sqlite::SqliteStore;
use proptest::{collection::vec, prelude::*};
use sqlx::{Connection as _, types::Uuid};

use crate::{in_folder::InFolder, migrations::connect};

fn label((key, value): (&str, &str)) -> LabelFilter {
    LabelFilter { key: key.to_owned(), value: value.to_owned() }
}

/// A fault of that kind would pass, and what is no entry does not.
#[tokio::test]
async fn bytes_where_an_audit_entry_has_a_text_are_corrupt() {
    // given a table that was changed behind the back of its own rules
    let subject = InFolder::new().await;
    subject.store.commit(of(Change::login_failed(&username("ada"))).recording(entry("x"))).await.unwrap();
    subject.store.close().await;
    for statements in [
        "PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = replace(sql, ') STRICT', ')') WHERE name = 'alm_audit'",
        "DROP TRIGGER alm_audit_refuses_update; UPDATE alm_audit SET payload = CAST(payload AS BLOB)",
    ] {
        let mut connection = connect(&subject.path()).await;
        sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    // then
    let store = SqliteStore::open(subject.path()).await.unwrap();
    let error = store.audit_entries(&AuditFilter::default(), None, 10).await.unwrap_err();
    assert!(matches!(&error, StoreError::Backend(fault) if fault.kind == BackendErrorKind::Corrupt), "{error:?}");
    let error = store.audit_entry(AuditIndex::new(1)).await.unwrap_err();
    assert!(matches!(&error, StoreError::Backend(fault) if fault.kind == BackendErrorKind::Corrupt), "{error:?}");
}

#[tokio::test]
async fn texts_with_nul_come_back_and_are_told_apart() {
    // given
    let subject = InFolder::new().await;
    let store = &subject.store;
    let text = |text: &str| text.to_owned();
    let strange = NewAuditEntry {
        event_type: text("a\0b"),
        source_service: text("\0"),
        subject: text("s\0"),
        payload: serde_json::json!({"\0": "\0x"}),
        ..entry("x")
    };
    let plain = NewAuditEntry { event_type: text("a"), source_service: text(""), subject: text("s"), ..entry("y") };
    let buried = DeadLetter { reason: text("no\0reason"), ..letter(store.log_id(), 1, "x") };
    let changeset = progress(store.log_id(), 0, 1).recording(strange.clone()).recording(plain.clone());
    store.commit(changeset.burying(buried.clone())).await.unwrap();

    // then
    let found = |filter: AuditFilter| async move {
        let entries = store.audit_entries(&filter, None, 10).await.unwrap();
        entries.into_iter().map(|entry| entry.entry).collect::<Vec<_>>()
    };
    assert_eq!(found(AuditFilter::default()).await, [strange.clone(), plain.clone()]);
    for entry in [strange, plain] {
        let by_type = AuditFilter { event_type: Some(entry.event_type.clone()), ..AuditFilter::default() };
        let by_source = AuditFilter { source_service: Some(entry.source_service.clone()), ..AuditFilter::default() };
        let by_subject = AuditFilter { subject: Some(entry.subject.clone()), ..AuditFilter::default() };
        for filter in [by_type, by_source, by_subject] {
            assert_eq!(found(filter).await, std::slice::from_ref(&entry));
        }
    }
    assert_eq!(store.dead_letters(&buried.consumer, None, 10).await.unwrap(), [buried]);
}

#[tokio::test]
async fn numbers_of_a_payload_come_back_to_the_last_bit() {
    // given numbers that a quick parser misses by one bit
    let subject = InFolder::new().await;
    let numbers = [
        5e-324,
        2.225_073_858_507_201e-308,
        1.797_693_134_862_315_7e308,
        0.1 + 0.2,
        100_000_000_000_000_000_000_000.0,
        7.038_531e-26,
    ];
    let payload = serde_json::json!([numbers, u64::MAX, i64::MIN]);
    let recorded = NewAuditEntry { payload, ..entry("x") };

    // when
    subject.store.commit(progress(subject.store.log_id(), 0, 1).recording(recorded.clone())).await.unwrap();

    // then
    let entries = subject.store.audit_entries(&AuditFilter::default(), None, 1).await.unwrap();
    assert_eq!(entries[0].entry, recorded);
}

#[tokio::test]
async fn entries_are_found_by_time_also_where_time_went_back() {
    // given
    let subject = InFolder::new().await;
    let store = &subject.store;
    let times = [5, 1, 9, 3, 9, 7, 12, 2];
    let mut changeset = progress(store.log_id(), 0, 1);
    for time in times {
        changeset = changeset.recording(NewAuditEntry { timestamp: time, ..entry("x") });
    }
    store.commit(changeset).await.unwrap();

    // then
    for since in (0..14).map(Some).chain([None]) {
        for until in (0..14).map(Some).chain([None]) {
            for after in 0..4 {
                let time = |millis: Option<i64>| millis.map(|millis| at(millis * 1000));
                let filter = AuditFilter { since: time(since), until: time(until), ..AuditFilter::default() };
                let found = store.audit_entries(&filter, Some(AuditIndex::new(after)), 3).await.unwrap();
                let found: Vec<_> = found.iter().map(|entry| (entry.index.get(), entry.timestamp)).collect();
                let expected: Vec<_> = (1..)
                    .zip(times)
                    .filter(|(index, time)| {
                        *index > after && since.is_none_or(|s| *time >= s) && until.is_none_or(|u| *time < u)
                    })
                    .take(3)
                    .collect();
                assert_eq!(found, expected, "since {since:?} until {until:?} after {after}");
            }
        }
    }
}

#[tokio::test]
async fn who_takes_an_id_and_a_name_that_are_taken_is_told_of_the_id() {
    let store = InFolder::new().await.store;
    let new = NewApiKey::parse("ci".to_owned(), Role::Viewer, &[], 1).unwrap();
    let key = Credential::api_key(CredentialId::new(Uuid::from_u128(1)), new, SecretHash::new([1; 32]), at(0));
    store.commit(of(Change::credential_created(&key))).await.unwrap();
    let told = store.commit(of(Change::credential_created(&key))).await.unwrap_err();
    assert!(matches!(&told, StoreError::AlreadyExists(Unique::Id(subject)) if *subject == key.subject()), "{told:?}");
}

#[tokio::test]
async fn no_label_is_found_by_a_text_with_nul() {
    let subject = InFolder::new().await;
    let app = App { labels: labelled(&[("a", "b")]), ..app(1, "x") };
    subject.store.commit(of(Change::app_created(&app))).await.unwrap();
    for pair in [("a", "b\0"), ("a\0", "b"), ("a\0c", "b"), ("a", "b\0c")] {
        for labels in [vec![label(pair)], vec![label(("a", "b")), label(pair)]] {
            let filter = AppFilter { labels, ..AppFilter::default() };
            assert!(subject.store.apps(&filter, None, 10).await.unwrap().is_empty(), "{pair:?}");
        }
    }
}

/// Apps and versions with these labels are found by each label, by all of theirs, and not once they have others.
async fn are_found_by_their_labels(all: Vec<Labels>) -> Result<(), TestCaseError> {
    let subject = InFolder::new().await;
    let store = &subject.store;
    for (labels, id) in all.iter().zip(1..) {
        let app = App { labels: labels.clone(), ..app(id, &format!("app-{id}")) };
        let version = Version { labels: labels.clone(), ..version(id, id % 2 + 1, &format!("v{id}")) };
        let changeset = of_all(Change::app_created(&app), [Change::version_created(&version)]);
        store.commit(changeset).await.unwrap();
    }
    let changed = App { labels: all[1].clone(), revision: Revision::new(2), ..app(1, "app-1") };
    store.commit(of(Change::app_updated(&changed, Revision::FIRST))).await.unwrap();
    for sought in &all {
        let whole: Vec<LabelFilter> = sought.iter().map(label).collect();
        let each = whole.iter().map(|label| vec![label.clone()]);
        for labels in each.chain([whole.clone()]) {
            let filter = AppFilter { labels: labels.clone(), ..AppFilter::default() };
            let everything = store.apps(&AppFilter::default(), None, 100).await.unwrap();
            let expected: Vec<AppId> = everything.iter().filter(|app| filter.matches(app)).map(|app| app.id).collect();
            let found: Vec<AppId> = store.apps(&filter, None, 100).await.unwrap().iter().map(|app| app.id).collect();
            prop_assert_eq!(found, expected);
            for app_id in [None, AppId::new(1), AppId::new(2)] {
                let filter = VersionFilter { app_id, labels: labels.clone() };
                let mut expected = store.versions(&VersionFilter::default(), None, 100).await.unwrap();
                expected.retain(|version| filter.matches(version));
                prop_assert_eq!(store.versions(&filter, None, 100).await.unwrap(), expected);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(property(16))]

    #[test]
    fn what_has_labels_is_found_by_them(all in vec(labels(), 2..5)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(are_found_by_their_labels(all))?;
    }
}
