use serde_json::json;

use crate::support::Server;

/// Where a link in the page leads, by RFC 3986.
fn resolved(base: &str, link: &str) -> String {
    reqwest::Url::parse(&format!("http://alm{base}")).unwrap().join(link).unwrap().to_string()
}

/// The page, everything that it loads, and the document that it shows are served from below `prefix`.
pub(crate) async fn the_page_finds_everything(server: &Server, prefix: &str) {
    let anyone = server.anyone();
    let moved = anyone.get("/docs").await.is(308);
    let page = resolved(&format!("{prefix}/docs"), moved.header("location").unwrap());
    assert_eq!(page, format!("http://alm{prefix}/docs/"));

    let html = anyone.get("/docs/").await.is(200);
    assert!(html.header("content-type").unwrap().starts_with("text/html"));
    let html = html.text();
    let mut links: Vec<&str> = Vec::new();
    for attribute in ["href=\"", "src=\""] {
        links.extend(html.split(attribute).skip(1).map(|rest| rest.split('"').next().unwrap()));
    }
    assert!(links.len() >= 4, "{links:?}");
    for link in links {
        let target = resolved(&format!("{prefix}/docs/"), link);
        let path = target.strip_prefix("http://alm").unwrap_or_else(|| panic!("{link} leads to another host"));
        let asset = anyone.get(anyone.within(path)).await.is(200);
        assert!(!asset.body.is_empty(), "{link}");
    }

    let script = anyone.get("/docs/swagger-initializer.js").await.is(200).text();
    let url = script.split("\"url\": \"").nth(1).expect("the page says what it shows").split('"').next().unwrap();
    assert_eq!(resolved(&format!("{prefix}/docs/"), url), format!("http://alm{prefix}/openapi.json"));
}

#[tokio::test]
async fn the_page_and_all_that_it_loads_are_served_here() {
    the_page_finds_everything(&Server::start().await, "").await;
}

#[tokio::test]
async fn the_document_is_for_anyone_and_is_the_one_of_the_library() {
    let server = Server::start().await;
    let answer = server.anyone().get("/openapi.json").await.is(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let (mut document, mut of_the_library) = (answer.json(), alm_http::openapi());
    assert_eq!(document["servers"], json!([{"url": "/"}]));
    document["servers"].take();
    of_the_library["servers"].take();
    assert_eq!(document, of_the_library);
}

#[tokio::test]
async fn the_document_knows_every_route_of_the_contract() {
    let server = Server::start().await;
    let document = server.anyone().document().await;
    let mut routes: Vec<_> = document.operations().map(|o| format!("{} {}", o.method, o.path)).collect();
    routes.sort();
    let mut contract = vec![
        "POST /login",
        "POST /token",
        "POST /token/refresh",
        "POST /logout",
        "GET /whoami",
        "POST /api-keys",
        "GET /api-keys",
        "GET /api-keys/{key_id}",
        "DELETE /api-keys/{key_id}",
        "POST /api-keys/{key_id}/rotate",
        "PUT /users/{username}",
        "GET /audit/events",
        "GET /audit/events/{index}",
        "GET /audit/events/{index}/proof",
        "GET /audit/checkpoint",
        "GET /audit/consistency",
        "GET /audit/tile/{tile}",
        "POST /users",
        "GET /users",
        "DELETE /users/{username}",
        "PUT /users/{username}/password",
        "GET /events",
        "GET /apps/{id}/environments",
        "GET /healthz",
        "GET /readyz",
        "GET /metrics",
    ];
    for (collection, one) in
        [("/apps", "/apps/{id}"), ("/versions", "/versions/{id}"), ("/deployments", "/deployments/{id}")]
    {
        let crud = [("POST", collection), ("GET", collection), ("GET", one), ("PUT", one), ("DELETE", one)];
        contract.extend(crud.map(|(method, path)| &*format!("{method} {path}").leak()));
    }
    contract.sort_unstable();
    assert_eq!(routes, contract);
}
