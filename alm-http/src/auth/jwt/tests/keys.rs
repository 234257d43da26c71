//! Which of several keys a token is checked by.

use super::{signers::*, test_keys::*, *};

const NEXT: &[u8] = b"the secret that comes after the first";

#[test]
fn an_issued_token_is_byte_for_byte_what_it_has_always_been() {
    // By hand: HMAC-SHA-256 of the header and the claims.
    let token = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEiLCJyb2xlIjoiYWRtaW4iLCJzY29wZSI6ImF1ZGl0b3IiLCJpc3MiOiJhbG0iLCJh\
                 dWQiOiJhbG0iLCJleHAiOjE4MDAwMDA5MDAsIm5iZiI6MTgwMDAwMDAwMCwiaWF0IjoxODAwMDAwMDAwLCJqdGkiOiIwMDAwMDAwMC0wMDAwLTAwMDAtMDAw\
                 MC0wMDAwMDAwMDAwMDcifQ.ejJ53dTVsv8YIr3-80L_SpSa7J5M3uVtE72yWCQs7zU";
    let claims = new_claims(&["auditor"]);
    assert_eq!(jwt().sign(&claims).unwrap(), token);
    let with_more_keys = jwt().also_accepting([VerifyingKey::hs256(NEXT).unwrap().with_kid("1"), rsa().key()]).unwrap();
    assert_eq!(with_more_keys.sign(&claims).unwrap(), token);
}

#[test]
fn the_previous_secret_checks_but_does_not_sign() {
    let rotated = Jwt::hs256(NEXT, "alm", "alm").unwrap();
    let rotated = rotated.also_accepting([VerifyingKey::hs256(SECRET).unwrap()]).unwrap();
    let (old, new) = (jwt().sign(&new_claims(&[])).unwrap(), rotated.sign(&new_claims(&[])).unwrap());
    assert_eq!(outcome(&rotated, &old), "ok");
    assert_eq!(outcome(&rotated, &new), "ok");
    assert_eq!(check(&new), "invalid-token", "it is signed with the new secret");
    let done = Jwt::hs256(NEXT, "alm", "alm").unwrap();
    assert_eq!(outcome(&done, &old), "invalid-token");
    assert_eq!(outcome(&done, &new), "ok");
}

#[test]
fn every_secret_must_be_long_and_secret() {
    assert!(VerifyingKey::hs256(&SECRET[1..]).is_err());
    for public in [TEST_ONLY_RSA_PUBLIC, TEST_ONLY_P256_PUBLIC, "-----BEGIN CERTIFICATE-----\nMIIB"] {
        let error = Jwt::hs256(format!("{public:40}").as_bytes(), "alm", "alm").unwrap_err().to_string();
        assert!(error.contains("public key") && !error.contains("MII"), "{error}");
        assert!(VerifyingKey::hs256(format!("\n{public:40}").as_bytes()).is_err());
    }
    assert!(Jwt::hs256(TEST_ONLY_P256_PRIVATE.as_bytes(), "alm", "alm").is_ok(), "unusual, but secret");
}

#[test]
fn the_names_of_tokens_mean_something_once_a_key_has_one() {
    let named = |kid: &str| p256().signed(&json!({ "alg": "ES256", "kid": kid }).to_string());
    let nameless = accepting([other_p256().key(), p256().key()]);
    assert_eq!(outcome(&nameless, &named("a")), "ok");
    let with_names = accepting([other_p256().key().with_kid("b"), p256().key().with_kid("a"), rsa().key()]);
    assert_eq!(outcome(&with_names, &named("a")), "ok");
    assert_eq!(outcome(&with_names, &named("c")), "invalid-token");
    assert_eq!(outcome(&with_names, &p256().signed(r#"{"alg":"ES256"}"#)), "ok", "it is tried with every key");
    let nameless_key = rsa().signed(r#"{"alg":"RS256","kid":"c"}"#);
    assert_eq!(outcome(&with_names, &nameless_key), "invalid-token", "no key is known by that name");
    assert_eq!(outcome(&with_names, &rsa().signed(r#"{"alg":"RS256"}"#)), "ok");
}

#[test]
fn the_name_of_a_key_is_one_text() {
    for jwt in [accepting([p256().key()]), accepting([p256().key().with_kid("1")])] {
        assert_eq!(outcome(&jwt, &p256().signed(r#"{"alg":"ES256","kid":"\u0031"}"#)), "ok");
        for kid in ["1", "null", "[\"1\"]", "{}", "\"1\",\"kid\":\"1\""] {
            let token = p256().signed(&format!(r#"{{"alg":"ES256","kid":{kid}}}"#));
            assert_eq!(outcome(&jwt, &token), "invalid-token", "{kid}");
        }
    }
}

#[test]
fn a_token_is_tried_with_eight_keys_at_most() {
    let secrets = |number: u8| (1..=number).map(|byte| VerifyingKey::hs256(&[byte; 32]).unwrap());
    let jwt = jwt().also_accepting(secrets(7)).unwrap();
    for byte in 1..=8 {
        let token = signed_with(Algorithm::HS256, &[byte; 32], USUAL, &claims());
        assert_eq!(outcome(&jwt, &token), if byte < 8 { "ok" } else { "invalid-token" }, "{byte}");
    }
    let error = super::jwt().also_accepting(secrets(8)).unwrap_err().to_string();
    assert!(error.contains('9') && error.contains('8'), "{error}");
    assert!(jwt.also_accepting(secrets(1)).is_err(), "the bound is on all that were ever added");
}
