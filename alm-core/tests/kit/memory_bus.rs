//! The bus in memory keeps the contract of the port, line by line.

use std::{pin::pin, sync::Arc, time::Duration};

use alm_core::{
    changeset::Change,
    domain::{Event, LogId, Position},
    ports::{
        BackendError, BackendErrorKind, BusError, Committer, Delivery, DeliveryTag, EventBus, EventLog, Head, Ids,
        Message, Outcome, Subscription, SystemIds,
    },
    testing::{
        Fault, Faulty, MemoryBus,
        fixtures::{app, at, consumer, of},
    },
};
use alm_store_memory::MemoryStore;
use futures_util::FutureExt;

/// A store whose log has so many events.
async fn store(count: i64) -> Arc<MemoryStore> {
    let store = MemoryStore::new();
    for id in 1..=count {
        store.commit(of(Change::app_created(&app(id, &format!("app-{id}"))))).await.unwrap();
    }
    Arc::new(store)
}

async fn events(count: i64) -> Vec<Arc<Event>> {
    store(count).await.read(Position::START, usize::MAX).await.unwrap()
}

/// A bus with so many events of one log.
async fn bus(count: i64) -> MemoryBus {
    let bus = MemoryBus::new();
    bus.publish(&events(count).await).await.unwrap();
    bus
}

async fn reader(bus: &MemoryBus) -> Box<dyn Subscription> {
    bus.subscribe(&consumer("reader")).await.unwrap()
}

fn positions(deliveries: &[Delivery]) -> Vec<u64> {
    let position = |delivery: &Delivery| match &delivery.message {
        Message::Event(event) => event.position.get(),
        other => panic!("not an event: {other:?}"),
    };
    deliveries.iter().map(position).collect()
}

fn tags(deliveries: &[Delivery]) -> Vec<DeliveryTag> {
    deliveries.iter().map(|delivery| delivery.tag).collect()
}

fn fault(error: BusError) -> BackendError {
    match error {
        BusError::Backend(error) => error,
        error => panic!("not a fault: {error}"),
    }
}

#[tokio::test]
async fn who_subscribes_after_a_publication_gets_it_from_the_oldest_on() {
    let bus = bus(3).await;
    assert_eq!(positions(&reader(&bus).await.next(10).await.unwrap()), [1, 2, 3]);
}

#[tokio::test]
async fn an_event_that_was_published_before_has_no_second_effect_unless_its_id_is_forgotten() {
    // given
    let (bus, events) = (MemoryBus::new(), events(2).await);
    let mut reader = reader(&bus).await;

    // when
    bus.publish(&[events[0].clone(), events[0].clone()]).await.unwrap();
    bus.publish(&events).await.unwrap();

    // then
    assert_eq!(positions(&reader.next(10).await.unwrap()), [1, 2]);
    assert_eq!(bus.published(), events);
    bus.forget_ids();
    bus.publish(&events).await.unwrap();
    assert_eq!(positions(&reader.next(10).await.unwrap()), [1, 2]);
}

#[tokio::test]
async fn the_events_of_each_log_come_in_the_order_of_their_publication() {
    // given two logs whose publications take turns
    let bus = MemoryBus::new();
    let (one, other) = (events(4).await, events(4).await);
    for (one, other) in one.chunks(2).zip(other.chunks(2)) {
        bus.publish(one).await.unwrap();
        bus.publish(other).await.unwrap();
    }

    // when
    let mut reader = reader(&bus).await;
    let mut given = Vec::new();
    while let Some(batch) = reader.next(3).now_or_never() {
        given.extend(batch.unwrap());
    }

    // then
    let log = |wanted: LogId| {
        let of_log = |delivery: &&Delivery| matches!(&delivery.message, Message::Event(event) if event.log == wanted);
        positions(&given.iter().filter(of_log).cloned().collect::<Vec<_>>())
    };
    assert_eq!([log(one[0].log), log(other[0].log)], [[1, 2, 3, 4]; 2]);
}

