//! Identity: adapters for the ports by which `alm-core` knows who someone is.
//!
//! - [`Jwt`]: bearer tokens, issued and checked; [`VerifyingKey`]: what they are checked by besides; [`Jwks`]: the same, where another
//!   issuer publishes it.
//! - [`Argon2Hasher`]: passwords, hashed off the async threads.
//! - [`LoginThrottle`]: how often one may guess.

mod jwt;
mod password;
mod throttle;

pub use jwt::{InvalidJwkSet, InvalidJwks, InvalidPublicKey, Jwks, Jwt, TooManyKeys, VerifyingKey, WeakSecret};
pub use password::{Argon2Hasher, InvalidCost};
pub(crate) use throttle::network;
pub use throttle::{LoginThrottle, Rate, ThrottleConfig};
