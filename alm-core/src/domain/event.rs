//! Events: what happened, in the words of the contract. Their names and data never change; new ones may come.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    Actor, ApiKeyName, App, AppId, AppName, Changelog, ChangesetId, CredentialId, Deployment, DeploymentId,
    DeploymentStatus, Description, EnvironmentName, EventId, Grant, LogId, Position, Role, SourceService, Subject, Tag,
    Timestamp, TraceParent, Unread, User, Username, Version, VersionId,
};

/// Declares the event types once: name, source, topic on the bus, data.
macro_rules! events {
    ($($(#[$doc:meta])* $name:ident($data:ty) from $source:ident on $topic:literal;)+) => {
        /// The kinds of events there are.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum EventType {
            $($(#[$doc])* $name,)+
        }

        impl EventType {
            /// Every event type.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The name as it stands in events and audit entries.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }

            /// The part of ALM that emits it.
            pub const fn source(self) -> SourceService {
                match self {
                    $(Self::$name => SourceService::$source,)+
                }
            }

            /// What comes after `alm.v1.` in the subject on the bus.
            pub const fn topic(self) -> &'static str {
                match self {
                    $(Self::$name => $topic,)+
                }
            }
        }

        /// What an event tells, by its type.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum EventData {
            $($(#[$doc])* $name($data),)+
            /// Something of another service that this version of ALM can't read. No store's own log has such an event.
            Unread(Box<Unread>),
        }

        impl EventData {
            /// The type of the event; none of what can't be read.
            pub const fn event_type(&self) -> Option<EventType> {
                match self {
                    $(Self::$name(_) => Some(EventType::$name),)+
                    Self::Unread(_) => None,
                }
            }

            /// The `data` member of the event.
            pub fn to_json(&self) -> Value {
                match self {
                    $(Self::$name(data) => json(data),)+
                    Self::Unread(unread) => unread.data.clone(),
                }
            }

            /// Reads the `data` member of an event of type `event_type`.
            ///
            /// # Errors
            /// `data` is not what that type holds.
            pub fn from_json(event_type: EventType, data: Value) -> Result<Self, serde_json::Error> {
                match event_type {
                    $(EventType::$name => from_json::<$data>(data).map(Self::$name),)+
                }
            }
        }
    };
}

events! {
    /// An app was created.
    AppCreated(AppData) from AppService on "apps.created";
    /// An app was changed.
    AppUpdated(AppData) from AppService on "apps.updated";
    /// An app was deleted.
    AppDeleted(AppData) from AppService on "apps.deleted";
    /// A version was created.
    VersionCreated(VersionData) from VersionService on "versions.created";
    /// A version was changed.
    VersionUpdated(VersionData) from VersionService on "versions.updated";
    /// A version was deleted.
    VersionDeleted(VersionData) from VersionService on "versions.deleted";
    /// A deployment was created.
    DeploymentCreated(DeploymentData) from DeploymentService on "deployments.created";
    /// The status of a deployment moved.
    DeploymentUpdated(DeploymentUpdate) from DeploymentService on "deployments.updated";
    /// A deployment was deleted.
    DeploymentDeleted(DeploymentData) from DeploymentService on "deployments.deleted";
    /// An account was created.
    UserCreated(UserCreated) from AuthService on "users.created";
    /// An account has another role or other scopes.
    UserUpdated(UserCreated) from AuthService on "users.updated";
    /// An account was deleted.
    UserDeleted(UserData) from AuthService on "users.deleted";
    /// The password of an account was changed.
    PasswordChanged(UserData) from AuthService on "users.password_changed";
    /// Someone logged in.
    LoginSucceeded(SessionData) from AuthService on "users.login_succeeded";
    /// Someone tried to log in and could not.
    LoginFailed(LoginFailed) from AuthService on "users.login_failed";
    /// A session got another refresh token.
    TokenRefreshed(SessionData) from AuthService on "users.token_refreshed";
    /// A session is over; the tokens that were issued in it count no more.
    SessionEnded(SessionEnded) from AuthService on "users.session_ended";
    /// An API key was created.
    ApiKeyCreated(ApiKeyData) from AuthService on "users.api_key_created";
    /// An API key got another secret.
    ApiKeyRotated(ApiKeyData) from AuthService on "users.api_key_rotated";
    /// An API key is gone; the tokens that were issued for it count no more.
    ApiKeyRevoked(ApiKeyRevoked) from AuthService on "users.api_key_revoked";
    /// Someone asked for what they may not do.
    AccessDenied(AccessDenied) from AuthService on "users.access_denied";
}

impl EventData {
    /// The name of the event's type, also of one that this version does not know.
    pub fn type_name(&self) -> &str {
        match (self, self.event_type()) {
            (Self::Unread(unread), _) => &unread.event_type,
            (_, event_type) => event_type.map_or("", EventType::as_str),
        }
    }

    /// The name of the service that the event comes from.
    pub fn source_name(&self) -> &str {
        match (self, self.event_type()) {
            (Self::Unread(unread), _) => unread.source_service(),
            (_, event_type) => event_type.map_or("", |event_type| event_type.source().as_str()),
        }
    }
}

impl EventType {
    /// The event type of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|event_type| event_type.as_str() == name)
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn json(data: &impl Serialize) -> Value {
    // Data are plain structs of strings and numbers, which always have a JSON form.
    serde_json::to_value(data).unwrap_or_default()
}

fn from_json<T: DeserializeOwned>(data: Value) -> Result<T, serde_json::Error> {
    serde_json::from_value(data)
}

/// An app in an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppData {
    /// Its id.
    pub id: AppId,
    /// Its name.
    pub name: AppName,
    /// Its description.
    pub description: Description,
}

impl From<&App> for AppData {
    fn from(app: &App) -> Self {
        Self { id: app.id, name: app.name.clone(), description: app.description.clone() }
    }
}

/// A version in an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionData {
    /// Its id.
    pub version_id: VersionId,
    /// The id of its app.
    pub app_id: AppId,
    /// Its tag.
    pub tag: Tag,
    /// Its changelog.
    pub changelog: Changelog,
}

impl From<&Version> for VersionData {
    fn from(version: &Version) -> Self {
        Self {
            version_id: version.id,
            app_id: version.app_id,
            tag: version.tag.clone(),
            changelog: version.changelog.clone(),
        }
    }
}

/// A deployment in an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentData {
    /// Its id.
    pub deployment_id: DeploymentId,
    /// The id of its version.
    pub version_id: VersionId,
    /// The id of its app.
    pub app_id: AppId,
    /// Where to.
    pub environment: EnvironmentName,
    /// Its status after the event.
    pub status: DeploymentStatus,
}

impl From<&Deployment> for DeploymentData {
    fn from(deployment: &Deployment) -> Self {
        Self {
            deployment_id: deployment.id,
            version_id: deployment.version_id,
            app_id: deployment.app_id,
            environment: deployment.environment.clone(),
            status: deployment.status,
        }
    }
}

/// A deployment whose status moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentUpdate {
    /// The deployment after the event.
    #[serde(flatten)]
    pub deployment: DeploymentData,
    /// Its status before the event.
    pub previous_status: DeploymentStatus,
}

