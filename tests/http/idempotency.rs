use alm_core::{
    domain::Role,
    testing::{Call, Fault, Gate},
};
use serde_json::{Value, json};

use crate::support::{Answer, Client, Given, PASSWORD, Server, Setup, a_faulty_store, each};

/// Every route that takes a key: a body, and another one.
const ROUTES: [&str; 4] = ["/apps", "/versions", "/deployments", "/users"];

fn bodies(path: &str) -> [Value; 2] {
    match path {
        "/apps" => ["new", "newer"].map(|name| json!({"name": name})),
        "/versions" => ["new", "newer"].map(|tag| json!({"app_id": 1, "tag": tag})),
        "/deployments" => ["new", "newer"].map(|environment| json!({"version_id": 1, "environment": environment})),
        "/users" => ["new", "newer"].map(|name| json!({"username": name, "password": PASSWORD, "role": "user"})),
        "/login" => ["bob", "amy"].map(|name| json!({"username": name, "password": PASSWORD})),
        _ => panic!("what does {path} take?"),
    }
}

async fn server_with_one_of_each() -> Server {
    let server = Server::start().await;
    let root = server.admin();
    let app = root.app("billing").await;
    root.version(app, "v1").await;
    root.account("bob", "user").await;
    root.account("amy", "user").await;
    server
}

/// What a client sees of an answer, besides what belongs to one request only.
fn seen(answer: &Answer) -> (u16, Vec<u8>, [Option<&str>; 3]) {
    (answer.status, answer.body.clone(), ["location", "etag", "content-type"].map(|name| answer.header(name)))
}

#[tokio::test]
async fn every_post_of_the_document_takes_a_key() {
    let server = Server::start().await;
    let document = server.anyone().document().await;
    // These two change nothing that could be changed twice.
    let others = ["exchange_api_key", "logout"];
    let mut posts: Vec<_> = document.operations().filter(|o| o.method == "POST" && !others.contains(&o.id)).collect();
    posts.sort_by_key(|operation| operation.path);
    let paths: Vec<_> = posts.iter().map(|operation| operation.path).collect();
    let expected = [
        "/api-keys",
        "/api-keys/{key_id}/rotate",
        "/apps",
        "/deployments",
        "/login",
        "/token/refresh",
        "/users",
        "/versions",
    ];
    assert_eq!(paths, expected);
    for operation in posts {
        let parameters = operation.json["parameters"].as_array().unwrap().iter();
        let mut names = parameters.map(|parameter| &document.resolve(parameter)["name"]);
        assert!(names.any(|name| name == "Idempotency-Key"), "{}", operation.id);
    }
}

#[tokio::test]
async fn the_same_request_again_gets_the_first_answer_again_and_has_no_second_effect() {
    let server = server_with_one_of_each().await;
    let root = server.admin();
    for path in ROUTES {
        let [body, _] = bodies(path);
        let first = root.post(path, &body).key("key").await.is(201);
        assert_eq!(first.header("idempotent-replayed"), None);
        let events = server.events().await.len();
        for _ in 0..2 {
            let again = root.post(path, &body).key("key").await.is(201);
            assert_eq!(again.header("idempotent-replayed"), Some("true"));
            assert_eq!(seen(&again), seen(&first));
        }
        assert_eq!(server.events().await.len(), events, "{path}");
    }
}

#[tokio::test]
async fn the_first_answer_comes_again_also_when_the_resource_has_changed_or_gone() {
    let server = server_with_one_of_each().await;
    let root = server.admin();
    let body = json!({"name": "new"});
    let first = root.post("/apps", &body).key("key").await.is(201);
    root.put("/apps/2", &json!({"name": "renamed"})).await.is(200);
    assert_eq!(seen(&root.post("/apps", &body).key("key").await), seen(&first));
    root.delete("/apps/2").await.is(204);
    assert_eq!(seen(&root.post("/apps", &body).key("key").await), seen(&first));
    root.get("/apps/2").await.problem(404, "not-found");
}

#[tokio::test]
async fn another_body_under_the_same_key_is_422() {
    let server = server_with_one_of_each().await;
    let root = server.admin();
    for path in ROUTES {
        let [body, other] = bodies(path);
        root.post(path, &body).key("key").await.is(201);
        let events = server.events().await.len();
        root.post(path, &other).key("key").await.problem(422, "idempotency-key-reused");
        assert_eq!(server.events().await.len(), events, "{path}");
    }
    // A password is a part of the body, though it is not kept.
    let [mut body, _] = bodies("/users");
    body["password"] = json!("another-password");
    root.post("/users", &body).key("key").await.problem(422, "idempotency-key-reused");
}

#[tokio::test]
async fn another_body_under_the_key_of_a_login_is_401_or_another_accounts_login() {
    let server = server_with_one_of_each().await;
    let anyone = server.anyone();
    let [bob, amy] = bodies("/login");
    anyone.post("/login", &bob).key("key").await.is(200);
    let wrong = json!({"username": "bob", "password": "guess"});
    anyone.post("/login", &wrong).key("key").await.problem(401, "wrong-credentials");
    let other = anyone.post("/login", &amy).key("key").await.is(200);
    assert_eq!(other.header("idempotent-replayed"), None, "a key is per principal");
}

