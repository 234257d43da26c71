//! What a server or a stream does not take.

use std::sync::Arc;

use alm_core::{
    domain::{Changelog, CloudEvent, Event, EventData, LogId, Position, VersionData},
    ports::{BackendErrorKind, BusError, BusState, EventBus, Ids, Outcome, SystemIds},
    testing::fixtures::{consumer, version},
};
use alm_test_support::nats::NatsServer;
use async_nats::jetstream::{
    self,
    stream::{Config, DiscardPolicy},
};

use futures_util::TryStreamExt;
use serde_json::json;

use crate::given::{a_log, a_name, connect, events, fault, ids_of, options, subscribe, take, told};

/// What the largest event may need, with its headers.
const LEAST: usize = CloudEvent::MAX_BYTES + 1024;

/// Events of one log, of which the last has the largest document that there can be: JSON makes six bytes of such a character.
fn with_the_largest(log: LogId) -> Vec<Arc<Event>> {
    let mut all = events(log, 1, 3);
    let mut version = VersionData::from(&version(1, 1, "v1"));
    version.changelog = Changelog::parse("\u{1}".repeat(32 * 1024)).unwrap();
    Arc::make_mut(&mut all[2]).event.data = EventData::VersionCreated(version);
    assert!(CloudEvent::encode(&all[2]).len() > 190_000);
    all
}

/// Events of one log, of which the last is of a type that is not published.
fn with_one_that_is_never_taken(log: LogId, last: u64) -> Vec<Arc<Event>> {
    let mut all = events(log, 1, last);
    let document =
        json!({"almlog": log, "sequence": last.to_string(), "id": SystemIds.uuid_v7(), "type": "TeamCreated"});
    let unread = CloudEvent::decode_as_is(document.to_string().as_bytes()).unwrap();
    *all.last_mut().unwrap() = Arc::new(unread);
    all
}

#[tokio::test]
async fn a_server_that_takes_less_than_an_event_may_need_is_not_used() {
    // given
    let server = NatsServer::start_with(|_| format!("max_payload: {}", LEAST - 1));
    let bus = connect(options(&server.url(), &a_name())).await;

    // then each call says why, and nothing is taken that could not be told again
    let error = fault(bus.publish(&events(a_log(), 1, 1)).await.unwrap_err());
    assert_eq!((error.kind, error.outcome), (BackendErrorKind::Unavailable, Outcome::NotApplied));
    for said in [(LEAST - 1).to_string(), LEAST.to_string(), "max_payload".to_owned()] {
        assert!(told(&error).contains(&said), "{said}: {}", told(&error));
    }
    assert!(bus.subscribe(&consumer("reader")).await.is_err());
    assert!(bus.replay(a_log(), Position::START, 1).await.is_err());
    assert_eq!((bus.state(), bus.max_event_bytes()), (BusState::Down, None));
    let jetstream = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    assert!(jetstream.stream_names().try_next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_server_that_takes_as_much_as_an_event_may_need_takes_any() {
    let server = NatsServer::start_with(|_| format!("max_payload: {LEAST}"));
    let bus = connect(options(&server.url(), &a_name())).await;
    let mut reader = subscribe(&bus, "reader").await;
    assert_eq!((bus.state(), bus.max_event_bytes()), (BusState::Up, Some(CloudEvent::MAX_BYTES)));

    let all = with_the_largest(a_log());
    bus.publish(&all).await.unwrap();
    assert_eq!(take(reader.as_mut(), 3).await, all);
}

#[tokio::test]
async fn a_stream_that_takes_less_than_an_event_may_need_is_made_to_take_it() {
    // given
    let (server, name, log) = (NatsServer::shared(), a_name(), a_log());
    let jetstream = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let subjects = vec![format!("{name}.v1.*.*")];
    let small = Config { name: name.clone(), subjects, max_message_size: 2000, ..Config::default() };
    jetstream.create_stream(small).await.unwrap();
    let is = async || jetstream.get_stream(&name).await.unwrap().cached_info().config.clone();
    let bus = connect(options(&server.url(), &name)).await;

    // when, then
    let all = with_the_largest(log);
    bus.publish(&all).await.unwrap();
    assert_eq!(usize::try_from(is().await.max_message_size).unwrap(), LEAST);
    assert_eq!(bus.max_event_bytes(), Some(CloudEvent::MAX_BYTES));

    // and also when someone makes it so while it is used
    jetstream.update_stream(Config { max_message_size: 2000, ..is().await }).await.unwrap();
    let more = with_the_largest(a_log());
    bus.publish(&more).await.unwrap();
    let mut reader = subscribe(&bus, "reader").await;
    assert_eq!(take(reader.as_mut(), 6).await, [all, more].concat());
}

#[tokio::test]
async fn an_event_that_is_never_taken_is_told_and_those_before_it_are_stored() {
    let server = NatsServer::shared();
    let bus = connect(options(&server.url(), &a_name())).await;
    let mut reader = subscribe(&bus, "reader").await;
    let all = with_one_that_is_never_taken(a_log(), 3);
    let error = bus.publish(&all).await.unwrap_err();
    assert!(matches!(&error, BusError::Rejected { event, .. } if *event == all[2].id), "{error:?}");
    assert!(!error.is_retryable());
    assert_eq!(take(reader.as_mut(), 2).await, all[..2]);
}

#[tokio::test]
async fn a_bus_that_was_never_connected_knows_no_bound() {
    let server = NatsServer::prepared(|_| String::new());
    let bus = connect(options(&server.url(), &a_name())).await;
    assert_eq!(bus.max_event_bytes(), None);
}

#[tokio::test]
async fn a_stream_that_is_full_takes_no_writes() {
    let (server, name) = (NatsServer::shared(), a_name());
    let jetstream = jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let subjects = vec![format!("{name}.v1.*.*")];
    let full =
        Config { name: name.clone(), subjects, max_messages: 3, discard: DiscardPolicy::New, ..Config::default() };
    jetstream.create_stream(full).await.unwrap();
    let bus = connect(options(&server.url(), &name)).await;

    let error = fault(bus.publish(&events(a_log(), 1, 5)).await.unwrap_err());

    assert_eq!((error.kind, error.outcome), (BackendErrorKind::NotWritable, Outcome::Unknown));
    assert!(error.is_retryable());

    // and what stands before one that is never taken is told first
    let error = bus.publish(&with_one_that_is_never_taken(a_log(), 5)).await.unwrap_err();
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
