//! `/events` as a stream: what was, what comes, and where a client that was cut off goes on.

use std::time::Duration;

use alm_http::Readiness;

use crate::support::{Given, Server, Setup};

#[tokio::test]
async fn a_stream_gives_what_was_and_then_what_comes() {
    // given
    let server = Server::start().await;
    let root = server.admin();
    root.app("one").await;
    root.app("two").await;

    // when
    let mut stream = root.get("/events").follow().await;
    assert_eq!(stream.told(2).await, ["1 apps/1", "2 apps/2"]);
    root.app("three").await;

    // then
    let (id, event) = stream.next().await.unwrap();
    assert_eq!((id.as_str(), &event), ("3", &server.events().await[2]), "it is the event that the pages have");
}

#[tokio::test]
async fn more_than_one_page_is_streamed_without_a_gap() {
    let server = Server::start().await;
    let root = server.admin();
    for n in 1..=201 {
        root.app(&format!("app-{n}")).await;
    }
    let expected: Vec<_> = (1..=201).map(|n| format!("{n} apps/{n}")).collect();
    assert_eq!(root.get("/events").follow().await.told(201).await, expected);
}

#[tokio::test]
async fn a_client_that_was_cut_off_goes_on_behind_the_last_id() {
    let server = Server::start().await;
    let root = server.admin();
    for n in 1..=4 {
        root.app(&format!("app-{n}")).await;
    }
    assert_eq!(root.get("/events?after=3").follow().await.told(1).await, ["4 apps/4"]);
    // As a browser does: the same address, and the header.
    let again = root.get("/events?after=1").header("last-event-id", "2").follow().await.told(2).await;
    assert_eq!(again, ["3 apps/3", "4 apps/4"]);
}

#[tokio::test]
async fn a_position_that_is_none_is_refused() {
    let server = Server::start().await;
    let root = server.admin();
    for id in ["x", "-1", "1.5", "99999999999999999999"] {
        let refused = root.get("/events").header("accept", "text/event-stream").header("last-event-id", id).await;
        refused.problem(400, "invalid-last-event-id");
    }
}

#[tokio::test]
async fn who_may_not_read_the_log_is_told_so_before_the_stream_begins() {
    let server = Server::start().await;
    let refused = server.user().get("/events").header("accept", "text/event-stream").await;
    refused.problem(403, "forbidden");
    server.anyone().get("/events").header("accept", "text/event-stream").await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn whoever_takes_anything_gets_pages() {
    let server = Server::start().await;
    server.admin().app("one").await;
    for accepted in ["*/*", "text/*", "application/json"] {
        let page = server.admin().get("/events").header("accept", accepted).await.ok(200);
        assert_eq!(page.as_array().unwrap().len(), 1);
    }
    let mut stream = server.admin().get("/events").header("accept", "application/json").follow().await;
    assert_eq!(stream.told(1).await, ["1 apps/1"], "it is one of several types");
}

#[tokio::test]
async fn a_stream_ends_when_the_server_shuts_down() {
    let readiness = Readiness::default();
    let given = readiness.clone();
    let server = Setup::default().api(move |api| api.readiness(given)).start().await;
    let mut stream = server.admin().get("/events").follow().await;
    server.admin().app("one").await;
    assert_eq!(stream.told(1).await, ["1 apps/1"]);

    readiness.shut_down();

    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_stream_on_which_nothing_happens_is_kept_alive_by_comments() {
    // given
    let server = Setup::default().api(|api| api.heartbeat(Duration::from_millis(20))).start().await;
    let root = server.admin();
    let mut stream = root.get("/events").follow().await;

    // when nothing happens
    stream.comment().await;

    // then the stream goes on with what comes
    root.app("one").await;
    assert_eq!(stream.told(1).await, ["1 apps/1"]);
}

#[tokio::test]
async fn a_stream_ends_with_the_session_that_it_was_asked_for_in() {
    let server = Server::start().await;
    let root = server.admin();
    for way in ["logout", "demotion"] {
        root.account("bob", "admin").await;
        let tokens = server.anyone().login("bob").await;
        let bob = server.anyone().with_token(tokens["access_token"].as_str().unwrap());
        let mut stream = bob.get("/events").follow().await;
        stream.next().await.unwrap();
        match way {
            "logout" => drop(bob.call("POST", "/logout").await.is(204)),
            _ => drop(root.put("/users/bob", &serde_json::json!({"role": "user"})).await.is(200)),
        }
        // What was committed before the end may still come.
        while stream.next().await.is_some() {}
        root.delete("/users/bob").await.is(204);
    }
}
