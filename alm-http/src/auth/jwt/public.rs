//! Public keys, as others hand them out.

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rsa::PublicKey as RsaKey,
    signature::{
        ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaParameters,
        VerificationAlgorithm,
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::keys::{Algorithm, VerifyingKey};

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

/// What a key may be. None of them can be read as another: each has an identifier of its own in its encoding.
static KINDS: [(Algorithm, &dyn VerificationAlgorithm); 3] = [
    (Algorithm::Rs256, &RSA_PKCS1_2048_8192_SHA256),
    (Algorithm::Es256, &ECDSA_P256_SHA256_FIXED),
    (Algorithm::EdDsa, &ED25519),
];

/// The keys of a PEM, at least one.
pub(super) fn parse(pem: &str) -> Result<Vec<VerifyingKey>, InvalidPublicKey> {
    let mut keys = Vec::new();
    let mut rest = pem.trim_ascii();
    while !rest.is_empty() || keys.is_empty() {
        let wrong = |flaw| InvalidPublicKey { block: keys.len() + 1, flaw };
        let (body, after) = block(rest).map_err(wrong)?;
        keys.push(key(body).map_err(wrong)?);
        rest = after;
    }
    Ok(keys)
}

/// What is in the first block, and what comes after it.
fn block(pem: &str) -> Result<(&str, &str), Flaw> {
    let Some(body) = pem.strip_prefix(BEGIN) else {
        let first_line = pem.lines().next().unwrap_or_default();
        return Err(if first_line.contains("PRIVATE KEY") { Flaw::Private } else { Flaw::NoBeginning });
    };
    let (body, after) = body.split_once(END).ok_or(Flaw::NoEnd)?;
    Ok((body, after.trim_ascii_start()))
}

fn key(body: &str) -> Result<VerifyingKey, Flaw> {
    let der: String = body.split_ascii_whitespace().collect();
    from_der(&STANDARD.decode(der).map_err(|_| Flaw::NotBase64)?)
}

/// The key of a `SubjectPublicKeyInfo` (RFC 5280, 4.1).
pub(super) fn from_der(der: &[u8]) -> Result<VerifyingKey, Flaw> {
    let mut parsed =
        KINDS.iter().filter_map(|&(algorithm, kind)| Some((algorithm, ParsedPublicKey::new(kind, der).ok()?)));
    let (algorithm, key) = parsed.next().ok_or(Flaw::Unknown)?;
    // Other forms of a key are read too, and what comes after it is not: only what would be written again is what was meant.
    let again: PublicKeyX509Der<'_> = key.as_der().map_err(|_| Flaw::Unknown)?;
    if again.as_ref() != der {
        return Err(Flaw::Unknown);
    }
    if algorithm == Algorithm::Rs256 {
        let rsa = RsaKey::from_der(der).map_err(|_| Flaw::Unknown)?;
        let bits = RsaParameters::public_modulus_len(rsa.as_ref()).map_err(|_| Flaw::Unknown)?;
        let (min, max) = (RSA_PKCS1_2048_8192_SHA256.min_modulus_len(), RSA_PKCS1_2048_8192_SHA256.max_modulus_len());
        if !(min..=max).contains(&bits) {
            return Err(Flaw::RsaBits(bits));
        }
    }
    Ok(VerifyingKey::public(algorithm, key))
}

/// A PEM that has something else than public keys for tokens. What it has is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "one or more blocks from {BEGIN} to {END} are expected, each with an RSA key of 2048 to 8192 bits, a P-256 or an Ed25519 key, but \
     block {block} {flaw}"
)]
pub struct InvalidPublicKey {
    block: usize,
    flaw: Flaw,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flaw {
    #[error("does not begin so")]
    NoBeginning,
    #[error("is a private key, which belongs to the issuer alone; get the public one with: openssl pkey -pubout")]
    Private,
    #[error("does not end so")]
    NoEnd,
    #[error("is not in base64")]
    NotBase64,
    #[error("has no such key")]
    Unknown,
    #[error("has an RSA key of {0} bits")]
    RsaBits(u32),
}
