//! Bearer tokens: JWT (RFC 7519), issued with one secret and checked by a few keys, each with one algorithm.

mod header;
mod jwk_set;
mod jwks;
mod keys;
mod public;

use std::{borrow::Cow, fmt};

use alm_core::{
    Principal,
    domain::{Actor, CredentialId, Role, Timestamp},
    ports::{AuthError, Authenticator, BackendError, BackendErrorKind, Outcome, TokenClaims, TokenIssuer},
};
use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, crypto};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, SeqAccess, Visitor},
};
use serde_json::Number;
use uuid::Uuid;

use header::Asked;
use keys::{Algorithm, Keys};

pub use jwk_set::InvalidJwkSet;
pub use jwks::{InvalidJwks, Jwks};
pub use keys::{TooManyKeys, VerifyingKey};
pub use public::InvalidPublicKey;

/// The longest token that is looked at.
const MAX_BYTES: usize = 8 * 1024;
/// By how much the clocks of issuer and verifier may differ.
const LEEWAY_MICROS: i64 = 30_000_000;
/// `{"typ":"JWT","alg":"HS256"}`: the header of every token that is issued here.
const HEADER: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9";

/// Issues tokens with one secret, and checks them by that secret, by what else is [accepted](Self::also_accepting), and by what another
/// issuer [publishes](Self::with_jwks). `Debug` shows no secret.
#[derive(Debug)]
pub struct Jwt {
    signing: EncodingKey,
    keys: Keys,
    jwks: Option<Jwks>,
    issuer: String,
    audience: String,
}

impl Jwt {
    /// The fewest bytes of a secret: as many as the hash has (RFC 7518, 3.2).
    pub const MIN_SECRET_BYTES: usize = 32;

    /// The most keys that tokens are checked by, that of the secret included: a token that names none is tried with all of its algorithm.
    pub const MAX_KEYS: usize = 8;

    /// HS256 with this secret. Tokens are issued by `issuer` for `audience`, and count only if they say so.
    ///
    /// # Errors
    /// The secret is shorter than [`MIN_SECRET_BYTES`](Self::MIN_SECRET_BYTES), or no secret at all but a public key.
    pub fn hs256(secret: &[u8], issuer: impl Into<String>, audience: impl Into<String>) -> Result<Self, WeakSecret> {
        Ok(Self {
            keys: Keys::one(VerifyingKey::hs256(secret)?),
            jwks: None,
            signing: EncodingKey::from_secret(secret),
            issuer: issuer.into(),
            audience: audience.into(),
        })
    }

    /// Checks tokens by these keys as well: by the secret that was in use before, or by the public keys of another issuer, which must call
    /// itself by the same name. Tokens are issued with the first secret alone, as before.
    ///
    /// # Errors
    /// There would be more than [`MAX_KEYS`](Self::MAX_KEYS).
    pub fn also_accepting(mut self, keys: impl IntoIterator<Item = VerifyingKey>) -> Result<Self, TooManyKeys> {
        self.keys.add(keys)?;
        Ok(self)
    }

    /// Checks tokens by the keys that another issuer publishes as well. They count for tokens that name them (`kid`) and that no other
    /// key has signed; a second set takes the place of the first.
    #[must_use]
    pub fn with_jwks(mut self, jwks: Jwks) -> Self {
        self.jwks = Some(jwks);
        self
    }

