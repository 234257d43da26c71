//! Replays and heads, also by those who mean no good.

use std::{sync::Arc, time::Duration};

use alm_core::{
    domain::{Changelog, CloudEvent, Event, LogId, Position, Version},
    ports::{BackendErrorKind, BusError, Committer, EventBus, EventLog, Head},
    testing::{
        Fault, Faulty, Switch,
        fixtures::{app, of, version},
    },
};
use alm_store_memory::MemoryStore;
use alm_test_support::{eventually, nats::NatsServer};
use futures_util::StreamExt;
use tokio::{sync::watch, task::AbortHandle};

use crate::given::{a_log, a_name, connect, fault, options};

/// A log of so many events.
async fn log(count: i64) -> Arc<MemoryStore> {
    let store = MemoryStore::new();
    for id in 1..=count {
        store.commit(of(alm_core::changeset::Change::app_created(&app(id, &format!("app-{id}"))))).await.unwrap();
    }
    Arc::new(store)
}

struct Serving(AbortHandle);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn serve(bus: &alm_bus_nats::NatsBus, log: Arc<dyn EventLog>) -> Serving {
    let bus = bus.clone();
    Serving(tokio::spawn(async move { bus.serve_replays(log).await.unwrap() }).abort_handle())
}

async fn replayed(bus: &alm_bus_nats::NatsBus, log: LogId, after: u64, limit: usize) -> Vec<Arc<Event>> {
    eventually("it is replayed", async || bus.replay(log, Position::new(after), limit).await.ok()).await
}

#[tokio::test]
async fn a_replay_that_is_larger_than_a_message_comes_whole() {
    let server = NatsServer::start_with(|_| "max_payload: 300000".to_owned());
    let bus = connect(options(&server.url(), &a_name())).await;
    let log = log(2_500).await;
    let _serving = serve(&bus, log.clone());
    let all = log.read(Position::START, usize::MAX).await.unwrap();
    let bytes: usize = all.iter().map(|event| CloudEvent::encode(event).len()).sum();
    assert!(bytes > 900_000, "{bytes}");
    assert_eq!(replayed(&bus, log.log_id(), 0, usize::MAX).await, all);
    assert_eq!(replayed(&bus, log.log_id(), 499, 1_500).await, all[499..1_999]);
    assert_eq!(replayed(&bus, log.log_id(), 2_500, 300).await, []);
    assert_eq!(replayed(&bus, log.log_id(), 0, 0).await, []);
}

#[tokio::test]
async fn the_largest_event_is_told_again_by_the_smallest_server() {
    let server = NatsServer::start_with(|_| format!("max_payload: {}", CloudEvent::MAX_BYTES + 1024));
    let bus = connect(options(&server.url(), &a_name())).await;
    let log = log(1).await;
    // JSON makes six bytes of such a character.
    let changelog = Changelog::parse("\u{1}".repeat(32 * 1024)).unwrap();
    let version = Version { changelog, ..version(1, 1, "v1") };
    log.commit(of(alm_core::changeset::Change::version_created(&version))).await.unwrap();
    let _serving = serve(&bus, log.clone());
    let all = log.read(Position::START, usize::MAX).await.unwrap();
    assert_eq!(replayed(&bus, log.log_id(), 0, usize::MAX).await, all);
}

#[tokio::test]
async fn many_ask_at_once_and_all_are_answered() {
    let server = NatsServer::shared();
    let bus = connect(options(&server.url(), &a_name())).await;
    let log = log(50).await;
    let _serving = [serve(&bus, log.clone()), serve(&bus, log.clone())];
    replayed(&bus, log.log_id(), 0, 1).await;
    let asking = (0..200).map(|after| bus.replay(log.log_id(), Position::new(after % 50), 10));
    for answer in futures_util::future::join_all(asking).await {
        assert!(!answer.unwrap().is_empty());
    }
}

