//! Faults of a bus.

use std::sync::{Arc, Mutex};

use alm_core::{
    changeset::Change,
    domain::{Event, LogId, Position},
    ports::{BusState, Committer, EventBus, EventLog, Head, Message, Outcome},
    testing::{
        Call, Fault, FaultyBus, MemoryBus, Operation, Plan, Script, Switch,
        fixtures::{app, consumer, of},
    },
};
use alm_store_memory::MemoryStore;
use futures_util::FutureExt;

use super::{TIMEOUT, backend_of_bus};

/// Events of one log, from position 1.
async fn events(count: i64) -> Vec<Arc<Event>> {
    let store = MemoryStore::new();
    for id in 1..=count {
        store.commit(of(Change::app_created(&app(id, &format!("app-{id}"))))).await.unwrap();
    }
    store.read(Position::START, usize::MAX).await.unwrap()
}

fn head(position: u64) -> Head {
    Head { log: LogId::new(uuid::Uuid::nil()), position: Position::new(position) }
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
    let mut heads = faulty.heads().await.unwrap();
    faulty.announce(head(1)).await.unwrap();
    assert_eq!(heads.next().await.unwrap(), head(1));
    switch.set(Fault::Refused(TIMEOUT));
    let refused = [
        faulty.publish(&[]).await.unwrap_err(),
        faulty.subscribe(&consumer("reader")).await.err().unwrap(),
        faulty.serve_replays(store.clone()).await.unwrap_err(),
        faulty.replay(store.log_id(), Position::START, 1).await.unwrap_err(),
        reader.next(1).await.unwrap_err(),
        reader.ack(&[tag]).await.unwrap_err(),
        faulty.heads().await.err().unwrap(),
        faulty.announce(head(2)).await.unwrap_err(),
        heads.next().await.unwrap_err(),
    ];

    // then
    let operations = [
        Operation::Publish,
        Operation::Subscribe,
        Operation::ServeReplays,
        Operation::Replay,
        Operation::Next,
        Operation::Ack,
        Operation::Heads,
        Operation::Announce,
        Operation::NextHead,
    ];
    let expected: Vec<_> = (1..).zip(operations.repeat(2)).collect();
    assert_eq!(*asked.lock().unwrap(), expected);
    assert_eq!(refused.map(|error| backend_of_bus(error).operation), operations.map(Operation::as_str));
}

#[tokio::test]
async fn heads_meet_their_faults_and_are_heard_as_often_as_those_say() {
    let cases = [
        (Operation::Announce, Fault::None, vec![1, 2]),
        (Operation::Announce, Fault::Dropped, vec![2]),
        (Operation::Announce, Fault::Duplicated, vec![1, 1, 2]),
        (Operation::Announce, Fault::AnswerLost(TIMEOUT), vec![1, 2]),
        (Operation::Announce, Fault::RequestLost(TIMEOUT), vec![2]),
        (Operation::NextHead, Fault::Dropped, vec![2]),
        (Operation::NextHead, Fault::Duplicated, vec![1, 1, 2]),
        (Operation::NextHead, Fault::AnswerLost(TIMEOUT), vec![1, 2]),
        (Operation::NextHead, Fault::Delay(2), vec![1, 2]),
    ];
    for (operation, fault, heard) in cases {
        let faulty = once(&MemoryBus::new(), operation, fault.clone());
        let mut heads = faulty.heads().await.unwrap();
        for position in [1, 2] {
            let told = faulty.announce(head(position)).await;
            if let Err(error) = told {
                assert_eq!(error.outcome(), Outcome::Unknown, "{fault:?}");
            }
        }
        let mut given = Vec::new();
        while given.len() < heard.len() {
            given.extend(heads.next().await.map(|head| head.position.get()));
        }
        assert_eq!(given, heard, "{operation} {fault:?}");
        assert!(heads.next().now_or_never().is_none(), "{operation} {fault:?}");
    }
}

#[tokio::test]
async fn what_is_known_of_a_bus_is_told_whatever_the_plan() {
    let faulty = FaultyBus::over(Arc::new(MemoryBus::new()), Fault::Refused(TIMEOUT));
    assert_eq!((faulty.max_event_bytes(), faulty.state()), (None, BusState::Up));
}
