//! Tokens: whatever is not signed by a key does not count, and what is signed counts only for what it says.

use std::sync::LazyLock;

use alm_core::{
    Principal,
    domain::{Actor, Role, Timestamp},
    ports::{AuthError, Authenticator as _, TokenClaims, TokenIssuer as _},
};
use alm_http::auth::{Jwt, VerifyingKey};
use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::FutureExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

const SECRET: &[u8] = b"nothing but tests is signed with this secret";
/// A key for tests alone, made with openssl. It is not, and may never be, in use anywhere.
const TEST_ONLY_ED25519_PUBLIC: &str = "\
-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAEzW9lEBZwafg1jMz+XGyqtw81NsfCpwL8CWKEtyNGRE=
-----END PUBLIC KEY-----
";
/// Signed by openssl with that key, for a user named idp-ci, until the year 2100.
const TEST_ONLY_TOKEN: &str = "eyJhbGciOiJFZERTQSIsImtpZCI6ImlkcC0xIn0.eyJzdWIiOiJpZHAtY2kiLCJyb2xlIjoidXNlciIsImlzcyI6ImFsbSIsImF1ZCI6ImFsbSIsImV4cCI6NDEwMjQ0NDgwMCwibmJmIjowLCJpYXQiOjAsImp0aSI6IjEifQ.aB7HfYHLQHYknVGhp_1evO4qb9X_n_34qIMffrp0tEhkGMjzhVuKWHDDBHQO7vmHPQGyonmon8wsy6ghNBLMAQ";
/// Seconds since the epoch.
const NOW: i64 = 1_800_000_000;
const LEEWAY: f64 = 30.0;

static JWT: LazyLock<Jwt> = LazyLock::new(|| {
    let jwt = Jwt::hs256(SECRET, "alm", "alm").unwrap();
    jwt.also_accepting(VerifyingKey::from_pem(TEST_ONLY_ED25519_PUBLIC).unwrap()).unwrap()
});

static GENUINE: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut principal = Principal::new(Actor::parse("ada").unwrap(), Role::Admin);
    let plain = principal.clone();
    principal.scopes.extend(["auditor".to_owned(), "service".to_owned()]);
    let issued = [plain, principal].map(|principal| {
        let claims = TokenClaims { id: Uuid::nil(), principal, issued_at: at(NOW), expires_at: at(NOW + 900) };
        JWT.issue(&claims).now_or_never().unwrap().unwrap().into_bytes()
    });
    [TEST_ONLY_TOKEN.as_bytes().to_vec()].into_iter().chain(issued).collect()
});

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000).unwrap()
}

fn told(token: &str) -> Result<Principal, AuthError> {
    // All keys are there, so nothing has to be waited for.
    JWT.authenticate(token, at(NOW)).now_or_never().unwrap()
}

/// Tokens that count.
pub(super) fn genuine() -> Vec<Vec<u8>> {
    GENUINE.clone()
}

/// A token that counts is one that was signed, byte for byte.
pub(super) fn token(data: &[u8]) {
    let Ok(token) = str::from_utf8(data) else { return };
    assert_eq!(told(token).is_ok(), GENUINE.iter().any(|genuine| genuine == data), "{token}");
}

/// Headers and claims, with a line break between them.
pub(super) fn signed() -> Vec<Vec<u8>> {
    let claims = json!({
        "sub": "ada", "role": "user", "scope": "auditor service", "iss": "alm", "aud": "alm",
        "exp": NOW + 900, "nbf": NOW, "iat": NOW, "jti": "1",
    });
    let mut several = claims.clone();
    several["aud"] = json!(["other", "alm"]);
    several["exp"] = json!(1_800_000_000.5);
    let headers =
        [r#"{"typ":"JWT","alg":"HS256"}"#, r#"{"alg":"HS256","kid":"1","x":[{}]}"#, r#"{"alg":"none","crit":["b64"]}"#];
    headers
        .iter()
        .flat_map(|header| [&claims, &several].map(|claims| format!("{header}\n{claims}").into_bytes()))
        .collect()
}

#[derive(Deserialize)]
struct Header {
    alg: Value,
    typ: Option<Value>,
    crit: Option<Value>,
}

/// Read in another way than the program does.
#[derive(Deserialize)]
struct Claims {
    sub: Value,
    role: Value,
    scope: Option<Value>,
    iss: Value,
    aud: Value,
    exp: Value,
    nbf: Value,
    iat: Value,
    jti: Value,
}

/// A token that counts says, signed, what a token must say, and gives no more than it says.
pub(super) fn claims(data: &[u8]) {
    let Some(end) = data.iter().position(|byte| *byte == b'\n') else { return };
    let (header, payload) = (&data[..end], &data[end + 1..]);
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), message.as_bytes());
    let Ok(principal) = told(&format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))) else { return };

    let header: Header = serde_json::from_slice(header).unwrap();
    assert_eq!(header.alg, "HS256");
    assert!(header.typ.is_none_or(|typ| typ.as_str().unwrap().eq_ignore_ascii_case("jwt")));
    assert!(header.crit.is_none());
    let claims: Claims = serde_json::from_slice(payload).unwrap();
    assert_eq!(principal.name, Actor::parse(claims.sub.as_str().unwrap()).unwrap());
    assert_eq!(principal.role, Role::parse(claims.role.as_str().unwrap()).unwrap());
    let scope = claims.scope.map(|scope| scope.as_str().unwrap().to_owned()).unwrap_or_default();
    let scopes: std::collections::BTreeSet<&str> = scope.split(' ').filter(|scope| !scope.is_empty()).collect();
    assert!(principal.scopes.iter().map(String::as_str).eq(scopes));
    assert_eq!(claims.iss, "alm");
    let audience = claims.aud.as_array().map_or_else(|| claims.aud == "alm", |several| several.contains(&json!("alm")));
    assert!(audience && claims.iat.is_number() && claims.jti.is_string());
    #[expect(clippy::cast_precision_loss, reason = "half a minute is far more")]
    let now = NOW as f64;
    assert!(claims.exp.as_f64().unwrap() + LEEWAY > now - 1.0);
    assert!(claims.nbf.as_f64().unwrap() - LEEWAY < now + 1.0);
}
