//! What tests start from.

use serde_json::{Value, json};

use super::{Client, eventually};

/// The only password in these tests: no answer may contain it.
pub(crate) const PASSWORD: &str = "correct-horse-battery";

/// Resources by one call each.
pub(crate) trait Given {
    /// A new app; its id.
    async fn app(&self, name: &str) -> i64;
    /// A new version; its id.
    async fn version(&self, app: i64, tag: &str) -> i64;
    /// A new deployment; its id.
    async fn deployment(&self, version: i64, environment: &str) -> i64;
    /// A new account with [`PASSWORD`].
    async fn account(&self, username: &str, role: &str);
    /// A new API key with the role `viewer`; its id and the key.
    async fn api_key(&self, name: &str) -> (String, String);
    /// The tokens of a log-in with [`PASSWORD`].
    async fn login(&self, username: &str) -> Value;
    /// Moves a deployment to a status.
    async fn moves(&self, deployment: i64, status: &str) -> Value;
    /// The newest checkpoint of the audit log, once it covers this entry.
    async fn checkpoint(&self, entry: u64) -> String;
}

impl Given for Client {
    async fn app(&self, name: &str) -> i64 {
        id(&self.post("/apps", &json!({"name": name})).await.ok(201))
    }

    async fn version(&self, app: i64, tag: &str) -> i64 {
        id(&self.post("/versions", &json!({"app_id": app, "tag": tag})).await.ok(201))
    }

    async fn deployment(&self, version: i64, environment: &str) -> i64 {
        id(&self.post("/deployments", &json!({"version_id": version, "environment": environment})).await.ok(201))
    }

    async fn account(&self, username: &str, role: &str) {
        self.post("/users", &json!({"username": username, "password": PASSWORD, "role": role})).await.is(201);
    }

    async fn api_key(&self, name: &str) -> (String, String) {
        let new = json!({"name": name, "role": "viewer", "expires_in_days": 1});
        let created = self.post("/api-keys", &new).await.ok(201);
        let text = |field: &str| created[field].as_str().expect("a text").to_owned();
        (text("id"), text("key"))
    }

    async fn login(&self, username: &str) -> Value {
        self.post("/login", &json!({"username": username, "password": PASSWORD})).await.ok(200)
    }

    async fn moves(&self, deployment: i64, status: &str) -> Value {
        self.put(format!("/deployments/{deployment}"), &json!({"status": status})).await.ok(200)
    }

    async fn checkpoint(&self, entry: u64) -> String {
        eventually("the entry is signed for", async || {
            let answer = self.get("/audit/checkpoint").await;
            let note = (answer.status == 200).then(|| answer.text())?;
            let size: u64 = note.lines().nth(1)?.parse().ok()?;
            (size >= entry).then_some(note)
        })
        .await
    }
}

fn id(resource: &Value) -> i64 {
    resource["id"].as_i64().expect("an id")
}

/// Labels of so many pairs.
pub(crate) fn pairs(count: usize) -> Value {
    (0..count).map(|n| (format!("key-{n}"), json!("value"))).collect::<serde_json::Map<_, _>>().into()
}
