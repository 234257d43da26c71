//! What tokens are checked by.

use aws_lc_rs::signature::ParsedPublicKey;
use jsonwebtoken::{DecodingKey, crypto};

use super::{InvalidJwkSet, InvalidPublicKey, Jwt, WeakSecret, decode, header::Asked, jwk_set, public};

/// The ways to sign that are known here. `none` is no way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Hs256,
    Rs256,
    Es256,
    EdDsa,
}

impl Algorithm {
    /// The algorithm by its name in a header (RFC 7518, 3.1, and RFC 8037, 3.1).
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "HS256" => Some(Self::Hs256),
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "EdDSA" => Some(Self::EdDsa),
            _ => None,
        }
    }
}

/// A key that tokens are checked by, for one algorithm: that of the key's kind. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct VerifyingKey {
    kid: Option<String>,
    algorithm: Algorithm,
    material: Material,
}

#[derive(Clone, Debug)]
enum Material {
    Secret(DecodingKey),
    Public(ParsedPublicKey),
}

impl VerifyingKey {
    /// HS256 with this secret.
    ///
    /// # Errors
    /// The secret is shorter than [`Jwt::MIN_SECRET_BYTES`], or no secret at all but a public key.
    pub fn hs256(secret: &[u8]) -> Result<Self, WeakSecret> {
        WeakSecret::refuse(secret)?;
        // jsonwebtoken panics at first use when a host's features turn on both of its backends and none is installed. An error
        // means that the host has installed one, which is as good.
        let _ = crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let material = Material::Secret(DecodingKey::from_secret(secret));
        Ok(Self { kid: None, algorithm: Algorithm::Hs256, material })
    }

    /// The public keys of a PEM (RFC 7468), which has one block `PUBLIC KEY` after the other. The algorithm is that of the key: RS256 of
    /// an RSA key of 2048 to 8192 bits, ES256 of one on the curve P-256, `EdDSA` of Ed25519.
    ///
    /// # Errors
    /// There is no key, or something that is none of these.
    pub fn from_pem(pem: &str) -> Result<Vec<Self>, InvalidPublicKey> {
        public::parse(pem)
    }

    /// The keys of a JWK Set (RFC 7517) that are for tokens: those with a name (`kid`), and with an algorithm as [`from_pem`](Self::from_pem)
    /// tells. Others are left out, and so are those for another use, secrets (`oct`), those whose private part comes along, and all
    /// beyond 64. Of two with the same name and algorithm the first counts.
    ///
    /// [`Jwks`](super::Jwks) fetches a set from where it is published.
    ///
    /// # Errors
    /// It is no set at all. One may have no keys.
    pub fn from_jwk_set(document: &[u8]) -> Result<Vec<Self>, InvalidJwkSet> {
        jwk_set::parse(document)
    }

    pub(super) fn public(algorithm: Algorithm, key: ParsedPublicKey) -> Self {
        Self { kid: None, algorithm, material: Material::Public(key) }
    }

    /// The same key, with a name. As soon as one key has a name, a token that names its key (`kid`) counts only if the key of that name
    /// has signed it.
    #[must_use]
    pub fn with_kid(mut self, kid: impl Into<String>) -> Self {
        self.kid = Some(kid.into());
        self
    }

    pub(super) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether the signature, in base64, is that of this key over the message.
    pub(super) fn has_signed(&self, message: &str, signature: &str) -> bool {
        match &self.material {
            Material::Secret(secret) => {
                crypto::verify(signature, message.as_bytes(), secret, jsonwebtoken::Algorithm::HS256).unwrap_or(false)
            }
            Material::Public(key) => {
                decode(signature).is_ok_and(|signature| key.verify_sig(message.as_bytes(), &signature).is_ok())
            }
        }
    }
}

/// The few keys that tokens are checked by.
#[derive(Debug)]
pub(super) struct Keys(Vec<VerifyingKey>);

impl Keys {
    pub(super) fn one(key: VerifyingKey) -> Self {
        Self(vec![key])
    }

    pub(super) fn add(&mut self, more: impl IntoIterator<Item = VerifyingKey>) -> Result<(), TooManyKeys> {
        self.0.extend(more);
        if self.0.len() > Jwt::MAX_KEYS { Err(TooManyKeys { keys: self.0.len() }) } else { Ok(()) }
    }

    /// Whether one of the keys that the header may mean has signed the message.
    pub(super) fn have_signed(&self, asked: &Asked<'_>, message: &str, signature: &str) -> bool {
        // Where no key has a name, a name tells nothing: others than the issuer may have given it.
        let kid = asked.kid.as_deref().filter(|_| self.0.iter().any(|key| key.kid.is_some()));
        self.0
            .iter()
            .filter(|key| key.algorithm == asked.algorithm)
            .filter(|key| kid.is_none_or(|kid| key.kid() == Some(kid)))
            .any(|key| key.has_signed(message, signature))
    }
}

/// There are more keys than a token may be tried with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there would be {keys} keys to check tokens by, that of the secret included, but there may be {}",
    Jwt::MAX_KEYS
)]
pub struct TooManyKeys {
    keys: usize,
}
