//! Several connections, and connections that break.

use std::sync::Arc;

use tokio::{sync::watch, time::timeout};

use crate::{
    domain::Event,
    ports::{BusState, EventBus},
    testing::conformance::{
        must::Must,
        tasks::{ended, patience, start},
    },
};

use super::{
    given::{a_log, event_of, events, ids_of, publish, subscribe, take},
    subject::Subject,
};

pub(super) async fn a_bus_that_does_its_work_is_up(subject: Subject) {
    let bus = subject.bus();
    let mut subscription = subscribe(bus.as_ref(), "reader").await;
    let published = events(a_log(), 1, 3);
    publish(bus.as_ref(), &published).await;
    assert_eq!(take(subscription.as_mut(), 3).await, published);
    assert_eq!(bus.state(), BusState::Up);
}

pub(super) async fn what_one_connection_publishes_another_gets(subject: Subject) {
    let (one, other) = (subject.bus(), subject.another_connection().await);
    let mut subscription = subscribe(other.as_ref(), "reader").await;
    let published = events(a_log(), 1, 10);
    publish(one.as_ref(), &published).await;
    assert_eq!(take(subscription.as_mut(), 10).await, published);

    let mut subscription = subscribe(one.as_ref(), "writer").await;
    assert_eq!(take(subscription.as_mut(), 10).await, published);
}

pub(super) async fn the_connections_of_one_consumer_share(subject: Subject) {
    let (one, other) = (subject.bus(), subject.another_connection().await);
    let mut through_one = subscribe(one.as_ref(), "reader").await;
    let mut through_other = subscribe(other.as_ref(), "reader").await;
    let published = events(a_log(), 1, 20);
    publish(one.as_ref(), &published).await;
    let mut taken = ids_of(&take(through_one.as_mut(), 8).await);
    taken.extend(ids_of(&take(through_other.as_mut(), 12).await));
    taken.sort_unstable();
    assert_eq!(taken, ids_of(&published));
}

pub(super) async fn an_interruption_loses_nothing(subject: Subject) {
    // given someone who publishes and someone who consumes; both try again when a call fails
    const EVENTS: u64 = 200;
    let bus = subject.bus();
    let all = events(a_log(), 1, EVENTS);
    let (progress, mut pace) = watch::channel(0_usize);
    let publishing = {
        let (bus, all) = (subject.bus(), all.clone());
        start(async move {
            for (batch, published) in all.chunks(10).zip((0..).step_by(10)) {
                // Not far ahead of the consumer, so that each interruption meets both.
                let _ = pace.wait_for(|seen| seen + 20 >= published).await;
                publish_until_it_is_stored(bus.as_ref(), batch).await;
            }
        })
    };
    let mut subscription = subscribe(bus.as_ref(), "reader").await;

    // when connections break again and again
    let mut seen: Vec<Arc<Event>> = Vec::new();
    let mut failures = 0;
    while seen.len() < all.len() {
        if seen.len() as u64 / 40 >= failures && failures < 5 {
            failures += 1;
            subject.interrupt().await;
        }
        let coming = timeout(patience(), subscription.next(8)).await;
        let coming = coming.unwrap_or_else(|_| panic!("{} of {EVENTS} events came, and no more do", seen.len()));
        let Ok(deliveries) = coming else {
            subject.expire_deliveries().await;
            continue;
        };
        let tags: Vec<_> = deliveries.iter().map(|delivery| delivery.tag).collect();
        // What is not acknowledged comes again, and is known by its id.
        let _ = subscription.ack(&tags).await;
        for event in deliveries.iter().map(event_of) {
            if seen.iter().all(|known| known.id != event.id) {
                seen.push(event);
            }
        }
        progress.send_replace(seen.len());
    }

    // then every event came
    ended(publishing).await;
    let mut ids = ids_of(&seen);
    ids.sort_unstable();
    assert_eq!(ids, ids_of(&all));
}

async fn publish_until_it_is_stored(bus: &dyn EventBus, events: &[Arc<Event>]) {
    loop {
        match bus.publish(events).await {
            Ok(()) => return,
            Err(error) if error.is_retryable() => tokio::task::yield_now().await,
            refused => refused.must("publish events"),
        }
    }
}