/// An account in an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserData {
    /// Its name.
    pub user: Username,
}

/// An account, with what it may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserCreated {
    /// Its name.
    pub user: Username,
    /// What it may do.
    pub role: Role,
    /// What it may do besides.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub scopes: BTreeSet<Grant>,
}

impl From<&User> for UserCreated {
    fn from(user: &User) -> Self {
        Self { user: user.username.clone(), role: user.role, scopes: user.grants.clone() }
    }
}

/// A session in an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionData {
    /// Whose it is.
    pub user: Username,
    /// Which; none in events of versions that had no sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<CredentialId>,
}

/// A session that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEnded {
    /// Whose it was.
    pub user: Username,
    /// Which.
    pub session: CredentialId,
    /// Why it is over.
    pub reason: SessionEnd,
    /// When the last token that was issued in it expires.
    pub tokens_until: Timestamp,
}

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionEnd {
    /// Its user has logged out.
    Logout,
    /// A refresh token that had been used was shown again, so two have it: one of them is a thief.
    Replay,
    /// The account has another role or password, or is gone.
    AccountChanged,
    /// The account has had too many, and this was the oldest.
    Displaced,
    /// It has expired, and was cleared away.
    Expired,
}

impl SessionEnd {
    /// Every reason.
    pub const ALL: [Self; 5] = [Self::Logout, Self::Replay, Self::AccountChanged, Self::Displaced, Self::Expired];
}

