//! What is gone from the event log, and how whoever asks for it is told.

use std::sync::Arc;

use alm_core::{
    domain::{Position, Timestamp},
    ports::{Committer, EventLog},
    testing::{Call, Fault, Faulty, Gate, Operation, Switch},
};
use alm_store_memory::MemoryStore;
use serde_json::json;

use crate::support::{Given, Server, Setup, each};

/// A server with `apps` apps, and its store.
async fn with_apps(apps: usize) -> (Server, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::new());
    let server = Setup::default().store(store.clone()).start().await;
    for n in 1..=apps {
        server.admin().app(&format!("app-{n}")).await;
    }
    (server, store)
}

async fn trim(store: &MemoryStore, up_to: u64) {
    let trimmed = store.trim(Position::new(up_to), Timestamp::MAX, usize::MAX).await.unwrap();
    assert_eq!(trimmed.oldest, Position::new(up_to + 1));
}

#[tokio::test]
async fn events_that_are_gone_are_410_and_it_is_said_where_the_log_begins() {
    let (server, store) = with_apps(5).await;
    trim(&store, 3).await;
    let root = server.admin();
    for after in [0, 1, 2] {
        let problem = root.get(format!("/events?after={after}")).await.problem(410, "gone");
        assert_eq!(problem["oldest"], 4, "{problem}");
    }
    let kept = root.get("/events?after=3").await.ok(200);
    assert_eq!(each(&kept, "subject"), ["apps/4", "apps/5"]);
    assert_eq!(root.get("/events").await.ok(200), kept, "unless told otherwise it begins with what is kept");
    let first = root.get("/events?limit=1").await.is(200);
    assert_eq!(first.next_page().as_deref(), Some("/events?limit=1&after=4"));
}

#[tokio::test]
async fn a_log_of_which_nothing_is_kept_goes_on() {
    let (server, store) = with_apps(3).await;
    trim(&store, 3).await;
    let root = server.admin();
    assert_eq!(root.get("/events").await.ok(200), json!([]));
    assert_eq!(root.get("/events?after=3").await.ok(200), json!([]));
    assert_eq!(root.get("/events?after=2").await.problem(410, "gone")["oldest"], 4);
    let mut stream = root.get("/events").follow().await;
    root.app("another").await;
    assert_eq!(stream.told(1).await, ["4 apps/4"]);
    assert_eq!(each(&root.get("/events").await.ok(200), "sequence"), ["00000000000000000004"]);
}

#[tokio::test]
async fn a_stream_of_events_that_are_gone_is_410_before_it_begins() {
    let (server, store) = with_apps(5).await;
    trim(&store, 3).await;
    let root = server.admin();
    let stream = |path: &str| root.get(path).header("accept", "text/event-stream");
    assert_eq!(stream("/events?after=2").await.problem(410, "gone")["oldest"], 4);
    let again = stream("/events?after=4").header("last-event-id", "2").await;
    assert_eq!(again.problem(410, "gone")["oldest"], 4, "a client that was cut off for too long");
    assert_eq!(stream("/events").follow().await.told(2).await, ["4 apps/4", "5 apps/5"]);
    assert_eq!(stream("/events?after=0").header("last-event-id", "4").follow().await.told(1).await, ["5 apps/5"]);
}

#[tokio::test]
async fn a_stream_that_falls_behind_says_so_before_it_ends() {
    // given a stream that is to read on when what comes next is gone
    let store = Arc::new(MemoryStore::new());
    let switch = Switch::default();
    let switched = Arc::new(Faulty::over(store.clone(), switch.clone()));
    let server = Setup::default().store(switched).start().await;
    let root = server.admin();
    root.app("one").await;
    server.settled().await;
    let mut stream = root.get("/events").follow().await;
    assert_eq!(stream.told(1).await, ["1 apps/1"]);
    let gate = Gate::closed();
    let held = gate.clone();
    switch.set(move |call: &Call<'_>| match call.operation {
        Operation::Read => Fault::Hold(held.clone()),
        _ => Fault::None,
    });

    // when
    for name in ["two", "three"] {
        root.app(name).await;
    }
    trim(&store, 2).await;
    assert_eq!(store.head().await.unwrap(), Position::new(3));
    gate.open();

    // then
    let (name, told) = stream.next().await.expect("it says something before it ends");
    assert_eq!((name.as_str(), told), ("gone", json!({"code": "gone", "oldest": 3})));
    assert!(stream.next().await.is_none());
    let again = root.get("/events").header("accept", "text/event-stream").header("last-event-id", "1").await;
    again.problem(410, "gone");
}
