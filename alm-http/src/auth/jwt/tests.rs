mod confusion;
mod issuer;
mod jwk_set;
mod jwks;
mod jwks_source;
mod keys;
mod public_keys;
mod signers;
mod test_keys;

use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const NOW: i64 = 1_800_000_000;
const USUAL: &str = r#"{"typ":"JWT","alg":"HS256"}"#;

fn jwt() -> Jwt {
    Jwt::hs256(SECRET, "alm", "alm").unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000).unwrap()
}

/// What comes of a token that is checked by keys which are all here, so that nothing has to be waited for.
fn checked(jwt: &Jwt, token: &str, now: Timestamp) -> Result<Principal, AuthError> {
    jwt.check(token, now).now_or_never().unwrap()
}

fn part(text: &(impl ToString + ?Sized)) -> String {
    URL_SAFE_NO_PAD.encode(text.to_string())
}

fn signed_with(algorithm: Algorithm, secret: &[u8], header: &str, claims: &(impl ToString + ?Sized)) -> String {
    let message = format!("{}.{}", part(header), part(claims));
    let signature = crypto::sign(message.as_bytes(), &EncodingKey::from_secret(secret), algorithm).unwrap();
    format!("{message}.{signature}")
}

fn signed(header: &str, claims: &(impl ToString + ?Sized)) -> String {
    signed_with(Algorithm::HS256, SECRET, header, claims)
}

fn claims() -> Value {
    json!({
        "sub": "ada", "role": "user", "scope": "auditor service", "iss": "alm", "aud": "alm",
        "exp": NOW + 900, "nbf": NOW, "iat": NOW, "jti": "1",
    })
}

/// The usual token with one claim set to something else.
fn claiming(name: &str, value: Value) -> String {
    let mut claims = claims();
    claims[name] = value;
    signed(USUAL, &claims)
}

fn code(token: &str, now: i64) -> &'static str {
    checked(&jwt(), token, at(now)).map_or_else(|error| error.code(), |_| "ok")
}

fn check(token: &str) -> &'static str {
    code(token, NOW)
}

fn new_claims(scopes: &[&str]) -> TokenClaims {
    let principal = Principal::new(Actor::parse("ada").unwrap(), Role::Admin);
    let principal = scopes.iter().fold(principal, |principal, scope| principal.with_scope(*scope));
    TokenClaims { id: Uuid::from_u128(7), principal, issued_at: at(NOW), expires_at: at(NOW + 900) }
}

#[tokio::test]
async fn what_is_issued_is_accepted_and_says_the_same() {
    for scopes in [&[][..], &["auditor", "service"]] {
        let claims = new_claims(scopes);
        let token = jwt().issue(&claims).await.unwrap();
        assert_eq!(jwt().authenticate(&token, at(NOW)).await.unwrap(), claims.principal);
        assert_eq!(jwt().issue(&claims).await.unwrap(), token, "the same claims make the same token");
    }
}

#[test]
fn an_issued_token_has_every_claim_of_the_contract() {
    let token = jwt().sign(&new_claims(&["auditor"])).unwrap();
    let parts: Vec<Value> =
        token.split('.').take(2).map(|part| serde_json::from_slice(&decode(part).unwrap()).unwrap()).collect();
    assert_eq!(parts[0], json!({"typ": "JWT", "alg": "HS256"}));
    assert_eq!(
        parts[1],
        json!({
            "sub": "ada", "role": "admin", "scope": "auditor", "iss": "alm", "aud": "alm",
            "exp": NOW + 900, "nbf": NOW, "iat": NOW, "jti": Uuid::from_u128(7).to_string(),
        })
    );
}

#[test]
fn what_a_token_could_not_carry_is_not_issued() {
    for scope in ["", "a b", "a\"b", "a\nb", "é"] {
        assert!(jwt().sign(&new_claims(&[scope])).is_err(), "{scope:?}");
    }
    assert!(jwt().sign(&new_claims(&["x".repeat(MAX_BYTES).as_str()])).is_err());
}

#[test]
fn a_short_secret_is_refused_with_advice_and_no_secret_is_shown() {
    let error = Jwt::hs256(&SECRET[1..], "alm", "alm").unwrap_err().to_string();
    assert!(error.contains("31 bytes") && error.contains("openssl rand -base64 48"), "{error}");
    let shown = format!("{:?}", jwt());
    assert!(!shown.contains("0123456789") && !shown.contains("48, 49, 50"), "{shown}");
}

#[test]
fn a_token_of_another_issuer_with_the_same_secret_counts() {
    for header in [r#"{"alg":"HS256"}"#, r#"{"alg":"HS256","typ":"jwt","kid":"1"}"#] {
        assert_eq!(check(&signed(header, &claims())), "ok", "{header}");
    }
    assert_eq!(check(&claiming("aud", json!(["other", "alm"]))), "ok");
    assert_eq!(check(&claiming("exp", json!(1_800_000_000.5))), "ok");
    assert_eq!(check(&claiming("more", json!({}))), "ok");
    let mut without_scope = claims();
    without_scope.as_object_mut().unwrap().remove("scope");
    let principal = checked(&jwt(), &signed(USUAL, &without_scope), at(NOW)).unwrap();
    assert!(principal.scopes.is_empty());
    let principal = checked(&jwt(), &claiming("scope", json!(" a  b ")), at(NOW)).unwrap();
    assert_eq!(principal.scopes.into_iter().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn every_required_claim_must_be_there() {
    for name in ["sub", "role", "iss", "aud", "exp", "nbf", "iat", "jti"] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name).unwrap();
        assert_eq!(check(&signed(USUAL, &claims)), "invalid-token", "{name}");
    }
}

