use serde_json::json;

use crate::support::{Given, Server, each};

#[tokio::test]
async fn what_runs_in_an_environment_is_the_newest_successful_deployment() {
    let server = Server::start().await;
    let ada = server.user();
    let app = ada.app("billing").await;
    let (one, two) = (ada.version(app, "v1").await, ada.version(app, "v2").await);
    let path = format!("/apps/{app}/environments");
    let old = ada.deployment(one, "prod").await;
    let new = ada.deployment(two, "prod").await;
    assert_eq!(ada.get(&path).await.ok(200), json!([]), "what is pending does not run");

    ada.moves(old, "successful").await;
    let failed = ada.deployment(two, "prod").await;
    ada.moves(failed, "failed").await;
    let running = ada.get(&path).await.ok(200);
    assert_eq!(running.as_array().unwrap().len(), 1);
    assert_eq!(running[0]["environment"], "prod");
    assert_eq!(running[0]["version"], ada.get(format!("/versions/{one}")).await.ok(200));
    assert_eq!(running[0]["deployment"], ada.get(format!("/deployments/{old}")).await.ok(200));
    assert_eq!(running[0]["since"], running[0]["deployment"]["finished_at"]);

    ada.moves(new, "successful").await;
    assert_eq!(ada.get(&path).await.ok(200)[0]["version"]["tag"], "v2");

    server.admin().delete(format!("/deployments/{new}")).await.is(204);
    assert_eq!(ada.get(&path).await.ok(200)[0]["version"]["tag"], "v1", "what was there before runs again");
}

#[tokio::test]
async fn environments_are_listed_by_name_in_pages_and_of_one_app_only() {
    let server = Server::start().await;
    let ada = server.user();
    let (app, other) = (ada.app("billing").await, ada.app("other").await);
    let (version, foreign) = (ada.version(app, "v1").await, ada.version(other, "v1").await);
    for (version, environment) in
        [(version, "staging"), (version, "dev"), (version, "prod"), (foreign, "elsewhere"), (version, "qa")]
    {
        let id = ada.deployment(version, environment).await;
        ada.moves(id, "successful").await;
    }
    let page = ada.get(format!("/apps/{app}/environments?limit=3")).await.is(200);
    assert_eq!(each(&page.json(), "environment"), ["dev", "prod", "qa"]);
    let all = ada.all(&format!("/apps/{app}/environments?limit=1")).await;
    assert_eq!(each(&all.into(), "environment"), ["dev", "prod", "qa", "staging"]);
}
