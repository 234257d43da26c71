use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::json;

use crate::support::{Given, Server};

#[tokio::test]
async fn a_path_where_nothing_is_is_404() {
    let server = Server::start().await;
    for path in ["/", "/nothing", "/apps/", "/apps/1/2", "/app", "/audit", "/users/ada", "/docs/nothing.js", "//apps"] {
        for client in [server.anyone(), server.admin()] {
            let answer = client.get(path).await;
            // Somewhere a path is but has no GET.
            assert!([404, 405].contains(&answer.status), "{answer}");
        }
    }
    server.anyone().get("/nothing?x=1").await.problem(404, "not-found");
    server.anyone().post("/nothing", &json!({})).await.problem(404, "not-found");
    server.anyone().call("FROBNICATE", "/nothing").await.problem(404, "not-found");
}

#[tokio::test]
async fn a_method_that_a_path_does_not_have_is_405_and_says_which_it_has() {
    let server = Server::start().await;
    let document = server.anyone().document().await;
    let mut methods: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for operation in document.operations() {
        methods.entry(operation.path).or_default().insert(operation.method);
    }
    for path in ["/openapi.json", "/docs", "/docs/", "/docs/index.css", "/audits", "/audits/1"] {
        methods.entry(path).or_default().insert("GET".to_owned());
    }
    for (path, mut known) in methods {
        if known.contains("GET") {
            known.insert("HEAD".to_owned());
        }
        let path = path.replace(['{', '}'], "");
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "FROBNICATE"] {
            if known.contains(method) {
                continue;
            }
            let answer = server.anyone().call(method, &path).await;
            let allow = answer.header("allow").map(|allow| allow.split(',').map(|m| m.trim().to_owned()).collect());
            assert_eq!(allow, Some(known.clone()), "{answer}");
            answer.problem(405, "method-not-allowed");
        }
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let server = Server::start().await;
    let ada = server.user();
    ada.app("billing").await;
    for path in ["/apps/1", "/apps", "/healthz", "/openapi.json", "/docs/"] {
        let (get, head) = (ada.get(path).await.is(200), ada.call("HEAD", path).await.is(200));
        assert!(head.body.is_empty());
        for name in ["content-type", "etag", "link", "content-length"] {
            assert_eq!(head.header(name), get.header(name), "{name} of {path}");
        }
    }
    let known = ada.call("HEAD", "/apps/1").header("if-none-match", "\"1\"").await.is(304);
    assert_eq!(known.header("etag"), Some("\"1\""));
    for (path, status) in [("/apps/9", 404), ("/nothing", 404), ("/apps?x=1", 400), ("/users", 403)] {
        assert!(ada.call("HEAD", path).await.is(status).body.is_empty());
    }
    server.anyone().call(Method::HEAD.as_str(), "/apps").await.is(401);
}

#[tokio::test]
async fn a_problem_says_what_it_is_in_the_words_of_rfc_9457() {
    let server = Server::start().await;
    let problem = server.user().get("/apps/9").header("x-request-id", "mine").await.problem(404, "not-found");
    let expected = json!({
        "type": "about:blank", "title": "Not Found", "status": 404, "detail": problem["detail"],
        "instance": "/apps/9", "code": "not-found", "request_id": "mine",
    });
    assert_eq!(problem, expected);
}

#[tokio::test]
async fn what_is_wrong_with_the_caller_comes_before_what_is_wrong_with_the_request() {
    let server = Server::start().await;
    let anyone = server.anyone();
    anyone.post("/apps", &json!({"nonsense": 1})).await.problem(401, "unauthenticated");
    anyone.call("POST", "/apps").raw(None, "x").await.problem(401, "unauthenticated");
    anyone.get("/apps?limit=0").await.problem(401, "unauthenticated");
    anyone.get("/apps?surprise=1").await.problem(401, "unauthenticated");
}