    async fn check(&self, token: &str, now: Timestamp) -> Result<Principal, AuthError> {
        if token.len() > MAX_BYTES {
            return Err(AuthError::Invalid);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(AuthError::Invalid)?;
        let (header, payload) = message.split_once('.').ok_or(AuthError::Invalid)?;
        let decoded;
        let asked = if header == HEADER {
            Asked { algorithm: Algorithm::Hs256, kid: None }
        } else {
            decoded = object(header)?;
            Asked::parse(&decoded)?
        };
        // The algorithm is the key's; the header is only allowed to agree.
        let is_signed = self.keys.have_signed(&asked, message, signature)
            || match &self.jwks {
                Some(jwks) => jwks.have_signed(&asked, message, signature).await?,
                None => false,
            };
        if !is_signed {
            return Err(AuthError::Invalid);
        }
        let payload = object(payload)?;
        let claims: Claims<'_> = serde_json::from_slice(&payload).map_err(|_| AuthError::Invalid)?;
        self.check_claims(claims, now)
    }

    fn check_claims(&self, claims: Claims<'_>, now: Timestamp) -> Result<Principal, AuthError> {
        if claims.iss != self.issuer || !claims.aud.includes(&self.audience) {
            return Err(AuthError::Invalid);
        }
        let role = Role::parse(&claims.role).ok_or(AuthError::Invalid)?;
        let name = Actor::parse(claims.sub).map_err(|_| AuthError::Invalid)?;
        let (expires_at, not_before) = (micros(&claims.exp)?, micros(&claims.nbf)?);
        if now.micros() >= expires_at.saturating_add(LEEWAY_MICROS) {
            return Err(AuthError::Expired);
        }
        if now.micros() < not_before.saturating_sub(LEEWAY_MICROS) {
            return Err(AuthError::NotYetValid);
        }
        let mut principal = Principal::new(name, role);
        principal.credential = claims.alm_sid.map(|sid| sid.0);
        for scope in claims.scope.iter().flat_map(|scope| scope.split(' ')).filter(|scope| !scope.is_empty()) {
            principal = principal.with_scope(scope);
        }
        Ok(principal)
    }

    fn sign(&self, claims: &TokenClaims) -> Result<String, BackendError> {
        let TokenClaims { id, principal, issued_at, expires_at } = claims;
        if let Some(scope) = principal.scopes.iter().find(|scope| !is_scope(scope)) {
            return Err(unsigned().with_source(format!("a token can't carry the scope {scope:?}")));
        }
        let scopes: Vec<&str> = principal.scopes.iter().map(String::as_str).collect();
        let claims = NewClaims {
            sub: principal.name.as_str(),
            role: principal.role.as_str(),
            scope: (!scopes.is_empty()).then(|| scopes.join(" ")),
            iss: &self.issuer,
            aud: &self.audience,
            exp: expires_at.seconds(),
            nbf: issued_at.seconds(),
            iat: issued_at.seconds(),
            jti: id.to_string(),
            alm_sid: principal.credential.map(|credential| credential.to_string()),
        };
        let payload = serde_json::to_vec(&claims).map_err(|error| unsigned().with_source(error))?;
        let mut token = String::from(HEADER);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signature = crypto::sign(token.as_bytes(), &self.signing, jsonwebtoken::Algorithm::HS256)
            .map_err(|error| unsigned().with_source(error))?;
        token.push('.');
        token.push_str(&signature);
        if token.len() > MAX_BYTES {
            return Err(unsigned().with_source("the token would be too long to be accepted"));
        }
        Ok(token)
    }
}

#[async_trait]
impl Authenticator for Jwt {
    async fn authenticate(&self, token: &str, now: Timestamp) -> Result<Principal, AuthError> {
        self.check(token, now).await
    }
}

#[async_trait]
impl TokenIssuer for Jwt {
    async fn issue(&self, claims: &TokenClaims) -> Result<String, BackendError> {
        self.sign(claims)
    }
}

/// The secret would not keep tokens from being forged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct WeakSecret(Weakness);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Weakness {
    #[error(
        "the JWT secret has {bytes} bytes, but needs at least {}; make one with: openssl rand -base64 48",
        Jwt::MIN_SECRET_BYTES
    )]
    Short { bytes: usize },
    #[error(
        "the JWT secret is a public key or a certificate, which is no secret; make one with: openssl rand -base64 48"
    )]
    Public,
}

impl WeakSecret {
    fn refuse(secret: &[u8]) -> Result<(), Self> {
        if secret.len() < Jwt::MIN_SECRET_BYTES {
            return Err(Self(Weakness::Short { bytes: secret.len() }));
        }
        let has = |text: &[u8]| secret.windows(text.len()).any(|window| window == text);
        if has(b"-----BEGIN ") && !has(b" PRIVATE KEY-----") {
            return Err(Self(Weakness::Public));
        }
        Ok(())
    }
}

