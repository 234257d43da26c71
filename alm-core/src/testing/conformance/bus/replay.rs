//! Replay: what the bus does not have is asked of the owner of the log.

use std::sync::Arc;

use tokio::time::timeout;

use crate::{
    domain::{Event, LogId, Position},
    ports::{BackendErrorKind, BusError, EventBus},
    testing::conformance::{
        must::Must,
        tasks::{patience, start},
    },
};

use super::{
    given::{FixedLog, a_log, events, ids_of},
    subject::Subject,
};

/// Serves the replays of a log until it is dropped.
struct Server(tokio::task::JoinHandle<()>);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Server {
    fn of(bus: Arc<dyn EventBus>, log: LogId, events: Vec<Arc<Event>>) -> Self {
        Self(start(async move {
            let ended = bus.serve_replays(Arc::new(FixedLog { log, events })).await;
            ended.must("serve replays");
            panic!("whoever serves replays serves them until it is dropped");
        }))
    }

    async fn stopped(mut self) {
        self.0.abort();
        // It is over once the task is, whatever it says of how.
        let _ = (&mut self.0).await;
    }
}

/// The events, once whoever serves the log is there.
async fn replayed(bus: &dyn EventBus, log: LogId, after: u64, limit: usize) -> Vec<Arc<Event>> {
    let asking = async {
        loop {
            match bus.replay(log, Position::new(after), limit).await {
                Err(error) if error.is_retryable() => tokio::task::yield_now().await,
                answer => break answer.must("replay a log"),
            }
        }
    };
    timeout(patience(), asking).await.unwrap_or_else(|_| panic!("the log is served, and its replay is unavailable"))
}

pub(super) async fn a_range_of_a_log_is_replayed_by_who_serves_it(subject: Subject) {
    let log = a_log();
    let all = events(log, 1, 30);
    let _server = Server::of(subject.bus(), log, all.clone());
    let bus = subject.bus();
    for (after, limit) in [(0, 30), (0, 1), (4, 10), (29, 10), (30, 10), (99, 1)] {
        let first = usize::try_from(after).expect("a small number").min(30);
        let expected = &all[first..(first + limit).min(30)];
        assert_eq!(replayed(bus.as_ref(), log, after, limit).await, expected, "{limit} after {after}");
    }
}

pub(super) async fn a_log_is_replayed_by_pages(subject: Subject) {
    let log = a_log();
    let all = events(log, 1, 300);
    let _server = Server::of(subject.bus(), log, all.clone());
    let bus = subject.bus();
    let mut got: Vec<Arc<Event>> = Vec::new();
    loop {
        let page = replayed(bus.as_ref(), log, got.len() as u64, 128).await;
        let last = page.len() < 128;
        got.extend(page);
        if last {
            break;
        }
    }
    assert_eq!(ids_of(&got), ids_of(&all));
}

fn is_unavailable(error: &BusError) -> bool {
    matches!(error, BusError::Backend(error) if error.kind == BackendErrorKind::Unavailable)
}

pub(super) async fn a_log_that_no_one_serves_is_unavailable(subject: Subject) {
    let bus = subject.bus();
    let error = bus.replay(a_log(), Position::START, 1).await.must_fail("replay a log that no one serves");
    assert!(is_unavailable(&error), "it must be unavailable, and is: {error}");

    // when someone serves it, and then does not any more
    let log = a_log();
    let server = Server::of(subject.bus(), log, events(log, 1, 1));
    replayed(bus.as_ref(), log, 0, 1).await;
    server.stopped().await;

    // then it is unavailable as soon as the bus has noticed
    let asking = async {
        loop {
            let answer = bus.replay(log, Position::START, 1).await;
            // One that was under way to whoever served it may end otherwise.
            if matches!(&answer, Err(error) if is_unavailable(error)) {
                break;
            }
            assert!(answer.as_ref().map_or_else(BusError::is_retryable, |_| true), "{answer:?}");
            tokio::task::yield_now().await;
        }
    };
    timeout(patience(), asking).await.unwrap_or_else(|_| panic!("it is replayed though no one serves it"));
}

pub(super) async fn each_log_is_replayed_by_its_own_server(subject: Subject) {
    let (one, other) = (a_log(), a_log());
    let (of_one, of_other) = (events(one, 1, 3), events(other, 1, 5));
    let _servers = [Server::of(subject.bus(), one, of_one.clone()), Server::of(subject.bus(), other, of_other.clone())];
    let bus = subject.bus();
    assert_eq!(replayed(bus.as_ref(), one, 0, 10).await, of_one);
    assert_eq!(replayed(bus.as_ref(), other, 0, 10).await, of_other);
}

/// What the bus answers whoever asks for events of `log` from its beginning on, once it is served.
async fn assert_gone(bus: &dyn EventBus, log: LogId, oldest: u64) {
    let first = replayed(bus, log, oldest - 1, 1).await;
    assert_eq!(first.first().map(|event| event.position.get()), Some(oldest), "what is there is replayed");
    for after in [0, oldest - 2] {
        let error = bus.replay(log, Position::new(after), 10).await.must_fail("replay what was trimmed");
        let told = matches!(&error, BusError::Gone { oldest: told } if told.get() == oldest);
        assert!(told, "what is behind {after} must be gone, up to {oldest}, and is: {error}");
    }
}

pub(super) async fn what_was_trimmed_is_told_to_be_gone(subject: Subject) {
    let log = a_log();
    let _server = Server::of(subject.bus(), log, events(log, 8, 12));
    assert_gone(subject.bus().as_ref(), log, 8).await;
}

pub(super) async fn what_was_trimmed_is_told_over_another_connection(subject: Subject) {
    let log = a_log();
    let other = subject.another_connection().await;
    let _server = Server::of(subject.bus(), log, events(log, 3, 12));
    assert_gone(other.as_ref(), log, 3).await;
}

pub(super) async fn a_log_is_replayed_over_another_connection(subject: Subject) {
    let log = a_log();
    let all = events(log, 1, 10);
    let other = subject.another_connection().await;
    let _server = Server::of(subject.bus(), log, all.clone());
    assert_eq!(replayed(other.as_ref(), log, 2, 5).await, all[2..7]);
}
