//! Faults of a store.

use std::{
    error::Error,
    num::NonZeroU32,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex},
    time::Duration,
};

use alm_core::{
    changeset::{Change, Changeset},
    domain::{ChangesetId, ParentId, Position},
    ports::{
        AppFilter, AuditFilter, BackendErrorKind, Bucket, Committer, CredentialFilter, DeploymentFilter, EventBus,
        EventLog, Ids, Outcome, Rate, Reader, Roles, Sequence, Store, SystemIds, VersionFilter,
    },
    testing::{
        Call, Fault, Faulty, FaultyBus, Gate, MemoryBus, Operation, Plan, Script, Switch,
        fixtures::{
            account, app, app_id, at, consumer, credential_id, deployment_id, of, scope, session, stamp, username,
            version_id,
        },
    },
};
use alm_store_memory::MemoryStore;
use futures_util::FutureExt;

use super::{TIMEOUT, backend, backend_of_bus, create};

#[tokio::test]
async fn an_error_of_a_commit_tells_the_outcome_and_the_state_agrees() {
    let cases = [
        (Fault::Refused(TIMEOUT), Outcome::NotApplied, false),
        (Fault::RequestLost(TIMEOUT), Outcome::Unknown, false),
        (Fault::AnswerLost(TIMEOUT), Outcome::Unknown, true),
    ];
    for (fault, outcome, made) in cases {
        // given
        let store = Arc::new(MemoryStore::new());
        let faulty = Faulty::over(store.clone(), Script::on(Operation::Commit, [fault.clone()]));

        // when
        let error = backend(create(&faulty).await.unwrap_err());

        // then
        assert_eq!((error.kind, error.adapter, error.operation), (TIMEOUT, "faulty", "commit"), "{fault:?}");
        assert_eq!(error.outcome, outcome, "{fault:?}");
        assert_eq!(store.app(app_id(1)).await.unwrap().is_some(), made, "{fault:?}");
        assert_eq!(create(&faulty).await.is_ok(), !made, "{fault:?}: the script is over");
    }
}