#[tokio::test]
async fn each_name_gets_each_event_and_the_subscriptions_of_one_name_share_them() {
    // given
    let bus = bus(4).await;
    let (mut one, mut other) = (reader(&bus).await, reader(&bus).await);
    let mut auditor = bus.subscribe(&consumer("auditor")).await.unwrap();

    // when
    let first = one.next(3).await.unwrap();
    let second = other.next(3).await.unwrap();

    // then
    assert_eq!((positions(&first), positions(&second)), (vec![1, 2, 3], vec![4]));
    assert!(one.next(3).now_or_never().is_none());
    assert_eq!(positions(&auditor.next(10).await.unwrap()), [1, 2, 3, 4]);
}

#[tokio::test]
async fn what_a_dropped_subscription_has_not_acknowledged_goes_to_the_others_of_its_name() {
    // given
    let bus = bus(3).await;
    let (mut one, mut other) = (reader(&bus).await, reader(&bus).await);
    let given = one.next(2).await.unwrap();
    let own = other.next(2).await.unwrap();
    one.ack(&tags(&given)[..1]).await.unwrap();

    // when it is dropped while the other one waits
    {
        let mut waiting = other.next(10);
        assert!((&mut waiting).now_or_never().is_none());
        drop(one);
        assert_eq!(positions(&waiting.await.unwrap()), [2]);
    }

    // then what the other has itself does not come again to it
    assert_eq!(positions(&own), [3]);
    assert!(other.next(10).now_or_never().is_none());
}

#[tokio::test]
async fn a_consumer_is_durable_and_goes_on_where_it_was() {
    let bus = bus(3).await;
    let mut first = reader(&bus).await;
    let given = first.next(2).await.unwrap();
    first.ack(&tags(&given)).await.unwrap();
    drop(first);
    assert_eq!(positions(&reader(&bus).await.next(10).await.unwrap()), [3]);
}

#[tokio::test]
async fn a_redelivery_brings_what_is_not_acknowledged_and_nothing_else() {
    // given
    let bus = bus(3).await;
    let mut reader = reader(&bus).await;
    let given = reader.next(3).await.unwrap();
    reader.ack(&[given[1].tag]).await.unwrap();

    // when
    let again = {
        let mut waiting = reader.next(10);
        assert!((&mut waiting).now_or_never().is_none());
        bus.redeliver();
        waiting.await.unwrap()
    };

    // then
    assert_eq!(positions(&again), [1, 3]);
    reader.ack(&tags(&again)).await.unwrap();
    bus.redeliver();
    assert!(reader.next(10).now_or_never().is_none());
    assert_eq!(bus.unacknowledged(&consumer("reader")), 0);
}

#[tokio::test]
async fn an_acknowledgement_after_a_redelivery_counts_wherever_the_message_is_now() {
    // given one that is due again, and one that someone else has
    let bus = bus(2).await;
    let (mut slow, mut other) = (reader(&bus).await, reader(&bus).await);
    let given = slow.next(2).await.unwrap();
    bus.redeliver();
    assert_eq!(bus.unacknowledged(&consumer("reader")), 2);
    assert_eq!(positions(&other.next(1).await.unwrap()), [1]);

    // when
    slow.ack(&tags(&given)).await.unwrap();

    // then
    assert!(slow.next(10).now_or_never().is_none());
    drop(other);
    bus.redeliver();
    assert!(slow.next(10).now_or_never().is_none());
}

#[tokio::test]
async fn who_has_lost_a_message_to_a_redelivery_does_not_give_it_back() {
    let bus = bus(1).await;
    let (mut slow, mut other) = (reader(&bus).await, reader(&bus).await);
    slow.next(1).await.unwrap();
    bus.redeliver();
    other.next(1).await.unwrap();
    drop(slow);
    assert!(other.next(1).now_or_never().is_none());
}

#[tokio::test]
async fn the_same_acknowledgement_twice_is_once_and_a_foreign_one_is_an_error() {
    let bus = bus(2).await;
    let (mut one, mut other) = (reader(&bus).await, reader(&bus).await);
    let (first, second) = (one.next(1).await.unwrap()[0].tag, other.next(1).await.unwrap()[0].tag);
    one.ack(&[first]).await.unwrap();
    one.ack(&[first]).await.unwrap();
    let error = fault(other.ack(&[second, first]).await.unwrap_err());
    assert_eq!((error.kind, error.operation), (BackendErrorKind::Internal, "ack"));
    assert_eq!(bus.unacknowledged(&consumer("reader")), 1, "nothing of what failed was done");
}

