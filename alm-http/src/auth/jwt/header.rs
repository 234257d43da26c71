//! The header of a token, which may only agree with what is done anyway.

use std::borrow::Cow;

use alm_core::ports::AuthError;
use serde::{Deserialize, de::IgnoredAny};

use super::{keys::Algorithm, not_null};

/// Which keys a header says that the token is signed with.
pub(super) struct Asked<'a> {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<Cow<'a, str>>,
}

impl<'a> Asked<'a> {
    /// Refuses headers that ask for anything else than what is done here. A key that comes with the header, or the address of one
    /// (`jwk`, `jku`, `x5c`, `x5u`), is not even looked at: whoever forges a token would send his own.
    pub(super) fn parse(header: &'a [u8]) -> Result<Self, AuthError> {
        let header: Header<'a> = serde_json::from_slice(header).map_err(|_| AuthError::Invalid)?;
        let known = header.typ.is_none_or(|typ| typ.eq_ignore_ascii_case("JWT"))
            // No extension is understood, so none may be critical (RFC 7515, 4.1.11).
            && header.crit.is_none();
        match Algorithm::named(&header.alg) {
            Some(algorithm) if known => Ok(Self { algorithm, kid: header.kid.map(|Text(kid)| kid) }),
            _ => Err(AuthError::Invalid),
        }
    }
}

#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    alg: Cow<'a, str>,
    #[serde(default, deserialize_with = "not_null")]
    typ: Option<String>,
    #[serde(borrow, default, deserialize_with = "not_null")]
    kid: Option<Text<'a>>,
    #[serde(default, deserialize_with = "not_null")]
    crit: Option<IgnoredAny>,
}

/// Serde borrows a `Cow` only where it is told to, which it can't be within an `Option`.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
