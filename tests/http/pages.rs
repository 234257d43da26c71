use serde_json::{Value, json};

use crate::support::{Given, Server, each};

#[tokio::test]
async fn a_list_is_a_bare_array_oldest_first_of_50_unless_told() {
    let server = Server::start().await;
    let ada = server.user();
    for n in 1..=51 {
        ada.app(&format!("app {n}")).await;
    }
    let page = ada.get("/apps").await.is(200);
    assert_eq!(each(&page.json(), "id"), (1..=50).collect::<Vec<i64>>());
    assert!(page.next_page().is_some());
    let page = ada.get("/apps?limit=51").await.is(200);
    assert_eq!(page.json().as_array().unwrap().len(), 51);
    assert_eq!(page.next_page(), None, "nothing comes after the last");
    assert_eq!(ada.get("/apps?limit=200").await.ok(200).as_array().unwrap().len(), 51);
}

#[tokio::test]
async fn a_limit_is_from_1_to_200() {
    let server = Server::start().await;
    let root = server.admin();
    let app = root.app("billing").await;
    for path in [
        "/apps",
        "/versions",
        "/deployments",
        "/users",
        "/events",
        "/audit/events",
        &format!("/apps/{app}/environments"),
    ] {
        for limit in ["0", "201", "-1", "x", "", "1.5", "+-1", "1e2", "99999999999999999999"] {
            let problem = root.get(format!("{path}?limit={limit}")).await.problem(400, "invalid-parameter");
            assert_eq!(problem["parameter"], "limit");
        }
        for limit in ["1", "200"] {
            root.get(format!("{path}?limit={limit}")).await.is(200);
        }
        root.get(format!("{path}?limit=1&limit=1")).await.problem(400, "repeated-parameter");
    }
}

#[tokio::test]
async fn links_lead_to_each_item_once_while_others_come_and_go() {
    let server = Server::start().await;
    let root = server.admin();
    for n in 1..=30 {
        root.app(&format!("app-{n}")).await;
    }
    let (mut seen, mut next, mut round) = (Vec::new(), Some("/apps?limit=4".to_owned()), 0);
    while let Some(path) = next {
        let page = root.get(path).await.is(200);
        seen.extend(each(&page.json(), "id").into_iter().map(|id| id.as_i64().unwrap()));
        next = page.next_page();
        // One behind, the one on which the cursor stands, one ahead; and one new one.
        round += 1;
        if round <= 4 {
            let last = *seen.last().unwrap();
            for gone in [last - 2, last, last + 2] {
                root.delete(format!("/apps/{gone}")).await.is(204);
            }
            root.app(&format!("new-{round}")).await;
        }
    }
    let mut each_once = seen.clone();
    each_once.sort_unstable();
    each_once.dedup();
    assert_eq!(seen, each_once, "in order, and none twice");
    let left: Vec<Value> = root.all("/apps?limit=200").await;
    let missed: Vec<_> = left.iter().map(|app| app["id"].as_i64().unwrap()).filter(|id| !seen.contains(id)).collect();
    assert_eq!(missed, [0; 0], "what is there at the end was there the whole time or came after the cursor");
}

#[tokio::test]
async fn a_link_keeps_limit_and_filters() {
    let server = Server::start().await;
    let ada = server.user();
    for n in 0..3 {
        ada.post("/apps", &json!({"name": format!("a{n}"), "labels": {"team": "käse & brot=1"}})).await.is(201);
        ada.app(&format!("b{n}")).await;
    }
    let found = ada.all("/apps?limit=1&label=team%3Dk%C3%A4se+%26+brot%3D1").await;
    assert_eq!(each(&found.into(), "name"), ["a0", "a1", "a2"]);
}

#[tokio::test]
async fn a_cursor_is_opaque_and_only_one_that_was_given_counts() {
    let server = Server::start().await;
    let root = server.admin();
    let app = root.app("billing").await;
    for path in ["/apps", "/versions", "/deployments", "/users", "/audit/events", &format!("/apps/{app}/environments")]
    {
        // The last stands for a capital letter and a space, which are in no key.
        for after in ["1", "x", "", "MQ==", "!!", "YWJj=", "%00", "QSA"] {
            let problem = root.get(format!("{path}?after={after}")).await.problem(400, "invalid-cursor");
            assert_eq!(problem["parameter"], "after", "{path} {after}");
        }
    }
}
