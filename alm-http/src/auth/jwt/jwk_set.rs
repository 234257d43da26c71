//! Public keys, as issuers publish them: a JWK Set (RFC 7517, 5).

use std::borrow::Cow;

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rsa::PublicKeyComponents,
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use super::{
    decode,
    keys::VerifyingKey,
    public::{self, Flaw},
};

/// How many keys of a set are used.
const MAX_KEYS: usize = 64;

/// What stands before the point of a P-256 key in its `SubjectPublicKeyInfo` (RFC 5480): the kind, the curve, and that neither
/// coordinate is left out.
const P256_PREFIX: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];
/// What stands before an Ed25519 key in its `SubjectPublicKeyInfo` (RFC 8410).
const ED25519_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The keys of a set that are for tokens, each with a name that no other of its algorithm has. What is none is left out, as RFC 7517
/// wants it: issuers have keys for other purposes in the same set.
pub(super) fn parse(document: &[u8]) -> Result<Vec<VerifyingKey>, InvalidJwkSet> {
    let set: Document<'_> = serde_json::from_slice(document).map_err(InvalidJwkSet)?;
    let mut keys = Vec::new();
    for (index, text) in set.keys.iter().enumerate() {
        match read(text.get(), &keys) {
            Ok(key) => keys.push(key),
            Err(why @ (Skipped::Private | Skipped::Known | Skipped::TooMany)) => {
                tracing::warn!(index, %why, "a key of an issuer is left out");
            }
            Err(why) => tracing::debug!(index, %why, "a key of an issuer is left out"),
        }
    }
    Ok(keys)
}

/// One more key, if it is for tokens.
fn read(text: &str, keys: &[VerifyingKey]) -> Result<VerifyingKey, Skipped> {
    let jwk: Jwk<'_> = serde_json::from_str(text).map_err(Skipped::Malformed)?;
    let key = jwk.key()?;
    if keys.iter().any(|known| known.algorithm() == key.algorithm() && known.kid() == key.kid()) {
        return Err(Skipped::Known);
    }
    if keys.len() == MAX_KEYS { Err(Skipped::TooMany) } else { Ok(key) }
}

/// A text that is no JWK Set.
#[derive(Debug, thiserror::Error)]
#[error("it is no JWK Set: {0}")]
pub struct InvalidJwkSet(serde_json::Error);

#[derive(Deserialize)]
struct Document<'a> {
    /// Each is read by itself, so that one of a kind unknown here spoils no other.
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

/// The members that are looked at. A certificate or the address of one (`x5c`, `x5u`) is not.
#[derive(Deserialize)]
struct Jwk<'a> {
    #[serde(borrow)]
    kty: Cow<'a, str>,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    d: Option<IgnoredAny>,
}

/// Why a key is left out.
#[derive(Debug, thiserror::Error)]
enum Skipped {
    #[error("it is no JWK: {0}")]
    Malformed(serde_json::Error),
    #[error("its kind is not known here, or not for public keys")]
    Kind,
    #[error("it is not for signatures")]
    Purpose,
    #[error("it is for another algorithm")]
    Algorithm,
    #[error("it has no name")]
    Nameless,
    #[error("it has its private part with it")]
    Private,
    #[error("its numbers are missing, not in base64url or of another length")]
    Numbers,
    #[error("it {0}")]
    Key(Flaw),
    #[error("an earlier one has its name")]
    Known,
    #[error("there are {MAX_KEYS} already")]
    TooMany,
}

impl Jwk<'_> {
    fn key(self) -> Result<VerifyingKey, Skipped> {
        // The kind alone decides what the key is and for which algorithm: what it may say besides can only rule it out.
        let (der, name) = match (&*self.kty, self.crv.as_deref()) {
            ("RSA", _) => (rsa as fn(&Self) -> Option<Vec<u8>>, "RS256"),
            ("EC", Some("P-256")) => (p256 as _, "ES256"),
            ("OKP", Some("Ed25519")) => (ed25519 as _, "EdDSA"),
            // Among them `oct`: a secret that is published is none.
            _ => return Err(Skipped::Kind),
        };
        if self.purpose.as_ref().is_some_and(|purpose| purpose != "sig")
            || self.key_ops.as_ref().is_some_and(|operations| operations.iter().all(|operation| operation != "verify"))
        {
            return Err(Skipped::Purpose);
        }
        if self.alg.as_ref().is_some_and(|alg| alg != name) {
            return Err(Skipped::Algorithm);
        }
        // Whoever has read the set could have signed the token.
        if self.d.is_some() {
            return Err(Skipped::Private);
        }
        let key = public::from_der(&der(&self).ok_or(Skipped::Numbers)?).map_err(Skipped::Key)?;
        Ok(key.with_kid(self.kid.ok_or(Skipped::Nameless)?))
    }
}

fn rsa(jwk: &Jwk<'_>) -> Option<Vec<u8>> {
    let components = PublicKeyComponents { n: number(jwk.n.as_ref())?, e: number(jwk.e.as_ref())? };
    let der: PublicKeyX509Der<'_> = components.as_der().ok()?;
    Some(der.as_ref().to_vec())
}

fn p256(jwk: &Jwk<'_>) -> Option<Vec<u8>> {
    let (x, y) = (number(jwk.x.as_ref())?, number(jwk.y.as_ref())?);
    (x.len() == 32 && y.len() == 32).then(|| [&P256_PREFIX[..], &x, &y].concat())
}

fn ed25519(jwk: &Jwk<'_>) -> Option<Vec<u8>> {
    let x = number(jwk.x.as_ref())?;
    (x.len() == 32).then(|| [&ED25519_PREFIX[..], &x].concat())
}

fn number(text: Option<&String>) -> Option<Vec<u8>> {
    decode(text?).ok()
}
