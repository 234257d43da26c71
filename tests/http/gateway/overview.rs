//! An app as a whole.

use std::time::{Duration, Instant};

use alm_core::{
    Principal,
    domain::{Actor, Grant, Role},
};
use alm_http::gateway::Gateway;
use axum::{Router, body::Bytes, http::header, routing::get};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};

use crate::support::{Given, LONG, each, token};

use super::given::{Front, Services, at, everything_at, quick, the_largest_version};

fn gaps(overview: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let missing = overview["missing"].as_array().unwrap();
    missing.iter().map(|gap| (text(&gap["part"]), text(&gap["upstream"]), text(&gap["code"]))).collect()
}

fn gap(part: &str, upstream: &str, code: &str) -> (String, String, String) {
    (part.to_owned(), upstream.to_owned(), code.to_owned())
}

#[tokio::test]
async fn it_shows_the_app_its_newest_versions_what_runs_where_and_what_was_done() {
    let services = Services::start().await;
    let front = services.front().await;
    let (ada, root) = (front.user(), front.admin());
    let (other, app) = (ada.app("other").await, ada.app("billing").await);
    ada.version(other, "v0").await;
    let mut first = None;
    // More than a page.
    for n in 1..=60 {
        let version = ada.version(app, &format!("v{n}")).await;
        first.get_or_insert(version);
    }
    let deployment = ada.deployment(first.unwrap(), "prod").await;
    ada.moves(deployment, "successful").await;
    ada.put(format!("/apps/{app}"), &json!({"name": "invoices"})).await.is(200);
    services.server.settled().await;

    let overview = root.get(format!("/apps/{app}/overview")).await.ok(200);
    assert_eq!(overview["app"]["name"], "invoices");
    let newest: Vec<String> = (51..=60).rev().map(|n| format!("v{n}")).collect();
    assert_eq!(
        each(&overview["versions"], "tag"),
        newest.iter().map(|tag| json!(tag)).collect::<Vec<_>>().iter().collect::<Vec<_>>()
    );
    assert_eq!(overview["environments"][0]["version"]["tag"], "v1");
    assert_eq!(each(&overview["audit"], "event_type"), ["AppUpdated", "AppCreated"]);
    assert_eq!(overview["missing"], json!([]));
}

#[tokio::test]
async fn the_audit_part_is_for_those_who_may_and_asking_leaves_no_refusal_behind() {
    let services = Services::start().await;
    let front = services.front().await;
    let ada = front.user();
    let app = ada.app("billing").await;
    services.server.settled().await;
    let path = format!("/apps/{app}/overview");
    let overview = ada.get(&path).await.ok(200);
    assert_eq!((&overview["app"]["name"], &overview["audit"]), (&json!("billing"), &Value::Null));
    assert_eq!(gaps(&overview), [gap("audit", "audit", "forbidden")]);
    assert_eq!(services.server.story().await, [format!("AppCreated apps/{app}")]);

    let auditor =
        Principal::new(Actor::parse("eve").unwrap(), Role::User).with_grants([&Grant::everywhere(Role::Auditor)]);
    let overview = front.anyone().with_token(token(&auditor)).get(&path).await.ok(200);
    assert_eq!(each(&overview["audit"], "event_type"), ["AppCreated"]);
}

#[tokio::test]
async fn it_says_which_part_is_missing_when_a_service_is_down() {
    let mut services = Services::start().await;
    let front = services.front().await;
    let root = front.admin();
    let app = root.app("billing").await;
    let path = format!("/apps/{app}/overview");
    services.version.refuses().await;
    services.audit.swallows(true);
    let begun = Instant::now();
    let overview = root.get(&path).await.ok(200);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(overview["app"]["name"], "billing");
    assert_eq!(overview["environments"], json!([]));
    assert_eq!((&overview["versions"], &overview["audit"]), (&Value::Null, &Value::Null));
    assert_eq!(
        gaps(&overview),
        [gap("versions", "version", "upstream-unavailable"), gap("audit", "audit", "upstream-timeout")]
    );
    services.app.refuses().await;
    let overview = root.get(&path).await.ok(200);
    assert_eq!(overview["app"], Value::Null);
    assert_eq!(gaps(&overview)[0], gap("app", "app", "upstream-unavailable"));
}

#[tokio::test]
async fn the_owner_of_the_app_decides_whether_there_is_one_and_any_service_whether_the_token_counts() {
    let mut services = Services::start().await;
    let front = services.front().await;
    front.user().get("/apps/7/overview").await.problem(404, "not-found");
    front.user().get("/apps/none/overview").await.problem(404, "not-found");
    front.user().get("/apps/7/overview?x=1").await.problem(400, "unknown-parameter");
    front.user().call("POST", "/apps/7/overview").await.problem(405, "method-not-allowed");
    front.anyone().get("/apps/7/overview").await.problem(401, "unauthenticated");
    front.anyone().with_token("nonsense").get("/apps/7/overview").await.problem(401, "invalid-token");
    services.app.refuses().await;
    front.anyone().get("/apps/7/overview").await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn versions_may_have_all_that_they_can_have() {
    // given
    let version = the_largest_version(i64::MAX);
    let page = Bytes::from(format!("[{}]", vec![version.to_string(); 50].join(",")));
    let page = ([(header::CONTENT_TYPE, "application/json")], page);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = Gateway::new(everything_at(&at(listener.local_addr().unwrap()))).part_timeout(LONG);
    let front = Front::serving(gateway.upstream_config(quick().answer_timeout(LONG)), |router| router).await;
    let router = Router::new().route("/versions", get(async move || page));
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });

    // when
    let overview = "GET /apps/1/overview HTTP/1.1\r\nhost: alm\r\nconnection: close\r\n\r\n";
    let answered = front.send(overview).await.rest().await;

    // then
    let overview: Value = serde_json::from_str(answered.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(overview["versions"].as_array().map(Vec::len), Some(10), "{}", overview["missing"]);
}

#[tokio::test]
async fn the_newest_of_too_many_versions_are_not_guessed() {
    let services = Services::start().await;
    let front = services.front().await;
    let ada = front.user();
    let app = ada.app("billing").await;
    for n in 0..=500 {
        ada.version(app, &format!("v{n}")).await;
    }
    let overview = ada.get(format!("/apps/{app}/overview")).await.ok(200);
    assert_eq!(overview["versions"], Value::Null);
    assert_eq!(gaps(&overview)[0], gap("versions", "version", "too-many"));
}
