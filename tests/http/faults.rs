use alm_core::{
    domain::{Password, PasswordHash},
    ports::{PasswordError, PasswordHasher},
    testing::Switch,
};
use async_trait::async_trait;
use serde_json::json;

use crate::support::{Answer, Fate, Given, INTERNALS, PASSWORD, Server, Setup, a_faulty_store, each};

async fn over_a_store() -> (Server, Switch) {
    let (store, faults) = a_faulty_store();
    let server = Setup::default().store(store).start().await;
    server.admin().app("billing").await;
    server.admin().account("bob", "user").await;
    server.settled().await;
    (server, faults)
}

/// The answer tells nothing of what is behind the server.
fn discreet(answer: Answer) -> Answer {
    let text = answer.text();
    for internal in [INTERNALS, "faulty", "relation", "db.internal", "Overloaded", "panicked", "tests/", ".rs"] {
        assert!(!text.contains(internal), "{answer}");
    }
    answer
}

#[tokio::test]
async fn a_store_that_refuses_is_503_and_nothing_was_changed() {
    let (server, faults) = over_a_store().await;
    let root = server.admin();
    faults.set(Fate::RefusesCommits);
    let answers = [
        root.post("/apps", &json!({"name": "new"})).await,
        root.put("/apps/1", &json!({"name": "new"})).await,
        root.delete("/apps/1").await,
        root.post("/versions", &json!({"app_id": 1, "tag": "v1"})).await,
        root.post("/users", &json!({"username": "amy", "password": PASSWORD, "role": "user"})).await,
        root.delete("/users/bob").await,
        root.put("/users/bob/password", &json!({"password": "another-password"})).await,
        server.anyone().post("/login", &json!({"username": "bob", "password": PASSWORD})).await,
    ];
    for answer in answers {
        // As long as the store says, in whole seconds.
        assert_eq!(answer.header("retry-after"), Some("7"));
        assert_eq!(discreet(answer).problem(503, "unavailable")["outcome"], "not_applied");
    }
    faults.off();
    server.settled().await;
    assert_eq!(server.story().await, ["AppCreated apps/1", "UserCreated users/bob"]);
    root.post("/apps", &json!({"name": "new"})).await.is(201);
}

#[tokio::test]
async fn an_answer_of_the_store_that_is_lost_is_503_and_the_outcome_is_unknown() {
    let (server, faults) = over_a_store().await;
    let root = server.admin();
    faults.set(Fate::LosesAnswers);
    let lost = root.post("/apps", &json!({"name": "new"})).key("key").await;
    assert_eq!(discreet(lost).problem(503, "unavailable")["outcome"], "unknown");
    faults.off();
    // With its key the request can be sent again without harm.
    let again = root.post("/apps", &json!({"name": "new"})).key("key").await.is(201);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(each(&root.get("/apps").await.ok(200), "name"), ["billing", "new"]);
}

#[tokio::test]
async fn a_read_that_fails_is_503_and_data_that_cannot_be_are_500() {
    let (server, faults) = over_a_store().await;
    let ada = server.user();
    faults.set(Fate::FailsReads);
    let failed = discreet(ada.get("/apps/1").await);
    assert_eq!(failed.header("retry-after"), Some("1"));
    assert_eq!(failed.problem(503, "unavailable")["outcome"], "not_applied");
    faults.set(Fate::IsCorrupt);
    discreet(ada.get("/apps/1").await).problem(500, "internal");
    faults.off();
    ada.get("/apps/1").await.is(200);
}

#[tokio::test]
async fn a_login_on_a_store_that_fails_is_503_and_not_a_wrong_password() {
    let (server, faults) = over_a_store().await;
    faults.set(Fate::FailsReads);
    let login = json!({"username": "bob", "password": PASSWORD});
    discreet(server.anyone().post("/login", &login).await).problem(503, "unavailable");
}

#[tokio::test]
async fn a_refusal_that_cannot_be_put_on_record_is_503() {
    let (server, faults) = over_a_store().await;
    faults.set(Fate::RefusesCommits);
    discreet(server.user().delete("/apps/1").await).problem(503, "unavailable");
    faults.off();
    server.user().delete("/apps/1").await.problem(403, "forbidden");
}