/// An API key in an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeyData {
    /// Which.
    pub api_key: CredentialId,
    /// Its name.
    pub name: ApiKeyName,
    /// What it may do.
    pub role: Role,
    /// What it may do besides.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub scopes: BTreeSet<Grant>,
    /// From when on it does not count.
    pub expires_at: Timestamp,
    /// From when on the secret that it had before does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_until: Option<Timestamp>,
}

/// An API key that is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeyRevoked {
    /// Which.
    pub api_key: CredentialId,
    /// Its name.
    pub name: ApiKeyName,
    /// When the last token that was issued for it expires.
    pub tokens_until: Timestamp,
}

/// A login that failed. Whether the account exists is not told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginFailed {
    /// The name that was tried.
    pub user: Username,
}

/// Something that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessDenied {
    /// Who asked.
    pub user: Actor,
    /// For what, by the name in [`Action`](crate::policy::Action).
    pub action: String,
}

/// An event that is about to be committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Its name everywhere.
    pub id: EventId,
    /// What it is about.
    pub subject: Subject,
    /// What it tells.
    pub data: EventData,
    /// When it happened.
    pub time: Timestamp,
    /// Who did it.
    pub actor: Actor,
    /// The trace that it belongs to.
    pub trace: Option<TraceParent>,
}

/// An event in a store's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The log that it stands in.
    pub log: LogId,
    /// Its place there.
    pub position: Position,
    /// The changeset that it was committed with.
    pub changeset: ChangesetId,
    /// What was committed.
    pub event: NewEvent,
}

impl std::ops::Deref for Event {
    type Target = NewEvent;

    fn deref(&self) -> &NewEvent {
        &self.event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sources_and_topics_are_those_of_the_contract() {
        let table: Vec<_> = EventType::ALL.iter().map(|t| (t.as_str(), t.source().as_str(), t.topic())).collect();
        assert_eq!(table[0], ("AppCreated", "AppService", "apps.created"));
        assert_eq!(table[3], ("VersionCreated", "VersionService", "versions.created"));
        assert_eq!(table[7], ("DeploymentUpdated", "DeploymentService", "deployments.updated"));
        assert_eq!(table.len(), 21);
        for event_type in EventType::ALL {
            assert_eq!(EventType::parse(event_type.as_str()), Some(*event_type));
            let topic = event_type.topic();
            assert!(topic.bytes().all(|b| matches!(b, b'a'..=b'z' | b'_' | b'.')), "{topic}");
        }
    }

    #[test]
    fn data_have_the_members_of_the_contract() {
        let update = EventData::DeploymentUpdated(DeploymentUpdate {
            deployment: DeploymentData {
                deployment_id: DeploymentId::new(123).unwrap(),
                version_id: VersionId::new(42).unwrap(),
                app_id: AppId::new(7).unwrap(),
                environment: EnvironmentName::parse("prod").unwrap(),
                status: DeploymentStatus::Successful,
            },
            previous_status: DeploymentStatus::Running,
        });
        let json = update.to_json();
        assert_eq!(
            json,
            serde_json::json!({
                "deployment_id": 123, "version_id": 42, "app_id": 7, "environment": "prod",
                "status": "successful", "previous_status": "running",
            })
        );
        assert_eq!(EventData::from_json(EventType::DeploymentUpdated, json).unwrap(), update);
    }
}
