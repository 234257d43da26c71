use crate::support::{Given, PASSWORD, Server};

/// Every operation on something that exists, so that only the parameter can be wrong.
async fn paths_of(server: &Server, method: &str) -> Vec<String> {
    let root = server.admin();
    let app = root.app("billing").await;
    let version = root.version(app, "v1").await;
    root.deployment(version, "prod").await;
    root.account("carol", "user").await;
    let (key, _) = root.api_key("ci").await;
    server.settled().await;
    let document = root.document().await;
    root.checkpoint(1).await;
    let operations = document.operations().filter(|operation| operation.method == method);
    operations.map(|operation| operation.of_the_first("carol", &key)).collect()
}

#[tokio::test]
async fn an_unknown_parameter_is_400_on_every_get() {
    let server = Server::start().await;
    let root = server.admin();
    for path in paths_of(&server, "GET").await {
        root.get(&path).await.is(200);
        for query in ["surprise=1", "surprise", "Limit=1", "limit%20=1"] {
            let and = if path.contains('?') { '&' } else { '?' };
            let problem = root.get(format!("{path}{and}{query}")).await.problem(400, "unknown-parameter");
            assert!(problem["parameter"].is_string(), "{path}{and}{query}");
        }
    }
}

#[tokio::test]
async fn an_unknown_parameter_is_400_on_every_change_which_is_not_made() {
    let server = Server::start().await;
    let root = server.admin();
    let anything = serde_json::json!({"name": "new", "password": PASSWORD});
    let mut paths = Vec::new();
    for path in paths_of(&server, "DELETE").await {
        paths.push(("DELETE", path));
    }
    let (key, _) = root.api_key("another").await;
    let document = root.document().await;
    for operation in document.operations().filter(|o| ["POST", "PUT"].contains(&o.method.as_str())) {
        let method = if operation.method == "POST" { "POST" } else { "PUT" };
        paths.push((method, operation.of_the_first("carol", &key)));
    }
    let before = server.events().await.len();
    for (method, path) in paths {
        let call = root.call(method, format!("{path}?force=true"));
        let call = if method == "DELETE" { call } else { call.json(&anything) };
        call.await.problem(400, "unknown-parameter");
    }
    assert_eq!(server.events().await.len(), before);
}
