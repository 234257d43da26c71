use axum::{Router, http::StatusCode, routing::get};
use serde_json::json;

use crate::support::{Given, Server, Setup};

/// A host with a route of its own, and the API below a prefix.
async fn nested(prefix: &'static str) -> Server {
    let host = move |api: Router| {
        Router::new()
            .route("/", get(async || "the host"))
            .nest(prefix, api)
            .fallback(async || (StatusCode::NOT_FOUND, "the host's own 404"))
    };
    Setup::default().nested(prefix, host).start().await
}

async fn of_the_host(server: &Server, path: &str) -> (u16, Option<String>, String) {
    let url = format!("http://{}{path}", server.address);
    let answer = reqwest::Client::builder().no_proxy().build().unwrap().get(url).send().await.unwrap();
    let request_id = answer.headers().get("x-request-id").map(|id| id.to_str().unwrap().to_owned());
    (answer.status().as_u16(), request_id, answer.text().await.unwrap())
}

#[tokio::test]
async fn every_path_that_the_api_gives_leads_below_its_prefix() {
    for prefix in ["/alm", "/a/b"] {
        let server = nested(prefix).await;
        let (ada, root) = (server.user(), server.admin());
        let created = ada.post("/apps", &json!({"name": "billing"})).await.is(201);
        assert_eq!(created.header("location"), Some(&*format!("{prefix}/apps/1")));
        ada.get(ada.within(created.header("location").unwrap())).await.is(200);
        root.account("bob", "user").await;
        ada.version(1, "v1").await;
        ada.app("other").await;

        let page = ada.get("/apps?limit=1").await.is(200);
        assert!(page.next_page().unwrap().starts_with(&format!("{prefix}/apps?limit=1&after=")));
        assert_eq!(ada.all("/apps?limit=1").await.len(), 2);
        assert!(root.get("/events?limit=1").await.next_page().unwrap().starts_with(&format!("{prefix}/events?")));
        server.settled().await;
        assert!(root.get("/audits?limit=1").await.next_page().unwrap().starts_with(&format!("{prefix}/audits?")));
    }
}

#[tokio::test]
async fn problems_below_the_prefix_are_those_of_the_api() {
    let server = nested("/alm").await;
    // The harness holds `instance` against the whole path.
    server.anyone().get("/nothing").await.problem(404, "not-found");
    server.anyone().get("/apps").await.problem(401, "unauthenticated");
    let refused = server.anyone().call("PATCH", "/apps").await;
    assert_eq!(refused.header("allow").map(str::len), Some("GET,HEAD,POST".len()));
    refused.problem(405, "method-not-allowed");
}

#[tokio::test]
async fn the_host_keeps_its_routes_and_its_404() {
    let server = nested("/alm").await;
    assert_eq!(of_the_host(&server, "/").await, (200, None, "the host".to_owned()));
    for path in ["/nothing", "/apps", "/almost", "/docs"] {
        assert_eq!(of_the_host(&server, path).await, (404, None, "the host's own 404".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn the_document_and_its_page_are_those_of_the_prefix() {
    let server = nested("/a/b").await;
    let document = server.anyone().document().await;
    assert_eq!(document.json["servers"], json!([{"url": "/a/b"}]));
    crate::docs::the_page_finds_everything(&server, "/a/b").await;
}