#[tokio::test]
async fn a_login_under_the_same_key_gives_the_same_access_token() {
    let server = server_with_one_of_each().await;
    let [bob, _] = bodies("/login");
    let login = async || server.anyone().post("/login", &bob).key("key").await.is(200);
    let (first, again) = (login().await, login().await);
    assert_eq!(first.json()["access_token"], again.json()["access_token"]);
    assert_eq!(again.json().get("refresh_token"), None, "that is told once");
    assert_eq!(first.header("idempotent-replayed"), None);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    let logins = server.admin().all("/events").await;
    assert_eq!(logins.iter().filter(|event| event["type"] == "LoginSucceeded").count(), 1);
    let other = server.anyone().post("/login", &bob).key("other").await.is(200);
    assert_ne!(other.json()["access_token"], first.json()["access_token"]);
}

#[tokio::test]
async fn a_key_belongs_to_one_principal_and_one_route() {
    let server = server_with_one_of_each().await;
    let (ada, bob) = (server.user(), server.by("bob", Role::User));
    let app = |name: &str| json!({"name": name});
    ada.post("/apps", &app("of ada")).key("key").await.is(201);
    let of_bob = bob.post("/apps", &app("of bob")).key("key").await.is(201);
    assert_eq!(of_bob.header("idempotent-replayed"), None);
    let elsewhere = ada.post("/versions", &bodies("/versions")[0]).key("key").await.is(201);
    assert_eq!(elsewhere.header("idempotent-replayed"), None);
    bob.post("/apps", &app("of ada")).key("key").await.problem(422, "idempotency-key-reused");
}

#[tokio::test]
async fn a_request_that_failed_may_be_sent_again_under_its_key() {
    let server = server_with_one_of_each().await;
    let root = server.admin();
    let body = json!({"app_id": 2, "tag": "v1"});
    root.post("/versions", &body).key("key").await.problem(422, "unknown-parent");
    root.app("second").await;
    root.post("/versions", &body).key("key").await.is(201);

    root.post("/apps", &json!({"name": "billing"})).key("key").await.problem(409, "app-name-taken");
    root.delete("/apps/1").await.is(204);
    let done = root.post("/apps", &json!({"name": "billing"})).key("key").await.is(201);
    assert_eq!(done.header("idempotent-replayed"), None);
}

#[tokio::test]
async fn a_key_that_is_none_is_400() {
    let server = server_with_one_of_each().await;
    let root = server.admin();
    let events = server.events().await.len();
    for path in ROUTES.into_iter().chain(["/login"]) {
        let [body, _] = bodies(path);
        for key in ["", "two words", "é", "a\tb", &"x".repeat(256)] {
            root.post(path, &body).key(key).await.problem(400, "invalid-idempotency-key");
        }
        root.post(path, &body).key("one").key("two").await.problem(400, "invalid-idempotency-key");
    }
    assert_eq!(server.events().await.len(), events);
    root.post("/apps", &json!({"name": "new"})).key(&"x".repeat(255)).await.is(201);
}

/// Sends the same request 20 times at once.
async fn twenty_at_once(client: &Client, path: &str, body: &Value) -> Vec<Answer> {
    let calls: Vec<_> = (0..20).map(|_| tokio::spawn(client.post(path, body).key("key").into_future())).collect();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.unwrap());
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_twenty_uses_of_one_key_at_once_one_has_an_effect() {
    let server = server_with_one_of_each().await;
    let root = server.admin();
    for path in ROUTES {
        let [body, _] = bodies(path);
        let before = server.events().await.len();
        let answers = twenty_at_once(&root, path, &body).await;
        let (done, running): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
        assert!(!done.is_empty());
        assert!(done.iter().all(|answer| seen(answer) == seen(&done[0])), "{path}");
        assert_eq!(done.iter().filter(|answer| answer.header("idempotent-replayed").is_none()).count(), 1);
        for answer in running {
            answer.problem(409, "idempotency-key-in-progress");
        }
        assert_eq!(server.events().await.len(), before + 1, "{path}");
    }
}

#[tokio::test]
async fn a_key_whose_first_request_still_runs_is_409() {
    let (store, faults) = a_faulty_store();
    let server = Setup::default().store(store).start().await;
    let ada = server.user();
    let body = json!({"name": "billing"});
    let gate = Gate::closed();
    let holding = Fault::Hold(gate.clone());
    faults.set(move |call: &Call<'_>| if call.changeset.is_some() { holding.clone() } else { Fault::None });
    let first = tokio::spawn(ada.post("/apps", &body).key("key").into_future());
    // The first of the two that comes waits for the gate, the other is refused.
    let second = tokio::spawn(ada.post("/apps", &body).key("key").into_future());
    let (refused, waiting) = match futures_util::future::select(first, second).await {
        futures_util::future::Either::Left((refused, waiting))
        | futures_util::future::Either::Right((refused, waiting)) => (refused.unwrap(), waiting),
    };
    assert!(refused.header("retry-after").is_some());
    refused.problem(409, "idempotency-key-in-progress");
    gate.open();
    let done = waiting.await.unwrap().is(201);
    assert_eq!(ada.post("/apps", &body).key("key").await.is(201).body, done.body);
    assert_eq!(each(&ada.get("/apps").await.ok(200), "name"), ["billing"]);
}
