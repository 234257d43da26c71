//! Passwords and tokens without cryptography.

use std::sync::atomic::{AtomicUsize, Ordering};

use alm_core::{
    domain::{Password, PasswordHash},
    ports::{BackendError, PasswordError, PasswordHasher, TokenClaims, TokenIssuer},
};
use async_trait::async_trait;

/// How every hash begins, so that one that gets out is seen.
pub(crate) const HASH_MARK: &str = "$fake$";

/// Hashes a password by turning it round, with a salt so that no two hashes are the same.
#[derive(Debug, Default)]
pub(crate) struct FakeHasher {
    salt: AtomicUsize,
    /// How many passwords were compared, with a hash or without.
    pub(crate) verified: AtomicUsize,
}

fn turned(password: &Password) -> String {
    password.expose().chars().rev().collect()
}

#[async_trait]
impl PasswordHasher for FakeHasher {
    async fn hash(&self, password: &Password) -> Result<PasswordHash, PasswordError> {
        let salt = self.salt.fetch_add(1, Ordering::Relaxed);
        Ok(PasswordHash::new(format!("{HASH_MARK}{salt}${}", turned(password))))
    }

    async fn verify(&self, password: &Password, hash: Option<&PasswordHash>) -> Result<bool, PasswordError> {
        self.verified.fetch_add(1, Ordering::Relaxed);
        Ok(hash.is_some_and(|hash| hash.as_str().ends_with(&format!("${}", turned(password)))))
    }

    fn is_outdated(&self, hash: &PasswordHash) -> bool {
        !hash.as_str().starts_with(HASH_MARK)
    }
}

/// Makes tokens that say in clear what they say.
#[derive(Debug)]
pub(crate) struct FakeIssuer;

#[async_trait]
impl TokenIssuer for FakeIssuer {
    async fn issue(&self, claims: &TokenClaims) -> Result<String, BackendError> {
        let TokenClaims { id, principal, issued_at, expires_at } = claims;
        Ok(format!("token {id} {} {} {issued_at} {expires_at}", principal.name, principal.role))
    }
}
