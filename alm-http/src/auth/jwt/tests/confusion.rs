//! What is tried with tokens where more than one algorithm is accepted.

use super::{signers::*, test_keys::*, *};

/// Names of algorithms by which someone may hope to be taken for another.
const NAMES: [&str; 18] = [
    "HS256", "RS256", "ES256", "EdDSA", "HS384", "HS512", "RS384", "RS512", "PS256", "PS384", "PS512", "ES384",
    "ES512", "ES256K", "Ed25519", "none", "None", "",
];

fn header(algorithm: &str) -> String {
    json!({ "alg": algorithm }).to_string()
}

#[test]
fn a_signature_counts_under_the_name_of_its_own_algorithm_only() {
    let jwt = accepting_all();
    for signer in signers() {
        let own = format!("{:?}", signer.algorithm);
        for name in NAMES {
            let expected = if name == own { "ok" } else { "invalid-token" };
            assert_eq!(outcome(&jwt, &signer.signed(&header(name))), expected, "{own} under the name {name}");
        }
    }
}

#[test]
fn another_algorithm_with_the_same_key_does_not_count_whatever_it_is_called() {
    let jwt = accepting_all();
    let others = [
        (secret(), vec![Algorithm::HS384, Algorithm::HS512]),
        (rsa(), vec![Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512]),
    ];
    for (signer, others) in others {
        for other in others {
            for name in NAMES {
                let token = signer.signed_by(other, &header(name));
                assert_eq!(outcome(&jwt, &token), "invalid-token", "{other:?} under the name {name}");
            }
        }
    }
}

#[test]
fn a_public_key_is_no_secret() {
    let jwt = accepting_all();
    for public in [TEST_ONLY_RSA_PUBLIC, TEST_ONLY_P256_PUBLIC, TEST_ONLY_ED25519_PUBLIC] {
        let der = der(public);
        let raw = [65, 64, 32].map(|bytes| &der[der.len().saturating_sub(bytes)..]);
        let texts = [public.as_bytes(), public.trim_end().as_bytes(), &der];
        for secret in texts.into_iter().chain(raw) {
            for name in NAMES {
                let token = signed_with(Algorithm::HS256, secret, &header(name), &claims());
                assert_eq!(outcome(&jwt, &token), "invalid-token", "{name}");
            }
        }
    }
}

#[test]
fn a_token_without_a_signature_does_not_count() {
    let jwt = accepting_all();
    for name in NAMES {
        let message = format!("{}.{}", part(&header(name)), part(&claims()));
        for signature in ["", "AA", &"A".repeat(86), &"A".repeat(342)] {
            assert_eq!(outcome(&jwt, &format!("{message}.{signature}")), "invalid-token", "{name}: {signature}");
        }
    }
}

#[test]
fn a_signature_of_two_numbers_is_not_read_in_der() {
    let jwt = accepting([p256().key()]);
    assert_eq!(outcome(&jwt, TEST_ONLY_ES256_TOKEN), "ok");
    assert_eq!(outcome(&jwt, TEST_ONLY_ES256_TOKEN_IN_DER), "invalid-token");
}

#[test]
fn a_token_of_one_key_does_not_count_by_the_name_of_another() {
    let jwt = accepting([p256().key().with_kid("a"), other_p256().key().with_kid("b"), rsa().key().with_kid("c")]);
    for (signer, own) in [(p256(), "a"), (other_p256(), "b"), (rsa(), "c")] {
        for kid in ["a", "b", "c", "d", "", "A", "a "] {
            let token = signer.signed(&json!({ "alg": signer.algorithm, "kid": kid }).to_string());
            let expected = if kid == own { "ok" } else { "invalid-token" };
            assert_eq!(outcome(&jwt, &token), expected, "the key {own} by the name {kid:?}");
        }
    }
}

#[test]
fn a_key_that_comes_with_the_token_is_not_looked_at() {
    let jwt = accepting([p256().key()]);
    let point = der(TEST_ONLY_OTHER_P256_PUBLIC);
    let (x, y) = point[point.len() - 64..].split_at(32);
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y) });
    for (name, value) in [
        ("jwk", jwk),
        ("jku", json!("http://127.0.0.1:1/jwks.json")),
        ("x5u", json!("http://127.0.0.1:1/chain.pem")),
        ("x5c", json!([STANDARD.encode(&point)])),
        ("x5c", json!(7)),
    ] {
        let mut header = json!({ "alg": "ES256" });
        header[name] = value;
        assert_eq!(outcome(&jwt, &other_p256().signed(&header.to_string())), "invalid-token", "{header}");
        assert_eq!(outcome(&jwt, &p256().signed(&header.to_string())), "ok", "{header}");
        header["crit"] = json!([name]);
        assert_eq!(outcome(&jwt, &p256().signed(&header.to_string())), "invalid-token", "{header}");
    }
}

#[test]
fn a_token_of_any_algorithm_with_any_bit_flipped_is_refused() {
    let jwt = accepting_all();
    for signer in signers() {
        let token = signer.signed(&json!({ "alg": signer.algorithm, "kid": "1" }).to_string());
        assert_eq!(outcome(&jwt, &token), "ok");
        for bit in 0..token.len() * 8 {
            let mut flipped = token.clone().into_bytes();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // What is not UTF-8 never gets here.
            let Ok(flipped) = String::from_utf8(flipped) else { continue };
            assert_eq!(outcome(&jwt, &flipped), "invalid-token", "{:?}: bit {bit}", signer.algorithm);
        }
        let parts: Vec<_> = token.split('.').map(|part| decode(part).unwrap()).collect();
        for (index, part) in parts.iter().enumerate() {
            for bit in 0..part.len() * 8 {
                let mut flipped = parts.clone();
                flipped[index][bit / 8] ^= 1 << (bit % 8);
                let flipped: Vec<_> = flipped.iter().map(|part| URL_SAFE_NO_PAD.encode(part)).collect();
                let outcome = outcome(&jwt, &flipped.join("."));
                assert_eq!(outcome, "invalid-token", "{:?}: bit {bit} of part {index}", signer.algorithm);
            }
        }
    }
}
