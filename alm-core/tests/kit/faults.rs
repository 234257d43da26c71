//! Every fault does what it says, and nothing else.

use std::{
    error::Error,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex},
    time::Duration,
};

use alm_core::{
    changeset::{Change, Receipt},
    domain::{ChangesetId, Event, Position},
    ports::{
        AppFilter, AuditFilter, BackendError, BackendErrorKind, BusError, Committer, DeploymentFilter, EventBus,
        EventLog, Ids, Message, Outcome, Reader, Sequence, Store, StoreError, SystemIds, VersionFilter,
    },
    testing::{
        Call, Fault, Faulty, FaultyBus, Gate, MemoryBus, Operation, Plan, Script, Seeded, Switch,
        fixtures::{account, app, app_id, at, consumer, deployment_id, of, scope, username, version_id},
    },
};
use alm_store_memory::MemoryStore;
use futures_util::FutureExt;

const TIMEOUT: BackendErrorKind = BackendErrorKind::Timeout;

async fn create(store: &impl Store) -> Result<Receipt, StoreError> {
    store.commit(of(Change::app_created(&app(1, "billing")))).await
}

fn backend(error: StoreError) -> BackendError {
    match error {
        StoreError::Backend(error) => error,
        error => panic!("not a fault: {error}"),
    }
}

fn backend_of_bus(error: BusError) -> BackendError {
    match error {
        BusError::Backend(error) => error,
        error => panic!("not a fault: {error}"),
    }
}

/// Events of one log, from position 1.
async fn events(count: i64) -> Vec<Arc<Event>> {
    let store = MemoryStore::new();
    for id in 1..=count {
        store.commit(of(Change::app_created(&app(id, &format!("app-{id}"))))).await.unwrap();
    }
    store.read(Position::START, usize::MAX).await.unwrap()
}

fn positions(messages: impl IntoIterator<Item = Message>) -> Vec<u64> {
    let position = |message| match message {
        Message::Event(event) => event.position.get(),
        other => panic!("not an event: {other:?}"),
    };
    messages.into_iter().map(position).collect()
}

/// A bus over `bus` whose next call of `operation` meets `fault`.
fn once(bus: &MemoryBus, operation: Operation, fault: Fault) -> FaultyBus<MemoryBus> {
    FaultyBus::over(Arc::new(bus.clone()), Script::on(operation, [fault]))
}

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
        store.remembered(&scope("k")).await.is_ok(),
        store.checkpoint(&consumer("reader"), log).await.is_ok(),
        store.dead_letters(&consumer("reader"), None, 1).await.is_ok(),
        store.receipt(ChangesetId::new(SystemIds.uuid_v7())).await.is_ok(),
        create(store).await.is_ok(),
        store.allocate(Sequence::Apps, 1).await.is_ok(),
        store.read(Position::START, 1).await.is_ok(),
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
    faulty.allocate(Sequence::Apps, 5).await.unwrap();

    // then
    assert_eq!(faulty.log_id(), store.log_id());
    assert_eq!(faulty.app(app_id(1)).await.unwrap(), Some(app(1, "billing")));
    assert_eq!(faulty.user(&username("ada")).await.unwrap(), store.user(&username("ada")).await.unwrap());
    assert_eq!(faulty.users(None, 10).await.unwrap().len(), 1);
    assert_eq!(faulty.head().await.unwrap().get(), 2);
    assert_eq!(
        faulty.read(Position::FIRST, 10).await.unwrap(),
        store.read(Position::START, 10).await.unwrap()[1..],
        "arguments arrive as they are"
    );
    assert_eq!(store.allocate(Sequence::Apps, 1).await.unwrap().first, 6);
    assert_eq!(create(&faulty).await.unwrap_err().code(), "already-exists", "the store's own errors come through");
}

