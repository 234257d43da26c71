//! Keys of other issuers.

use alm_http::auth::VerifyingKey;
use serde_json::Value;

use super::bytes;

pub(super) fn seeds() -> Vec<Vec<u8>> {
    bytes(&[
        r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1","x":"EzW9lEBZwafg1jMz-XGyqtw81NsfCpwL8CWKEtyNGRE","use":"sig","alg":"EdDSA"}]}"#,
        r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"1","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"},{"kty":"oct","kid":"2","k":"AAAA"}]}"#,
        r#"{"keys":[{"kty":"RSA","e":"AQAB","kid":"1","key_ops":["verify"],"n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}]}"#,
        r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1","x":"EzW9lEBZwafg1jMz-XGyqtw81NsfCpwL8CWKEtyNGRE","d":"AAAA","use":"enc","key_ops":["sign"]}]}"#,
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAEzW9lEBZwafg1jMz+XGyqtw81NsfCpwL8CWKEtyNGRE=\n-----END PUBLIC KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEvHzeITwtWyB+2wzkNzpsTT1WJxTP\np4cDORFzuHLwg+AP1mtocfkXAY+GPkHy36Xpol6Sh3ObilsF4jIKhHP0Fg==\n-----END PUBLIC KEY-----\n",
    ])
}

/// A set or a PEM is read or refused, and no more keys come than may: of a set, those that say nothing against it.
pub(super) fn keys(data: &[u8]) {
    if let Ok(keys) = VerifyingKey::from_jwk_set(data) {
        assert!(keys.len() <= 64);
        // Read in another way than the program does, which takes more: it does not look at what it has no use for.
        if let Ok(set) = serde_json::from_slice::<Value>(data) {
            assert!(keys.len() <= set["keys"].as_array().unwrap().iter().filter(|jwk| may_count(jwk)).count());
        }
    }
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(keys) = VerifyingKey::from_pem(text) {
        assert_eq!(keys.len(), text.matches("-----BEGIN PUBLIC KEY-----").count());
    }
}

fn may_count(jwk: &Value) -> bool {
    let algorithm = match (jwk["kty"].as_str(), jwk["crv"].as_str()) {
        (Some("RSA"), _) => "RS256",
        (Some("EC"), Some("P-256")) => "ES256",
        (Some("OKP"), Some("Ed25519")) => "EdDSA",
        _ => return false,
    };
    let is_or_is_left_out = |member: &str, value: &str| jwk[member].is_null() || jwk[member] == value;
    let operations = jwk["key_ops"].as_array();
    jwk["kid"].is_string()
        && jwk["d"].is_null()
        && is_or_is_left_out("use", "sig")
        && is_or_is_left_out("alg", algorithm)
        && operations.is_none_or(|operations| operations.iter().any(|operation| operation == "verify"))
}