#[tokio::test]
async fn next_waits_for_what_comes_and_can_be_dropped() {
    // given
    let bus = MemoryBus::new();
    let mut reader = reader(&bus).await;
    {
        let mut dropped = reader.next(10);
        assert!((&mut dropped).now_or_never().is_none());
        bus.publish(&events(2).await).await.unwrap();
    }

    // when
    let given = reader.next(1).await.unwrap();
    let rest = reader.next(10).await.unwrap();

    // then
    assert_eq!((positions(&given), positions(&rest)), (vec![1], vec![2]));
}

#[tokio::test]
async fn whatever_there_is_to_say_wakes_a_reader_that_waits() {
    type Deed = fn(&MemoryBus, &mut Option<Box<dyn Subscription>>, &[Arc<Event>]);
    let deeds: [Deed; 5] = [
        |bus, _, more| bus.publish(more).now_or_never().unwrap().unwrap(),
        |bus, _, _| bus.inject("{"),
        |bus, _, _| bus.redeliver(),
        |bus, _, _| bus.interrupt(),
        |_, other, _| drop(other.take()),
    ];
    for deed in deeds {
        // given one that waits while another one has all there is
        let bus = bus(1).await;
        let (mut waits, mut other) = (reader(&bus).await, reader(&bus).await);
        other.next(1).await.unwrap();
        let (mut other, more) = (Some(other), events(1).await);

        // when
        let woken = async { tokio::join!(waits.next(10), async { deed(&bus, &mut other, &more) }) };

        // then
        assert!(tokio::time::timeout(Duration::from_secs(20), woken).await.is_ok());
    }
}

#[tokio::test]
async fn what_no_one_can_read_is_delivered_as_such_and_in_its_place() {
    let bus = bus(1).await;
    bus.inject("{");
    let given = reader(&bus).await.next(10).await.unwrap();
    assert_eq!(positions(&given[..1]), [1]);
    assert!(
        matches!(&given[1].message, Message::Unreadable { payload, reason, place } if payload == b"{" && !reason.is_empty() && place.position == Position::new(2))
    );
    assert_eq!(bus.published().len(), 1);
    assert_eq!(bus.unacknowledged(&consumer("reader")), 2);
}

#[tokio::test]
async fn an_interruption_fails_each_connection_once_and_loses_nothing() {
    // given one that waits, one that has deliveries, and one that comes later
    let bus = MemoryBus::new();
    let (mut waits, mut has) = (reader(&bus).await, bus.subscribe(&consumer("auditor")).await.unwrap());
    let all = events(2).await;
    bus.publish(&all[..1]).await.unwrap();
    let mine = waits.next(1).await.unwrap();
    let tag = has.next(1).await.unwrap()[0].tag;
    let mut failed = Vec::new();

    // when
    {
        let mut waiting = waits.next(1);
        assert!((&mut waiting).now_or_never().is_none());
        bus.interrupt();
        failed.push(waiting.await.unwrap_err());
    }
    failed.push(has.ack(&[tag]).await.unwrap_err());
    failed.push(bus.publish(&all).await.unwrap_err());
    let mut later = bus.subscribe(&consumer("later")).await.unwrap();

    // then
    for error in failed {
        let error = fault(error);
        assert_eq!((error.kind, error.outcome), (BackendErrorKind::Unavailable, Outcome::Unknown), "{error}");
    }
    has.ack(&[tag]).await.unwrap();
    waits.ack(&tags(&mine)).await.unwrap();
    bus.publish(&all).await.unwrap();
    for reader in [&mut waits, &mut has] {
        assert_eq!(positions(&reader.next(10).await.unwrap()), [2]);
    }
    assert_eq!(positions(&later.next(10).await.unwrap()), [1, 2]);
}

