//! One `OpenAPI` document for what the gateway serves: the API's own, and what stands in the gateway instead of it.

use serde_json::{Map, Value, json};

use crate::openapi::finish;

use super::routes::{Way, way};

/// What any request that is passed on can be answered with: when, and with which headers.
const FAULTS: [(&str, &str, &[&str]); 3] = [
    (
        "502",
        "The service behind the gateway gave no proper answer; `outcome` says whether a change may have been made",
        &[],
    ),
    ("503", "The service behind the gateway can't be reached or has too much to do", &["Retry-After"]),
    (
        "504",
        "The service behind the gateway did not answer in time; `outcome` says whether a change may have been made",
        &[],
    ),
];

/// The document of the API with the gateway's own routes, whose document `own` is.
pub(super) fn merged(own: &utoipa::openapi::OpenApi) -> Value {
    let mut document = crate::openapi();
    let mut own = finish(own);
    if let Some(paths) = document["paths"].as_object_mut() {
        paths.retain(|path, _| matches!(way(path), Way::To(_)));
        let operations = paths.values_mut().filter_map(Value::as_object_mut).flat_map(Map::values_mut);
        operations.for_each(may_fail);
    }
    for group in ["/paths", "/components/schemas"] {
        let from = own.pointer_mut(group).map(Value::take);
        if let (Some(Value::Object(from)), Some(to)) =
            (from, document.pointer_mut(group).and_then(Value::as_object_mut))
        {
            to.extend(from);
        }
    }
    if let Some(overview) = document.pointer_mut("/paths/~1apps~1{id}~1overview/get") {
        may_fail(overview);
        overview["security"] = json!([{"bearer": []}]);
    }
    // Those of the event log, which is not here.
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        schemas.remove("CloudEvent");
    }
    if let Some(tags) = document["tags"].as_array_mut() {
        tags.retain(|tag| tag["name"] != "events");
    }
    document
}

fn may_fail(operation: &mut Value) {
    for (status, description, headers) in FAULTS {
        let response = &mut operation["responses"][status];
        *response = json!({
            "description": description,
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        });
        for name in ["x-request-id"].iter().chain(headers) {
            response["headers"][name] = json!({"$ref": format!("#/components/headers/{name}")});
        }
    }
}
