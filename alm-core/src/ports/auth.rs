//! Identity: who is it, and may they?

use async_trait::async_trait;
use uuid::Uuid;

use crate::{
    domain::{Password, PasswordHash, Timestamp},
    policy::{Action, Principal, Target},
};

use super::BackendError;

/// Tells from a token who sent it.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// Who `token` belongs to at the time `now`.
    ///
    /// # Contract
    /// Every check of the token is made on each call; nothing in the token decides how it is checked.
    ///
    /// # Errors
    /// The token does not count, or what is needed to check it can't be reached.
    async fn authenticate(&self, token: &str, now: Timestamp) -> Result<Principal, AuthError>;
}

/// Makes tokens that the [`Authenticator`] accepts.
#[async_trait]
pub trait TokenIssuer: Send + Sync {
    /// A token that says what `claims` say.
    ///
    /// # Errors
    /// What is needed to sign can't be used.
    async fn issue(&self, claims: &TokenClaims) -> Result<String, BackendError>;
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenClaims {
    /// Names the token.
    pub id: Uuid,
    /// Whose it is.
    pub principal: Principal,
    /// From when on it counts.
    pub issued_at: Timestamp,
    /// From when on it does not count any more.
    pub expires_at: Timestamp,
}

/// Why a token does not count.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// It is malformed, wrongly signed, or lacks a claim.
    #[error("the token is not valid")]
    Invalid,
    /// It does not count any more.
    #[error("the token has expired")]
    Expired,
    /// It does not count yet.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// What is needed to check it failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl AuthError {
    /// A stable kebab-case name of the meaning.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invalid => "invalid-token",
            Self::Expired => "expired-token",
            Self::NotYetValid => "token-not-yet-valid",
            Self::Backend(_) => "backend",
        }
    }
}

/// Decides what a principal may do.
#[async_trait]
pub trait Authorizer: Send + Sync {
    /// Whether `principal` may do `action` to `target`. Whatever is not allowed is denied.
    ///
    /// # Contract
    /// It may be asked before it is known where the target is, and once more when it was denied then and the
    /// [place](Target::place) is known: what is allowed without a place is allowed in every place.
    async fn authorize(&self, principal: &Principal, action: Action, target: &Target) -> Decision;
}

/// What an [`Authorizer`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// Go on.
    Allowed,
    /// Refuse.
    Denied,
}

/// Hashes passwords, slowly on purpose.
#[async_trait]
pub trait PasswordHasher: Send + Sync {
    /// A new hash of `password`, with a salt of its own.
    ///
    /// # Errors
    /// See [`PasswordError`].
    async fn hash(&self, password: &Password) -> Result<PasswordHash, PasswordError>;

    /// Whether `password` is the one that `hash` was made of. Without a hash it takes as long and is `false`, so that
    /// the time does not tell whether an account exists.
    ///
    /// # Errors
    /// See [`PasswordError`].
    async fn verify(&self, password: &Password, hash: Option<&PasswordHash>) -> Result<bool, PasswordError>;
}

/// Why a password could not be hashed or checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// Too many passwords are being hashed; try again soon.
    #[error("too many passwords are being checked")]
    Busy,
    /// The machinery failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}
