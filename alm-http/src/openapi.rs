//! The `OpenAPI` 3.1 document. Routes, parameters and bodies come from the handlers; what is the same for many operations
//! (errors, headers, who may) is added here, from one table each.

use alm_core::{
    domain::{EventType, SourceService},
    policy::Action,
};
use serde_json::{Map, Value, json};
use utoipa::{
    IntoParams, OpenApi,
    openapi::{
        ArrayBuilder, ObjectBuilder, RefOr,
        schema::{AdditionalProperties, Schema, Type},
    },
};

use crate::problem::{Dependency, Problem, ProblemField};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "ALM",
        description = "The record of a software product's life: applications have versions, versions are deployed to \
                       environments, and every change stands in an append-only audit log.",
    ),
    components(schemas(Problem, ProblemField, Dependency)),
    tags(
        (name = "auth", description = "Tokens"),
        (name = "apps", description = "Applications"),
        (name = "versions", description = "What an application was at one time"),
        (name = "deployments", description = "A version on its way to an environment"),
        (name = "audit", description = "Who changed what, and when"),
        (name = "users", description = "Accounts"),
        (name = "api-keys", description = "What machines act by"),
        (name = "events", description = "The event log of this process"),
        (name = "operations", description = "The state of the process"),
    ),
)]
pub(crate) struct Document;

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it documents a parameter")]
pub(crate) struct IdParam {
    #[param(minimum = 1)]
    id: i64,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it documents a parameter")]
pub(crate) struct UsernameParam {
    #[param(min_length = 1, max_length = 64, pattern = r"^[A-Za-z0-9][A-Za-z0-9._@+-]*$")]
    username: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it documents a parameter")]
pub(crate) struct KeyIdParam {
    #[param(format = Uuid)]
    key_id: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it documents a parameter")]
pub(crate) struct LimitParam {
    /// At most how many items; 50 unless told.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it documents parameters")]
pub(crate) struct PageParams {
    /// At most how many items; 50 unless told.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
    /// Where the page begins: what the `Link` header of the page before says.
    after: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it documents a parameter")]
pub(crate) struct LabelParam {
    /// Only those with this label, as `key=value`. May be given several times; all must match.
    #[param(explode, example = json!(["team=core"]), schema_with = label_filter)]
    label: Option<Vec<String>>,
}

fn label_filter() -> RefOr<Schema> {
    let label = ObjectBuilder::new().schema_type(Type::String).pattern(Some("="));
    ArrayBuilder::new().items(label).into()
}

/// The schema of labels.
pub(crate) fn labels() -> RefOr<Schema> {
    let value = ObjectBuilder::new().schema_type(Type::String).max_length(Some(256)).pattern(Some(r"^[^\x00]*$"));
    let key = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(63))
        .pattern(Some(r"^[^=\x00-\x1f\x7f-\x9f]+$"));
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .max_properties(Some(64))
        .property_names(Some(Schema::from(key)))
        .additional_properties(Some(AdditionalProperties::from(RefOr::from(Schema::from(value)))))
        .into()
}

/// What an operation can answer besides its success, by status: when, and with which headers.
const PROBLEMS: &[(u16, &str, &[&str])] = &[
    (400, "The body is not JSON, or a parameter or header is not valid", &[]),
    (401, "No valid token", &["WWW-Authenticate"]),
    (403, "The role may not do this; the refusal stands in the audit log", &[]),
    (404, "It does not exist", &[]),
    (408, "The body did not come in time", &[]),
    (409, "A name is taken, a transition is illegal, or the request is still running", &["Retry-After"]),
    (410, "The events after this position are not kept any more; `oldest` says where the log begins", &[]),
    (412, "The resource is at another revision than `If-Match` says", &[]),
    (413, "The body is too large", &[]),
    (415, "The body is not said to be JSON, or it is compressed", &[]),
    (
        422,
        "A field is not valid or names a parent that does not exist, or the idempotency key was used for another body",
        &[],
    ),
    (429, "Too many attempts to log in", &["Retry-After"]),
    (500, "The server has failed", &[]),
    (501, "The server is built without what this needs", &[]),
    (503, "A dependency has failed or the server has too much to do", &["Retry-After"]),
];

/// The finished document: `generated` from the handlers, with what they have in common.
pub(crate) fn finish(generated: &utoipa::openapi::OpenApi) -> Value {
    let mut document = serde_json::to_value(generated).unwrap_or_default();
    if let Some(paths) = document["paths"].as_object_mut() {
        // A parameter that goes over several segments is written so in a route alone.
        *paths = std::mem::take(paths).into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
    }
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    document["info"]["license"] = json!({"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"});
    document["components"]["securitySchemes"] =
        json!({"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}});
    document["components"]["parameters"] = request_headers();
    document["components"]["headers"] = response_headers();
    let paths = document["paths"].as_object_mut().into_iter().flat_map(Map::iter_mut);
    for (path, item) in paths {
        for (method, operation) in item.as_object_mut().into_iter().flat_map(Map::iter_mut) {
            complete(path, method, operation);
        }
    }
    document
}

/// What not every host has, and as long as nothing was signed none.
fn is_of_the_tree(id: &str) -> bool {
    matches!(id, "get_audit_checkpoint" | "get_audit_proof" | "get_audit_consistency" | "get_audit_tile")
}

/// What an operation can answer besides that others of its kind can't.
fn special(id: &str) -> &'static [u16] {
    match id {
        "list_events" => &[410],
        "login" => &[401, 429, 501],
        "refresh_token" | "exchange_api_key" => &[401, 501],
        "set_password" => &[429, 501],
        "create_user" | "create_api_key" | "rotate_api_key" => &[501],
        id if is_of_the_tree(id) => &[501],
        "update_app" | "update_deployment" | "update_user" | "delete_user" => &[409],
        _ => &[],
    }
}

fn complete(path: &str, method: &str, operation: &mut Value) {
    let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
    let rule = Action::parse(&id).map(Action::rule);
    if let Some(rule) = rule {
        let mut who: Vec<&str> = rule.roles.iter().map(|role| role.as_str()).collect();
        who.extend(rule.scope);
        who.extend(rule.own.then_some("the account itself"));
        let who = if rule.public { "anyone".to_owned() } else { who.join(", ") };
        let text = operation["description"].as_str().map(|text| format!("{text}\n\n")).unwrap_or_default();
        operation["description"] = format!("{text}Who: {who}.").into();
        operation["security"] = if rule.public { json!([]) } else { json!([{"bearer": []}]) };
    }

    let has_etag = !["/users", "/audit", "/api-keys", "/whoami"].iter().any(|prefix| path.starts_with(prefix));
    let names_one = path.contains('{');
    let mut headers = vec!["RequestId", "Traceparent"];
    let mut statuses = vec![400, 500];
    if rule.is_some() {
        statuses.push(503);
    }
    if rule.is_some_and(|rule| !rule.public) {
        statuses.extend([401, 403]);
    }
    if names_one || is_of_the_tree(&id) {
        statuses.push(404);
    }
    match method {
        "get" if path.ends_with("{id}") => headers.push("IfNoneMatch"),
        "post" if id == "logout" => statuses.push(409),
        "post" if id == "exchange_api_key" => statuses.extend([408, 413, 415, 422]),
        "post" => {
            headers.push("IdempotencyKey");
            statuses.extend([408, 409, 413, 415, 422]);
        }
        "put" => {
            headers.push("IfMatch");
            statuses.extend([408, 412, 413, 415, 422]);
        }
        "delete" => {
            headers.push("IfMatch");
            statuses.push(412);
        }
        _ => {}
    }
    statuses.extend(special(&id));
    if rule.is_none() {
        // The routes of the process itself say so when they differ.
        statuses = vec![400, 500];
    }

    let mut parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    for parameter in &mut parameters {
        let names: Vec<&str> = match parameter["name"].as_str() {
            Some("event_type") => EventType::ALL.iter().map(|event_type| event_type.as_str()).collect(),
            Some("source_service") => SourceService::ALL.iter().map(|service| service.as_str()).collect(),
            _ => continue,
        };
        parameter["schema"] = json!({"type": "string", "enum": names});
    }
    let headers = headers.into_iter().map(|name| json!({"$ref": format!("#/components/parameters/{name}")}));
    operation["parameters"] = parameters.into_iter().chain(headers).collect();

    let Some(responses) = operation["responses"].as_object_mut() else { return };
    if method == "get" && path.ends_with("{id}") {
        responses.insert("304".to_owned(), json!({"description": "The caller has it already"}));
    }
    for (status, description, _) in PROBLEMS.iter().filter(|(status, ..)| statuses.contains(status)) {
        let content = json!({"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}});
        responses.entry(status.to_string()).or_insert(json!({"description": description, "content": content}));
    }
    if let Some(thing) = id.strip_prefix("create_")
        && !matches!(thing, "user" | "api_key")
    {
        responses["201"]["links"] = links(thing);
    }
    let is_list =
        method == "get" && !names_one && !is_of_the_tree(&id) && id != "whoami" || path.ends_with("/environments");
    for (status, response) in responses {
        let mut names = vec!["x-request-id"];
        match status.as_str() {
            "201" => names.extend(["Location", "Idempotent-Replayed"]),
            "200" if matches!(&*id, "login" | "refresh_token" | "rotate_api_key") => names.push("Idempotent-Replayed"),
            "200" if is_list && rule.is_some() => names.push("Link"),
            _ => {}
        }
        if has_etag
            && matches!(status.as_str(), "200" | "201" | "304")
            && !is_list
            && rule.is_some_and(|rule| !rule.public)
        {
            names.push("ETag");
        }
        let of_problem = PROBLEMS.iter().find(|(known, ..)| known.to_string() == *status);
        names.extend(of_problem.into_iter().flat_map(|(_, _, names)| names.iter()));
        for name in names {
            response["headers"][name] = json!({"$ref": format!("#/components/headers/{name}")});
        }
        if response["description"].as_str().is_none_or(str::is_empty) {
            response["description"] = "Done".into();
        }
    }
}

/// What can be done with a new resource.
fn links(thing: &str) -> Value {
    let to = |verb: &str| json!({"operationId": format!("{verb}_{thing}"), "parameters": {"id": "$response.body#/id"}});
    json!({"get": to("get"), "update": to("update"), "delete": to("delete")})
}

fn request_headers() -> Value {
    let header = |name: &str, description: &str, schema: Value| json!({"name": name, "in": "header", "required": false, "description": description, "schema": schema});
    json!({
        "RequestId": header("x-request-id",
            "An id to speak of this request, of 1 to 128 visible ASCII characters; instead of any other, one is made",
            json!({"type": "string"})),
        "Traceparent": header("traceparent",
            "The trace that this request belongs to (W3C Trace Context); what is none is ignored",
            json!({"type": "string"})),
        "IdempotencyKey": header("Idempotency-Key",
            "Sent again within 24 hours with the same key and body, the request gets the first answer again (a login: as long as its token counts)",
            json!({"type": "string", "pattern": "^[!-~]{1,255}$"})),
        "IfMatch": header("If-Match", "Only if the resource has one of these entity tags",
            json!({"type": "string"})),
        "IfNoneMatch": header("If-None-Match", "Only if the resource has none of these entity tags",
            json!({"type": "string"})),
    })
}

fn response_headers() -> Value {
    let header = |description: &str| json!({"description": description, "schema": {"type": "string"}});
    json!({
        "x-request-id": header("The id of the request"),
        "Location": header("Where the new resource is"),
        "ETag": header("The revision, in quotes"),
        "Link": header("The next page, if there is one: <…>; rel=\"next\""),
        "Idempotent-Replayed": header("`true` when the answer is the first one's again"),
        "WWW-Authenticate": header("How to authenticate (RFC 6750)"),
        "Retry-After": header("In how many seconds to try again"),
    })
}
