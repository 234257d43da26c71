//! Services that do not answer, or not properly.

use std::time::{Duration, Instant};

use alm_http::{gateway::Upstreams, upstream::UpstreamConfig};
use serde_json::json;

use crate::support::{Given, eventually};

use super::given::{Front, Puppet, Services, nowhere, quick};

#[tokio::test]
async fn a_service_that_is_down_is_named_and_the_others_go_on() {
    let mut services = Services::start().await;
    let front = services.front().await;
    let ada = front.user();
    let app = ada.app("billing").await;
    services.version.refuses().await;
    let new = json!({"app_id": app, "tag": "v1"});
    let refused = ada.post("/versions", &new).await;
    assert_eq!(refused.header("retry-after"), Some("1"));
    let problem = refused.problem(503, "upstream-unavailable");
    assert_eq!((&problem["upstream"], &problem["outcome"]), (&json!("version"), &json!("not_applied")));
    assert_eq!(problem["instance"], "/versions");
    ada.get(format!("/apps/{app}")).await.is(200);
    ada.get("/deployments").await.is(200);
    services.version.connects();
    ada.post("/versions", &new).await.is(201);
}

#[tokio::test]
async fn a_service_that_hangs_is_a_timeout_and_the_others_go_on() {
    let services = Services::start().await;
    let front = services.front().await;
    let ada = front.user();
    let app = ada.app("billing").await;
    services.version.swallows(true);
    let begun = Instant::now();
    let new = json!({"app_id": app, "tag": "v1"});
    let (read, write, other) =
        tokio::join!(async { ada.get("/versions").await }, async { ada.post("/versions", &new).await }, async {
            let answer = ada.get(format!("/apps/{app}")).await;
            (answer, begun.elapsed())
        },);
    let problem = read.problem(504, "upstream-timeout");
    assert_eq!((&problem["upstream"], &problem["outcome"]), (&json!("version"), &json!("not_applied")));
    // It may have been made, and only the answer be lost.
    assert_eq!(write.problem(504, "upstream-timeout")["outcome"], "unknown");
    assert!(begun.elapsed() < Duration::from_secs(5));
    let (answer, took) = other;
    answer.is(200);
    assert!(took < Duration::from_millis(250), "it did not wait for the other: {took:?}");
    services.version.swallows(false);
    ada.post("/versions", &new).await.is(201);
}

#[tokio::test]
async fn what_is_no_answer_is_a_bad_gateway() {
    let long = format!("HTTP/1.1 200 OK\r\nx-long: {}\r\n\r\n", "x".repeat(300 * 1024));
    for answer in [
        "",
        "HTTP/1.1 200 OK\r\ncontent-le",
        "nonsense\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
        &long,
    ] {
        let puppet = Puppet::new().await;
        let front = Front::of_one(puppet.url()).await;
        let ada = front.user();
        // Fetched first, so that the answers below go with it.
        ada.document().await;
        for (method, outcome) in [("GET", "not_applied"), ("DELETE", "unknown")] {
            let service = async {
                let (mut connection, _) = puppet.request().await;
                let _ = tokio::io::AsyncWriteExt::write_all(&mut connection.stream, answer.as_bytes()).await;
            };
            let ((), answered) = tokio::join!(service, async { ada.call(method, "/apps/1").await });
            let problem = answered.problem(502, "upstream-failed");
            assert_eq!((&problem["upstream"], &problem["outcome"]), (&json!("app"), &json!(outcome)), "{answer}");
        }
    }
}

#[tokio::test]
async fn an_answer_of_a_service_passes_also_when_it_is_a_fault_of_its_own() {
    let puppet = Puppet::new().await;
    let front = Front::of_one(puppet.url()).await;
    for status in ["500 Oops", "503 Service Unavailable", "418 Teapot"] {
        let mut client = front.send("GET /apps HTTP/1.1\r\nhost: alm\r\nconnection: close\r\n\r\n").await;
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 4\r\nconnection: close\r\nx-own: 1\r\n\r\nbody");
        let (_, head) = tokio::join!(puppet.answers(&answer), client.head());
        let code = status.split(' ').next().unwrap();
        assert!(head.starts_with(&format!("http/1.1 {code}")) && head.contains("x-own: 1"), "{head}");
        assert_eq!(client.rest().await, "body");
    }
}

