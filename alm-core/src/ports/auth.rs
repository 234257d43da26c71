//! Identity: who is it, and may they?

use async_trait::async_trait;
use uuid::Uuid;

use crate::{
    domain::{Password, PasswordHash, Rejected, Timestamp, Username},
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
    /// It is asked before it is known where the target is, and, of a principal who has [grants](Principal::grants), once more when it was
    /// denied then and the [place](Target::place) is known: what is allowed without a place is allowed in every place.
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

    /// Whether `hash` was made with other parameters than a new one would be: then it is made anew at the next log-in.
    fn is_outdated(&self, hash: &PasswordHash) -> bool;
}

/// Decides which passwords may be set, besides the rules of [`Password::parse`].
#[async_trait]
pub trait PasswordPolicy: Send + Sync {
    /// Why `password` must not be set for the account `username`, or `None` if it may.
    ///
    /// # Errors
    /// The machinery failed.
    async fn refusal(&self, password: &Password, username: &Username) -> Result<Option<Rejected>, BackendError>;
}

/// Makes secrets and hashes them.
pub trait Secrets: Send + Sync {
    /// 32 bytes that no one can guess (from the operating system, say).
    ///
    /// # Errors
    /// The source has none.
    fn random(&self) -> Result<[u8; 32], BackendError>;

    /// The SHA-256 hash (FIPS 180-4) of `bytes`.
    fn sha256(&self, bytes: &[u8]) -> [u8; 32];
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
