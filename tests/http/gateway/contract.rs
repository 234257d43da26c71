//! What holds for the API holds through the gateway. The client holds each answer against the document that the gateway serves.

use alm_http::serve::{ServeConfig, serve};
use axum::Router;
use serde_json::json;
use tokio::{net::TcpListener, task::JoinSet};

use crate::support::{Given, Server, Setup, each};

use super::given::{Front, Services, at, everything_at, quick};

#[tokio::test]
async fn every_resource_is_created_read_changed_and_deleted() {
    let services = Services::start().await;
    let front = services.front().await;
    let (ada, root) = (front.user(), front.admin());
    let app = ada.app("billing").await;
    let version = ada.version(app, "v1").await;
    let deployment = ada.deployment(version, "prod").await;
    ada.moves(deployment, "successful").await;
    let running = ada.get(format!("/apps/{app}/environments")).await.ok(200);
    assert_eq!(running[0]["version"]["id"], version);

    ada.put(format!("/apps/{app}"), &json!({"name": "invoices"})).await.is(200);
    ada.put(format!("/versions/{version}"), &json!({"changelog": "fixed"})).await.is(200);
    assert_eq!(ada.get(format!("/apps/{app}")).await.ok(200)["name"], "invoices");
    assert_eq!(ada.get(format!("/versions/{version}")).await.ok(200)["changelog"], "fixed");
    ada.get(format!("/deployments/{deployment}")).await.is(200);

    root.account("bob", "user").await;
    let login = json!({"username": "bob", "password": crate::support::PASSWORD});
    front.anyone().post("/login", &login).await.is(200);
    services.server.settled().await;
    let entries = root.get("/audit/events?limit=200").await.ok(200);
    assert_eq!(root.get("/audits?limit=200").await.ok(200), entries);
    root.get("/audit/events/1").await.is(200);
    assert!(each(&entries, "event_type").contains(&&json!("DeploymentUpdated")), "{entries}");

    for path in [format!("/deployments/{deployment}"), format!("/versions/{version}"), format!("/apps/{app}")] {
        root.delete(&path).await.is(204);
        ada.get(&path).await.problem(404, "not-found");
    }
    root.delete("/users/bob").await.is(204);
}

#[tokio::test]
async fn conditions_and_idempotency_keys_pass() {
    let services = Services::start().await;
    let front = services.front().await;
    let ada = front.user();
    let body = json!({"name": "billing"});
    let first = ada.post("/apps", &body).key("once").await.is(201);
    assert_eq!(first.header("location"), Some("/apps/1"));
    let again = ada.post("/apps", &body).key("once").await.is(201);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.body, first.body);
    ada.post("/apps", &json!({"name": "other"})).key("once").await.problem(422, "idempotency-key-reused");

    let tag = first.header("etag").unwrap();
    let known = ada.get("/apps/1").header("if-none-match", tag).await.is(304);
    assert!(known.body.is_empty());
    ada.put("/apps/1", &body).if_match("\"7\"").await.problem(412, "precondition-failed");
    ada.put("/apps/1", &body).if_match(tag).await.is(200);
}

#[tokio::test]
async fn pages_lead_from_one_to_the_next_through_the_gateway() {
    let services = Services::start().await;
    let front = services.front().await;
    let ada = front.user();
    for n in 0..5 {
        ada.app(&format!("app {n}")).await;
    }
    assert_eq!(ada.all("/apps?limit=2").await.len(), 5);
}

#[tokio::test]
async fn refusals_of_the_services_pass_as_they_are() {
    let services = Services::start().await;
    let front = services.front().await;
    let (anyone, ada) = (front.anyone(), front.user());
    anyone.get("/apps").await.problem(401, "unauthenticated");
    ada.delete("/apps/1").await.problem(403, "forbidden");
    ada.get("/versions/9").await.problem(404, "not-found");
    ada.get("/apps/none").await.problem(404, "not-found");
    let refused = ada.call("PATCH", "/apps/1").await;
    assert!(refused.header("allow").unwrap().contains("PUT"));
    refused.problem(405, "method-not-allowed");
    ada.post("/apps", &json!({"name": "", "size": 1})).await.is(422);
    ada.get("/apps?colour=red").await.problem(400, "unknown-parameter");
    ada.call("POST", "/apps").raw(Some("text/plain"), "x").await.problem(415, "unsupported-media-type");
    ada.call("POST", "/apps").raw(Some("application/json"), "{").await.problem(400, "not-json");
    let large = format!("{{\"name\": \"{}\"}}", "x".repeat(300 * 1024));
    ada.call("POST", "/apps").raw(Some("application/json"), large).await.problem(413, "body-too-large");
}