#[tokio::test]
async fn a_request_whose_body_is_too_slow_is_the_fault_of_its_client() {
    let puppet = Puppet::new().await;
    let upstreams = super::given::everything_at(&puppet.url());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = alm_http::gateway::Gateway::new(upstreams).router();
    let config = alm_http::serve::ServeConfig::default().body_timeout(Duration::from_millis(100));
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        alm_http::serve::serve(listener, router, config, std::future::pending()).await;
    });
    let mut client = super::given::Raw::of(tokio::net::TcpStream::connect(address).await.unwrap());
    client.write("POST /apps HTTP/1.1\r\nhost: alm\r\ncontent-length: 9\r\n\r\nhalf").await;
    let (mut service, _) = puppet.request().await;
    let answered = client.head().await;
    assert!(answered.starts_with("http/1.1 408"), "{answered}");
    service.is_closed().await;
}

/// A circuit that opens after few failures, for long.
fn touchy() -> UpstreamConfig {
    quick().circuit_window(4).circuit_pause(Duration::from_mins(10))
}

#[tokio::test]
async fn a_service_that_keeps_failing_is_not_asked_for_a_while_and_the_others_are() {
    let mut services = Services::start().await;
    let front =
        Front::with(services.upstreams(), touchy().circuit_pause(Duration::from_millis(1500)), |router| router).await;
    let ada = front.user();
    ada.app("billing").await;
    services.version.refuses().await;
    eventually("the circuit is open", async || {
        let refused = ada.get("/versions").await;
        let is_open = refused.header("retry-after") == Some("2");
        refused.problem(503, "upstream-unavailable");
        is_open.then_some(())
    })
    .await;
    // It is back, and not asked yet.
    let before = services.version.connections();
    services.version.connects();
    let problem = ada.post("/versions", &json!({"app_id": 1, "tag": "v1"})).await.problem(503, "upstream-unavailable");
    assert_eq!(problem["outcome"], "not_applied");
    assert_eq!(services.version.connections(), before);
    ada.get("/apps/1").await.is(200);
    // After the pause some requests try, and then all go.
    eventually("the circuit is closed", async || (ada.get("/versions").await.status == 200).then_some(())).await;
    for _ in 0..10 {
        ada.get("/versions").await.is(200);
    }
}

#[tokio::test]
async fn refusals_of_a_service_do_not_open_its_circuit() {
    let services = Services::start().await;
    let front = Front::with(services.upstreams(), touchy(), |router| router).await;
    let (anyone, ada) = (front.anyone(), front.user());
    for _ in 0..10 {
        anyone.get("/apps").await.is(401);
        ada.get("/apps/9").await.is(404);
        ada.get("/apps?x=1").await.is(400);
    }
    ada.app("billing").await;
}

#[tokio::test]
async fn a_service_that_says_itself_that_it_can_not_is_asked_on_and_something_on_the_way_to_it_is_not() {
    let problem = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nconnection: close\r\n\
                   content-length: 2\r\n\r\n{}";
    let proxy = "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 4\r\n\r\nbusy";
    for (answer, opens) in [(problem, false), (proxy, true)] {
        let puppet = Puppet::new().await;
        let elsewhere = nowhere().await;
        let upstreams = Upstreams { app: puppet.url(), ..super::given::everything_at(&elsewhere) };
        let front = Front::with(upstreams, touchy(), |router| router).await;
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            loop {
                puppet.answers(answer).await;
            }
        });
        let mut seen = Vec::new();
        for _ in 0..8 {
            let client = front.send("GET /apps HTTP/1.1\r\nhost: alm\r\nconnection: close\r\n\r\n").await;
            seen.push(client.rest().await.contains("upstream-unavailable"));
        }
        assert!(!seen[0], "{seen:?}");
        assert_eq!(seen[7], opens, "{seen:?}");
    }
}
