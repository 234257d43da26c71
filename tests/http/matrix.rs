use std::collections::BTreeSet;

use alm_core::{
    Principal,
    domain::{Actor, AppId, EnvironmentName, Role, Subject, Username},
    policy::{Action, Place, SCOPE_SERVICE, Target},
};
use serde_json::{Map, Value, json};

use crate::support::{Answer, Client, Document, Given, Operation, PASSWORD, Server};

/// What the process says of itself is for anyone.
const OF_THE_PROCESS: [&str; 3] = ["healthz", "readyz", "metrics"];
/// The account that requests about accounts are about.
const ACCOUNT: &str = "carol";

#[tokio::test]
async fn every_operation_has_a_rule_and_every_rule_an_operation() {
    let server = Server::start().await;
    let document = server.anyone().document().await;
    let operations: BTreeSet<_> = document.operations().map(|operation| operation.id).collect();
    let rules: BTreeSet<_> = Action::ALL.iter().map(|action| action.as_str()).chain(OF_THE_PROCESS).collect();
    assert_eq!(operations, rules);
    assert_eq!(document.operations().count(), operations.len(), "an id is used twice");
}

/// Each operation by each kind of caller, on a server where it would succeed.
#[tokio::test]
async fn each_role_may_do_what_the_table_says_and_nothing_else() {
    let principal = |name: &str, role| Principal::new(Actor::parse(name).unwrap(), role);
    let mut callers = vec![None, Some(principal(ACCOUNT, Role::User))];
    callers.extend(Role::ALL.map(|role| Some(principal("ada", role))));
    for scope in [
        "auditor",
        SCOPE_SERVICE,
        "admin:1",
        "user:1",
        "deployer:1/prod",
        "deployer:*/prod",
        "admin:2",
        "deployer:1/staging",
    ] {
        callers.push(Some(principal("ada", Role::Viewer).with_scope(scope)));
    }
    let (mut server, mut made) = with_one_of_each().await;
    let document = server.anyone().document().await;
    for operation in document.operations() {
        for caller in &callers {
            let client = caller.as_ref().map_or_else(|| server.anyone(), |principal| server.with(principal));
            let before = server.events().await.len();
            let answer = request(&client, &document, &operation, &made).await;
            let allowed = is_allowed(&operation, caller.as_ref());
            let who = caller.as_ref().map_or_else(|| "no one".to_owned(), |caller| format!("{caller:?}"));
            match (allowed, caller) {
                // Whoever may log out has logged in.
                (true, _) if operation.id == "logout" => {
                    answer.problem(409, "no-session");
                }
                (true, _) => {
                    assert!((200..300).contains(&answer.status), "{who} may {}: {answer}", operation.id);
                    // What has been changed can't be changed in the same way again.
                    if operation.method != "GET" {
                        (server, made) = with_one_of_each().await;
                    }
                }
                (false, None) => assert_eq!(answer.status, 401, "{who} may not {}: {answer}", operation.id),
                (false, Some(_)) => {
                    assert_eq!(answer.status, 403, "{who} may not {}: {answer}", operation.id);
                    answer.problem(403, "forbidden");
                    let denied = server.events().await.split_off(before);
                    assert_eq!(denied.len(), 1, "{who}: {}", operation.id);
                    assert_eq!(denied[0]["type"], "AccessDenied");
                    assert_eq!(denied[0]["data"]["action"], operation.id);
                }
            }
        }
    }
}

fn is_allowed(operation: &Operation<'_>, caller: Option<&Principal>) -> bool {
    if OF_THE_PROCESS.contains(&operation.id) {
        return true;
    }
    let rule = Action::parse(operation.id).unwrap_or_else(|| panic!("{} has no rule", operation.id)).rule();
    let of_the_account = operation.path.contains("{username}");
    let subject = if of_the_account { Subject::User(Username::parse(ACCOUNT).unwrap()) } else { Subject::Apps };
    let target = Target::new(subject, place(operation));
    caller.map_or(rule.public, |principal| rule.allows(principal, &target))
}

/// Where what [`request`] asks for is.
fn place(operation: &Operation<'_>) -> Option<Place> {
    let app = AppId::new(1).unwrap();
    let of_one = operation.path.contains("{id}");
    match operation.path.split('/').nth(1)? {
        "apps" if of_one => Some(Place::app(app)),
        "versions" if of_one || operation.method == "POST" => Some(Place::app(app)),
        "deployments" if of_one || operation.method == "POST" => {
            Some(Place::environment(app, EnvironmentName::parse("prod").unwrap()))
        }
        _ => None,
    }
}

/// What has no number.
struct Made {
    api_key: String,
    key: String,
    refresh_token: String,
}

/// A server with one of everything that a path can name, each of them number 1 if it has one.
async fn with_one_of_each() -> (Server, Made) {
    let server = Server::start().await;
    let root = server.admin();
    let app = root.app("billing").await;
    let version = root.version(app, "v1").await;
    root.deployment(version, "prod").await;
    root.account(ACCOUNT, "user").await;
    let (api_key, key) = root.api_key("ci").await;
    let refresh_token = root.login(ACCOUNT).await["refresh_token"].as_str().unwrap().to_owned();
    server.settled().await;
    root.checkpoint(1).await;
    (server, Made { api_key, key, refresh_token })
}

/// The operation on what [`with_one_of_each`] made, with a body made from the schema.
async fn request(client: &Client, document: &Document, operation: &Operation<'_>, made: &Made) -> Answer {
    let call = client.call(&operation.method, operation.of_the_first(ACCOUNT, &made.api_key));
    let schema = &operation.json["requestBody"]["content"]["application/json"]["schema"];
    if schema.is_null() { call.await } else { call.json(&body(document, schema, operation.id, made)).await }
}

fn body(document: &Document, schema: &Value, operation: &str, made: &Made) -> Value {
    let schema = document.resolve(schema);
    let properties = schema["properties"].as_object().unwrap();
    let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    let fields = properties.iter().filter(|(name, _)| required.contains(&json!(name)));
    let fields = fields.map(|(name, schema)| {
        let value = match (operation, name.as_str()) {
            ("login", "username") => json!(ACCOUNT),
            (_, "password") => json!(PASSWORD),
            (_, "refresh_token") => json!(made.refresh_token),
            (_, "api_key") => json!(made.key),
            // One that is not taken.
            (_, "name" | "tag" | "username") => json!("new"),
            (_, "environment") => json!("prod"),
            // The first status is the one that the deployment has.
            (_, "status") => json!("running"),
            _ => sample(document, schema),
        };
        (name.clone(), value)
    });
    fields.collect::<Map<_, _>>().into()
}

fn sample(document: &Document, schema: &Value) -> Value {
    let schema = document.resolve(schema);
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("integer") => schema["minimum"].clone(),
        _ => schema["example"].clone(),
    }
}
