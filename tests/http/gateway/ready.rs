//! Whether the gateway wants requests.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Client, Fate, Setup, a_faulty_store, each, eventually};

use super::given::{Front, Puppet, Services, at, everything_at, nowhere};

fn states(ready: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let dependencies = ready["dependencies"].as_array().unwrap();
    dependencies.iter().map(|one| (text(&one["name"]), text(&one["status"]))).collect()
}

async fn becomes(client: &Client, status: u16, expected: [&str; 4]) -> Value {
    eventually("the services are as expected", async || {
        let answer = client.get("/readyz").await;
        let ready = answer.json();
        (answer.status == status
            && each(&ready["dependencies"], "status") == expected.map(|s| json!(s)).iter().collect::<Vec<_>>())
        .then_some(ready)
    })
    .await
}

#[tokio::test]
async fn it_is_ready_as_long_as_one_service_answers_and_tells_the_state_of_each() {
    let mut services = Services::start().await;
    let front = services.front().await;
    let anyone = front.anyone();
    assert_eq!(anyone.get("/healthz").await.ok(200)["status"], "ok");
    let ready = anyone.get("/readyz").await.ok(200);
    let up = ["app", "version", "deployment", "audit"].map(|name| (name.to_owned(), "up".to_owned()));
    assert_eq!(states(&ready), up);
    services.version.refuses().await;
    becomes(&anyone, 200, ["up", "down", "up", "up"]).await;
    services.version.connects();
    becomes(&anyone, 200, ["up", "up", "up", "up"]).await;
    for wire in [&mut services.app, &mut services.version, &mut services.deployment, &mut services.audit] {
        wire.refuses().await;
    }
    let problem = becomes(&anyone, 503, ["down"; 4]).await;
    assert_eq!(problem["code"], "not-ready");
    anyone.get("/healthz").await.is(200);
}

#[tokio::test]
async fn a_service_that_answers_but_is_not_ready_is_degraded() {
    let (store, faults) = a_faulty_store();
    let server = Setup::default().store(store).start().await;
    let elsewhere = nowhere().await;
    let upstreams = alm_http::gateway::Upstreams { app: at(server.address), ..everything_at(&elsewhere) };
    let front = Front::of(upstreams).await;
    faults.set(Fate::IsGone);
    becomes(&front.anyone(), 200, ["degraded", "down", "down", "down"]).await;
}

#[tokio::test]
async fn a_service_that_hangs_is_told_within_a_second() {
    let services = Services::start().await;
    let config = super::given::quick().answer_timeout(Duration::from_secs(30));
    let front = Front::with(services.upstreams(), config, |router| router).await;
    services.audit.swallows(true);
    let begun = Instant::now();
    becomes(&front.anyone(), 200, ["up", "up", "up", "down"]).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn however_often_it_is_asked_the_services_are_asked_once() {
    let puppet = Puppet::new().await;
    let elsewhere = nowhere().await;
    let upstreams = alm_http::gateway::Upstreams { app: puppet.url(), ..everything_at(&elsewhere) };
    let front = Front::of(upstreams).await;
    let anyone = front.anyone();
    let (answers, _) = tokio::join!(
        futures_util::future::join_all((0..20).map(|_| async { anyone.get("/readyz").await })),
        puppet.answers("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"),
    );
    for answer in answers {
        assert_eq!(states(&answer.ok(200))[0].1, "up");
    }
}

#[tokio::test]
async fn a_gateway_that_shuts_down_is_not_ready_but_serves() {
    let services = Services::start().await;
    let front = services.front().await;
    front.anyone().get("/readyz").await.is(200);
    front.readiness.shut_down();
    front.anyone().get("/readyz").await.problem(503, "not-ready");
    front.user().get("/apps").await.is(200);
}

#[tokio::test]
async fn its_metrics_are_its_own() {
    let services = Services::start().await;
    let front = services.front().await;
    assert_eq!(front.anyone().get("/metrics").await.is(200).text(), "requests 1\n");
}
