//! Tokens that must not count. Each is shown where an admin would be told who has an account.

use crate::{
    forge::{HEADER, ISSUER, Key, SECRET, good, signed, token, twice, with, without},
    given::{Answer, Attack, NO_TOKEN, Request, attack, no_one, refused, with_token},
    target::{Setup, Target},
};

const UNAUTHENTICATED: Answer = refused(401, "unauthenticated");
const EXPIRED: Answer = refused(401, "expired-token");
/// A refresh token that was shown again ends its session.
const REPLAY: Answer = Answer { events: &["SessionEnded"], ..NO_TOKEN };

/// Asks with this token for what an admin alone is told.
fn shows(token: impl AsRef<str>) -> Request {
    with_token(token, "GET /users")
}

/// A token with this header, signed with the secret as it should be.
fn headed(header: &str) -> Request {
    shows(token(header, &good(), Key::Secret(SECRET)))
}

/// A token with these claims, signed with the secret as it should be.
fn claiming(claims: &str) -> Request {
    shows(signed(claims))
}

fn refreshing(token: &str) -> Request {
    no_one("POST /token/refresh").json(format!(r#"{{"refresh_token":"{token}"}}"#))
}

fn exchanging(key: &str) -> Request {
    no_one("POST /token").json(format!(r#"{{"api_key":"{key}"}}"#))
}

pub(crate) fn attacks() -> Vec<Attack> {
    [signatures(), headers(), claims(), forms(), sessions(), api_keys()].into_iter().flatten().collect()
}

#[rustfmt::skip]
fn signatures() -> Vec<Attack> {
    let (ed25519, p256) = (ISSUER.ed25519_pem.as_bytes(), ISSUER.p256_pem.as_bytes());
    let as_secret = |key| shows(token(HEADER, &good(), Key::Secret(key)));
    let good_one = signed(&good());
    let (message, signature) = good_one.rsplit_once('.').unwrap();
    let ed25519_token = token(r#"{"alg":"EdDSA"}"#, &good(), Key::Ed25519);
    let (ed25519_message, ed25519_signature) = ed25519_token.rsplit_once('.').unwrap();
    let flipped = signature.replacen(&signature[..1], if signature.starts_with('A') { "B" } else { "A" }, 1);
    vec![
        attack("unsigned, by the algorithm none", shows(token(r#"{"alg":"none"}"#, &good(), Key::None)), NO_TOKEN),
        attack("unsigned, by the algorithm None", shows(token(r#"{"alg":"None"}"#, &good(), Key::None)), NO_TOKEN),
        attack("unsigned, by the algorithm nOnE", shows(token(r#"{"alg":"nOnE"}"#, &good(), Key::None)), NO_TOKEN),
        attack("unsigned, by no algorithm", shows(token(r#"{"typ":"JWT"}"#, &good(), Key::None)), NO_TOKEN),
        attack("unsigned, by the right algorithm", shows(token(HEADER, &good(), Key::None)), NO_TOKEN),
        attack("a signature of the algorithm none", headed(r#"{"alg":"none"}"#), NO_TOKEN),
        attack("the public Ed25519 key in PEM as a secret", as_secret(ed25519), NO_TOKEN),
        attack("the public P-256 key in PEM as a secret", as_secret(p256), NO_TOKEN),
        attack("the public key without its last line break", as_secret(ed25519.trim_ascii_end()), NO_TOKEN),
        attack("the empty secret", as_secret(b""), NO_TOKEN),
        attack("a secret that is guessed", as_secret(b"secret"), NO_TOKEN),
        attack("a stranger's Ed25519 key", shows(token(r#"{"alg":"EdDSA"}"#, &good(), Key::Stranger)), NO_TOKEN),
        attack("EdDSA under the name HS256", shows(token(HEADER, &good(), Key::Ed25519)), NO_TOKEN),
        attack("EdDSA under the name ES256", shows(token(r#"{"alg":"ES256"}"#, &good(), Key::Ed25519)), NO_TOKEN),
        attack("ES256 under the name EdDSA", shows(token(r#"{"alg":"EdDSA"}"#, &good(), Key::P256)), NO_TOKEN),
        attack("ES256 under the name RS256", shows(token(r#"{"alg":"RS256"}"#, &good(), Key::P256)), NO_TOKEN),
        attack("ES256 with a signature of zeros", shows(zeros(r#"{"alg":"ES256"}"#)), NO_TOKEN),
        attack("EdDSA with a signature of zeros", shows(zeros(r#"{"alg":"EdDSA"}"#)), NO_TOKEN),
        attack("an empty signature", shows(format!("{message}.")), NO_TOKEN),
        attack("half a signature", shows(format!("{message}.{}", &signature[..21])), NO_TOKEN),
        attack("a signature with a letter changed", shows(format!("{message}.{flipped}")), NO_TOKEN),
        attack("a signature with more behind it", shows(format!("{message}.{signature}AAAA")), NO_TOKEN),
        attack("the signature of another token", shows(format!("{ed25519_message}.{signature}")), NO_TOKEN),
        attack("half an Ed25519 signature", shows(format!("{ed25519_message}.{}", &ed25519_signature[..43])), NO_TOKEN),
        attack("other claims under a signature", shows(swapped(&good_one, &with("sub", "\"amy\""))), NO_TOKEN),
    ]
}

/// A token of this header, whose signature is 64 zeros.
fn zeros(header: &str) -> String {
    format!("{}{}", token(header, &good(), Key::None), "A".repeat(86))
}

/// A token with its claims replaced.
fn swapped(token: &str, claims: &str) -> String {
    let parts: Vec<_> = token.split('.').collect();
    let other = signed(claims);
    format!("{}.{}.{}", parts[0], other.split('.').nth(1).unwrap(), parts[2])
}

/// All of these are signed with the secret, or claim to be by a key that comes with them.
#[rustfmt::skip]
fn headers() -> Vec<Attack> {
    let own_key = |header: &str| shows(token(header, &good(), Key::Stranger));
    vec![
        attack("HS384", headed(r#"{"alg":"HS384"}"#), NO_TOKEN),
        attack("HS512", headed(r#"{"alg":"HS512"}"#), NO_TOKEN),
        attack("hs256 in small letters", headed(r#"{"alg":"hs256"}"#), NO_TOKEN),
        attack("an algorithm that is a list", headed(r#"{"alg":["HS256"]}"#), NO_TOKEN),
        attack("an algorithm that is null", headed(r#"{"alg":null}"#), NO_TOKEN),
        attack("two algorithms", headed(r#"{"alg":"none","alg":"HS256"}"#), NO_TOKEN),
        attack("a critical extension", headed(r#"{"alg":"HS256","crit":["exp"]}"#), NO_TOKEN),
        attack("a critical extension that is null", headed(r#"{"alg":"HS256","crit":null}"#), NO_TOKEN),
        attack("an unencoded payload (b64)", headed(r#"{"alg":"HS256","b64":false,"crit":["b64"]}"#), NO_TOKEN),
        attack("another type of token", headed(r#"{"alg":"HS256","typ":"JWE"}"#), NO_TOKEN),
        attack("a header that is no JSON", headed("alg=HS256"), NO_TOKEN),
        attack("a header that is a list", headed(r#"["HS256"]"#), NO_TOKEN),
        attack("a header that is a list, with a type and a key", headed(r#"["HS256","JWT","1"]"#), NO_TOKEN),
        attack("a key in the header (jwk)", own_key(r#"{"alg":"EdDSA","jwk":{"kty":"OKP","crv":"Ed25519","x":"AAAA"}}"#), NO_TOKEN),
        attack("the address of a key (jku)", own_key(r#"{"alg":"EdDSA","jku":"http://127.0.0.1:1/keys"}"#), NO_TOKEN),
        attack("the address of a certificate (x5u)", own_key(r#"{"alg":"EdDSA","x5u":"http://127.0.0.1:1/pem"}"#), NO_TOKEN),
        attack("a certificate in the header (x5c)", own_key(r#"{"alg":"EdDSA","x5c":["AAAA"]}"#), NO_TOKEN),
        attack("a key that is named by a path", own_key(r#"{"alg":"HS256","kid":"../../../../dev/null"}"#), NO_TOKEN),
        attack("a key that is named by SQL", own_key(r#"{"alg":"HS256","kid":"x' UNION SELECT 'key"}"#), NO_TOKEN),
        attack("a key that is named by a command", own_key(r#"{"alg":"HS256","kid":"|id"}"#), NO_TOKEN),
        attack("a key whose name is a number", headed(r#"{"alg":"HS256","kid":1}"#), NO_TOKEN),
    ]
}

/// All of these are signed with the secret.
#[rustfmt::skip]
fn claims() -> Vec<Attack> {
    let not_yet = refused(401, "token-not-yet-valid");
    vec![
        attack("without sub", claiming(&without("sub")), NO_TOKEN),
        attack("without role", claiming(&without("role")), NO_TOKEN),
        attack("without iss", claiming(&without("iss")), NO_TOKEN),
        attack("without aud", claiming(&without("aud")), NO_TOKEN),
        attack("without exp", claiming(&without("exp")), NO_TOKEN),
        attack("without nbf", claiming(&without("nbf")), NO_TOKEN),
        attack("without iat", claiming(&without("iat")), NO_TOKEN),
        attack("without jti", claiming(&without("jti")), NO_TOKEN),
        attack("two roles, the lower one first", claiming(&twice("role", "\"admin\"")), NO_TOKEN),
        attack("two subjects", claiming(&twice("sub", "\"amy\"")), NO_TOKEN),
        attack("two times of expiry", claiming(&twice("exp", "9999999999")), NO_TOKEN),
        attack("expired", claiming(&with("exp", "1")), EXPIRED),
        attack("expired before the epoch", claiming(&with("exp", "-1")), EXPIRED),
        attack("expires at the lowest number", claiming(&with("exp", "-9223372036854775808")), EXPIRED),
        attack("expires with a fraction, long ago", claiming(&with("exp", "1.5")), EXPIRED),
        attack("expires at minus infinity", claiming(&with("exp", "-1e308")), EXPIRED),
        attack("expires at more than a number", claiming(&with("exp", "1e999")), NO_TOKEN),
        attack("expires at NaN", claiming(&with("exp", "NaN")), NO_TOKEN),
        attack("expires at a text", claiming(&with("exp", "\"4102444800\"")), NO_TOKEN),
        attack("expires at null", claiming(&with("exp", "null")), NO_TOKEN),
        attack("expires at true", claiming(&with("exp", "true")), NO_TOKEN),
        attack("from the future", claiming(&with("nbf", "4102444000")), not_yet),
        attack("from the far future", claiming(&with("nbf", "1e300")), not_yet),
        attack("not before a text", claiming(&with("nbf", "\"0\"")), NO_TOKEN),
        attack("another issuer", claiming(&with("iss", "\"mallory\"")), NO_TOKEN),
        attack("the issuer in capitals", claiming(&with("iss", "\"ALM\"")), NO_TOKEN),
        attack("a list of issuers", claiming(&with("iss", "[\"alm\"]")), NO_TOKEN),
        attack("another audience", claiming(&with("aud", "\"other\"")), NO_TOKEN),
        attack("an audience that begins like it", claiming(&with("aud", "\"alm2\"")), NO_TOKEN),
        attack("an audience of no one", claiming(&with("aud", "[]")), NO_TOKEN),
        attack("an audience that is null", claiming(&with("aud", "null")), NO_TOKEN),
        attack("an audience that is an object", claiming(&with("aud", "{\"alm\":1}")), NO_TOKEN),
        attack("a role that there is not", claiming(&with("role", "\"root\"")), NO_TOKEN),
        attack("the role in capitals", claiming(&with("role", "\"ADMIN\"")), NO_TOKEN),
        attack("the role with a space", claiming(&with("role", "\"admin \"")), NO_TOKEN),
        attack("a list of roles", claiming(&with("role", "[\"admin\"]")), NO_TOKEN),
        attack("a scope that is null", claiming(&with("scope", "null")), NO_TOKEN),
        attack("a list of scopes", claiming(&with("scope", "[\"admin\"]")), NO_TOKEN),
        attack("no subject", claiming(&with("sub", "\"\"")), NO_TOKEN),
        attack("a subject with a line break", claiming(&with("sub", "\"amy\\nadmin\"")), NO_TOKEN),
        attack("a subject with NUL", claiming(&with("sub", "\"amy\\u0000\"")), NO_TOKEN),
        attack("a subject that is too long", claiming(&with("sub", &format!("\"{}\"", "a".repeat(5000)))), NO_TOKEN),
        attack("a subject that is a list", claiming(&with("sub", "[\"amy\"]")), NO_TOKEN),
        attack("claims that are an empty list", claiming("[]"), NO_TOKEN),
        attack("claims that are a list", claiming(LIST), NO_TOKEN),
        attack("claims that are no JSON", claiming("sub=amy"), NO_TOKEN),
        attack("deep claims", claiming(&with("x", &"[".repeat(3000))), NO_TOKEN),
        attack("claims with something behind them", claiming(&format!("{} {{}}", good())), NO_TOKEN),
        attack("a session that there is not", claiming(&with("alm_sid", "\"00000000-0000-4000-8000-000000000000\"")), NO_TOKEN),
        attack("a session that is null", claiming(&with("alm_sid", "null")), NO_TOKEN),
        attack("a session that is no UUID", claiming(&with("alm_sid", "\"1\"")), NO_TOKEN),
        attack("a session in capitals", claiming(&with("alm_sid", "\"ABCDEFAB-0000-4000-8000-000000000000\"")), NO_TOKEN),
    ]
}

/// Claims that count, without their names.
const LIST: &str = r#"["mallory","admin","","alm","alm",4102444800,0,0,"1"]"#;

#[rustfmt::skip]
fn forms() -> Vec<Attack> {
    let good_one = signed(&good());
    let padded = format!("{}=", good_one.replace('.', "=."));
    let long = signed(&with("x", &format!("\"{}\"", "x".repeat(8 * 1024))));
    let header = |value: &str| no_one("GET /users").header(format!("authorization: {value}"));
    vec![
        attack("no token", no_one("GET /users"), UNAUTHENTICATED),
        attack("an empty token", header("Bearer "), UNAUTHENTICATED),
        attack("a token by another scheme", header(&format!("Basic {good_one}")), UNAUTHENTICATED),
        attack("a name and a password", header("Basic YWRtaW46YWRtaW4="), UNAUTHENTICATED),
        attack("a token without a scheme", header(&good_one), UNAUTHENTICATED),
        attack("two tokens in two headers", shows(&good_one).header(format!("authorization: Bearer {good_one}")), UNAUTHENTICATED),
        attack("two tokens in one header", header(&format!("Bearer {good_one}, Bearer {good_one}")), NO_TOKEN),
        attack("a token in the query", no_one(format!("GET /users?access_token={good_one}")), UNAUTHENTICATED),
        attack("a token in a cookie", no_one("GET /users").header(format!("cookie: token={good_one}")), UNAUTHENTICATED),
        attack("a token of one part", shows("token"), NO_TOKEN),
        attack("a token of two parts", shows(good_one.rsplit_once('.').unwrap().0), NO_TOKEN),
        attack("a token of four parts", shows(format!("{good_one}.AAAA")), NO_TOKEN),
        attack("a token of five parts, as if encrypted", shows(format!("{good_one}.AAAA.AAAA")), NO_TOKEN),
        attack("a token of dots", shows(".".repeat(1000)), NO_TOKEN),
        attack("a token with a space in it", shows(good_one.replacen('.', ". ", 1)), NO_TOKEN),
        attack("a token with padding", shows(padded), NO_TOKEN),
        attack("a token with a bit too many", shows(format!("{good_one}A")), NO_TOKEN),
        attack("a token of more than 8 KiB", shows(long), NO_TOKEN),
        attack("a token of 32 KiB", shows("x".repeat(32 * 1024)), NO_TOKEN),
        attack("a token that is not ASCII", shows("tökèn"), UNAUTHENTICATED),
    ]
}

#[rustfmt::skip]
fn sessions() -> Vec<Attack> {
    vec![
        attack("the access token of a session that was logged out", shows("{token of a session that was logged out}"), NO_TOKEN),
        attack("the access token of a session that has expired", shows("{token of a session that has expired}"), EXPIRED),
        attack("the access token of someone who is gone", shows("{token of someone who is gone}"), NO_TOKEN),
        attack("the access token of someone who was demoted", shows("{token of someone who was demoted}"), NO_TOKEN),
        attack("the access token of someone with another password", shows("{token of someone with another password}"), NO_TOKEN),
        attack("a refresh token as an access token", shows("{refresh token of a session of an admin}"), NO_TOKEN),
        attack("an access token as a refresh token", refreshing("{token of a session}"), NO_TOKEN),
        attack("the refresh token of a session that was logged out", refreshing("{refresh token of a session that was logged out}"), NO_TOKEN),
        attack("the refresh token of a session that has expired", refreshing("{refresh token of a session that has expired}"), NO_TOKEN),
        attack("the refresh token of someone who is gone", refreshing("{refresh token of someone who is gone}"), NO_TOKEN),
        attack("the refresh token of someone who was demoted", refreshing("{refresh token of someone who was demoted}"), NO_TOKEN),
        attack("a refresh token made up from the id of a session", refreshing(&format!("almr_{{digits of a session}}{}", "0".repeat(64))), NO_TOKEN),
        attack("a refresh token that is the id of a session", refreshing("{id of a session}"), NO_TOKEN),
        attack("a refresh token of zeros", refreshing(&format!("almr_{}", "0".repeat(96))), NO_TOKEN),
        attack("a refresh token with more behind it", refreshing("{refresh token of a session}0"), NO_TOKEN),
        attack("a refresh token with a space before it", refreshing(" {refresh token of a session}"), NO_TOKEN),
        attack("an API key as a refresh token", refreshing("{key ci}"), NO_TOKEN),
        attack("a refresh token that was used", refreshing("{refresh token of a session that is about to be stolen}"), REPLAY),
        attack("what a thief has got by it", shows("{token after the theft}"), NO_TOKEN),
        attack("and once more", refreshing("{refresh token of a session that is about to be stolen}"), NO_TOKEN),
    ]
}

#[rustfmt::skip]
fn api_keys() -> Vec<Attack> {
    vec![
        attack("an API key that has expired", shows("{key expired}"), EXPIRED),
        attack("an API key that was revoked", shows("{key revoked}"), NO_TOKEN),
        attack("an API key that was replaced, after its grace", shows("{key rotated}"), NO_TOKEN),
        attack("an API key with its last digit changed", shows("{key ci with another digit}"), NO_TOKEN),
        attack("an API key with one digit more", shows("{key ci}0"), NO_TOKEN),
        attack("an API key by the prefix of a refresh token", refreshing("almr_{key ci}"), NO_TOKEN),
        attack("an API key made up from its id", shows(format!("alm_{{digits of key ci}}{}", "0".repeat(64))), NO_TOKEN),
        attack("an API key of zeros", shows(format!("alm_{}", "0".repeat(96))), NO_TOKEN),
        attack("a token for a key that has expired", exchanging("{key expired}"), EXPIRED),
        attack("a token for a key that was revoked", exchanging("{key revoked}"), NO_TOKEN),
        attack("a token for a key of zeros", exchanging(&format!("alm_{}", "0".repeat(96))), NO_TOKEN),
        attack("a token for a token", exchanging("{token of a session of an admin}"), NO_TOKEN),
        attack("a token for a refresh token", exchanging("{refresh token of a session of an admin}"), NO_TOKEN),
        attack("an API key ends a session", with_token("{key ci}", "POST /logout"), refused(409, "no-session")),
    ]
}

#[tokio::test]
async fn no_token_counts_that_must_not() {
    let target = Target::start(Setup::default()).await;
    // What is told of these below would be told of anything, if they did not count.
    for token in [
        signed(&good()),
        token(r#"{"alg":"EdDSA"}"#, &good(), Key::Ed25519),
        token(r#"{"alg":"ES256"}"#, &good(), Key::P256),
        "{token of a session of an admin}".to_owned(),
        "{key ci}".to_owned(),
    ] {
        let said = target.send(&shows(token).into()).await.unwrap();
        assert_eq!(said.statuses(), [200], "{said}");
    }
    target.withstands(attacks()).await;
}
