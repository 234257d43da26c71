//! The `OpenAPI` document that a server serves.

use reqwest::Method;
use serde_json::Value;

use super::schema;

pub(crate) struct Document {
    pub(crate) json: Value,
    prefix: String,
}

/// One method on one path.
#[derive(Clone, Debug)]
pub(crate) struct Operation<'a> {
    pub(crate) id: &'a str,
    /// In upper case.
    pub(crate) method: String,
    /// Without the prefix.
    pub(crate) path: &'a str,
    pub(crate) json: &'a Value,
}

impl Operation<'_> {
    /// Where it is found for the first of everything, the account of this name and the API key with this id.
    pub(crate) fn of_the_first(&self, username: &str, api_key: &str) -> String {
        let path = self.path.replace("{id}", "1").replace("{index}", "1").replace("{username}", username);
        let path = path.replace("{tile}", "0/000.p/1").replace("{key_id}", api_key);
        assert!(!path.contains('{'), "what stands for the parameter in {path}?");
        // What must be given.
        if self.id == "get_audit_consistency" { format!("{path}?from=1") } else { path }
    }

    pub(crate) fn response(&self, status: u16) -> Option<&Value> {
        self.json["responses"].get(status.to_string())
    }
}

impl Document {
    pub(crate) fn new(json: Value) -> Self {
        let prefix = json["servers"][0]["url"].as_str().expect("a server").trim_end_matches('/').to_owned();
        Self { json, prefix }
    }

    pub(crate) fn operations(&self) -> impl Iterator<Item = Operation<'_>> {
        let paths = self.json["paths"].as_object().unwrap().iter();
        paths.flat_map(|(path, item)| {
            item.as_object().unwrap().iter().map(|(method, json)| Operation {
                id: json["operationId"].as_str().expect("an operationId"),
                method: method.to_uppercase(),
                path,
                json,
            })
        })
    }

    pub(crate) fn schema(&self, name: &str) -> &Value {
        &self.json["components"]["schemas"][name]
    }

    /// Where `reference` leads if it is one.
    pub(crate) fn resolve<'a>(&'a self, reference: &'a Value) -> &'a Value {
        schema::resolve(&self.json, reference)
    }

    /// In what `value` differs from `schema`.
    pub(super) fn faults_of(&self, schema: &Value, value: &Value) -> Vec<String> {
        schema::faults(&self.json, schema, value)
    }

    /// The template that a path, with the prefix, was made of.
    fn template(&self, path: &str) -> Option<&str> {
        let path = path.strip_prefix(&self.prefix)?;
        // Another way to the same, by the contract.
        let path = match path.strip_prefix("/audits") {
            Some(rest) => format!("/audit/events{rest}"),
            None => path.to_owned(),
        };
        let fits = |template: &str| {
            // The one parameter that goes over several segments.
            if let Some(before) = template.strip_suffix("{tile}") {
                return path.starts_with(before);
            }
            let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
            template.len() == path.len()
                && template.iter().zip(&path).all(|(t, p)| t == p || (t.starts_with('{') && !p.is_empty()))
        };
        self.json["paths"].as_object().unwrap().keys().map(String::as_str).find(|template| fits(template))
    }

    pub(super) fn has_path(&self, path: &str) -> bool {
        self.template(path).is_some()
    }

    /// The operation that a request asks for; `HEAD` is answered as `GET`.
    pub(super) fn operation_at(&self, method: &Method, path: &str) -> Option<Operation<'_>> {
        let template = self.template(path)?;
        let method = if method == Method::HEAD { "GET" } else { method.as_str() };
        self.operations().find(|operation| operation.path == template && operation.method == method)
    }
}
