//! What browsers are told, and which pages may call.

use alm_http::CorsOrigins;
use serde_json::json;

use crate::support::{Answer, Server, Setup};

const OURS: &str = "https://alm.example";

async fn with_origins(origins: &str) -> Server {
    let origins: CorsOrigins = origins.parse().unwrap();
    Setup::default().api(|api| api.cors_origins(origins)).start().await
}

fn cors_headers(answer: &Answer) -> Vec<&str> {
    answer
        .headers
        .keys()
        .map(reqwest::header::HeaderName::as_str)
        .filter(|name| name.starts_with("access-control-"))
        .collect()
}

#[tokio::test]
async fn the_page_may_load_what_is_beside_it_and_nothing_else() {
    let server = Server::start().await;
    for path in ["/docs/", "/docs/swagger-ui.css", "/docs/swagger-initializer.js"] {
        let answer = server.anyone().get(path).await.is(200);
        let policy = answer.header("content-security-policy").unwrap();
        let rules: Vec<_> = policy.split(';').map(str::trim).collect();
        for rule in ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"] {
            assert!(rules.contains(&rule), "{policy} lacks {rule}");
        }
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
    }
    let html = server.anyone().get("/docs/").await.is(200).text();
    let inline = html.split("<script").skip(1).find(|script| !script.split('>').next().unwrap().contains("src="));
    assert_eq!(inline, None, "the policy would not run it");
}

#[tokio::test]
async fn without_origins_no_page_of_another_is_told_anything() {
    let server = Server::start().await;
    let answer = server.anyone().get("/healthz").header("origin", OURS).await.is(200);
    assert_eq!(cors_headers(&answer), [""; 0]);
    let preflight = server.anyone().call("OPTIONS", "/apps").header("origin", OURS);
    let answer = preflight.header("access-control-request-method", "POST").await.is(405);
    assert_eq!(cors_headers(&answer), [""; 0]);
}

#[tokio::test]
async fn a_page_of_an_origin_that_is_named_may_read_answers_and_problems() {
    let server = with_origins("https://alm.example,http://localhost:3000").await;
    let user = server.user();
    for origin in [OURS, "http://localhost:3000"] {
        let answers = [
            user.post("/apps", &json!({"name": origin})).header("origin", origin).await.is(201),
            user.get("/apps/99").header("origin", origin).await.is(404),
            server.anyone().get("/apps").header("origin", origin).await.is(401),
            user.call("PATCH", "/apps").header("origin", origin).await.is(405),
        ];
        for answer in answers {
            assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
            assert_eq!(answer.header("access-control-allow-credentials"), None);
            assert_eq!(answer.header("vary"), Some("origin"));
            assert!(answer.header("access-control-expose-headers").unwrap().contains("etag"));
        }
    }
}

#[tokio::test]
async fn a_preflight_says_what_such_a_page_may_send() {
    let server = with_origins(OURS).await;
    let url = format!("http://{}/apps/1", server.address);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let preflight = http.request(reqwest::Method::OPTIONS, url).header("origin", OURS);
    let answer = preflight.header("access-control-request-method", "PUT").send().await.unwrap();
    assert_eq!(answer.status(), 204);
    let header = |name: &str| answer.headers()[name].to_str().unwrap();
    assert_eq!(header("access-control-allow-origin"), OURS);
    for method in ["GET", "POST", "PUT", "DELETE"] {
        assert!(header("access-control-allow-methods").contains(method));
    }
    for name in ["authorization", "content-type", "if-match", "idempotency-key"] {
        assert!(header("access-control-allow-headers").contains(name), "{name}");
    }
    assert_eq!(header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn an_origin_that_is_not_named_is_told_nothing() {
    let server = with_origins(OURS).await;
    for origin in [
        "https://evil.example",
        "null",
        "https://alm.example.evil.example",
        "http://alm.example",
        "https://ALM.example",
        "*",
    ] {
        let read = server.user().get("/apps").header("origin", origin).await.is(200);
        let preflight = server.anyone().call("OPTIONS", "/apps").header("origin", origin);
        let preflight = preflight.header("access-control-request-method", "POST").await.is(405);
        for answer in [read, preflight] {
            assert_eq!(cors_headers(&answer), [""; 0], "{origin}");
            assert_eq!(answer.header("vary"), Some("origin"), "what is kept for it must not be given to others");
        }
    }
}