#[tokio::test]
async fn a_script_tells_of_one_operation_in_order_and_then_of_nothing() {
    let script = Arc::new(Script::on(Operation::Head, [Fault::Refused(TIMEOUT), Fault::None]));
    script.push(Fault::Refused(TIMEOUT));
    let faulty = Faulty::over(Arc::new(MemoryStore::new()), script.clone());
    let mut failed = Vec::new();
    for _ in 0..4 {
        create(&faulty).await.ok();
        assert!(faulty.apps(&AppFilter::default(), None, 1).await.is_ok(), "another operation");
        assert_eq!(script.is_done(), failed.len() > 2);
        failed.push(faulty.head().await.is_err());
    }
    assert_eq!(failed, [true, false, true, false]);
}

/// Which of 2000 calls meet which fault.
async fn met(plan: impl Plan + 'static) -> Vec<Option<BackendErrorKind>> {
    let faulty = Faulty::over(Arc::new(MemoryStore::new()), plan);
    let mut met = Vec::new();
    for _ in 0..2000 {
        met.push(faulty.head().await.err().map(|error| backend(error).kind));
    }
    met
}

fn dice(seed: u64) -> Seeded {
    let overloaded = BackendErrorKind::Overloaded;
    Seeded::new(seed, [(Fault::Refused(TIMEOUT), 100), (Fault::Refused(overloaded), 300)])
}

#[tokio::test]
async fn the_same_seed_brings_the_same_faults_and_another_one_others() {
    assert_eq!(met(dice(1)).await, met(dice(1)).await);
    let mut runs = Vec::new();
    for seed in 0..50 {
        let run = met(dice(seed)).await;
        assert!(!runs.contains(&run), "{}", dice(seed));
        runs.push(run);
    }
}

#[tokio::test]
async fn a_seed_means_the_same_forever() {
    // The outputs of Vigna's `splitmix64.c` for the seed 1234567 begin with …317, …973, …423, …431, …821.
    let overloaded = Fault::Refused(BackendErrorKind::Overloaded);
    let rates = [(Fault::None, 317), (Fault::Refused(TIMEOUT), 1), (Fault::None, 105), (overloaded, 1)];
    let met = met(Seeded::new(1_234_567, rates)).await;
    assert_eq!(met[..5], [Some(TIMEOUT), None, Some(BackendErrorKind::Overloaded), None, None]);
}

#[tokio::test]
async fn rates_are_per_mille() {
    let met = met(dice(7)).await;
    let count = |kind| met.iter().filter(|fault| **fault == kind).count();
    // The sequence of a seed never changes, so the bounds can't be missed by chance: 4 standard deviations each way.
    assert!((146..=254).contains(&count(Some(TIMEOUT))), "{}", count(Some(TIMEOUT)));
    assert!((518..=682).contains(&count(Some(BackendErrorKind::Overloaded))));
    let always = Faulty::over(Arc::new(MemoryStore::new()), Seeded::new(3, [(Fault::Refused(TIMEOUT), 1000)]));
    let never = Faulty::over(Arc::new(MemoryStore::new()), Seeded::new(3, [(Fault::Refused(TIMEOUT), 0)]));
    for _ in 0..1000 {
        assert!(always.head().await.is_err());
        assert!(never.head().await.is_ok());
    }
}

#[test]
#[should_panic(expected = "add up to 1001")]
fn rates_that_add_up_to_more_than_all_calls_are_refused() {
    let _ = Seeded::new(1, [(Fault::Panic, 500), (Fault::Dropped, 501)]);
}

#[test]
fn dice_tell_their_seed() {
    assert_eq!(dice(42).seed(), 42);
    assert_eq!(
        dice(42).to_string(),
        "faults with seed 42, 100\u{2030} Refused(Timeout), 300\u{2030} Refused(Overloaded)"
    );
    assert!(format!("{:?}", dice(42)).contains("seed: 42"));
}

