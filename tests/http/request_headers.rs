use std::collections::HashSet;

use serde_json::json;

use crate::support::{Given, Server};

#[tokio::test]
async fn a_request_id_is_given_back() {
    let server = Server::start().await;
    for id in ["a", "550e8400-e29b-41d4-a716-446655440000", "~!{}\"<>", &"x".repeat(128)] {
        let answer = server.anyone().get("/healthz").header("x-request-id", id).await.is(200);
        assert_eq!(answer.header("x-request-id"), Some(id));
    }
    let problem = server.anyone().get("/apps").header("x-request-id", "mine").await.problem(401, "unauthenticated");
    assert_eq!(problem["request_id"], "mine");
}

#[tokio::test]
async fn a_request_id_is_made_when_there_is_none_that_can_be_taken() {
    let server = Server::start().await;
    let mut seen = HashSet::new();
    for bad in [None, Some(""), Some("two words"), Some("tab\there"), Some("é"), Some(&*"x".repeat(129))] {
        let call = server.anyone().get("/healthz");
        let call = bad.map_or_else(|| server.anyone().get("/healthz"), |bad| call.header("x-request-id", bad));
        let made = call.await.is(200).header("x-request-id").unwrap().to_owned();
        assert_eq!((made.len(), made.as_bytes()[14]), (36, b'7'), "{made} is no UUIDv7");
        assert!(seen.insert(made));
    }
}

#[tokio::test]
async fn a_traceparent_is_carried_into_the_event() {
    let server = Server::start().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let ada = server.user();
    ada.post("/apps", &json!({"name": "billing"})).header("traceparent", trace).await.is(201);
    ada.app("untraced").await;
    ada.get("/users").header("traceparent", trace).await.problem(403, "forbidden");
    let login = json!({"username": "nobody", "password": "guess"});
    server.anyone().post("/login", &login).header("traceparent", trace).await.is(401);
    let events = server.events().await;
    let traces: Vec<_> = events.iter().map(|event| event["traceparent"].as_str().unwrap()).collect();
    let begins = |of: &str| of.starts_with(&trace[..36]);
    assert_eq!(traces.iter().map(|of| begins(of)).collect::<Vec<_>>(), [true, false, true, true]);
    // Each request is a span of its own in it.
    assert_eq!(traces.iter().chain([&trace]).collect::<HashSet<_>>().len(), 5);
}

#[tokio::test]
async fn what_a_cascade_does_stands_in_the_trace_of_what_caused_it() {
    let server = Server::start().await;
    let root = server.admin();
    let app = root.app("billing").await;
    root.version(app, "v1").await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    root.delete(format!("/apps/{app}")).header("traceparent", trace).await.is(204);
    server.settled().await;
    let [.., cause, last] = &server.events().await[..] else { panic!("two are deleted") };
    assert_eq!((&cause["type"], &last["type"]), (&json!("AppDeleted"), &json!("VersionDeleted")));
    assert_eq!(cause["traceparent"], last["traceparent"]);
    assert!(last["traceparent"].as_str().unwrap().starts_with(&trace[..36]));
}

#[tokio::test]
async fn a_traceparent_that_is_none_is_not_carried_and_does_no_harm() {
    let server = Server::start().await;
    let ada = server.user();
    for (n, bad) in ["", "x", "00-0-0-00", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"].iter().enumerate()
    {
        ada.post("/apps", &json!({"name": format!("app {n}")})).header("traceparent", *bad).await.is(201);
    }
    let events = server.events().await;
    let traces: HashSet<_> = events.iter().map(|event| &event["traceparent"].as_str().unwrap()[3..35]).collect();
    assert_eq!(traces.len(), 4, "each has a trace of its own");
    assert!(!traces.contains("4bf92f3577b34da6a3ce929d0e0e4736"));
}
