//! The stream: made, kept as it must be, and made again.

use std::time::Duration;

use alm_bus_nats::Storage;
use alm_core::{
    ports::{BackendErrorKind, EventBus, Message},
    testing::fixtures::consumer,
};
use alm_test_support::nats::NatsServer;
use async_nats::jetstream::{
    self, Context,
    consumer::{AckPolicy, pull},
    stream::{Config, Info, RetentionPolicy, StorageType},
};
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::given::{a_log, a_name, connect, events, fault, ids_of, options, publish, subscribe, take, told};

async fn jetstream(server: &NatsServer) -> Context {
    jetstream::new(async_nats::connect(server.url()).await.unwrap())
}

async fn info(server: &NatsServer, name: &str) -> Info {
    jetstream(server).await.get_stream(name).await.unwrap().get_info().await.unwrap()
}

#[tokio::test]
async fn many_who_come_at_once_make_one_stream_as_it_must_be() {
    // given
    let (server, name, log) = (NatsServer::shared(), a_name(), a_log());
    let all = events(log, 1, 8);

    // when
    let coming = all.iter().map(|event| async {
        let bus = connect(options(&server.url(), &name)).await;
        bus.publish(std::slice::from_ref(event)).await.unwrap();
    });
    join_all(coming).await;

    // then
    let info = info(&server, &name).await;
    let config = &info.config;
    assert_eq!(info.state.messages, 8);
    assert_eq!(config.subjects, [format!("{name}.v1.*.*")]);
    assert_eq!((config.storage, config.retention), (StorageType::File, RetentionPolicy::Limits));
    assert_eq!((config.deny_delete, config.deny_purge, config.no_ack), (true, true, false));
    assert_eq!((config.max_age, config.max_bytes, config.max_messages), (Duration::ZERO, -1, -1));
    assert_eq!(config.duplicate_window, Duration::from_mins(2));
}

#[tokio::test]
async fn limits_are_taken_over_and_left_alone_by_who_names_none() {
    let (server, name, log) = (NatsServer::shared(), a_name(), a_log());
    let hours = |hours| Duration::from_hours(hours);
    let plain = options(&server.url(), &name);
    let with_limits = plain.clone().max_age(hours(1)).max_bytes(1 << 20);
    for (position, options, expected) in [
        (1, with_limits, (hours(1), 1 << 20)),
        (2, plain.clone().max_age(hours(2)), (hours(2), 1 << 20)),
        (3, plain.clone(), (hours(2), 1 << 20)),
        (4, plain.max_bytes(0).max_age(Duration::ZERO), (Duration::ZERO, -1)),
    ] {
        connect(options).await.publish(&events(log, position, position)).await.unwrap();
        let config = info(&server, &name).await.config;
        assert_eq!((config.max_age, config.max_bytes), expected, "{position}");
    }
}

#[tokio::test]
async fn a_stream_that_is_less_is_brought_up_and_what_an_operator_has_set_stays() {
    // given
    let (server, name) = (NatsServer::shared(), a_name());
    let other = format!("other-{name}");
    let made = Config {
        name: name.clone(),
        subjects: vec![other.clone(), format!("{name}.v1.apps.created")],
        max_messages: 1000,
        duplicate_window: Duration::from_secs(1),
        description: Some("mine".to_owned()),
        ..Config::default()
    };
    jetstream(&server).await.create_stream(made).await.unwrap();

    // when
    let bus = connect(options(&server.url(), &name)).await;
    let published = events(a_log(), 1, 3);
    bus.publish(&published).await.unwrap();

    // then
    let config = info(&server, &name).await.config;
    assert_eq!(config.subjects, [other.clone(), format!("{name}.v1.*.*")]);
    assert_eq!((config.max_messages, config.description.as_deref()), (1000, Some("mine")));
    assert_eq!((config.duplicate_window, config.deny_delete), (Duration::from_mins(2), true));

    // and what else is in it is not delivered
    jetstream(&server).await.publish(other, "x".into()).await.unwrap().await.unwrap();
    bus.publish(&events(a_log(), 1, 1)).await.unwrap();
    let mut reader = subscribe(&bus, "reader").await;
    let taken = take(reader.as_mut(), 4).await;
    assert_eq!(ids_of(&taken[..3]), ids_of(&published));
}

#[tokio::test]
async fn what_can_not_be_changed_is_told_with_what_to_do() {
    let server = NatsServer::shared();
    let made = [
        Config { storage: StorageType::Memory, ..Config::default() },
        Config { retention: RetentionPolicy::WorkQueue, ..Config::default() },
    ];
    for made in made {
        let name = a_name();
        let made = Config { name: name.clone(), subjects: vec![format!("{name}.>")], ..made };
        jetstream(&server).await.create_stream(made).await.unwrap();
        let bus = connect(options(&server.url(), &name)).await;
        let errors = [
            bus.publish(&events(a_log(), 1, 1)).await.unwrap_err(),
            bus.subscribe(&consumer("reader")).await.err().unwrap(),
        ];
        for error in errors.map(fault) {
            assert_eq!(error.kind, BackendErrorKind::Corrupt);
            assert!(told(&error).contains(&format!("nats stream rm {name}")), "{}", told(&error));
        }
    }
}

#[tokio::test]
async fn a_stream_in_memory_is_one_for_who_wants_it_so() {
    let (server, name) = (NatsServer::shared(), a_name());
    let bus = connect(options(&server.url(), &name).storage(Storage::Memory)).await;
    bus.publish(&events(a_log(), 1, 1)).await.unwrap();
    assert_eq!(info(&server, &name).await.config.storage, StorageType::Memory);
}