#[tokio::test]
async fn a_read_that_fails_has_had_no_effect() {
    for fault in [Fault::Refused(TIMEOUT), Fault::RequestLost(TIMEOUT), Fault::AnswerLost(TIMEOUT)] {
        let faulty = Faulty::over(Arc::new(MemoryStore::new()), fault);
        assert_eq!(backend(faulty.app(app_id(1)).await.unwrap_err()).outcome, Outcome::NotApplied);
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_may_have_been_a_refusal() {
    let script = Script::on(Operation::Commit, [Fault::None, Fault::AnswerLost(TIMEOUT)]);
    let faulty = Faulty::over(Arc::new(MemoryStore::new()), script);
    create(&faulty).await.unwrap();
    assert_eq!(create(&faulty).await.unwrap_err().outcome(), Outcome::Unknown);
    assert_eq!(create(&faulty).await.unwrap_err().code(), "already-exists");
}

#[tokio::test]
async fn the_message_is_the_source_of_errors_and_only_the_overloaded_say_when_to_try_again() {
    let wait = Duration::from_millis(1500);
    for (kind, retry_after) in [(TIMEOUT, None), (BackendErrorKind::Overloaded, Some(wait))] {
        let faulty = Faulty::over(Arc::new(MemoryStore::new()), Fault::Refused(kind));
        let faulty = faulty.with_message("too many clients").with_retry_after(wait);
        let error = backend(create(&faulty).await.unwrap_err());
        assert_eq!(error.source().unwrap().to_string(), "too many clients");
        assert_eq!(error.retry_after, retry_after);

        let bus = FaultyBus::over(Arc::new(MemoryBus::new()), Fault::Refused(kind));
        let bus = bus.with_message("too many clients").with_retry_after(wait);
        let error = backend_of_bus(bus.publish(&[]).await.unwrap_err());
        assert_eq!(error.source().unwrap().to_string(), "too many clients");
        assert_eq!(error.retry_after, retry_after);
    }
    let silent = Faulty::over(Arc::new(MemoryStore::new()), Fault::Refused(TIMEOUT));
    assert!(backend(create(&silent).await.unwrap_err()).source.is_none());
}

#[tokio::test]
async fn a_delay_gives_turns_before_and_after_the_call() {
    let store = Arc::new(MemoryStore::new());
    let faulty = Faulty::over(store.clone(), Fault::Delay(2));
    let mut commit = std::pin::pin!(create(&faulty));
    let mut seen = Vec::new();
    while (&mut commit).now_or_never().is_none() {
        seen.push(store.app(app_id(1)).now_or_never().unwrap().unwrap().is_some());
    }
    assert_eq!(seen, [false, false, true, true]);
}

#[tokio::test]
async fn a_gate_holds_calls_until_it_opens_or_they_are_dropped() {
    // given
    let store = Arc::new(MemoryStore::new());
    let gate = Gate::closed();
    let faulty = Faulty::over(store.clone(), Fault::Hold(gate.clone()));

    // when
    {
        let mut dropped = std::pin::pin!(create(&faulty));
        assert!((&mut dropped).now_or_never().is_none());
        assert!(gate.holds(1).now_or_never().is_some());
        assert!(gate.holds(2).now_or_never().is_none());
    }
    assert!(gate.holds(1).now_or_never().is_none(), "who is dropped is not held");
    let mut held = std::pin::pin!(create(&faulty));
    assert!((&mut held).now_or_never().is_none());
    assert_eq!(store.app(app_id(1)).await.unwrap(), None);
    gate.open();

    // then
    held.await.unwrap();
    assert!(faulty.app(app_id(1)).now_or_never().is_some());
    gate.close();
    assert!(faulty.app(app_id(1)).now_or_never().is_none());
}

#[tokio::test]
async fn a_panic_has_the_message_and_nothing_happens() {
    let store = Arc::new(MemoryStore::new());
    let faulty = Faulty::over(store.clone(), Fault::Panic).with_message("a bug");
    let panic = AssertUnwindSafe(create(&faulty)).catch_unwind().await.unwrap_err();
    assert_eq!(panic.downcast_ref::<String>().unwrap(), "a bug");
    assert_eq!(store.app(app_id(1)).await.unwrap(), None);
}

#[tokio::test]
async fn what_only_a_bus_can_do_does_nothing_to_a_store() {
    for fault in [Fault::Dropped, Fault::Duplicated, Fault::Reordered] {
        let faulty = Faulty::over(Arc::new(MemoryStore::new()), fault);
        create(&faulty).await.unwrap();
        assert_eq!(faulty.head().await.unwrap(), Position::FIRST);
    }
}

/// Calls every method of a store that a plan is asked about; gives whether each succeeded.
async fn call_each(store: &impl Store) -> Vec<bool> {
    let log = store.log_id();
    vec![
        store.app(app_id(1)).await.is_ok(),
        store.apps(&AppFilter::default(), None, 1).await.is_ok(),
        store.version(version_id(1)).await.is_ok(),
        store.versions(&VersionFilter::default(), None, 1).await.is_ok(),
        store.deployment(deployment_id(1)).await.is_ok(),
        store.deployments(&DeploymentFilter::default(), None, 1).await.is_ok(),
        store.running(app_id(1), None, 1).await.is_ok(),
        store.audit_entry(alm_core::domain::AuditIndex::FIRST).await.is_ok(),
        store.audit_entries(&AuditFilter::default(), None, 1).await.is_ok(),
        store.user(&username("ada")).await.is_ok(),
        store.users(Some(&(at(0), username("ada"))), 1).await.is_ok(),
        store.credential(credential_id(1)).await.is_ok(),
        store.credentials(&CredentialFilter::ApiKeys, None, 1).await.is_ok(),
        store.is_revoked(credential_id(1)).await.is_ok(),
        store.remembered(&scope("k")).await.is_ok(),
        store.checkpoint(&consumer("reader"), log).await.is_ok(),
        store.dead_letters(&consumer("reader"), None, 1).await.is_ok(),
        store.known(ParentId::App(app_id(1))).await.is_ok(),
        store.receipt(ChangesetId::new(SystemIds.uuid_v7())).await.is_ok(),
        create(store).await.is_ok(),
        store.allocate(Sequence::Apps, 1).await.is_ok(),
        store
            .admit(
                &Bucket::parse("login").unwrap(),
                Rate { burst: NonZeroU32::MAX, interval: Duration::from_secs(1) },
                at(0),
            )
            .await
            .is_ok(),
        store.trim(Position::FIRST, at(0), 1).await.is_ok(),
        store.forget_answers(at(0), 1).await.is_ok(),
        store.lead(&consumer("relay")).await.is_ok(),
        store.read(Position::START, 1).await.is_ok(),
        store.oldest().await.is_ok(),
        store.head().await.is_ok(),
        store.changed(Position::START).await.is_ok(),
    ]
}

#[tokio::test]
async fn a_plan_is_asked_about_each_call_to_a_store_and_can_refuse_it() {
    // given
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (told, switch) = (asked.clone(), Switch::default());
    let inner = switch.clone();
    let plan = move |call: &Call<'_>| {
        assert_eq!(call.changeset.is_some(), call.operation == Operation::Commit);
        told.lock().unwrap().push((call.number, call.operation));
        inner.fault(call)
    };
    let faulty = Faulty::over(Arc::new(MemoryStore::new()), plan);

    // when
    let made = call_each(&faulty).await;
    switch.set(Fault::Refused(TIMEOUT));
    let refused = call_each(&faulty).await;

    // then
    assert!(made.iter().all(|ok| *ok) && refused.iter().all(|ok| !*ok), "{made:?} {refused:?}");
    let of_stores: Vec<_> = Operation::ALL.iter().take_while(|op| **op != Operation::Publish).copied().collect();
    let expected: Vec<_> = (1..).zip(of_stores.repeat(2)).collect();
    assert_eq!(*asked.lock().unwrap(), expected);
}

#[tokio::test]
async fn without_faults_a_store_is_itself() {
    // given
    let store = Arc::new(MemoryStore::new());
    let faulty = Faulty::over(store.clone() as Arc<dyn Store>, Fault::None);

    // when
    create(&faulty).await.unwrap();
    faulty.commit(of(Change::user_created(&account("ada")))).await.unwrap();
    faulty.commit(of(Change::credential_created(&session(1, &account("ada"))))).await.unwrap();
    faulty.commit(of(Change::login_failed(&username("ada"))).revoking(credential_id(2), at(9))).await.unwrap();
    faulty.allocate(Sequence::Apps, 5).await.unwrap();

    // then
    assert_eq!(faulty.log_id(), store.log_id());
    assert_eq!(faulty.app(app_id(1)).await.unwrap(), Some(app(1, "billing")));
    assert_eq!(faulty.user(&username("ada")).await.unwrap(), store.user(&username("ada")).await.unwrap());
    assert_eq!(faulty.users(None, 10).await.unwrap().len(), 1);
    let sessions = CredentialFilter::SessionsOf(username("ada"));
    assert_eq!(faulty.credentials(&sessions, None, 10).await.unwrap(), [session(1, &account("ada"))]);
    let account = faulty.credential(credential_id(1)).await.unwrap().unwrap().account;
    assert_eq!(account, store.user(&username("ada")).await.unwrap().map(|record| record.user));
    assert!(faulty.is_revoked(credential_id(2)).await.unwrap() && !faulty.is_revoked(credential_id(1)).await.unwrap());
    assert_eq!(faulty.head().await.unwrap().get(), 4);
    assert_eq!(
        faulty.read(Position::FIRST, 10).await.unwrap(),
        store.read(Position::START, 10).await.unwrap()[1..],
        "arguments arrive as they are"
    );
    assert_eq!(store.allocate(Sequence::Apps, 1).await.unwrap().first, 6);
    assert_eq!(faulty.trim(Position::FIRST, at(1), 10).await.unwrap().events, 1, "arguments arrive as they are");
    assert_eq!(faulty.oldest().await.unwrap().get(), 2);
    assert_eq!(faulty.read(Position::START, 1).await.unwrap_err().code(), "gone");
    let lease = faulty.lead(&consumer("relay")).await.unwrap();
    assert!(lease.is_some() && store.lead(&consumer("relay")).await.unwrap().is_none(), "it is the store's own role");
    faulty.commit(Changeset::learning(stamp(0), ParentId::App(app_id(9)), app_id(9))).await.unwrap();
    let known = store.known(ParentId::App(app_id(9))).await.unwrap();
    assert!(known.is_some() && faulty.known(ParentId::App(app_id(9))).await.unwrap() == known);
    assert_eq!(create(&faulty).await.unwrap_err().code(), "already-exists", "the store's own errors come through");
}