#[tokio::test]
async fn every_operation_on_a_store_that_is_gone_is_503() {
    let (server, faults) = over_a_store().await;
    let root = server.admin();
    let document = root.document().await;
    faults.set(Fate::IsGone);
    // To tell who one is takes no store, and a token of no session is told of at once.
    let of_the_process = ["healthz", "metrics", "readyz", "whoami", "logout"];
    // The tree is kept in a store of its own here, which is there.
    let of_the_tree = ["get_audit_checkpoint", "get_audit_proof", "get_audit_consistency", "get_audit_tile"];
    for operation in document.operations().filter(|o| !of_the_process.contains(&o.id) && !of_the_tree.contains(&o.id)) {
        let path = operation.of_the_first("bob", "01890a5d-ac96-774b-bcce-b302099a8057");
        let body = match operation.id {
            "login" => json!({"username": "bob", "password": PASSWORD}),
            "create_app" | "update_app" => json!({"name": "new"}),
            "create_version" => json!({"app_id": 1, "tag": "new"}),
            "create_deployment" => json!({"version_id": 1, "environment": "prod"}),
            "update_deployment" => json!({"status": "running"}),
            "create_user" => json!({"username": "new", "password": PASSWORD, "role": "user"}),
            "set_password" => json!({"password": PASSWORD}),
            "update_user" => json!({"role": "viewer"}),
            "create_api_key" => json!({"name": "new", "role": "viewer", "expires_in_days": 1}),
            "refresh_token" => json!({"refresh_token": format!("almr_{}", "0".repeat(96))}),
            "exchange_api_key" => json!({"api_key": format!("alm_{}", "0".repeat(96))}),
            _ => json!({}),
        };
        let call = root.call(&operation.method, path);
        let has_body = !operation.json["requestBody"].is_null();
        let answer = discreet(if has_body { call.json(&body).await } else { call.await });
        assert_eq!(answer.problem(503, "unavailable")["outcome"], "not_applied", "{}", operation.id);
    }
    faults.off();
    root.get("/apps/1").await.is(200);
}

#[tokio::test]
async fn a_panic_is_a_problem_and_the_server_goes_on() {
    let (server, faults) = over_a_store().await;
    let ada = server.user();
    faults.set(Fate::Panics);
    for _ in 0..3 {
        let answer = discreet(ada.get("/apps/1").header("x-request-id", "mine").await);
        assert_eq!(answer.header("x-request-id"), Some("mine"));
        answer.problem(500, "internal");
    }
    discreet(ada.put("/apps/1", &json!({"name": "new"})).await).problem(500, "internal");
    faults.off();
    ada.put("/apps/1", &json!({"name": "new"})).await.is(200);
}

#[tokio::test]
async fn a_key_is_free_again_after_a_panic() {
    let (server, faults) = over_a_store().await;
    let ada = server.user();
    let app = json!({"name": "new"});
    faults.set(Fate::PanicsAtCommit);
    discreet(ada.post("/apps", &app).key("key").await).problem(500, "internal");
    faults.off();
    ada.post("/apps", &app).key("key").await.is(201);
}

#[tokio::test]
async fn consumers_wait_faults_out_and_miss_nothing() {
    let (server, faults) = over_a_store().await;
    let root = server.admin();
    root.version(1, "v1").await;
    faults.set(Fate::LosesAnswers);
    root.delete("/apps/1").await.problem(503, "unavailable");
    faults.off();
    server.settled().await;
    let told = server.story().await;
    assert_eq!(told[3..], ["AppDeleted apps/1", "VersionDeleted versions/1"]);
    let audit = root.all("/audit/events").await;
    assert_eq!(audit.len(), told.len());
}

/// A hasher that always has too much to do.
struct Busy;

#[async_trait]
impl PasswordHasher for Busy {
    async fn hash(&self, _: &Password) -> Result<PasswordHash, PasswordError> {
        Err(PasswordError::Busy)
    }

    async fn verify(&self, _: &Password, _: Option<&PasswordHash>) -> Result<bool, PasswordError> {
        Err(PasswordError::Busy)
    }

    fn is_outdated(&self, _: &PasswordHash) -> bool {
        false
    }
}

#[tokio::test]
async fn too_many_passwords_at_once_are_503_and_nothing_was_changed() {
    let server = Setup::default().hasher(Busy).start().await;
    let account = json!({"username": "bob", "password": PASSWORD, "role": "user"});
    let login = json!({"username": "bob", "password": PASSWORD});
    for answer in [server.admin().post("/users", &account).await, server.anyone().post("/login", &login).await] {
        assert_eq!(answer.problem(503, "busy")["outcome"], "not_applied");
    }
    assert!(server.events().await.is_empty());
}
