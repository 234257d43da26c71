//! Publishing: stored when it returns, once, in order.

use std::sync::Arc;

use crate::{
    domain::{Actor, Event, EventData, NewEvent, Position, Subject as About, TraceParent},
    ports::EventBus,
    testing::{
        conformance::{must::Must, tasks::at_once},
        fixtures::{app, at, event, event_id},
    },
};

use super::{
    given::{a_log, events, ids_of, publish, subscribe, take, take_until},
    subject::Subject,
};

pub(super) async fn an_event_is_delivered_as_it_was_published(subject: Subject) {
    // given a plain event and a strange one
    let bus = subject.bus();
    let log = a_log();
    let plain = event(log, 1);
    let trace = TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").expect("a traceparent");
    let strange = NewEvent {
        id: event_id(),
        subject: About::App(app(i64::MAX, "x").id),
        data: EventData::AppCreated((&app(i64::MAX, "Ключ \u{1f680} \"quoted\" \\ {} '")).into()),
        time: at(1_795_348_800_123_456),
        actor: Actor::parse("Ада \u{1f680} <ada@example.org>").expect("an actor"),
        trace: Some(trace),
    };
    let strange = Event { position: Position::new(i64::MAX.unsigned_abs()), event: strange, ..plain.as_ref().clone() };
    let published = [plain, Arc::new(strange)];

    // when
    let mut subscription = subscribe(bus.as_ref(), "reader").await;
    publish(bus.as_ref(), &published).await;

    // then
    assert_eq!(take(subscription.as_mut(), 2).await, published);
}

pub(super) async fn what_is_published_waits_for_whoever_comes_later(subject: Subject) {
    let bus = subject.bus();
    let published = events(a_log(), 1, 20);
    publish(bus.as_ref(), &published[..10]).await;
    publish(bus.as_ref(), &published[10..]).await;

    let mut subscription = subscribe(bus.as_ref(), "latecomer").await;

    assert_eq!(take(subscription.as_mut(), 20).await, published);
}

pub(super) async fn an_event_that_is_published_twice_is_delivered_once(subject: Subject) {
    let bus = subject.bus();
    let all = events(a_log(), 1, 5);
    let mut subscription = subscribe(bus.as_ref(), "reader").await;

    publish(bus.as_ref(), &all[..3]).await;
    publish(bus.as_ref(), &all[1..4]).await;
    let twice = [all[3].clone(), all[3].clone(), all[0].clone(), all[4].clone()];
    publish(bus.as_ref(), &twice).await;

    let taken = take_until(subscription.as_mut(), all[4].id).await;
    assert_eq!(ids_of(&taken), ids_of(&all));
}

pub(super) async fn an_event_that_many_publish_at_once_is_delivered_once(subject: Subject) {
    let bus = subject.bus();
    let mut subscription = subscribe(bus.as_ref(), "reader").await;
    let all = events(a_log(), 1, 10);
    let publishing = |bus: Arc<dyn EventBus>, events: Vec<Arc<Event>>| async move { bus.publish(&events).await };
    let published = at_once((0..6).map(|_| publishing(subject.bus(), all[..9].to_vec()))).await;
    for answer in published {
        answer.must("publish what others publish too");
    }
    publish(bus.as_ref(), &all[9..]).await;

    let mut taken = ids_of(&take_until(subscription.as_mut(), all[9].id).await);
    let mut expected = ids_of(&all);
    taken.sort_unstable();
    expected.sort_unstable();
    assert_eq!(taken, expected);
}

pub(super) async fn the_events_of_a_log_come_in_their_order(subject: Subject) {
    let bus = subject.bus();
    let mut subscription = subscribe(bus.as_ref(), "reader").await;
    let published = events(a_log(), 1, 600);
    for batch in published.chunks(150) {
        publish(bus.as_ref(), batch).await;
    }
    assert_eq!(ids_of(&take(subscription.as_mut(), 600).await), ids_of(&published));
}

pub(super) async fn the_events_of_each_of_several_logs_come_in_their_order(subject: Subject) {
    // given three logs whose events are published at the same time
    let bus = subject.bus();
    let mut subscription = subscribe(bus.as_ref(), "reader").await;
    let logs = [a_log(), a_log(), a_log()];
    let publishing = |bus: Arc<dyn EventBus>, log| async move {
        for first in (1..=60).step_by(10) {
            publish(bus.as_ref(), &events(log, first, first + 9)).await;
        }
    };
    at_once(logs.map(|log| publishing(subject.bus(), log))).await;

    let taken = take(subscription.as_mut(), 180).await;
    for log in logs {
        let positions = taken.iter().filter(|event| event.log == log).map(|event| event.position.get());
        assert_eq!(positions.collect::<Vec<_>>(), (1..=60).collect::<Vec<_>>());
    }
}

pub(super) async fn to_publish_nothing_does_nothing(subject: Subject) {
    let bus = subject.bus();
    let mut subscription = subscribe(bus.as_ref(), "reader").await;
    publish(bus.as_ref(), &[]).await;
    let published = events(a_log(), 1, 1);
    publish(bus.as_ref(), &published).await;
    assert_eq!(take(subscription.as_mut(), 1).await, published);
}
