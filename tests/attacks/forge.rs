//! Tokens as those make them who should not.

use std::sync::LazyLock;

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};

/// What the servers under attack sign with. Nothing but tests is signed with it.
pub(crate) const SECRET: &[u8] = b"nothing but tests is signed with this secret";

/// Another issuer's key pairs, made for this run. The servers know their public halves; so does everyone.
pub(crate) struct Issuer {
    ed25519: Ed25519KeyPair,
    p256: EcdsaKeyPair,
    pub(crate) ed25519_pem: String,
    pub(crate) p256_pem: String,
}

pub(crate) static ISSUER: LazyLock<Issuer> = LazyLock::new(|| {
    let ed25519 = Ed25519KeyPair::generate().unwrap();
    let p256 = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let ed25519_pem = pem(AsDer::<PublicKeyX509Der<'_>>::as_der(ed25519.public_key()).unwrap().as_ref());
    let p256_pem = pem(AsDer::<PublicKeyX509Der<'_>>::as_der(p256.public_key()).unwrap().as_ref());
    Issuer { ed25519, p256, ed25519_pem, p256_pem }
});

fn pem(der: &[u8]) -> String {
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
}

/// What a token is signed with.
#[derive(Clone, Copy)]
pub(crate) enum Key<'a> {
    /// Nothing: the signature is empty.
    None,
    /// This text as a secret, by HMAC with SHA-256.
    Secret(&'a [u8]),
    /// The issuer's keys, each by its own algorithm.
    Ed25519,
    P256,
    /// A key that no one knows.
    Stranger,
}

/// The header of every token that the server itself gives.
pub(crate) const HEADER: &str = r#"{"typ":"JWT","alg":"HS256"}"#;

/// A token of this header and these claims.
pub(crate) fn token(header: &str, claims: &str, key: Key<'_>) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let by_secret =
        |secret: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes()).as_ref().to_vec();
    let signature = match key {
        Key::None => Vec::new(),
        Key::Secret(secret) => by_secret(secret),
        Key::Ed25519 => ISSUER.ed25519.sign(message.as_bytes()).as_ref().to_vec(),
        Key::P256 => ISSUER.p256.sign(&SystemRandom::new(), message.as_bytes()).unwrap().as_ref().to_vec(),
        Key::Stranger => Ed25519KeyPair::generate().unwrap().sign(message.as_bytes()).as_ref().to_vec(),
    };
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// A token with these claims that is signed as it should be.
pub(crate) fn signed(claims: &str) -> String {
    token(HEADER, claims, Key::Secret(SECRET))
}

/// The claims of a token, each as JSON. With these alone it counts, for an admin.
const CLAIMS: [(&str, &str); 8] = [
    ("sub", "\"mallory\""),
    ("role", "\"admin\""),
    ("iss", "\"alm\""),
    ("aud", "\"alm\""),
    // The year 2100.
    ("exp", "4102444800"),
    ("nbf", "0"),
    ("iat", "0"),
    ("jti", "\"1\""),
];

fn claims_of<'a>(claims: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let members: Vec<_> = claims.map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

/// Claims that count.
pub(crate) fn good() -> String {
    claims_of(CLAIMS.into_iter())
}

/// The same, one of them another or one more.
pub(crate) fn with(name: &str, value: &str) -> String {
    claims_of(CLAIMS.into_iter().filter(|(known, _)| *known != name).chain([(name, value)]))
}

/// The same, one of them left out.
pub(crate) fn without(name: &str) -> String {
    claims_of(CLAIMS.into_iter().filter(|(known, _)| *known != name))
}

/// The same, one of them twice: first as given, then as it should be, or the other way around.
pub(crate) fn twice(name: &str, value: &str) -> String {
    claims_of(CLAIMS.into_iter().chain([(name, value)]))
}

/// A token that is as it should be.
pub(crate) fn token_of(name: &str, role: &str, scope: &str) -> String {
    let (sub, role, scope) = (format!("\"{name}\""), format!("\"{role}\""), format!("\"{scope}\""));
    let own = [("sub", &*sub), ("role", &*role), ("scope", &*scope)];
    signed(&claims_of(own.into_iter().chain(CLAIMS.into_iter().skip(2))))
}
