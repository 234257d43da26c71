use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are those of the API")]
pub enum Ask {
    /// A new app, of a name that no other request asks for.
    CreateApp { name: String, description: String },
    /// Another description, which no other request asks for.
    UpdateApp { id: i64, name: String, description: String },
    /// The end of an app, and of what belongs to it.
    DeleteApp { id: i64 },
    /// A new version, of a tag that no other request asks for.
    CreateVersion { app_id: i64, tag: String, changelog: String },
    /// Another changelog, which no other request asks for.
    UpdateVersion { id: i64, changelog: String },
    /// The end of a version, and of what belongs to it.
    DeleteVersion { id: i64 },
    /// A new deployment, to an environment that no other request asks for.
    CreateDeployment { version_id: i64, environment: String },
    /// A status that the deployment never had.
    MoveDeployment { id: i64, status: String },
    /// The end of a deployment.
    DeleteDeployment { id: i64 },
}

/// What a request asks for, or an event tells of, in the same words.
pub type Effect = String;

impl Ask {
    /// The method, the path and the body of the request.
    pub fn request(&self) -> (&'static str, String, Option<Value>) {
        match self {
            Self::CreateApp { name, description } => {
                ("POST", "/apps".into(), Some(json!({"name": name, "description": description})))
            }
            Self::UpdateApp { id, name, description } => {
                ("PUT", format!("/apps/{id}"), Some(json!({"name": name, "description": description})))
            }
            Self::DeleteApp { id } => ("DELETE", format!("/apps/{id}"), None),
            Self::CreateVersion { app_id, tag, changelog } => {
                ("POST", "/versions".into(), Some(json!({"app_id": app_id, "tag": tag, "changelog": changelog})))
            }
            Self::UpdateVersion { id, changelog } => {
                ("PUT", format!("/versions/{id}"), Some(json!({"changelog": changelog})))
            }
            Self::DeleteVersion { id } => ("DELETE", format!("/versions/{id}"), None),
            Self::CreateDeployment { version_id, environment } => {
                ("POST", "/deployments".into(), Some(json!({"version_id": version_id, "environment": environment})))
            }
            Self::MoveDeployment { id, status } => {
                ("PUT", format!("/deployments/{id}"), Some(json!({"status": status})))
            }
            Self::DeleteDeployment { id } => ("DELETE", format!("/deployments/{id}"), None),
        }
    }

    /// What comes of it when it is done.
    pub fn effect(&self) -> Effect {
        let effect = match self {
            Self::CreateApp { name, description } => json!(["AppCreated", name, description]),
            Self::UpdateApp { id, name, description } => json!(["AppUpdated", id, name, description]),
            Self::DeleteApp { id } => json!(["AppDeleted", id]),
            Self::CreateVersion { app_id, tag, changelog } => json!(["VersionCreated", app_id, tag, changelog]),
            Self::UpdateVersion { id, changelog } => json!(["VersionUpdated", id, changelog]),
            Self::DeleteVersion { id } => json!(["VersionDeleted", id]),
            Self::CreateDeployment { version_id, environment } => {
                json!(["DeploymentCreated", version_id, environment, "pending"])
            }
            Self::MoveDeployment { id, status } => json!(["DeploymentUpdated", id, status]),
            Self::DeleteDeployment { id } => json!(["DeploymentDeleted", id]),
        };
        effect.to_string()
    }
}

/// What an event of this type and with these data tells of; `None` if no request of the journal asks for such a thing.
pub(super) fn effect_of(event_type: &str, data: &Value) -> Option<Effect> {
    let fields: &[&str] = match event_type {
        "AppCreated" => &["name", "description"],
        "AppUpdated" => &["id", "name", "description"],
        "AppDeleted" => &["id"],
        "VersionCreated" => &["app_id", "tag", "changelog"],
        "VersionUpdated" => &["version_id", "changelog"],
        "VersionDeleted" => &["version_id"],
        "DeploymentCreated" => &["version_id", "environment", "status"],
        "DeploymentUpdated" => &["deployment_id", "status"],
        "DeploymentDeleted" => &["deployment_id"],
        _ => return None,
    };
    let fields = fields.iter().map(|field| data[field].clone());
    let effect: Value = std::iter::once(event_type.into()).chain(fields).collect();
    Some(effect.to_string())
}
