//! Delivery: again until it is acknowledged, to each consumer, shared by its subscriptions.

use std::collections::BTreeSet;

use futures_util::FutureExt;
use tokio::time::timeout;

use crate::{
    ports::{Delivery, Message, Place, Subscription},
    testing::conformance::{
        must::Must,
        tasks::{patience, polled_once},
    },
};

use super::{
    given::{Handling, a_log, ack, all_of, event_of, events, ids_of, next, publish, subscribe, take, take_until},
    subject::Subject,
};

pub(super) async fn every_consumer_gets_every_event(subject: Subject) {
    let bus = subject.bus();
    let mut one = subscribe(bus.as_ref(), "one").await;
    let mut other = subscribe(bus.as_ref(), "other").await;
    let published = events(a_log(), 1, 10);
    publish(bus.as_ref(), &published).await;
    assert_eq!(take(one.as_mut(), 10).await, published);
    assert_eq!(take(other.as_mut(), 10).await, published);
}

pub(super) async fn the_subscriptions_of_one_consumer_share(subject: Subject) {
    // given
    let bus = subject.bus();
    let mut one = subscribe(bus.as_ref(), "reader").await;
    let mut other = subscribe(bus.as_ref(), "reader").await;
    let published = events(a_log(), 1, 40);
    publish(bus.as_ref(), &published).await;

    // when one takes some, and the other the rest
    let mut taken = ids_of(&take(one.as_mut(), 15).await);
    taken.extend(ids_of(&take(other.as_mut(), 25).await));

    // then together they have each once, and there is no more
    let mut expected = ids_of(&published);
    taken.sort_unstable();
    expected.sort_unstable();
    assert_eq!(taken, expected);
    let last = events(a_log(), 1, 1);
    publish(bus.as_ref(), &last).await;
    let (one, other) = (one.next(5).boxed(), other.next(5).boxed());
    let first = timeout(patience(), futures_util::future::select(one, other)).await;
    let (deliveries, _) = first.unwrap_or_else(|_| panic!("nothing comes")).factor_first();
    let deliveries = deliveries.must("wait for deliveries");
    assert_eq!(deliveries.iter().map(event_of).collect::<Vec<_>>(), last);
}

pub(super) async fn no_more_come_at_once_than_were_asked_for(subject: Subject) {
    let bus = subject.bus();
    let mut subscription = subscribe(bus.as_ref(), "reader").await;
    let published = events(a_log(), 1, 12);
    publish(bus.as_ref(), &published).await;
    let mut taken = Vec::new();
    for limit in [1, 2, 1, 3] {
        let deliveries = next(subscription.as_mut(), limit).await;
        ack(subscription.as_mut(), &deliveries).await;
        taken.extend(deliveries.iter().map(event_of));
    }
    taken.extend(take(subscription.as_mut(), 12 - taken.len()).await);
    assert_eq!(taken, published, "what was not asked for yet is not lost");
}

pub(super) async fn whoever_waits_is_woken_by_what_is_published(subject: Subject) {
    let bus = subject.bus();
    let mut subscription = subscribe(bus.as_ref(), "reader").await;
    let published = events(a_log(), 1, 1);
    let mut wait = subscription.next(1);
    assert!(polled_once(&mut wait).await.is_none(), "a wait is over, and nothing was published");

    publish(bus.as_ref(), &published).await;

    let woken = timeout(patience(), wait).await;
    let deliveries = woken.unwrap_or_else(|_| panic!("whoever waits is not woken")).must("wait for deliveries");
    assert_eq!(deliveries.iter().map(event_of).collect::<Vec<_>>(), published);
}

pub(super) async fn what_is_not_acknowledged_comes_again(subject: Subject) {
    // given deliveries that no one acknowledges
    let bus = subject.bus();
    let mut subscription = subscribe(bus.as_ref(), "reader").await;
    let published = events(a_log(), 1, 3);
    publish(bus.as_ref(), &published).await;
    let ids = ids_of(&published);
    all_of(subscription.as_mut(), &ids, Handling::Ignored).await;

    for _ in 0..2 {
        // when
        subject.expire_deliveries().await;

        // then they come again, as often as it takes
        all_of(subscription.as_mut(), &ids, Handling::Ignored).await;
    }
}

pub(super) async fn what_is_acknowledged_does_not_come_again(subject: Subject) {
    let bus = subject.bus();
    let mut subscription = subscribe(bus.as_ref(), "reader").await;
    let log = a_log();
    publish(bus.as_ref(), &events(log, 1, 5)).await;
    take(subscription.as_mut(), 5).await;

    subject.expire_deliveries().await;
    let later = events(log, 6, 6);
    publish(bus.as_ref(), &later).await;

    assert_eq!(take_until(subscription.as_mut(), later[0].id).await, later);
}

pub(super) async fn each_delivery_is_acknowledged_by_itself(subject: Subject) {
    // given
    let bus = subject.bus();
    let mut subscription = subscribe(bus.as_ref(), "reader").await;
    let published = events(a_log(), 1, 3);
    publish(bus.as_ref(), &published).await;
    let mut deliveries = Vec::new();
    while deliveries.len() < 3 {
        deliveries.extend(next(subscription.as_mut(), 3).await);
    }

    // when only the one in the middle is acknowledged
    let middle = deliveries.iter().filter(|delivery| event_of(delivery).id == published[1].id).cloned();
    ack(subscription.as_mut(), &middle.collect::<Vec<_>>()).await;
    subject.expire_deliveries().await;

    // then the others come again, and it does not
    let others = [published[0].id, published[2].id];
    let came = all_of(subscription.as_mut(), &others, Handling::Acknowledged).await;
    assert_eq!(came, BTreeSet::from(others));
}

