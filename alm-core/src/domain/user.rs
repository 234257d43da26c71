//! Accounts.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

use super::{Grant, Invalid, Rejected, Revision, Timestamp, Username, invalid::Fields};

/// What an account may do; the table is in [`policy`](crate::policy).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    Admin,
    /// Reading and changing, not deleting, no accounts, no audit log.
    User,
    /// Reading, and deployments: creating them and moving their status.
    Deployer,
    /// Reading, also the audit log.
    Auditor,
    /// Reading, not the audit log.
    Viewer,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::Admin, Self::User, Self::Deployer, Self::Auditor, Self::Viewer];

    /// The name as it stands in JSON and in tokens.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::User => "user",
            Self::Deployer => "deployer",
            Self::Auditor => "auditor",
            Self::Viewer => "viewer",
        }
    }

    /// The role of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An account as others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Unique among the accounts.
    pub username: Username,
    /// What it may do.
    pub role: Role,
    /// What it may do besides, everywhere or in one place.
    #[serde(default)]
    pub grants: BTreeSet<Grant>,
    /// When it was created.
    pub created_at: Timestamp,
    /// How often it has been changed, its password included. Sessions count for one revision alone.
    #[serde(default = "first_revision")]
    pub revision: Revision,
}

/// What an account had that was remembered before accounts had revisions.
const fn first_revision() -> Revision {
    Revision::FIRST
}

impl User {
    /// A new account.
    pub fn create(username: Username, role: Role, grants: BTreeSet<Grant>, at: Timestamp) -> Self {
        Self { username, role, grants, created_at: at, revision: Revision::FIRST }
    }

    /// The account with another role and other grants, or `None` when they are what they were.
    #[must_use]
    pub fn update(&self, role: Role, grants: BTreeSet<Grant>) -> Option<Self> {
        if role == self.role && grants == self.grants {
            return None;
        }
        Some(Self { role, grants, revision: self.revision.next(), ..self.clone() })
    }
}

/// An account as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRecord {
    /// What others see.
    pub user: User,
    /// What a password is checked against.
    pub password_hash: PasswordHash,
}

/// The hash of a password in PHC string form (salt and parameters included). `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Wraps what a [`PasswordHasher`](crate::ports::PasswordHasher) made.
    pub fn new(phc: impl Into<String>) -> Self {
        Self(phc.into())
    }

    /// The PHC string.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// A password in clear. It is neither stored nor shown.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    /// The longest that is taken, in bytes: hashing an endless one would be a way to tire the server.
    pub const MAX_BYTES: usize = 256;
    /// The fewest characters of a new one.
    pub const MIN_CHARS: usize = 8;

    /// A new password: 8 characters to 256 bytes.
    ///
    /// # Errors
    /// It is too short or too long.
    pub fn parse(text: impl Into<String>) -> Result<Self, Rejected> {
        let password = Self::attempt(text)?;
        if password.0.chars().count() < Self::MIN_CHARS {
            return Err(Rejected::new("too-short", format!("must have at least {} characters", Self::MIN_CHARS)));
        }
        Ok(password)
    }

    /// A password given to log in: its rules may have been others when it was set, so only the length is bounded.
    ///
    /// # Errors
    /// It is longer than any password can be.
    pub fn attempt(text: impl Into<String>) -> Result<Self, Rejected> {
        let text = text.into();
        if text.len() > Self::MAX_BYTES {
            return Err(Rejected::new("too-long", format!("must have at most {} bytes in UTF-8", Self::MAX_BYTES)));
        }
        Ok(Self(text))
    }

    /// The text, for a [`PasswordHasher`](crate::ports::PasswordHasher).
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// What can be changed of an account.
#[derive(Clone, Debug)]
pub struct UserUpdate {
    /// What it may do.
    pub role: Role,
    /// What it may do besides.
    pub grants: BTreeSet<Grant>,
}

impl UserUpdate {
    /// Checks every field.
    ///
    /// # Errors
    /// Every field that breaks its rule.
    pub fn parse(role: Role, grants: &[String]) -> Result<Self, Invalid> {
        let mut fields = Fields::default();
        let grants = fields.take_all("/scopes", Grant::parse_all(grants));
        fields.finish(grants.map(|grants| Self { role, grants }))
    }
}

/// What it takes to create an account.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Unique among the accounts.
    pub username: Username,
    /// What it logs in with.
    pub password: Password,
    /// What it may do.
    pub role: Role,
    /// What it may do besides.
    pub grants: BTreeSet<Grant>,
}

impl NewUser {
    /// Checks every field.
    ///
    /// # Errors
    /// Every field that breaks its rule.
    pub fn parse(username: String, password: String, role: Role, grants: &[String]) -> Result<Self, Invalid> {
        let mut fields = Fields::default();
        let username = fields.take("/username", Username::parse(username));
        let password = fields.take("/password", Password::parse(password));
        let grants = fields.take_all("/scopes", Grant::parse_all(grants));
        let all = username.zip(password).zip(grants);
        fields.finish(all.map(|((username, password), grants)| Self { username, password, role, grants }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let new = NewUser::parse("ada".into(), "correct horse".into(), Role::User, &[]).unwrap();
        assert!(!format!("{new:?}").contains("horse"));
        assert!(!format!("{:?}", PasswordHash::new("$argon2id$x")).contains("argon2id"));
    }

    #[test]
    fn a_password_has_8_characters_to_256_bytes() {
        assert!(Password::parse("éééééééé").is_ok());
        assert_eq!(Password::parse("ééééééé").unwrap_err().code, "too-short");
        assert!(Password::parse("x".repeat(256)).is_ok());
        assert_eq!(Password::parse("x".repeat(257)).unwrap_err().code, "too-long");
    }
}
