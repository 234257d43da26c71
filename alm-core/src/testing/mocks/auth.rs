//! Identity.

use async_trait::async_trait;
use mockall::mock;

use crate::{
    domain::{Password, PasswordHash, Rejected, Timestamp, Username},
    policy::{Action, Principal, Target},
    ports::{
        AuthError, Authenticator, Authorizer, BackendError, Decision, PasswordError, PasswordHasher, PasswordPolicy,
        Secrets, TokenClaims, TokenIssuer,
    },
};

mock! {
    /// An [`Authenticator`].
    #[derive(Debug)]
    pub Authenticator {}

    #[async_trait]
    impl Authenticator for Authenticator {
        async fn authenticate(&self, token: &str, now: Timestamp) -> Result<Principal, AuthError>;
    }
}

mock! {
    /// A [`TokenIssuer`].
    #[derive(Debug)]
    pub TokenIssuer {}

    #[async_trait]
    impl TokenIssuer for TokenIssuer {
        async fn issue(&self, claims: &TokenClaims) -> Result<String, BackendError>;
    }
}

// mockall gives an async method with a lifetime inside an argument a body that does not borrow-check, so it mocks this trait,
// which is not async, and the port is made of it.
trait Passwords {
    fn hash(&self, password: &Password) -> Result<PasswordHash, PasswordError>;
    fn verify(&self, password: &Password, hash: Option<&PasswordHash>) -> Result<bool, PasswordError>;
    fn is_outdated(&self, hash: &PasswordHash) -> bool;
}

mock! {
    /// A [`PasswordHasher`].
    #[derive(Debug)]
    pub PasswordHasher {}

    impl Passwords for PasswordHasher {
        fn hash(&self, password: &Password) -> Result<PasswordHash, PasswordError>;
        fn verify<'a>(&self, password: &Password, hash: Option<&'a PasswordHash>) -> Result<bool, PasswordError>;
        fn is_outdated(&self, hash: &PasswordHash) -> bool;
    }
}

#[async_trait]
impl PasswordHasher for MockPasswordHasher {
    async fn hash(&self, password: &Password) -> Result<PasswordHash, PasswordError> {
        Passwords::hash(self, password)
    }

    async fn verify(&self, password: &Password, hash: Option<&PasswordHash>) -> Result<bool, PasswordError> {
        Passwords::verify(self, password, hash)
    }

    fn is_outdated(&self, hash: &PasswordHash) -> bool {
        Passwords::is_outdated(self, hash)
    }
}

mock! {
    /// A source of [`Secrets`].
    #[derive(Debug)]
    pub Secrets {}

    impl Secrets for Secrets {
        fn random(&self) -> Result<[u8; 32], BackendError>;
        fn sha256(&self, bytes: &[u8]) -> [u8; 32];
    }
}

mock! {
    /// A [`PasswordPolicy`].
    #[derive(Debug)]
    pub PasswordPolicy {}

    #[async_trait]
    impl PasswordPolicy for PasswordPolicy {
        async fn refusal(&self, password: &Password, username: &Username) -> Result<Option<Rejected>, BackendError>;
    }
}

mock! {
    /// An [`Authorizer`].
    #[derive(Debug)]
    pub Authorizer {}

    #[async_trait]
    impl Authorizer for Authorizer {
        async fn authorize(&self, principal: &Principal, action: Action, target: &Target) -> Decision;
    }
}
