//! Answers that are remembered, so that a request which is sent again is not done again.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    domain::{Rejected, Timestamp},
    policy::Action,
};

/// What a caller names a request with, to be able to send it again: 1–255 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Checks the rules above.
    ///
    /// # Errors
    /// `key` breaks them.
    pub fn parse(key: impl Into<String>) -> Result<Self, Rejected> {
        let key = key.into();
        if key.is_empty() || key.len() > 255 || !key.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Rejected::new("invalid-idempotency-key", "must have 1 to 255 visible ASCII characters"));
        }
        Ok(Self(key))
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for IdempotencyKey {
    type Error = Rejected;

    fn try_from(key: String) -> Result<Self, Self::Error> {
        Self::parse(key)
    }
}

impl From<IdempotencyKey> for String {
    fn from(key: IdempotencyKey) -> String {
        key.0
    }
}

/// What a request asked for, as a hash that the caller makes (SHA-256 of the body, say). It is stored, so it must not be
/// made of a password.
pub type Fingerprint = [u8; 32];

/// Whose key it is, and for what: the same key of another principal or for another action is another key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IdempotencyScope {
    /// Who sent the request.
    pub principal: String,
    /// What it asked for.
    pub action: Action,
    /// The key it was sent with.
    pub key: IdempotencyKey,
}

/// An answer to remember, committed together with what it answers. `Debug` does not show the answer: that of a new account
/// holds the hash of its password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdempotencyRecord {
    /// Under which it is found.
    pub scope: IdempotencyScope,
    /// What was asked for.
    pub fingerprint: Fingerprint,
    /// What came of it: the resource as it was created.
    pub outcome: Value,
    /// When it was answered.
    pub created_at: Timestamp,
    /// From when on it counts as forgotten.
    pub expires_at: Timestamp,
}

impl IdempotencyRecord {
    /// Whether it still counts at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }
}

impl fmt::Debug for IdempotencyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdempotencyRecord")
            .field("scope", &self.scope)
            .field("created_at", &self.created_at)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