#[tokio::test]
async fn a_consumer_that_is_otherwise_is_changed_or_told() {
    // given a consumer that gives up, and filters, and one that needs no acknowledgement
    let (server, name) = (NatsServer::shared(), a_name());
    let bus = connect(options(&server.url(), &name)).await;
    let published = events(a_log(), 1, 3);
    bus.publish(&published).await.unwrap();
    let stream = jetstream(&server).await.get_stream(&name).await.unwrap();
    let consumer_of = |durable: &str, ack_policy| pull::Config {
        durable_name: Some(durable.to_owned()),
        ack_policy,
        max_deliver: 1,
        max_ack_pending: 7,
        filter_subject: format!("{name}.v1.apps.*"),
        ..pull::Config::default()
    };
    stream.create_consumer(consumer_of("changed", AckPolicy::Explicit)).await.unwrap();
    stream.create_consumer(consumer_of("told", AckPolicy::None)).await.unwrap();

    // then
    let mut changed = subscribe(&bus, "changed").await;
    assert_eq!(ids_of(&take(changed.as_mut(), 3).await), ids_of(&published));
    let config = stream.consumer_info("changed").await.unwrap().config;
    assert_eq!((config.max_deliver, config.max_ack_pending), (-1, 7), "what is not named stays");
    assert_eq!(config.filter_subject, format!("{name}.v1.*.*"));
    let error = fault(bus.subscribe(&consumer("told")).await.err().unwrap());
    assert!(told(&error).contains(&format!("nats consumer rm {name} told")), "{}", told(&error));
}

#[tokio::test]
async fn a_stream_that_is_removed_is_made_again_under_who_publishes_and_who_reads() {
    let (server, name, log) = (NatsServer::shared(), a_name(), a_log());
    let bus = connect(options(&server.url(), &name)).await;
    let mut reader = subscribe(&bus, "reader").await;
    let started = Instant::now();
    for (first, last) in [(1, 20), (21, 40), (41, 60)] {
        let published = events(log, first, last);
        bus.publish(&published).await.unwrap();
        assert_eq!(ids_of(&take(reader.as_mut(), 20).await), ids_of(&published));
        jetstream(&server).await.delete_stream(&name).await.unwrap();
    }
    assert!(started.elapsed() < Duration::from_secs(10), "it is noticed at once: {:?}", started.elapsed());
}

#[tokio::test]
async fn a_server_that_has_lost_its_store_is_used_as_before_and_old_deliveries_touch_nothing_new() {
    // given a delivery that is not acknowledged, and one that can't be read
    let (mut server, name, log) = (NatsServer::start(), a_name(), a_log());
    let bus = connect(options(&server.url(), &name)).await;
    let mut reader = subscribe(&bus, "reader").await;
    bus.publish(&events(log, 1, 1)).await.unwrap();
    let old = reader.next(10).await.unwrap()[0].tag;
    let garbage = async |server: &NatsServer| {
        let subject = format!("{name}.v1.apps.created");
        jetstream(server).await.publish(subject, "{".into()).await.unwrap().await.unwrap();
    };
    garbage(&server).await;
    let place = |message: &Message| match message {
        Message::Unreadable { place, .. } => *place,
        other => panic!("it can be read: {other:?}"),
    };
    let lost = place(&reader.next(10).await.unwrap()[0].message);
    assert_eq!(lost.position.get(), 2);

    // when
    server.stop();
    server.wipe();
    server.begin();
    let new = events(log, 2, 2);
    publish(&bus, &new).await;

    // then what is new is delivered by the same subscription, and the old acknowledgement is none of it
    let come = alm_test_support::eventually("it comes", async || reader.next(10).await.ok()).await;
    assert!(matches!(&come[0].message, Message::Event(event) if event.id == new[0].id), "{come:?}");
    reader.ack(&[old]).await.unwrap();
    let again = reader.next(10).await.unwrap();
    assert_eq!(again[0].message, come[0].message, "it was not acknowledged, so it comes again");
    reader.ack(&[again[0].tag]).await.unwrap();

    // and what has the same place in the new store is told from what was lost
    garbage(&server).await;
    let found = place(&reader.next(10).await.unwrap()[0].message);
    assert_eq!(found.position, lost.position);
    assert_ne!(found.log, lost.log);
}

#[tokio::test]
async fn the_first_call_after_a_loss_may_be_an_acknowledgement_and_touches_nothing_new() {
    // given a delivery of a store that is lost
    let (mut server, name, log) = (NatsServer::start(), a_name(), a_log());
    let (bus, other) = (connect(options(&server.url(), &name)).await, connect(options(&server.url(), &name)).await);
    let mut reader = subscribe(&bus, "reader").await;
    bus.publish(&events(log, 1, 1)).await.unwrap();
    let old = reader.next(1).await.unwrap()[0].tag;
    server.stop();
    server.wipe();
    server.begin();

    // and one of the new store, in its place, that someone else of the name has
    publish(&other, &events(log, 2, 2)).await;
    let mut second =
        alm_test_support::eventually("it subscribes", async || other.subscribe(&consumer("reader")).await.ok()).await;
    let new = second.next(1).await.unwrap();

    // when
    alm_test_support::eventually("there is a server", async || reader.ack(&[old]).await.ok()).await;

    // then the new one comes again, for no one has acknowledged it
    assert_eq!(second.next(1).await.unwrap()[0].message, new[0].message);
}
