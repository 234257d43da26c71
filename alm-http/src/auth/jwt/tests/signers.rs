//! Issuers of tokens, each with a key of its own.

use super::{test_keys::*, *};

/// Whoever has a private key.
pub(super) struct Signer {
    pub(super) algorithm: Algorithm,
    private: EncodingKey,
    public: Option<&'static str>,
}

/// One of each algorithm.
pub(super) fn signers() -> [Signer; 4] {
    [secret(), rsa(), p256(), ed25519()]
}

pub(super) fn secret() -> Signer {
    Signer { algorithm: Algorithm::HS256, private: EncodingKey::from_secret(SECRET), public: None }
}

pub(super) fn rsa() -> Signer {
    let private = EncodingKey::from_rsa_der(&der(TEST_ONLY_RSA_PRIVATE));
    Signer { algorithm: Algorithm::RS256, private, public: Some(TEST_ONLY_RSA_PUBLIC) }
}

pub(super) fn p256() -> Signer {
    let private = EncodingKey::from_ec_der(&der(TEST_ONLY_P256_PRIVATE));
    Signer { algorithm: Algorithm::ES256, private, public: Some(TEST_ONLY_P256_PUBLIC) }
}

pub(super) fn other_p256() -> Signer {
    let private = EncodingKey::from_ec_der(&der(TEST_ONLY_OTHER_P256_PRIVATE));
    Signer { algorithm: Algorithm::ES256, private, public: Some(TEST_ONLY_OTHER_P256_PUBLIC) }
}

pub(super) fn ed25519() -> Signer {
    let private = EncodingKey::from_ed_der(&der(TEST_ONLY_ED25519_PRIVATE));
    Signer { algorithm: Algorithm::EdDSA, private, public: Some(TEST_ONLY_ED25519_PUBLIC) }
}

impl Signer {
    /// What checks the tokens of this one.
    pub(super) fn key(&self) -> VerifyingKey {
        match self.public {
            Some(public) => VerifyingKey::from_pem(public).unwrap().pop().unwrap(),
            None => VerifyingKey::hs256(SECRET).unwrap(),
        }
    }

    /// A token with this header, signed as this one signs.
    pub(super) fn signed(&self, header: &str) -> String {
        self.signed_by(self.algorithm, header)
    }

    /// A token with this header, signed in another way with the same key.
    pub(super) fn signed_by(&self, algorithm: Algorithm, header: &str) -> String {
        let message = format!("{}.{}", part(header), part(&claims()));
        let signature = crypto::sign(message.as_bytes(), &self.private, algorithm).unwrap();
        format!("{message}.{signature}")
    }
}

/// Who checks tokens by these keys, and by a secret that none of them has.
pub(super) fn accepting(keys: impl IntoIterator<Item = VerifyingKey>) -> Jwt {
    Jwt::hs256(&[9; 48], "alm", "alm").unwrap().also_accepting(keys).unwrap()
}

/// Who checks tokens by the keys of all the signers.
pub(super) fn accepting_all() -> Jwt {
    accepting(signers().iter().map(Signer::key))
}

pub(super) fn outcome(jwt: &Jwt, token: &str) -> &'static str {
    checked(jwt, token, at(NOW)).map_or_else(|error| error.code(), |_| "ok")
}

/// What is in the block of a PEM.
pub(super) fn der(pem: &str) -> Vec<u8> {
    let lines: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(lines).unwrap()
}

/// A PEM with this in its block.
pub(super) fn pem(der: &[u8]) -> String {
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
}

impl Signer {
    /// The public key as a JWK, of this name.
    pub(super) fn jwk(&self, kid: &str) -> Value {
        let der = der(self.public.unwrap());
        let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let last = |bytes: usize| &der[der.len() - bytes..];
        match self.algorithm {
            // The exponent stands behind the modulus, with its kind and length before it.
            Algorithm::RS256 => {
                json!({ "kty": "RSA", "kid": kid, "n": number(&last(261)[..256]), "e": number(last(3)) })
            }
            Algorithm::ES256 => {
                let (x, y) = last(64).split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "kid": kid, "x": number(x), "y": number(y) })
            }
            Algorithm::EdDSA => json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": number(last(32)) }),
            other => panic!("{other:?} has no public key"),
        }
    }

    /// A token that names its key.
    pub(super) fn named(&self, kid: &str) -> String {
        self.signed(&json!({ "alg": self.algorithm, "kid": kid }).to_string())
    }
}

/// The key with some members set to something else.
pub(super) fn with(mut jwk: Value, members: &Value) -> Value {
    jwk.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    jwk
}

/// A set of these keys.
pub(super) fn set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}
