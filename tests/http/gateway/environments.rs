//! What runs where, of services that run apart: the versions are not where the deployments are.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use alm_http::{
    directory::HttpDirectory,
    gateway::{Gateway, Upstreams},
    upstream::BaseUrl,
};
use axum::{Json, Router, extract::Path, http::header, routing::get};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Barrier, task::JoinSet};

use crate::support::{Client, Given, LONG, Server, Setup, each, jwt};

use super::{
    given::{Front, Puppet, at, everything_at, nowhere, quick, the_largest_version},
    wire::Wire,
};

/// Three services, each with a store of its own; none hears of the others but by asking them.
struct Apart {
    app: Wire,
    version: Wire,
    deployment: Server,
    upstreams: Upstreams,
    front: Front,
    _owners: [Server; 2],
}

impl Apart {
    async fn start() -> Self {
        let service = |names: &'static str, app: Option<BaseUrl>, version: Option<BaseUrl>| {
            Setup::default().alm(move |alm| {
                let directory = HttpDirectory::new(app, version, Arc::new(jwt()));
                alm.services(names.parse().unwrap()).directory(Arc::new(directory))
            })
        };
        let apps = service("app,auth", None, None).start().await;
        let versions = service("version", Some(at(apps.address)), None).start().await;
        let deployment = service("deployment", Some(at(apps.address)), Some(at(versions.address))).start().await;
        let (app, version) = (Wire::to(apps.address).await, Wire::to(versions.address).await);
        let upstreams = Upstreams {
            app: at(app.address),
            version: at(version.address),
            deployment: at(deployment.address),
            audit: nowhere().await,
        };
        let front = Front::of(upstreams.clone()).await;
        Self { app, version, deployment, upstreams, front, _owners: [apps, versions] }
    }

    /// An app with a version each in `dev` and `prod`: where its environments are told, and the versions.
    async fn given(&self) -> (Client, i64, [i64; 2]) {
        let ada = self.front.user();
        let app = ada.app("billing").await;
        let versions = [ada.version(app, "v1").await, ada.version(app, "v2").await];
        for (version, environment) in [(versions[0], "dev"), (versions[1], "prod")] {
            let deployment = ada.deployment(version, environment).await;
            ada.moves(deployment, "successful").await;
        }
        (ada, app, versions)
    }
}

#[tokio::test]
async fn what_runs_is_told_as_by_one_server() {
    let apart = Apart::start().await;
    let (ada, app, versions) = apart.given().await;
    let path = format!("/apps/{app}/environments");
    let running = ada.get(&path).await.ok(200);
    assert_eq!(each(&running, "environment"), ["dev", "prod"]);
    for (running, version) in running.as_array().unwrap().iter().zip(versions) {
        assert_eq!(running["version"], ada.get(format!("/versions/{version}")).await.ok(200));
        let deployment = running["deployment"]["id"].as_i64().unwrap();
        assert_eq!(running["deployment"], ada.get(format!("/deployments/{deployment}")).await.ok(200));
    }
    let pages = ada.all(&format!("{path}?limit=1")).await;
    assert_eq!(json!(pages), running, "each page has its version, and leads to the next");

    // The service itself has none of them, and says which.
    let alone = apart.deployment.user().get(&path).await.ok(200);
    assert_eq!(each(&alone, "version"), [&Value::Null, &Value::Null]);
    assert_eq!(alone[1]["deployment"]["version_id"], versions[1]);

    let overview = ada.get(format!("/apps/{app}/overview")).await.ok(200);
    assert_eq!(overview["environments"], running);
}

#[tokio::test]
async fn a_version_that_can_not_be_had_is_named() {
    let mut apart = Apart::start().await;
    let (ada, app, versions) = apart.given().await;
    let path = format!("/apps/{app}/environments");
    // The service of the deployments does not hear of it.
    apart.front.admin().delete(format!("/versions/{}", versions[0])).await.is(204);
    let running = ada.get(&path).await.ok(200);
    assert_eq!((&running[0]["version"], &running[1]["version"]["tag"]), (&Value::Null, &json!("v2")));
    assert_eq!(running[0]["deployment"]["version_id"], versions[0]);

    apart.version.swallows(true);
    let begun = Instant::now();
    let hung = ada.get(&path).await.ok(200);
    assert_eq!(each(&hung, "version"), [&Value::Null, &Value::Null]);
    let overview = ada.get(format!("/apps/{app}/overview")).await.ok(200);
    assert_eq!(overview["environments"], hung);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());

    apart.version.refuses().await;
    assert_eq!(ada.get(&path).await.ok(200), hung);
}

