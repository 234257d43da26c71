//! What a list is narrowed to. A filter without a member set lets everything through.

use crate::domain::{
    Actor, App, AppId, AppName, AuditEntry, Credential, Deployment, DeploymentStatus, EnvironmentName, Labels,
    Timestamp, Username, Version, VersionId,
};

/// Which apps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppFilter {
    /// With this name.
    pub name: Option<AppName>,
    /// With all of these labels.
    pub labels: Vec<LabelFilter>,
}

/// A label that must be there with this value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelFilter {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

/// Which versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionFilter {
    /// Of this app.
    pub app_id: Option<AppId>,
    /// With all of these labels.
    pub labels: Vec<LabelFilter>,
}

/// Which deployments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeploymentFilter {
    /// Of this app.
    pub app_id: Option<AppId>,
    /// Of this version.
    pub version_id: Option<VersionId>,
    /// To this environment.
    pub environment: Option<EnvironmentName>,
    /// With this status.
    pub status: Option<DeploymentStatus>,
}

/// Which sessions and API keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialFilter {
    /// The sessions of this user.
    SessionsOf(Username),
    /// All API keys.
    ApiKeys,
}

impl CredentialFilter {
    /// Whether `credential` is one of them.
    pub fn matches(&self, credential: &Credential) -> bool {
        match self {
            Self::SessionsOf(username) => credential.username() == Some(username),
            Self::ApiKeys => credential.username().is_none(),
        }
    }
}

/// Which audit entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Of this event type.
    pub event_type: Option<String>,
    /// From this service.
    pub source_service: Option<String>,
    /// By this actor.
    pub actor: Option<Actor>,
    /// About this subject.
    pub subject: Option<String>,
    /// Of events at this time or later.
    pub since: Option<Timestamp>,
    /// Of events before this time.
    pub until: Option<Timestamp>,
}

fn is<T: PartialEq>(wanted: Option<&T>, actual: &T) -> bool {
    wanted.is_none_or(|wanted| wanted == actual)
}

fn has_all(wanted: &[LabelFilter], actual: &Labels) -> bool {
    wanted.iter().all(|label| actual.get(&label.key) == Some(&label.value))
}

impl AppFilter {
    /// Whether `app` passes.
    pub fn matches(&self, app: &App) -> bool {
        is(self.name.as_ref(), &app.name) && has_all(&self.labels, &app.labels)
    }
}

impl VersionFilter {
    /// Whether `version` passes.
    pub fn matches(&self, version: &Version) -> bool {
        is(self.app_id.as_ref(), &version.app_id) && has_all(&self.labels, &version.labels)
    }
}

impl DeploymentFilter {
    /// Whether `deployment` passes.
    pub fn matches(&self, deployment: &Deployment) -> bool {
        is(self.app_id.as_ref(), &deployment.app_id)
            && is(self.version_id.as_ref(), &deployment.version_id)
            && is(self.environment.as_ref(), &deployment.environment)
            && is(self.status.as_ref(), &deployment.status)
    }
}

impl AuditFilter {
    /// Whether `entry` passes. Times are compared in whole milliseconds, as the entry has them.
    pub fn matches(&self, entry: &AuditEntry) -> bool {
        is(self.event_type.as_ref(), &entry.event_type)
            && is(self.source_service.as_ref(), &entry.source_service)
            && is(self.actor.as_ref(), &entry.actor)
            && is(self.subject.as_ref(), &entry.subject)
            && self.since.is_none_or(|since| entry.timestamp >= since.millis())
            && self.until.is_none_or(|until| entry.timestamp < until.millis())
    }
}