fn unsigned() -> BackendError {
    BackendError {
        kind: BackendErrorKind::Internal,
        adapter: "jwt",
        operation: "issue",
        outcome: Outcome::NotApplied,
        retry_after: None,
        source: None,
    }
}

/// Whether it is a scope by RFC 6749, 3.3; anything else would read as another list of scopes.
fn is_scope(scope: &str) -> bool {
    !scope.is_empty() && scope.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
}

fn decode(part: &str) -> Result<Vec<u8>, AuthError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| AuthError::Invalid)
}

/// A part that must be a JSON object (RFC 7519, 7.2). serde reads a JSON array into a struct, member by member.
fn object(part: &str) -> Result<Vec<u8>, AuthError> {
    let decoded = decode(part)?;
    if decoded.trim_ascii_start().starts_with(b"{") { Ok(decoded) } else { Err(AuthError::Invalid) }
}

/// Microseconds since the epoch of a `NumericDate`, which may have decimals (RFC 7519, 2).
fn micros(date: &Number) -> Result<i64, AuthError> {
    if let Some(seconds) = date.as_i64() {
        return Ok(seconds.saturating_mul(1_000_000));
    }
    let seconds = date.as_f64().ok_or(AuthError::Invalid)?;
    #[expect(clippy::cast_possible_truncation, reason = "a time beyond what fits is as good as the last that does")]
    Ok((seconds * 1e6) as i64)
}

/// The claims of a token that comes in. Serde refuses one that is missing, given twice or of another type.
#[derive(Deserialize)]
struct Claims<'a> {
    sub: String,
    #[serde(borrow)]
    role: Cow<'a, str>,
    #[serde(default, deserialize_with = "not_null")]
    scope: Option<String>,
    #[serde(borrow)]
    iss: Cow<'a, str>,
    #[serde(borrow)]
    aud: Audience<'a>,
    exp: Number,
    nbf: Number,
    #[expect(dead_code, reason = "it must be there, but decides nothing")]
    iat: Number,
    #[serde(borrow)]
    #[expect(dead_code, reason = "it must be there, but decides nothing")]
    jti: Cow<'a, str>,
    #[serde(default, deserialize_with = "not_null")]
    alm_sid: Option<Sid>,
}

/// The session or API key that a token was issued for. Not `sid`, by which other issuers name sessions of their own.
struct Sid(CredentialId);

impl<'de> Deserialize<'de> for Sid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let id = Uuid::parse_str(&text).ok().filter(|id| id.to_string() == text);
        id.map(|id| Self(CredentialId::new(id))).ok_or_else(|| D::Error::custom("a session is named by a UUID"))
    }
}

/// The claims of a token that goes out.
#[derive(Serialize)]
struct NewClaims<'a> {
    sub: &'a str,
    role: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    iss: &'a str,
    aud: &'a str,
    exp: i64,
    nbf: i64,
    iat: i64,
    jti: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    alm_sid: Option<String>,
}

/// `null` is not the same as absent: it is of the wrong type.
fn not_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// One audience or several (RFC 7519, 4.1.3).
enum Audience<'a> {
    One(Cow<'a, str>),
    Several(Vec<String>),
}

impl Audience<'_> {
    fn includes(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Several(several) => several.iter().any(|one| one == audience),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Audience<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StringOrArray;

        impl<'de> Visitor<'de> for StringOrArray {
            type Value = Audience<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of strings")
            }

            fn visit_borrowed_str<E>(self, one: &'de str) -> Result<Self::Value, E> {
                Ok(Audience::One(Cow::Borrowed(one)))
            }

            fn visit_str<E>(self, one: &str) -> Result<Self::Value, E> {
                Ok(Audience::One(Cow::Owned(one.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
                let mut several = Vec::new();
                while let Some(one) = array.next_element()? {
                    several.push(one);
                }
                Ok(Audience::Several(several))
            }
        }

        deserializer.deserialize_any(StringOrArray)
    }
}

#[cfg(test)]
mod tests;
