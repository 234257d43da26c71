//! Who may do what: one table that the code, the docs and the tests read.

mod principal;
mod target;

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{Role, Subject},
    ports::{Authorizer, Decision},
};

pub use principal::Principal;
pub use target::{Place, Target};

/// A token with this scope may read the event log, whatever its role.
pub const SCOPE_SERVICE: &str = "service";

/// Declares the actions once: name and rule.
macro_rules! actions {
    ($($(#[$doc:meta])* $action:ident = $name:literal: $rule:expr;)+) => {
        /// What can be asked for. The name is also the `operationId` in the `OpenAPI` document.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum Action {
            $($(#[$doc])* #[serde(rename = $name)] $action,)+
        }

        impl Action {
            /// Every action.
            pub const ALL: &[Self] = &[$(Self::$action),+];

            /// The stable name.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$action => $name,)+
                }
            }

            /// Who may.
            pub const fn rule(self) -> Rule {
                match self {
                    $(Self::$action => $rule,)+
                }
            }
        }
    };
}

const fn roles(roles: &'static [Role]) -> Rule {
    Rule { public: false, roles, scope: None, own: false }
}

const ANYONE: Rule = Rule { public: true, ..roles(&Role::ALL) };
const READERS: Rule = roles(&Role::ALL);
const WRITERS: Rule = roles(&[Role::Admin, Role::User]);
const DEPLOYERS: Rule = roles(&[Role::Admin, Role::User, Role::Deployer]);
const AUDITORS: Rule = roles(&[Role::Admin, Role::Auditor]);
const ADMINS: Rule = roles(&[Role::Admin]);

actions! {
    /// Show a password, get a token.
    Login = "login": ANYONE;
    /// Show a refresh token, get the next tokens.
    RefreshToken = "refresh_token": ANYONE;
    /// Show an API key, get a token.
    ExchangeApiKey = "exchange_api_key": ANYONE;
    /// End the session.
    Logout = "logout": READERS;
    /// Ask who one is.
    WhoAmI = "whoami": READERS;
    /// Create an app.
    CreateApp = "create_app": WRITERS;
    /// List apps.
    ListApps = "list_apps": READERS;
    /// Read an app.
    GetApp = "get_app": READERS;
    /// Change an app.
    UpdateApp = "update_app": WRITERS;
    /// Delete an app, and with it its versions.
    DeleteApp = "delete_app": ADMINS;
    /// List what runs in an app's environments.
    ListEnvironments = "list_environments": READERS;
    /// Create a version.
    CreateVersion = "create_version": WRITERS;
    /// List versions.
    ListVersions = "list_versions": READERS;
    /// Read a version.
    GetVersion = "get_version": READERS;
    /// Change a version.
    UpdateVersion = "update_version": WRITERS;
    /// Delete a version, and with it its deployments.
    DeleteVersion = "delete_version": ADMINS;
    /// Create a deployment.
    CreateDeployment = "create_deployment": DEPLOYERS;
    /// List deployments.
    ListDeployments = "list_deployments": READERS;
    /// Read a deployment.
    GetDeployment = "get_deployment": READERS;
    /// Move the status of a deployment.
    UpdateDeployment = "update_deployment": DEPLOYERS;
    /// Delete a deployment.
    DeleteDeployment = "delete_deployment": ADMINS;
    /// List audit entries.
    ListAuditEntries = "list_audit_entries": AUDITORS;
    /// Read an audit entry.
    GetAuditEntry = "get_audit_entry": AUDITORS;
    /// Read the newest checkpoint of the audit log.
    GetAuditCheckpoint = "get_audit_checkpoint": AUDITORS;
    /// Have it proved that an audit entry stands in the audit log.
    GetAuditProof = "get_audit_proof": AUDITORS;
    /// Have it proved that the audit log begins with what it was before.
    GetAuditConsistency = "get_audit_consistency": AUDITORS;
    /// Read a tile of the tree over the audit log.
    GetAuditTile = "get_audit_tile": AUDITORS;
    /// Read the event log.
    ListEvents = "list_events": Rule { scope: Some(SCOPE_SERVICE), ..ADMINS };
    /// Create an account.
    CreateUser = "create_user": ADMINS;
    /// List accounts.
    ListUsers = "list_users": ADMINS;
    /// Change what an account may do.
    UpdateUser = "update_user": ADMINS;
    /// Delete an account.
    DeleteUser = "delete_user": ADMINS;
    /// Set the password of an account.
    SetPassword = "set_password": Rule { own: true, ..ADMINS };
    /// Create an API key.
    CreateApiKey = "create_api_key": ADMINS;
    /// List API keys.
    ListApiKeys = "list_api_keys": ADMINS;
    /// Read of an API key what is no secret.
    GetApiKey = "get_api_key": ADMINS;
    /// Give an API key another secret.
    RotateApiKey = "rotate_api_key": ADMINS;
    /// End an API key.
    RevokeApiKey = "revoke_api_key": ADMINS;
}

impl Action {
    /// The action of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.as_str() == name)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who may do one thing. Whoever none of the members lets in is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Anyone may, also without a token.
    pub public: bool,
    /// These roles may: who has one of them everywhere, or where a [grant](crate::domain::Grant) of it is good.
    pub roles: &'static [Role],
    /// Who has this scope may.
    pub scope: Option<&'static str>,
    /// Who it is about may: the account itself.
    pub own: bool,
}

impl Rule {
    /// Whether `principal` may do it to `target`.
    pub fn allows(&self, principal: &Principal, target: &Target) -> bool {
        self.public
            || self.roles.contains(&principal.role)
            || self.scope.is_some_and(|scope| principal.scopes.contains(scope))
            || (self.own && matches!(&target.subject, Subject::User(name) if name.as_str() == principal.name.as_str()))
            || principal.grants().any(|grant| self.roles.contains(&grant.role) && target.is_within(&grant))
    }
}

/// The [`Authorizer`] that goes by the table in this module.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoleTable;

#[async_trait]
impl Authorizer for RoleTable {
    async fn authorize(&self, principal: &Principal, action: Action, target: &Target) -> Decision {
        if action.rule().allows(principal, target) { Decision::Allowed } else { Decision::Denied }
    }
}

#[cfg(test)]
mod tests;
