//! Who did something, and to what.

use std::fmt;

use serde::{Deserialize, Serialize};

use uuid::Uuid;

use super::{ApiKeyName, AppId, CredentialId, DeploymentId, Rejected, Username, VersionId, text};

/// Who acted: the `sub` of a token, the name of an account, or `system`. 1–256 characters, no control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Actor(String);

impl Actor {
    /// Checks the rules above.
    ///
    /// # Errors
    /// The first rule that `name` breaks.
    pub fn parse(name: impl Into<String>) -> Result<Self, Rejected> {
        let name = name.into();
        text::length(&name, 256)?;
        if name.chars().any(char::is_control) {
            return Err(Rejected::new("control-character", "must not contain control characters"));
        }
        Ok(Self(name))
    }

    /// ALM itself or its host, acting for no one.
    pub fn system() -> Self {
        Self("system".to_owned())
    }

    /// Someone who has not shown who they are.
    pub fn anonymous() -> Self {
        Self("anonymous".to_owned())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&Username> for Actor {
    fn from(name: &Username) -> Self {
        Self(name.as_str().to_owned())
    }
}

impl From<&ApiKeyName> for Actor {
    /// With a prefix that the name of no account can have.
    fn from(name: &ApiKeyName) -> Self {
        Self(format!("key:{name}"))
    }
}

impl TryFrom<String> for Actor {
    type Error = Rejected;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::parse(name)
    }
}

impl From<Actor> for String {
    fn from(actor: Actor) -> String {
        actor.0
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an event or a request is about. Written as its path: `apps/7`, or `apps` for the whole collection.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Subject {
    /// All apps.
    Apps,
    /// One app.
    App(AppId),
    /// All versions.
    Versions,
    /// One version.
    Version(VersionId),
    /// All deployments.
    Deployments,
    /// One deployment.
    Deployment(DeploymentId),
    /// All accounts.
    Users,
    /// One account.
    User(Username),
    /// All API keys.
    ApiKeys,
    /// One API key.
    ApiKey(CredentialId),
    /// The audit log.
    Audit,
    /// The event log.
    Events,
}

impl Subject {
    /// Reads what [`Display`](fmt::Display) writes.
    ///
    /// # Errors
    /// `path` names nothing that ALM has.
    pub fn parse(path: &str) -> Result<Self, Rejected> {
        let (collection, item) = match path.split_once('/') {
            Some((collection, item)) => (collection, Some(item)),
            None => (path, None),
        };
        // Only the form that is written is read: no sign, no leading zero.
        let number = |item: &str| item.parse::<i64>().ok().filter(|n| n.to_string() == item);
        match (collection, item) {
            ("apps", None) => Some(Self::Apps),
            ("apps", Some(item)) => number(item).and_then(AppId::new).map(Self::App),
            ("versions", None) => Some(Self::Versions),
            ("versions", Some(item)) => number(item).and_then(VersionId::new).map(Self::Version),
            ("deployments", None) => Some(Self::Deployments),
            ("deployments", Some(item)) => number(item).and_then(DeploymentId::new).map(Self::Deployment),
            ("users", None) => Some(Self::Users),
            ("users", Some(item)) => Username::parse(item).ok().map(Self::User),
            ("api-keys", None) => Some(Self::ApiKeys),
            ("api-keys", Some(item)) => {
                let id = Uuid::parse_str(item).ok().filter(|id| id.to_string() == item);
                id.map(|id| Self::ApiKey(CredentialId::new(id)))
            }
            ("audit", None) => Some(Self::Audit),
            ("events", None) => Some(Self::Events),
            _ => None,
        }
        .ok_or_else(|| Rejected::new("not-a-subject", "must be a path such as apps/7, versions/42 or users/ada"))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Apps => f.write_str("apps"),
            Self::App(id) => write!(f, "apps/{id}"),
            Self::Versions => f.write_str("versions"),
            Self::Version(id) => write!(f, "versions/{id}"),
            Self::Deployments => f.write_str("deployments"),
            Self::Deployment(id) => write!(f, "deployments/{id}"),
            Self::Users => f.write_str("users"),
            Self::User(name) => write!(f, "users/{name}"),
            Self::ApiKeys => f.write_str("api-keys"),
            Self::ApiKey(id) => write!(f, "api-keys/{id}"),
            Self::Audit => f.write_str("audit"),
            Self::Events => f.write_str("events"),
        }
    }
}

impl TryFrom<String> for Subject {
    type Error = Rejected;

    fn try_from(path: String) -> Result<Self, Self::Error> {
        Self::parse(&path)
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> String {
        subject.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_read_as_it_is_written() {
        for path in [
            "apps",
            "apps/7",
            "versions",
            "versions/42",
            "deployments/1",
            "users",
            "users/ada",
            "api-keys",
            "api-keys/01890a5d-ac96-774b-bcce-b302099a8057",
            "audit",
            "events",
        ] {
            assert_eq!(Subject::parse(path).unwrap().to_string(), path);
        }
        for path in [
            "",
            "apps/",
            "apps/0",
            "apps/-1",
            "apps/+1",
            "apps/01",
            "apps/1/2",
            "audit/1",
            "Apps",
            "users/..",
            "api-keys/",
            "api-keys/1",
            "api-keys/01890A5D-AC96-774B-BCCE-B302099A8057",
        ] {
            assert!(Subject::parse(path).is_err(), "{path:?}");
        }
    }
}
