use serde_json::{Value, json};

use crate::support::{Client, Given, Server};

async fn ids(client: &Client, path: &str) -> Vec<i64> {
    client.all(path).await.iter().map(|item: &Value| item["id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn apps_are_filtered_by_name_and_labels() {
    let server = Server::start().await;
    let ada = server.user();
    for (name, labels) in [
        ("one", json!({"team": "core", "tier": "1"})),
        ("two", json!({"team": "core", "tier": "2"})),
        ("caf\u{e9} & co", json!({"eq": "a=b", "empty": ""})),
    ] {
        ada.post("/apps", &json!({"name": name, "labels": labels})).await.is(201);
    }
    for (query, expected) in [
        ("name=one", vec![1]),
        ("name=One", vec![]),
        ("name=cafe%CC%81+%26%20co", vec![3]),
        ("label=team=core", vec![1, 2]),
        ("label=team%3Dcore&label=tier%3D2", vec![2]),
        ("label=team=core&label=team=other", vec![]),
        ("label=eq=a=b", vec![3]),
        ("label=empty=", vec![3]),
        ("label=team=", vec![]),
        ("label=tier=1&name=one", vec![1]),
        ("label=tier=1&name=two", vec![]),
    ] {
        assert_eq!(ids(&ada, &format!("/apps?{query}")).await, expected, "{query}");
    }
}

#[tokio::test]
async fn versions_are_filtered_by_app_and_labels() {
    let server = Server::start().await;
    let ada = server.user();
    let (one, two) = (ada.app("one").await, ada.app("two").await);
    for (app, tag, channel) in [(one, "v1", "beta"), (two, "v1", "beta"), (one, "v2", "stable")] {
        let body = json!({"app_id": app, "tag": tag, "labels": {"channel": channel}});
        ada.post("/versions", &body).await.is(201);
    }
    for (query, expected) in [
        ("app_id=1", vec![1, 3]),
        ("app_id=99", vec![]),
        ("label=channel=beta", vec![1, 2]),
        ("label=channel=beta&app_id=1", vec![1]),
        ("label=channel=beta&label=channel=stable", vec![]),
    ] {
        assert_eq!(ids(&ada, &format!("/versions?{query}")).await, expected, "{query}");
    }
}

#[tokio::test]
async fn deployments_are_filtered_by_app_version_environment_and_status() {
    let server = Server::start().await;
    let ada = server.user();
    let (one, two) = (ada.app("one").await, ada.app("two").await);
    let (a, b, c) = (ada.version(one, "a").await, ada.version(one, "b").await, ada.version(two, "c").await);
    for (version, environment) in [(a, "dev"), (a, "prod"), (b, "prod"), (c, "prod"), (c, "dev")] {
        ada.deployment(version, environment).await;
    }
    ada.moves(2, "successful").await;
    ada.moves(4, "successful").await;
    for (query, expected) in [
        ("app_id=1", vec![1, 2, 3]),
        ("version_id=1", vec![1, 2]),
        ("environment=prod", vec![2, 3, 4]),
        ("status=successful", vec![2, 4]),
        ("status=canceled", vec![]),
        ("app_id=1&environment=prod&status=pending", vec![3]),
        ("version_id=3&status=successful", vec![4]),
        ("app_id=1&version_id=3", vec![]),
        ("limit=1&environment=dev", vec![1, 5]),
    ] {
        assert_eq!(ids(&ada, &format!("/deployments?{query}")).await, expected, "{query}");
    }
}

#[tokio::test]
async fn a_filter_that_cannot_match_by_its_form_is_400() {
    let server = Server::start().await;
    let root = server.admin();
    for (path, parameter, values) in [
        ("/apps", "name", &["", "%20x", "a%0Ab"] as &[_]),
        ("/apps", "label", &["", "team"]),
        ("/versions", "app_id", &["0", "-1", "x", "", "1.0", "9223372036854775808"]),
        ("/versions", "label", &["x"]),
        ("/deployments", "app_id", &["0"]),
        ("/deployments", "version_id", &["x"]),
        ("/deployments", "environment", &["Prod", "", "a/b"]),
        ("/deployments", "status", &["done", "Pending", ""]),
        ("/audit/events", "event_type", &["Nothing", "appcreated", ""]),
        ("/audit/events", "source_service", &["app", ""]),
        ("/audit/events", "subject", &["", "nonsense", "apps/x"]),
        ("/audit/events", "actor", &["", "a%00"]),
        ("/audit/events", "since", &["yesterday", "", "2026-11-22", "1700000000"]),
        ("/audit/events", "until", &["now", ""]),
    ] {
        for value in values {
            let problem = root.get(format!("{path}?{parameter}={value}")).await.problem(400, "invalid-parameter");
            assert_eq!(problem["parameter"], parameter, "{path} {value}");
        }
    }
}

#[tokio::test]
async fn a_filter_is_given_once_but_labels() {
    let server = Server::start().await;
    let root = server.admin();
    for path in [
        "/apps?name=a&name=a",
        "/versions?app_id=1&app_id=1",
        "/deployments?status=pending&status=running",
        "/audit/events?actor=a&actor=b",
        "/events?after=1&after=2",
    ] {
        root.get(path).await.problem(400, "repeated-parameter");
    }
}