#[tokio::test]
async fn the_owner_of_the_app_says_whether_there_is_one_if_it_says_anything() {
    let mut apart = Apart::start().await;
    let (ada, app, _) = apart.given().await;
    let problem = ada.get("/apps/99/environments").await.problem(404, "not-found");
    let of_one = Server::start().await.user().get("/apps/99/environments").await.problem(404, "not-found");
    assert_eq!((&problem["detail"], &problem["title"]), (&of_one["detail"], &of_one["title"]));
    // What one server would say first comes first.
    ada.get("/apps/99/environments?colour=red").await.problem(400, "unknown-parameter");
    apart.front.anyone().get("/apps/99/environments").await.problem(401, "unauthenticated");
    ada.get("/apps/none/environments").await.problem(404, "not-found");

    apart.app.refuses().await;
    let running = ada.get(format!("/apps/{app}/environments")).await.ok(200);
    assert_eq!(running[1]["version"]["tag"], "v2");
    assert_eq!(ada.get("/apps/99/environments").await.ok(200), json!([]));
}

#[tokio::test]
async fn a_head_asks_no_other_service() {
    let apart = Apart::start().await;
    let (_, app, _) = apart.given().await;
    let connections = || (apart.app.connections(), apart.version.connections());
    let before = connections();
    // One that has no connections yet.
    let front = Front::of(apart.upstreams.clone()).await;
    front.user().call("HEAD", format!("/apps/{app}/environments")).await.is(200);
    assert_eq!(connections(), before);
    front.user().get(format!("/apps/{app}/environments")).await.is(200);
    assert_ne!(connections(), before);
}

/// The answer of a service to its next request.
fn answer(headers: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

fn running(environment: &str, version: i64) -> Value {
    json!({"environment": environment, "version": null, "deployment": {"version_id": version}})
}

#[tokio::test]
async fn versions_are_asked_for_with_the_callers_own_token_under_the_same_id() {
    let (apps, versions, deployments) = (Puppet::new().await, Puppet::new().await, Puppet::new().await);
    let (app, version, deployment) = (apps.url(), versions.url(), deployments.url());
    let front = Front::of(Upstreams { app, version, deployment, audit: nowhere().await }).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = format!(
        "GET /apps/7/environments HTTP/1.1\r\nhost: alm\r\nauthorization: Bearer mine\r\nx-request-id: an-id\r\n\
         traceparent: {trace}\r\naccept-encoding: gzip\r\nconnection: close\r\n\r\n"
    );
    let client = front.send(request).await;
    let page = json!([running("prod", 42)]).to_string();
    let page =
        answer("content-type: application/json\r\nlink: </apps/7/environments?after=x>; rel=\"next\"\r\n", &page);
    let json = "content-type: application/json\r\n";
    let (app, version) = (answer(json, "{}"), answer(json, "{\"tag\":\"v1\"}"));
    let (of_app, of_version, of_page, answered) =
        tokio::join!(apps.answers(&app), versions.answers(&version), deployments.answers(&page), client.rest());
    for (head, path) in [(&of_app, "/apps/7"), (&of_version, "/versions/42"), (&of_page, "/apps/7/environments")] {
        assert!(head.starts_with(&format!("get {path} http/1.1\r\n")), "{head}");
        for line in
            ["authorization: bearer mine\r\n", "x-request-id: an-id\r\n", &format!("traceparent: {}", &trace[..36])]
        {
            assert!(head.contains(&format!("\r\n{line}")), "{line}: {head}");
        }
        assert!(!head.contains("accept-encoding"), "{head}");
    }
    let (head, body) = answered.split_once("\r\n\r\n").unwrap();
    let head = head.to_lowercase();
    assert!(head.contains("link: </apps/7/environments?after=x>; rel=\"next\""), "{head}");
    assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
    let mut expected = running("prod", 42);
    expected["version"] = json!({"tag": "v1"});
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), json!([expected]));
}