#[tokio::test]
async fn a_head_is_answered_with_the_length_of_the_body() {
    let services = Services::start().await;
    let front = services.front().await;
    let ada = front.user();
    ada.app("billing").await;
    let body = ada.get("/apps/1").await.is(200);
    let head = ada.call("HEAD", "/apps/1").await.is(200);
    assert!(head.body.is_empty());
    assert_eq!(head.header("content-length"), Some(&*body.body.len().to_string()));
    assert_eq!(head.header("etag"), body.header("etag"));
    ada.call("HEAD", "/apps/2").await.is(404);
    ada.call("OPTIONS", "/apps/1").await.problem(405, "method-not-allowed");
}

#[tokio::test]
async fn the_event_log_is_not_behind_the_gateway_and_the_answer_says_so() {
    let services = Services::start().await;
    let front = services.front().await;
    let root = front.admin();
    let problem = root.get("/events").await.problem(404, "not-found");
    assert!(problem["detail"].as_str().unwrap().contains("each service"), "{problem}");
    root.get("/nothing").await.problem(404, "not-found");
    root.get("/").await.problem(404, "not-found");
}

#[tokio::test]
async fn the_document_is_that_of_the_api_with_the_overview_and_without_the_event_log() {
    let services = Services::start().await;
    let front = services.front().await;
    let answer = front.anyone().get("/openapi.json").await.is(200);
    let (mut document, mut of_the_library) = (answer.json(), alm_http::gateway::openapi());
    document["servers"].take();
    of_the_library["servers"].take();
    assert_eq!(document, of_the_library);

    let paths = |document: &serde_json::Value| -> Vec<String> {
        document["paths"].as_object().unwrap().keys().cloned().collect()
    };
    let mut expected = paths(&alm_http::openapi());
    expected.retain(|path| path != "/events");
    expected.push("/apps/{id}/overview".to_owned());
    expected.sort();
    let mut routes = paths(&document);
    routes.sort();
    assert_eq!(routes, expected);
    // Nothing refers to what is not there, and nothing is there that no one refers to.
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
    for schema in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(text.contains(&format!("#/components/schemas/{schema}\"")), "{schema}");
    }
}

#[tokio::test]
async fn the_page_and_all_that_it_loads_are_served_by_the_gateway() {
    let services = Services::start().await;
    let front = services.front().await;
    let anyone = front.anyone();
    anyone.get("/docs").await.is(308);
    let html = anyone.get("/docs/").await.is(200).text();
    assert!(html.contains("swagger-ui"));
    anyone.get("/docs/swagger-initializer.js").await.is(200);
}

/// A service whose routes are below a prefix.
async fn nested() -> (Server, &'static str) {
    let prefix = "/alm/v1";
    let server = Setup::default().nested(prefix, move |api| Router::new().nest(prefix, api)).start().await;
    (server, prefix)
}

#[tokio::test]
async fn paths_that_a_service_gives_lead_through_the_gateway_wherever_both_are() {
    let (server, prefix) = nested().await;
    let upstream = format!("{}{prefix}", at(server.address)).parse().unwrap();
    let host = |gateway: Router| Router::new().nest("/front", gateway);
    let front = Front::with(everything_at(&upstream), quick(), host).await;
    let ada = crate::support::Client::new(format!("http://{}/front", front.address));
    let principal =
        alm_core::Principal::new(alm_core::domain::Actor::parse("ada").unwrap(), alm_core::domain::Role::User);
    let ada = ada.with_token(crate::support::token(&principal));
    // A problem that a service gives names the path that it was asked for, so only what succeeds is looked at.
    let created = ada.post("/apps", &json!({"name": "billing"})).await.is(201);
    assert_eq!(created.header("location"), Some("/front/apps/1"));
    ada.app("other").await;
    assert_eq!(ada.all("/apps?limit=1").await.len(), 2);
    assert_eq!(ada.get("/apps/1/overview").await.ok(200)["app"]["name"], "billing");
    ada.get("/readyz").await.is(200);
}

#[tokio::test]
async fn an_upstream_that_is_the_gateway_itself_is_noticed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = alm_http::gateway::Gateway::new(everything_at(&at(address))).router();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        serve(listener, router, ServeConfig::default(), std::future::pending()).await;
    });
    let anyone = crate::support::Client::new(format!("http://{address}"));
    let problem = anyone.get("/apps").await.problem(502, "upstream-failed");
    assert!(problem["detail"].as_str().unwrap().contains("the gateway's own"), "{problem}");
    anyone.get("/apps/1/overview").await.is(200);
}