#[test]
fn every_claim_must_be_of_its_type() {
    let text = json!("1800000900");
    for (name, good) in claims().as_object().unwrap() {
        let wrong = if good.is_string() { json!(1) } else { text.clone() };
        for wrong in [wrong, json!(null), json!(true), json!([1]), json!({ "admin": null })] {
            assert_eq!(check(&claiming(name, wrong.clone())), "invalid-token", "{name}: {wrong}");
        }
    }
    assert_eq!(check(&signed(USUAL, "[]")), "invalid-token");
    let listed = json!(["ada", "user", "", "alm", "alm", 1_800_000_900, 1_800_000_000, 1_800_000_000, "1"]);
    assert_eq!(check(&signed(USUAL, &listed)), "invalid-token");
}

#[test]
fn every_claim_must_be_given_once() {
    let once = claims().to_string();
    for (name, value) in claims().as_object().unwrap() {
        let twice = once.replacen('{', &format!("{{\"{name}\":{value},"), 1);
        assert_eq!(check(&signed(USUAL, &twice)), "invalid-token", "{name}");
    }
    assert_eq!(check(&signed(r#"{"alg":"HS256","alg":"HS256"}"#, &claims())), "invalid-token");
}

#[test]
fn claims_must_mean_something_here() {
    let cases = [
        ("iss", json!("other")),
        ("aud", json!("other")),
        ("aud", json!([])),
        ("aud", json!(["other", "ALM"])),
        ("role", json!("root")),
        ("role", json!("Admin")),
        ("sub", json!("")),
        ("sub", json!("a\nb")),
        ("sub", json!("x".repeat(257))),
    ];
    for (name, value) in cases {
        assert_eq!(check(&claiming(name, value.clone())), "invalid-token", "{name}: {value}");
    }
}

#[test]
fn time_is_checked_with_a_leeway_of_half_a_minute() {
    let token = signed(USUAL, &claims());
    let cases = [
        (NOW - 31, "token-not-yet-valid"),
        (NOW - 30, "ok"),
        (NOW + 900, "ok"),
        (NOW + 929, "ok"),
        (NOW + 930, "expired-token"),
    ];
    for (now, expected) in cases {
        assert_eq!(code(&token, now), expected, "{}", now - NOW);
    }
    for (name, value, expected) in [
        ("exp", json!(i64::MIN), "expired-token"),
        ("exp", json!(i64::MAX), "ok"),
        ("exp", json!(u64::MAX), "ok"),
        ("exp", json!(1e300), "ok"),
        ("nbf", json!(u64::MAX), "token-not-yet-valid"),
        ("nbf", json!(i64::MIN), "ok"),
    ] {
        assert_eq!(check(&claiming(name, value.clone())), expected, "{name}: {value}");
    }
}

#[test]
fn the_header_can_not_change_how_a_token_is_checked() {
    for header in [
        r#"{"typ":"JWT"}"#,
        r#"{"alg":"none"}"#,
        r#"{"alg":"hs256"}"#,
        r#"{"alg":"RS256"}"#,
        r#"{"alg":1}"#,
        r#"{"alg":"HS256","crit":["exp"]}"#,
        r#"{"alg":"HS256","crit":[]}"#,
        r#"{"alg":"HS256","crit":null}"#,
        r#"{"alg":"HS256","typ":"at+jwt"}"#,
        r#"{"alg":"HS256","typ":null}"#,
        "[]",
        r#"["HS256"]"#,
        r#"["HS256","JWT","1"]"#,
        "",
    ] {
        assert_eq!(check(&signed(header, &claims())), "invalid-token", "{header}");
    }
    let other = signed_with(Algorithm::HS512, SECRET, r#"{"alg":"HS512"}"#, &claims());
    assert_eq!(check(&other), "invalid-token");
    let lying = signed_with(Algorithm::HS512, SECRET, USUAL, &claims());
    assert_eq!(check(&lying), "invalid-token");
    let unsigned = format!("{}.{}.", part(r#"{"alg":"none"}"#), part(&claims()));
    assert_eq!(check(&unsigned), "invalid-token");
}

#[test]
fn the_signature_must_be_that_of_the_secret_over_exactly_this() {
    let token = signed(USUAL, &claims());
    assert_eq!(check(&token), "ok");
    for index in 0..token.len() {
        let mut tampered = token.clone().into_bytes();
        tampered[index] = if tampered[index] == b'A' { b'B' } else { b'A' };
        assert_eq!(check(&String::from_utf8(tampered).unwrap()), "invalid-token", "at {index}");
    }
    assert_eq!(check(&signed_with(Algorithm::HS256, &[7; 32], USUAL, &claims())), "invalid-token");
    for padded in [format!("{token}="), format!("{token} "), format!(" {token}"), format!("{token}.x")] {
        assert_eq!(check(&padded), "invalid-token", "{padded}");
    }
}

#[test]
fn what_is_no_token_is_refused() {
    for garbage in ["", ".", "..", "...", "a.b.c", "é.é.é", "\0.\0.\0", "eyJ", &part("{}"), "Bearer x"] {
        assert_eq!(check(garbage), "invalid-token", "{garbage:?}");
    }
}

#[test]
fn a_token_may_have_8_kib() {
    let sized = |bytes: usize| claiming("more", json!("x".repeat(bytes)));
    let (fits, exceeds) = (sized(5_890), sized(5_990));
    assert!((MAX_BYTES - 100..=MAX_BYTES).contains(&fits.len()), "{}", fits.len());
    assert!((MAX_BYTES + 1..MAX_BYTES + 100).contains(&exceeds.len()), "{}", exceeds.len());
    assert_eq!(check(&fits), "ok");
    assert_eq!(check(&exceeds), "invalid-token");
}