#[tokio::test]
async fn a_replay_is_asked_of_who_serves_the_log_as_long_as_it_does() {
    // given
    let (bus, store, other) = (MemoryBus::new(), store(5).await, store(1).await);
    let replay = async |log, after, limit| bus.replay(log, Position::new(after), limit).await;
    let mut serving = bus.serve_replays(store.clone());
    let mut second = bus.serve_replays(store.clone());
    let unavailable = |answer: Result<Vec<Arc<Event>>, BusError>| {
        let error = fault(answer.unwrap_err());
        (error.kind, error.operation) == (BackendErrorKind::Unavailable, "replay")
    };
    assert!(unavailable(replay(store.log_id(), 0, 1).await), "it is not polled yet");

    // when
    assert!((&mut serving).now_or_never().is_none());
    assert!((&mut second).now_or_never().is_none());

    // then
    let log = store.read(Position::START, 10).await.unwrap();
    assert_eq!(replay(store.log_id(), 0, 10).await.unwrap(), log);
    assert_eq!(replay(store.log_id(), 2, 2).await.unwrap(), log[2..4]);
    assert_eq!(replay(store.log_id(), 5, 2).await.unwrap(), []);
    assert!(unavailable(replay(other.log_id(), 0, 1).await), "another log");
    assert!(unavailable(replay(LogId::new(SystemIds.uuid_v7()), 0, 1).await), "no such log");
    drop(serving);
    assert_eq!(replay(store.log_id(), 0, 10).await.unwrap(), log, "another one serves it still");
    drop(second);
    assert!(unavailable(replay(store.log_id(), 0, 1).await));
}

#[tokio::test]
async fn a_replay_of_a_log_that_fails_is_its_fault() {
    let bus = MemoryBus::new();
    let log = Arc::new(Faulty::over(store(1).await, Fault::Refused(BackendErrorKind::Timeout)));
    let mut serving = pin!(bus.serve_replays(log.clone()));
    assert!((&mut serving).now_or_never().is_none());
    let error = fault(bus.replay(log.log_id(), Position::START, 1).await.unwrap_err());
    assert_eq!((error.kind, error.adapter), (BackendErrorKind::Timeout, "faulty"));
}

#[tokio::test]
async fn each_bus_has_places_of_its_own() {
    let mut logs = Vec::new();
    for _ in 0..2 {
        let bus = MemoryBus::new();
        bus.inject("{");
        let given = reader(&bus).await.next(1).await.unwrap();
        let Message::Unreadable { place, .. } = given[0].message else { panic!("{given:?}") };
        logs.push(place.log);
    }
    assert_ne!(logs[0], logs[1]);
}

#[tokio::test]
async fn what_the_log_has_trimmed_is_told_to_who_asks_for_a_replay() {
    let (bus, store) = (MemoryBus::new(), store(5).await);
    store.trim(Position::new(3), at(1), 10).await.unwrap();
    let mut serving = bus.serve_replays(store.clone());
    assert!((&mut serving).now_or_never().is_none());
    let error = bus.replay(store.log_id(), Position::START, 1).await.unwrap_err();
    assert!(matches!(error, BusError::Gone { oldest } if oldest == Position::new(4)), "{error:?}");
    assert_eq!((error.code(), error.is_retryable(), error.outcome()), ("gone", false, Outcome::NotApplied));
}

#[tokio::test]
async fn who_listens_hears_each_head_that_is_announced_from_then_on() {
    // given
    let (bus, log) = (MemoryBus::new(), LogId::new(SystemIds.uuid_v7()));
    let head = |position| Head { log, position: Position::new(position) };
    bus.announce(head(1)).await.unwrap();
    let (mut one, mut other) = (bus.heads().await.unwrap(), bus.clone().heads().await.unwrap());
    assert!(one.next().now_or_never().is_none(), "what was announced before is not heard");

    // when
    bus.announce(head(2)).await.unwrap();
    bus.announce(head(3)).await.unwrap();

    // then
    for heads in [&mut one, &mut other] {
        assert_eq!((heads.next().await.unwrap(), heads.next().await.unwrap()), (head(2), head(3)));
    }

    // when one is far behind
    for position in 10..5000 {
        bus.announce(head(position)).await.unwrap();
    }

    // then it has missed some, and goes on
    let mut told = one.next().await.unwrap();
    assert!(told.position > Position::new(10));
    while told != head(4999) {
        told = one.next().await.unwrap();
    }
}