#[tokio::test]
async fn whoever_serves_survives_every_request_and_every_restart() {
    // given
    let (mut server, name) = (NatsServer::start(), a_name());
    let bus = connect(options(&server.url(), &name)).await;
    let log = log(5).await;
    let _serving = serve(&bus, log.clone());
    assert_eq!(replayed(&bus, log.log_id(), 0, 9).await.len(), 5);
    let subject = format!("{name}.replay.v1.{}", log.log_id());

    // when
    let client = async_nats::connect(server.url()).await.unwrap();
    for request in
        ["", "{", "null", "[]", "{\"after\":-1,\"limit\":1}", "{\"after\":1}", "\u{0}", "{\"after\":0,\"limit\":1e99}"]
    {
        let answer = client.request(subject.clone(), request.into()).await.unwrap();
        assert_eq!(answer.payload, r#"{"fault":{"kind":"bad_request"}}"#, "{request}");
        // No one waits for this one.
        client.publish(subject.clone(), request.into()).await.unwrap();
    }
    let most = format!("{{\"after\":{},\"limit\":{}}}", u64::MAX, usize::MAX);
    let answer = client.request(subject.clone(), most.into()).await.unwrap();
    assert_eq!(answer.payload, r#"{"page":{"events":[],"more":false}}"#);

    // then
    assert_eq!(replayed(&bus, log.log_id(), 0, 9).await.len(), 5);
    server.restart();
    assert_eq!(replayed(&bus, log.log_id(), 0, 9).await.len(), 5);
}

#[tokio::test]
async fn an_answer_that_is_none_is_an_error() {
    // given someone who answers for a log, and what it has not
    let (server, name, foreign) = (NatsServer::shared(), a_name(), a_log());
    let bus = connect(options(&server.url(), &name)).await;
    let log = log(1).await;
    let event = CloudEvent::encode(&log.read(Position::START, 1).await.unwrap()[0]);
    let event = String::from_utf8(event).unwrap();
    let client = async_nats::connect(server.url()).await.unwrap();
    let mut asked = client.subscribe(format!("{name}.replay.v1.{foreign}")).await.unwrap();
    let (say, said) = watch::channel(String::new());
    let answering = tokio::spawn(async move {
        while let Some(request) = asked.next().await {
            let answer = said.borrow().clone();
            client.publish(request.reply.unwrap(), answer.into()).await.unwrap();
        }
    });
    let _answering = Serving(answering.abort_handle());
    for answer in [
        "",
        "{}",
        r#"{"page":{"events":[],"more":true}}"#,
        r#"{"page":{"events":[{}],"more":false}}"#,
        r#"{"page":{"events":7,"more":false}}"#,
        r#"{"fault":{"kind":"of another kind"}}"#,
        &format!(r#"{{"page":{{"events":[{event}],"more":false}}}}"#),
    ] {
        // when
        say.send_replace(answer.to_owned());

        // then
        let kind = eventually("someone answers", async || {
            let error = fault(bus.replay(foreign, Position::START, 5).await.unwrap_err());
            (error.kind != BackendErrorKind::Unavailable).then_some(error.kind)
        });
        assert_eq!(kind.await, BackendErrorKind::Internal, "{answer}");
    }
}

#[tokio::test]
async fn what_a_log_answers_comes_to_who_asks() {
    // given
    let server = NatsServer::shared();
    let bus = connect(options(&server.url(), &a_name())).await;
    let (log, faults) = (log(5).await, Switch::default());
    let _serving = serve(&bus, Arc::new(Faulty::over(log.clone(), faults.clone())));
    assert_eq!(replayed(&bus, log.log_id(), 0, 9).await.len(), 5);

    // then
    for kind in [
        BackendErrorKind::Unavailable,
        BackendErrorKind::Timeout,
        BackendErrorKind::Overloaded,
        BackendErrorKind::Corrupt,
        BackendErrorKind::Internal,
    ] {
        faults.set(Fault::Refused(kind));
        let error = fault(bus.replay(log.log_id(), Position::START, 9).await.unwrap_err());
        assert_eq!((error.kind, error.adapter), (kind, "nats"));
    }
    faults.off();
    log.trim(Position::new(3), alm_core::testing::fixtures::at(1), 10).await.unwrap();
    let error = bus.replay(log.log_id(), Position::START, 9).await.unwrap_err();
    assert!(matches!(error, BusError::Gone { oldest } if oldest == Position::new(4)), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_waited_for_in_bounds() {
    let (server, name, log) = (NatsServer::shared(), a_name(), a_log());
    let bus = connect(options(&server.url(), &name).request_timeout(Duration::from_millis(300))).await;
    let client = async_nats::connect(server.url()).await.unwrap();
    let _silent = client.subscribe(format!("{name}.replay.v1.{log}")).await.unwrap();
    client.flush().await.unwrap();
    let kind = eventually("someone listens", async || {
        let error = fault(bus.replay(log, Position::START, 5).await.unwrap_err());
        (error.kind != BackendErrorKind::Unavailable).then_some(error.kind)
    });
    assert_eq!(kind.await, BackendErrorKind::Timeout);
}

#[tokio::test]
async fn who_listens_to_heads_hears_them_past_garbage_and_restarts() {
    // given
    let (mut server, name, log) = (NatsServer::start(), a_name(), a_log());
    let (bus, other) = (connect(options(&server.url(), &name)).await, connect(options(&server.url(), &name)).await);
    let mut heads = other.heads().await.unwrap();
    for position in 1..4 {
        // when
        eventually("there is a server", async || async_nats::connect(server.url()).await.ok()).await;
        let client = async_nats::connect(server.url()).await.unwrap();
        for garbage in ["", "{", "{\"log\":1,\"position\":1}", "{\"position\":1}"] {
            client.publish(format!("{name}.heads.v1"), garbage.into()).await.unwrap();
        }
        client.flush().await.unwrap();

        // then
        let head = Head { log, position: Position::new(position) };
        eventually("it is heard", async || {
            let _ = bus.announce(head).await;
            let told = tokio::time::timeout(Duration::from_millis(50), heads.next()).await;
            told.is_ok_and(|told| told.unwrap() == head).then_some(())
        })
        .await;
        server.restart();
    }
}
