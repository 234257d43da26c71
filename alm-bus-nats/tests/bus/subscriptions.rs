//! Subscriptions: how they hand over, and what they hold.

use std::time::Duration;

use alm_bus_nats::NatsOptions;
use alm_core::ports::{BackendErrorKind, BusState, DeliveryTag, EventBus, Subscription};
use alm_test_support::nats::NatsServer;
use tokio::time::{Instant, timeout};

use crate::given::{a_log, a_name, connect, events, fault, ids_of, is, options, subscribe, take};

/// As a service has it: what is not acknowledged would come again after half a minute by itself.
fn slow(server: &NatsServer) -> NatsOptions {
    options(&server.url(), &a_name()).ack_wait(Duration::from_secs(30))
}

/// Waits for so many deliveries, and acknowledges none. Says in how many times they came.
async fn hold(subscription: &mut dyn Subscription, count: usize) -> usize {
    let (mut given, mut times) = (0, 0);
    while given < count {
        given += timeout(Duration::from_secs(10), subscription.next(512)).await.expect("they come").unwrap().len();
        times += 1;
    }
    times
}

#[tokio::test]
async fn what_a_dropped_subscription_held_comes_to_the_next_at_once() {
    // given one that was given some, has pulled others, and waits for more
    let server = NatsServer::shared();
    let bus = connect(slow(&server)).await;
    let published = events(a_log(), 1, 20);
    bus.publish(&published).await.unwrap();
    let started = Instant::now();
    let mut first = subscribe(&bus, "reader").await;
    let given = first.next(10).await.unwrap();
    first.ack(&[given[0].tag]).await.unwrap();
    first.next(10).await.unwrap();
    assert!(timeout(Duration::from_millis(50), first.next(10)).await.is_err(), "there is no more");

    // when
    drop(first);
    let later = events(a_log(), 1, 1);
    bus.publish(&later).await.unwrap();
    let mut second = subscribe(&bus, "reader").await;

    // then
    let mut taken = ids_of(&take(second.as_mut(), 20).await);
    taken.sort_unstable();
    let mut expected = [ids_of(&published[1..]), ids_of(&later)].concat();
    expected.sort_unstable();
    assert_eq!(taken, expected);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test]
async fn what_comes_again_comes_many_at_once() {
    let server = NatsServer::shared();
    let bus = connect(slow(&server)).await;
    let published = events(a_log(), 1, 200);
    bus.publish(&published).await.unwrap();
    let mut first = subscribe(&bus, "reader").await;
    hold(first.as_mut(), 200).await;
    drop(first);

    // Each time costs a round trip, and the next one waits for what is done with what came.
    let mut second = subscribe(&bus, "reader").await;
    let times = hold(second.as_mut(), 200).await;
    assert!(times <= 100, "{times} times: each by itself");
}

#[tokio::test]
async fn what_comes_to_a_wait_that_was_dropped_is_not_lost_with_its_subscription() {
    let server = NatsServer::shared();
    let bus = connect(slow(&server)).await;
    for _ in 0..20 {
        let mut first = subscribe(&bus, "reader").await;
        // It is dropped when it may have asked, and the answer may be on its way.
        let waiting = timeout(Duration::from_millis(2), first.next(10)).await;
        assert!(waiting.is_err());
        let published = events(a_log(), 1, 1);
        let (stored, ()) = tokio::join!(bus.publish(&published), async { drop(first) });
        stored.unwrap();
        let mut second = subscribe(&bus, "reader").await;
        assert_eq!(ids_of(&take(second.as_mut(), 1).await), ids_of(&published));
    }
}

#[tokio::test]
async fn a_subscription_holds_nothing_that_it_was_not_asked_for() {
    let server = NatsServer::shared();
    let bus = connect(slow(&server)).await;
    let published = events(a_log(), 1, 10);
    bus.publish(&published).await.unwrap();
    let (mut one, mut other) = (subscribe(&bus, "reader").await, subscribe(&bus, "reader").await);
    let started = Instant::now();
    assert_eq!(one.next(4).await.unwrap().len(), 4);
    assert_eq!(ids_of(&take(other.as_mut(), 6).await), ids_of(&published[4..]));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_bound_on_what_waits_for_its_acknowledgement_holds_back_the_rest() {
    let server = NatsServer::shared();
    let bus = connect(slow(&server).max_ack_pending(3)).await;
    let published = events(a_log(), 1, 5);
    bus.publish(&published).await.unwrap();
    let mut reader = subscribe(&bus, "reader").await;
    let given = reader.next(10).await.unwrap();
    assert_eq!(given.len(), 3);
    assert!(timeout(Duration::from_millis(200), reader.next(10)).await.is_err(), "no more than the bound");
    reader.ack(&given.iter().map(|delivery| delivery.tag).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(ids_of(&take(reader.as_mut(), 2).await), ids_of(&published[3..]));
}

#[tokio::test]
async fn an_acknowledgement_of_what_was_not_given_is_refused_and_a_second_one_is_none() {
    let server = NatsServer::shared();
    let bus = connect(slow(&server)).await;
    bus.publish(&events(a_log(), 1, 1)).await.unwrap();
    let mut reader = subscribe(&bus, "reader").await;
    let tag = reader.next(1).await.unwrap()[0].tag;
    reader.ack(&[tag]).await.unwrap();
    reader.ack(&[tag, tag]).await.unwrap();
    let error = fault(reader.ack(&[DeliveryTag::new(tag.get() + 1)]).await.unwrap_err());
    assert_eq!(error.kind, BackendErrorKind::Internal);
}

#[tokio::test]
async fn what_a_subscription_held_comes_to_the_next_at_once_also_when_its_bus_is_closed() {
    let server = NatsServer::shared();
    let options = slow(&server);
    let published = events(a_log(), 1, 500);
    connect(options.clone()).await.publish(&published).await.unwrap();
    for _ in 0..5 {
        // The same again and again: nothing is ever acknowledged.
        let bus = connect(options.clone()).await;
        let mut reader = subscribe(&bus, "reader").await;
        hold(reader.as_mut(), 500).await;
        // It asks for more, too, and what it gives back may be what it gets.
        assert!(timeout(Duration::from_millis(50), reader.next(512)).await.is_err());
        drop(reader);
        bus.close().await;
    }
}

#[tokio::test]
async fn a_bus_that_is_closed_has_sent_what_it_was_given_and_is_down() {
    let server = NatsServer::shared();
    let options = slow(&server);
    let (bus, other) = (connect(options.clone()).await, connect(options).await);
    let published = events(a_log(), 1, 5);
    bus.publish(&published).await.unwrap();
    let mut reader = subscribe(&bus, "reader").await;

    bus.close().await;

    is(&bus, BusState::Down).await;
    assert!(timeout(Duration::from_secs(15), reader.next(1)).await.unwrap().is_err());
    assert_eq!(fault(bus.publish(&published).await.unwrap_err()).kind, BackendErrorKind::Unavailable);
    let mut reader = subscribe(&other, "other").await;
    assert_eq!(ids_of(&take(reader.as_mut(), 5).await), ids_of(&published));
}