#[tokio::test]
async fn all_requests_together_ask_a_service_for_sixteen_parts_at_the_same_time() {
    // given: a service that answers when sixteen have asked
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (barrier, seen) = (Arc::new(Barrier::new(16)), most.clone());
    let version = async move |Path(id): Path<i64>| {
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        barrier.wait().await;
        now.fetch_sub(1, Ordering::SeqCst);
        Json(json!({"id": id}))
    };
    let page = json!((1..=8).map(|n| running(&format!("e{n}"), n)).collect::<Vec<_>>()).to_string();
    let router = Router::new()
        .route("/versions/{id}", get(version))
        .route("/apps/7/environments", get(async || ([(header::CONTENT_TYPE, "application/json")], page)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = Gateway::new(everything_at(&at(listener.local_addr().unwrap()))).part_timeout(LONG);
    let front = Front::serving(gateway.upstream_config(quick().answer_timeout(LONG)), |router| router).await;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });

    // when
    let request = "GET /apps/7/environments HTTP/1.1\r\nhost: alm\r\nconnection: close\r\n\r\n";
    let answered = join_all((0..8).map(|_| async { front.send(request).await.rest().await })).await;

    // then
    for answered in answered {
        let page: Vec<Value> = serde_json::from_str(answered.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert!(page.iter().all(|entry| entry["version"]["id"] == entry["deployment"]["version_id"]), "{page:?}");
    }
    assert_eq!(seen.load(Ordering::SeqCst), 16);
}

#[tokio::test]
async fn each_version_is_asked_for_once_and_eight_at_the_same_time() {
    // given: a service that answers when eight have asked
    let (barrier, asked, now) = (Arc::new(Barrier::new(8)), Arc::new(Mutex::new(Vec::new())), AtomicUsize::new(0));
    let (now, most) = (Arc::new(now), Arc::new(AtomicUsize::new(0)));
    let seen = (asked.clone(), most.clone());
    let version = async move |Path(id): Path<i64>| {
        asked.lock().unwrap().push(id);
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        barrier.wait().await;
        now.fetch_sub(1, Ordering::SeqCst);
        Json(json!({"id": id}))
    };
    let page: Vec<Value> = (0..48).map(|n| running(&format!("e{n}"), n % 24 + 1)).collect();
    let page = json!(page).to_string();
    let router = Router::new()
        .route("/versions/{id}", get(version))
        .route("/apps/7/environments", get(async || ([(header::CONTENT_TYPE, "application/json")], page)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = Front::of_one(at(listener.local_addr().unwrap())).await;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });

    // when
    let request = "GET /apps/7/environments HTTP/1.1\r\nhost: alm\r\nconnection: close\r\n\r\n";
    let answered = front.send(request).await.rest().await;

    // then
    let page: Vec<Value> = serde_json::from_str(answered.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert!(page.iter().all(|entry| entry["version"]["id"] == entry["deployment"]["version_id"]), "{page:?}");
    let mut ids = seen.0.lock().unwrap().clone();
    ids.sort_unstable();
    assert_eq!(ids, (1..=24).collect::<Vec<_>>());
    assert_eq!(seen.1.load(Ordering::SeqCst), 8);
}

#[tokio::test]
async fn what_does_not_fit_into_one_answer_is_named() {
    // given: two hundred environments of versions with all that they can have, each of which runs in two
    let page: Vec<Value> = (0..200).map(|n| running(&format!("e{n}"), n % 100 + 1)).collect();
    let (page, newest) = (json!(page).to_string(), json!(vec![the_largest_version(1); 10]).to_string());
    let json = |body: String| get(async move || ([(header::CONTENT_TYPE, "application/json")], body));
    let router = Router::new()
        .route("/versions/{id}", get(async |Path(id): Path<i64>| Json(the_largest_version(id))))
        .route("/versions", json(newest))
        .route("/apps/7", json(format!("\"{}\"", "x".repeat(2 << 20))))
        .route("/apps/7/environments", json(page));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = Gateway::new(everything_at(&at(listener.local_addr().unwrap()))).part_timeout(LONG);
    let front = Front::serving(gateway.upstream_config(quick().answer_timeout(LONG)), |router| router).await;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    let asked = async |path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nhost: alm\r\nconnection: close\r\n\r\n");
        let answered = front.send(request).await.rest().await;
        let body = answered.split_once("\r\n\r\n").unwrap().1;
        assert!(body.len() <= 16 << 20, "{}", body.len());
        serde_json::from_str::<Value>(body).unwrap()
    };
    let with_version = |page: &Value| {
        let page = page.as_array().unwrap();
        assert!(page.len() == 200 && page.iter().all(|entry| entry["deployment"]["version_id"].is_i64()));
        page.iter().filter(|entry| !entry["version"].is_null()).count()
    };

    // when, then
    let page = asked("/apps/7/environments?limit=200").await;
    assert!((50..60).contains(&with_version(&page)), "{}", with_version(&page));

    let overview = asked("/apps/7/overview").await;
    assert!((20..60).contains(&with_version(&overview["environments"])));
    assert_eq!(overview["versions"].as_array().map(Vec::len), Some(10));
    // What is too large altogether is missing.
    let missing = &overview["missing"][0];
    assert_eq!((&missing["part"], &missing["code"]), (&json!("app"), &json!("too-large")));
}