#[tokio::test]
async fn a_publication_that_is_dropped_lost_doubled_or_turned_round() {
    let cases: [(_, _, &[u64]); 7] = [
        (Fault::None, None, &[1, 2, 3]),
        (Fault::Refused(TIMEOUT), Some(Outcome::NotApplied), &[]),
        (Fault::RequestLost(TIMEOUT), Some(Outcome::Unknown), &[]),
        (Fault::AnswerLost(TIMEOUT), Some(Outcome::Unknown), &[1, 2, 3]),
        (Fault::Dropped, None, &[]),
        (Fault::Duplicated, None, &[1, 2, 3]),
        (Fault::Reordered, None, &[3, 2, 1]),
    ];
    for (fault, error, stored) in cases {
        let bus = MemoryBus::new();
        let faulty = once(&bus, Operation::Publish, fault.clone());
        let published = faulty.publish(&events(3).await).await;
        assert_eq!(published.err().map(|error| error.outcome()), error, "{fault:?}");
        let positions: Vec<_> = bus.published().iter().map(|event| event.position.get()).collect();
        assert_eq!(positions, stored, "{fault:?}");
    }
}

#[tokio::test]
async fn a_publication_and_an_acknowledgement_that_are_doubled_arrive_twice() {
    // given
    let arrived = Arc::new(Mutex::new(Vec::new()));
    let told = arrived.clone();
    let counting = FaultyBus::over(Arc::new(MemoryBus::new()), move |call: &Call<'_>| {
        told.lock().unwrap().push((call.operation, call.events.len()));
        Fault::None
    });
    let changes = |call: &Call<'_>| if call.operation.changes() { Fault::Duplicated } else { Fault::None };
    let faulty = FaultyBus::over(Arc::new(counting), changes);

    // when
    faulty.publish(&events(2).await).await.unwrap();
    let mut reader = faulty.subscribe(&consumer("reader")).await.unwrap();
    let tag = reader.next(1).await.unwrap()[0].tag;
    reader.ack(&[tag]).await.unwrap();

    // then
    let [publish, ack] = [(Operation::Publish, 2), (Operation::Ack, 0)];
    let expected = [publish, publish, (Operation::Subscribe, 0), (Operation::Next, 0), ack, ack];
    assert_eq!(*arrived.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_batch_that_is_doubled_or_turned_round_is_given_within_the_limit() {
    let cases: [(_, &[&[u64]]); 3] = [
        (Fault::None, &[&[1, 2], &[3]]),
        (Fault::Duplicated, &[&[1, 2], &[1, 2], &[3]]),
        (Fault::Reordered, &[&[2, 1], &[3]]),
    ];
    for (fault, batches) in cases {
        let bus = MemoryBus::new();
        bus.publish(&events(3).await).await.unwrap();
        let faulty = once(&bus, Operation::Next, fault.clone());
        let mut reader = faulty.subscribe(&consumer("reader")).await.unwrap();
        for batch in batches {
            let given = reader.next(2).await.unwrap();
            assert_eq!(positions(given.iter().map(|delivery| delivery.message.clone())), *batch, "{fault:?}");
            let tags: Vec<_> = given.iter().map(|delivery| delivery.tag).collect();
            reader.ack(&tags).await.unwrap();
        }
        assert!(reader.next(2).now_or_never().is_none(), "{fault:?}: that was all");
        assert_eq!(bus.unacknowledged(&consumer("reader")), 0);
    }
}

#[tokio::test]
async fn a_delivery_that_is_dropped_comes_when_it_is_delivered_again() {
    // given
    let bus = MemoryBus::new();
    bus.publish(&events(2).await).await.unwrap();
    let faulty = once(&bus, Operation::Next, Fault::Dropped);
    let mut reader = faulty.subscribe(&consumer("reader")).await.unwrap();

    // when
    let given = reader.next(1).await.unwrap();

    // then
    assert_eq!(positions(given.into_iter().map(|delivery| delivery.message)), [2]);
    bus.redeliver();
    let given = reader.next(10).await.unwrap();
    assert_eq!(positions(given.into_iter().map(|delivery| delivery.message)), [1, 2]);
}

#[tokio::test]
async fn deliveries_whose_answer_is_lost_come_with_the_next() {
    let bus = MemoryBus::new();
    bus.publish(&events(2).await).await.unwrap();
    let faulty = once(&bus, Operation::Next, Fault::AnswerLost(TIMEOUT));
    let mut reader = faulty.subscribe(&consumer("reader")).await.unwrap();
    let error = backend_of_bus(reader.next(10).await.unwrap_err());
    assert_eq!((error.operation, error.adapter), ("next", "faulty"));
    let given = reader.next(10).await.unwrap();
    assert_eq!(positions(given.into_iter().map(|delivery| delivery.message)), [1, 2]);
}

#[tokio::test]
async fn a_reader_that_stops_waiting_in_a_delay_loses_nothing() {
    let bus = MemoryBus::new();
    bus.publish(&events(2).await).await.unwrap();
    for turns in 0..5 {
        let faulty = once(&bus, Operation::Next, Fault::Delay(2));
        let mut reader = faulty.subscribe(&consumer(&format!("reader-{turns}"))).await.unwrap();
        {
            let mut waiting = reader.next(10);
            for _ in 0..turns.min(4) {
                assert!((&mut waiting).now_or_never().is_none());
            }
        }
        let given = reader.next(10).await.unwrap();
        assert_eq!(positions(given.into_iter().map(|delivery| delivery.message)), [1, 2], "dropped after {turns}");
    }
}

#[tokio::test]
async fn an_acknowledgement_tells_its_outcome_and_the_bus_agrees() {
    let cases = [
        (Fault::None, None, 0),
        (Fault::Refused(TIMEOUT), Some(Outcome::NotApplied), 1),
        (Fault::RequestLost(TIMEOUT), Some(Outcome::Unknown), 1),
        (Fault::AnswerLost(TIMEOUT), Some(Outcome::Unknown), 0),
        (Fault::Dropped, None, 1),
        (Fault::Duplicated, None, 0),
    ];
    for (fault, error, left) in cases {
        let bus = MemoryBus::new();
        bus.publish(&events(1).await).await.unwrap();
        let faulty = once(&bus, Operation::Ack, fault.clone());
        let mut reader = faulty.subscribe(&consumer("reader")).await.unwrap();
        let tag = reader.next(1).await.unwrap()[0].tag;
        assert_eq!(reader.ack(&[tag]).await.err().map(|error| error.outcome()), error, "{fault:?}");
        assert_eq!(bus.unacknowledged(&consumer("reader")), left, "{fault:?}");
    }
}

#[tokio::test]
async fn a_plan_is_asked_about_each_call_to_a_bus_and_its_subscriptions() {
    // given
    let store = Arc::new(MemoryStore::new());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (told, switch) = (asked.clone(), Switch::default());
    let inner = switch.clone();
    let plan = move |call: &Call<'_>| {
        told.lock().unwrap().push((call.number, call.operation));
        inner.fault(call)
    };
    let bus: Arc<dyn EventBus> = Arc::new(MemoryBus::new());
    let faulty = FaultyBus::over(bus, plan);

    // when
    faulty.publish(&events(1).await).await.unwrap();
    let mut reader = faulty.subscribe(&consumer("reader")).await.unwrap();
    let mut serving = faulty.serve_replays(store.clone());
    assert!((&mut serving).now_or_never().is_none());
    assert_eq!(faulty.replay(store.log_id(), Position::START, 1).await.unwrap(), []);
    drop(serving);
    let tag = reader.next(1).await.unwrap()[0].tag;
    reader.ack(&[tag]).await.unwrap();
    switch.set(Fault::Refused(TIMEOUT));
    let refused = [
        faulty.publish(&[]).await.unwrap_err(),
        faulty.subscribe(&consumer("reader")).await.err().unwrap(),
        faulty.serve_replays(store.clone()).await.unwrap_err(),
        faulty.replay(store.log_id(), Position::START, 1).await.unwrap_err(),
        reader.next(1).await.unwrap_err(),
        reader.ack(&[tag]).await.unwrap_err(),
    ];

    // then
    let operations = [
        Operation::Publish,
        Operation::Subscribe,
        Operation::ServeReplays,
        Operation::Replay,
        Operation::Next,
        Operation::Ack,
    ];
    let expected: Vec<_> = (1..).zip(operations.repeat(2)).collect();
    assert_eq!(*asked.lock().unwrap(), expected);
    assert_eq!(refused.map(|error| backend_of_bus(error).operation), operations.map(Operation::as_str));
}
