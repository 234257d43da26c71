//! Who may do what: one table that the code, the docs and the tests read.

use std::{collections::BTreeSet, fmt};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{Actor, Role, Subject},
    ports::{Authorizer, Decision},
};

/// A token with this scope may read the audit log, whatever its role.
pub const SCOPE_AUDITOR: &str = "auditor";
/// A token with this scope may read the event log, whatever its role.
pub const SCOPE_SERVICE: &str = "service";

/// Who acts: what a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// The name under which it acts.
    pub name: Actor,
    /// What it may do.
    pub role: Role,
    /// What it may do besides.
    #[serde(default)]
    pub scopes: BTreeSet<String>,
}

impl Principal {
    /// A principal without scopes.
    pub fn new(name: Actor, role: Role) -> Self {
        Self { name, role, scopes: BTreeSet::new() }
    }

    /// ALM's host itself, which may do everything.
    pub fn system() -> Self {
        Self::new(Actor::system(), Role::Admin)
    }

    /// Adds a scope.
    #[must_use]
    pub fn with_scope(mut self, scope: impl Into<String>) -> Self {
        self.scopes.insert(scope.into());
        self
    }
}

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

const ANYONE: Rule = Rule { public: true, roles: &Role::ALL, scope: None, own: false };
const USERS: Rule = Rule { public: false, roles: &Role::ALL, scope: None, own: false };
const ADMINS: Rule = Rule { public: false, roles: &[Role::Admin], scope: None, own: false };

actions! {
    /// Show a password, get a token.
    Login = "login": ANYONE;
    /// Create an app.
    CreateApp = "create_app": USERS;
    /// List apps.
    ListApps = "list_apps": USERS;
    /// Read an app.
    GetApp = "get_app": USERS;
    /// Change an app.
    UpdateApp = "update_app": USERS;
    /// Delete an app, and with it its versions.
    DeleteApp = "delete_app": ADMINS;
    /// List what runs in an app's environments.
    ListEnvironments = "list_environments": USERS;
    /// Create a version.
    CreateVersion = "create_version": USERS;
    /// List versions.
    ListVersions = "list_versions": USERS;
    /// Read a version.
    GetVersion = "get_version": USERS;
    /// Change a version.
    UpdateVersion = "update_version": USERS;
    /// Delete a version, and with it its deployments.
    DeleteVersion = "delete_version": ADMINS;
    /// Create a deployment.
    CreateDeployment = "create_deployment": USERS;
    /// List deployments.
    ListDeployments = "list_deployments": USERS;
    /// Read a deployment.
    GetDeployment = "get_deployment": USERS;
    /// Move the status of a deployment.
    UpdateDeployment = "update_deployment": USERS;
    /// Delete a deployment.
    DeleteDeployment = "delete_deployment": ADMINS;
    /// List audit entries.
    ListAuditEntries = "list_audit_entries": Rule { scope: Some(SCOPE_AUDITOR), ..ADMINS };
    /// Read an audit entry.
    GetAuditEntry = "get_audit_entry": Rule { scope: Some(SCOPE_AUDITOR), ..ADMINS };
    /// Read the newest checkpoint of the audit log.
    GetAuditCheckpoint = "get_audit_checkpoint": Rule { scope: Some(SCOPE_AUDITOR), ..ADMINS };
    /// Have it proved that an audit entry stands in the audit log.
    GetAuditProof = "get_audit_proof": Rule { scope: Some(SCOPE_AUDITOR), ..ADMINS };
    /// Have it proved that the audit log begins with what it was before.
    GetAuditConsistency = "get_audit_consistency": Rule { scope: Some(SCOPE_AUDITOR), ..ADMINS };
    /// Read a tile of the tree over the audit log.
    GetAuditTile = "get_audit_tile": Rule { scope: Some(SCOPE_AUDITOR), ..ADMINS };
    /// Read the event log.
    ListEvents = "list_events": Rule { scope: Some(SCOPE_SERVICE), ..ADMINS };
    /// Create an account.
    CreateUser = "create_user": ADMINS;
    /// List accounts.
    ListUsers = "list_users": ADMINS;
    /// Delete an account.
    DeleteUser = "delete_user": ADMINS;
    /// Set the password of an account.
    SetPassword = "set_password": Rule { own: true, ..ADMINS };
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
    /// These roles may.
    pub roles: &'static [Role],
    /// Who has this scope may.
    pub scope: Option<&'static str>,
    /// Who it is about may: the account itself.
    pub own: bool,
}

impl Rule {
    /// Whether `principal` may do it to `subject`.
    pub fn allows(&self, principal: &Principal, subject: &Subject) -> bool {
        self.public
            || self.roles.contains(&principal.role)
            || self.scope.is_some_and(|scope| principal.scopes.contains(scope))
            || (self.own && matches!(subject, Subject::User(name) if name.as_str() == principal.name.as_str()))
    }
}

/// The [`Authorizer`] that goes by the table in this module.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoleTable;

#[async_trait]
impl Authorizer for RoleTable {
    async fn authorize(&self, principal: &Principal, action: Action, subject: &Subject) -> Decision {
        if action.rule().allows(principal, subject) { Decision::Allowed } else { Decision::Denied }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Username;

    fn user(name: &str) -> Principal {
        Principal::new(Actor::parse(name).unwrap(), Role::User)
    }

    #[test]
    fn only_admins_delete_and_manage_accounts() {
        let denied: Vec<_> =
            Action::ALL.iter().filter(|a| !a.rule().allows(&user("ada"), &Subject::Apps)).map(|a| a.as_str()).collect();
        assert_eq!(
            denied,
            [
                "delete_app",
                "delete_version",
                "delete_deployment",
                "list_audit_entries",
                "get_audit_entry",
                "get_audit_checkpoint",
                "get_audit_proof",
                "get_audit_consistency",
                "get_audit_tile",
                "list_events",
                "create_user",
                "list_users",
                "delete_user",
                "set_password",
            ]
        );
        assert!(Action::ALL.iter().all(|a| a.rule().allows(&Principal::system(), &Subject::Apps)));
    }

    #[test]
    fn a_scope_opens_one_thing_more_and_nothing_else() {
        let auditor = user("ada").with_scope(SCOPE_AUDITOR);
        assert!(Action::ListAuditEntries.rule().allows(&auditor, &Subject::Audit));
        assert!(!Action::ListEvents.rule().allows(&auditor, &Subject::Events));
        assert!(!Action::DeleteApp.rule().allows(&auditor, &Subject::Apps));
    }

    #[test]
    fn a_user_sets_its_own_password_and_no_other() {
        let subject = |name| Subject::User(Username::parse(name).unwrap());
        assert!(Action::SetPassword.rule().allows(&user("ada"), &subject("ada")));
        assert!(!Action::SetPassword.rule().allows(&user("ada"), &subject("bob")));
        assert!(!Action::DeleteUser.rule().allows(&user("ada"), &subject("ada")));
    }

    #[test]
    fn names_are_unique() {
        for action in Action::ALL {
            assert_eq!(Action::parse(action.as_str()), Some(*action));
            assert_eq!(serde_json::to_value(action).unwrap(), action.as_str());
        }
    }
}
