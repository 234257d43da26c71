//! What a server or a stream does not take.

use std::sync::Arc;

use alm_core::{
    domain::{AppData, CloudEvent, Description, Event, EventData},
    ports::{BackendErrorKind, BusError, EventBus, Outcome},
    testing::fixtures::app,
};
use alm_test_support::nats::NatsServer;
use async_nats::jetstream::{
    self,
    stream::{Config, DiscardPolicy},
};

use crate::given::{a_log, a_name, connect, events, fault, ids_of, options, subscribe, take};

/// Events of one log, of which the one at `position` has a document of so many bytes.
fn with_one_of(size: usize, position: u64) -> Vec<Arc<Event>> {
    let mut all = events(a_log(), 1, 5);
    let of_description = |length: usize| {
        let description = Description::parse("x".repeat(length)).unwrap();
        let mut event = Event::clone(&all[usize::try_from(position).unwrap() - 1]);
        event.event.data = EventData::AppCreated(AppData { description, ..AppData::from(&app(1, "a")) });
        event
    };
    let empty = CloudEvent::encode(&of_description(0)).len();
    let event = of_description(size - empty);
    assert_eq!(CloudEvent::encode(&event).len(), size);
    all[usize::try_from(position).unwrap() - 1] = Arc::new(event);
    all
}

#[tokio::test]
async fn an_event_is_taken_up_to_the_bound_that_is_told_and_refused_beyond_what_the_server_takes() {
    // given
    let server = NatsServer::start_with(|_| "max_payload: 3000".to_owned());
    let bus = connect(options(&server.url(), &a_name())).await;
    let mut reader = subscribe(&bus, "reader").await;
    let bound = bus.max_event_bytes().unwrap();
    // There is room for headers, and for what a page of a replay has around it.
    assert!((1900..2488).contains(&bound), "{bound}");

    // then
    let all = with_one_of(bound, 3);
    bus.publish(&all).await.unwrap();
    assert_eq!(take(reader.as_mut(), 5).await, all);

    let all = with_one_of(3001, 3);
    let error = bus.publish(&all).await.unwrap_err();
    assert!(matches!(&error, BusError::Rejected { event, .. } if *event == all[2].id), "{error:?}");
    assert!(!error.is_retryable());
    assert_eq!(ids_of(&take(reader.as_mut(), 2).await), ids_of(&all[..2]), "those before it are stored");
    bus.publish(&all[3..]).await.unwrap();
    assert_eq!(ids_of(&take(reader.as_mut(), 2).await), ids_of(&all[3..]), "and nothing else was");
}

#[tokio::test]
async fn the_bound_of_the_stream_counts_too() {
    let (server, name) = (NatsServer::shared(), a_name());
    let jetstream = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let subjects = vec![format!("{name}.v1.*.*")];
    jetstream
        .create_stream(Config { name: name.clone(), subjects, max_message_size: 2000, ..Config::default() })
        .await
        .unwrap();
    let bus = connect(options(&server.url(), &name)).await;
    bus.publish(&events(a_log(), 1, 1)).await.unwrap();
    let bound = bus.max_event_bytes().unwrap();
    assert!((900..1488).contains(&bound), "{bound}");

    bus.publish(&with_one_of(bound, 2)).await.unwrap();
    let all = with_one_of(2001, 2);
    let error = bus.publish(&all).await.unwrap_err();
    assert!(matches!(&error, BusError::Rejected { event, .. } if *event == all[1].id), "{error:?}");
}

#[tokio::test]
async fn a_bus_that_was_never_connected_knows_no_bound() {
    let server = NatsServer::prepared(|_| String::new());
    let bus = connect(options(&server.url(), &a_name())).await;
    assert_eq!(bus.max_event_bytes(), None);
}

#[tokio::test]
async fn a_stream_that_is_full_takes_no_writes() {
    let (server, name) = (NatsServer::start_with(|_| "max_payload: 3000".to_owned()), a_name());
    let jetstream = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let subjects = vec![format!("{name}.v1.*.*")];
    let full =
        Config { name: name.clone(), subjects, max_messages: 3, discard: DiscardPolicy::New, ..Config::default() };
    jetstream.create_stream(full).await.unwrap();
    let bus = connect(options(&server.url(), &name)).await;

    let error = fault(bus.publish(&events(a_log(), 1, 5)).await.unwrap_err());

    assert_eq!((error.kind, error.outcome), (BackendErrorKind::NotWritable, Outcome::Unknown));
    assert!(error.is_retryable());

    // and what stands before one that is too large is told first
    let error = bus.publish(&with_one_of(3001, 5)).await.unwrap_err();
    assert_eq!(fault(error).kind, BackendErrorKind::NotWritable);
}

#[tokio::test]
async fn more_than_fits_into_the_window_is_published_in_order() {
    let server = NatsServer::shared();
    let bus = connect(options(&server.url(), &a_name())).await;
    let published = events(a_log(), 1, 3000);
    bus.publish(&published).await.unwrap();
    let mut reader = subscribe(&bus, "reader").await;
    assert_eq!(ids_of(&take(reader.as_mut(), 3000).await), ids_of(&published));
}
