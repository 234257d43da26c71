//! Who acts.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::{Actor, CredentialId, Grant, Role};

/// Who acts: what a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// The name under which it acts.
    pub name: Actor,
    /// What it may do, everywhere.
    pub role: Role,
    /// What it may do besides: [`Grant`]s, [`SCOPE_SERVICE`](super::SCOPE_SERVICE), and what means something to the host alone.
    #[serde(default)]
    pub scopes: BTreeSet<String>,
    /// The session or API key of this ALM that it acts by: with it ends what the principal may. None of a token that was issued
    /// elsewhere or by hand.
    #[serde(default)]
    pub credential: Option<CredentialId>,
}

impl Principal {
    /// A principal without scopes.
    pub fn new(name: Actor, role: Role) -> Self {
        Self { name, role, scopes: BTreeSet::new(), credential: None }
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

    /// Adds grants, which are scopes.
    #[must_use]
    pub fn with_grants<'g>(mut self, grants: impl IntoIterator<Item = &'g Grant>) -> Self {
        self.scopes.extend(grants.into_iter().map(Grant::to_string));
        self
    }

    /// Acts by this session or API key.
    #[must_use]
    pub fn by(mut self, credential: CredentialId) -> Self {
        self.credential = Some(credential);
        self
    }

    /// The scopes that are grants.
    pub fn grants(&self) -> impl Iterator<Item = Grant> {
        self.scopes.iter().filter_map(|scope| Grant::parse(scope).ok())
    }
}
