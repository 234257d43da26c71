//! Identity: adapters for the ports by which `alm-core` knows who someone is.
//!
//! - [`Jwt`]: bearer tokens, issued and checked; [`VerifyingKey`]: what they are checked by besides; [`Jwks`]: the same, where another
//!   issuer publishes it.
//! - [`Argon2Hasher`]: passwords, hashed off the async threads.
//! - [`NoCommonPasswords`]: passwords that must not be set.
//! - [`SystemSecrets`]: the secrets of sessions and API keys.

mod common;
mod jwt;
mod password;
mod secrets;

pub use common::NoCommonPasswords;
pub use jwt::{InvalidJwkSet, InvalidJwks, InvalidPublicKey, Jwks, Jwt, TooManyKeys, VerifyingKey, WeakSecret};
pub use password::{Argon2Hasher, InvalidCost};
pub use secrets::SystemSecrets;