pub(super) async fn what_a_subscription_leaves_goes_to_the_next_of_its_name(subject: Subject) {
    let bus = subject.bus();
    let published = events(a_log(), 1, 4);
    publish(bus.as_ref(), &published).await;
    let mut first = subscribe(bus.as_ref(), "reader").await;
    next(first.as_mut(), 4).await;
    drop(first);

    subject.expire_deliveries().await;
    let mut second = subscribe(bus.as_ref(), "reader").await;

    let mut taken = ids_of(&take(second.as_mut(), 4).await);
    taken.sort_unstable();
    assert_eq!(taken, ids_of(&published));
}

pub(super) async fn a_consumer_goes_on_where_it_has_acknowledged(subject: Subject) {
    let bus = subject.bus();
    let published = events(a_log(), 1, 9);
    publish(bus.as_ref(), &published[..6]).await;
    let mut taken = Vec::new();
    for count in [1, 2, 3] {
        let mut subscription = subscribe(bus.as_ref(), "reader").await;
        taken.extend(take(subscription.as_mut(), count).await);
    }
    publish(bus.as_ref(), &published[6..]).await;
    let mut subscription = subscribe(bus.as_ref(), "reader").await;
    taken.extend(take_until(subscription.as_mut(), published[8].id).await);
    assert_eq!(ids_of(&taken), ids_of(&published));
}

pub(super) async fn a_wait_that_is_dropped_loses_nothing(subject: Subject) {
    let bus = subject.bus();
    let mut subscription = subscribe(bus.as_ref(), "reader").await;
    let log = a_log();
    let mut taken = BTreeSet::new();
    for position in 1..=20 {
        // when a wait is dropped at the first place at which it waits, before or after something is published
        let published = events(log, position, position);
        if position % 2 == 0 {
            publish(bus.as_ref(), &published).await;
        }
        let dropped = polled_once(&mut subscription.next(4)).await;
        if position % 2 == 1 {
            publish(bus.as_ref(), &published).await;
        }

        // then what it would have given comes again
        if let Some(deliveries) = dropped {
            let deliveries = deliveries.must("wait for deliveries");
            ack(subscription.as_mut(), &deliveries).await;
            taken.extend(deliveries.iter().map(|delivery| event_of(delivery).id));
        } else {
            subject.expire_deliveries().await;
            taken.extend(ids_of(&take_until(subscription.as_mut(), published[0].id).await));
        }
    }
    assert_eq!(taken.len(), 20, "each event came");
}

pub(super) async fn what_can_not_be_read_is_told_and_can_be_acknowledged(subject: Subject) {
    // given
    let bus = subject.bus();
    let mut subscription = subscribe(bus.as_ref(), "reader").await;
    let published = events(a_log(), 1, 2);
    publish(bus.as_ref(), &published[..1]).await;
    subject.inject(b"{\"specversion\":\"1.0\",\"type\":\"Nonsense\"} \xff").await;
    publish(bus.as_ref(), &published[1..]).await;

    // when
    let mut messages: Vec<Message> = Vec::new();
    while messages.len() < 3 {
        let deliveries = next(subscription.as_mut(), 3).await;
        ack(subscription.as_mut(), &deliveries).await;
        for Delivery { message, .. } in deliveries {
            if !messages.contains(&message) {
                messages.push(message);
            }
        }
    }

    // then it stands between the others as it came
    let unreadable: Vec<_> = messages
        .iter()
        .filter_map(|message| match message {
            Message::Unreadable { payload, reason, .. } => Some((payload.as_slice(), reason.is_empty())),
            Message::Event(_) => None,
        })
        .collect();
    assert_eq!(unreadable, [(b"{\"specversion\":\"1.0\",\"type\":\"Nonsense\"} \xff".as_slice(), false)]);

    // and does not come again once it is acknowledged
    subject.expire_deliveries().await;
    let later = events(a_log(), 1, 1);
    publish(bus.as_ref(), &later).await;
    assert_eq!(take_until(subscription.as_mut(), later[0].id).await, later);
}

/// The places of what can't be read and comes next, up to `count` of them, each once.
async fn places(subscription: &mut dyn Subscription, count: usize) -> Vec<(Vec<u8>, Place)> {
    let mut places: Vec<(Vec<u8>, Place)> = Vec::new();
    while places.len() < count {
        for Delivery { message, .. } in next(subscription, 8).await {
            let Message::Unreadable { place, payload, .. } = message else { continue };
            match places.iter().find(|(known, _)| *known == payload) {
                Some((_, known)) => assert_eq!(place, *known, "it has another place when it comes again"),
                None => places.push((payload, place)),
            }
        }
    }
    places.sort_by(|(one, _), (other, _)| one.cmp(other));
    places
}

pub(super) async fn what_can_not_be_read_has_a_place_and_keeps_it(subject: Subject) {
    // given
    let bus = subject.bus();
    let mut one = subscribe(bus.as_ref(), "one").await;
    let log = a_log();
    for (position, payload) in (1..).zip([b"1", b"2", b"3"]) {
        publish(bus.as_ref(), &events(log, position, position)).await;
        subject.inject(payload).await;
    }

    // then a later one has a higher place in the same store
    let first = places(one.as_mut(), 3).await;
    assert!(first.is_sorted_by(|(_, one), (_, other)| one.position < other.position), "{first:?}");
    assert!(first.iter().all(|(_, place)| place.log == first[0].1.log), "{first:?}");

    // and each has the same when it comes again, to this consumer and to another one
    subject.expire_deliveries().await;
    assert_eq!(places(one.as_mut(), 3).await, first);
    let mut other = subscribe(bus.as_ref(), "other").await;
    assert_eq!(places(other.as_mut(), 3).await, first);
}
