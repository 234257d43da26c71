use std::collections::BTreeSet;

use alm_core::domain::{DeploymentStatus, Role};
use serde_json::{Value, json};

use crate::support::{Given, Server};

#[tokio::test]
async fn the_documented_enums_are_those_of_the_domain() {
    let server = Server::start().await;
    let document = server.anyone().document().await;
    assert_eq!(document.schema("DeploymentStatus")["enum"], json!(DeploymentStatus::ALL));
    assert_eq!(document.schema("Role")["enum"], json!(Role::ALL.map(Role::as_str)));
}

#[tokio::test]
async fn the_documented_members_of_an_event_are_those_that_it_has() {
    let server = Server::start().await;
    server.user().app("billing").await;
    let document = server.anyone().document().await;
    let schema = document.schema("CloudEvent");
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let events = server.events().await;
    assert_eq!(names(&schema["properties"]), names(&events[0]));
    let required = schema["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned());
    // What a host does by itself is in no trace.
    let all: BTreeSet<_> = required.chain(["traceparent".to_owned()]).collect();
    assert_eq!(all, names(&events[0]));
}

/// What a client would be made of: nothing in it may be left open.
#[tokio::test]
async fn the_document_describes_every_parameter_body_and_answer() {
    let server = Server::start().await;
    let document = server.anyone().document().await;
    assert!(document.json["openapi"].as_str().unwrap().starts_with("3.1"));
    for operation in document.operations() {
        let (id, json) = (operation.id, operation.json);
        assert!(json["summary"].is_string(), "{id} has no summary");
        let responses = json["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{id} can't succeed");
        for (status, response) in responses {
            let description = response["description"].as_str();
            assert!(description.is_some_and(|text| !text.is_empty()), "{id} {status} has no description");
            for (name, header) in response["headers"].as_object().into_iter().flatten() {
                assert!(document.resolve(header)["schema"].is_object(), "{id} {status} {name}");
            }
            for media in response["content"].as_object().into_iter().flatten().map(|(_, media)| media) {
                assert!(document.resolve(&media["schema"]).is_object(), "{id} {status} has no schema");
            }
        }
        let parameters: Vec<_> =
            json["parameters"].as_array().into_iter().flatten().map(|parameter| document.resolve(parameter)).collect();
        for parameter in &parameters {
            assert!(parameter["schema"].is_object(), "{id}: {parameter}");
        }
        let in_path: BTreeSet<_> =
            parameters.iter().filter(|p| p["in"] == "path").map(|p| p["name"].as_str().unwrap()).collect();
        let in_template: BTreeSet<_> =
            operation.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        assert_eq!(in_path, in_template, "{id}");
        let has_body = ["POST", "PUT"].contains(&operation.method.as_str()) && id != "logout";
        assert_eq!(json["requestBody"]["required"] == true, has_body, "{id}");
    }
}

#[tokio::test]
async fn bodies_that_the_document_forbids_are_closed() {
    let server = Server::start().await;
    let document = server.anyone().document().await;
    for operation in document.operations().filter(|operation| !operation.json["requestBody"].is_null()) {
        let schema = document.resolve(&operation.json["requestBody"]["content"]["application/json"]["schema"]);
        assert_eq!(schema["additionalProperties"], false, "{} takes unknown fields", operation.id);
    }
}
