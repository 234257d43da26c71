//! Which keys of a JWK Set count, and for what.

use proptest::{collection::vec, prelude::*, sample::select};

use super::{signers::*, test_keys::*, *};
use crate::auth::jwt::keys::Algorithm as Known;

/// The first example of RFC 7517 (appendix A.1), with a line for each of the long numbers.
const OF_THE_RFC: &str = r#"{"keys":
  [
    {"kty":"EC",
     "crv":"P-256",
     "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
     "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
     "use":"enc",
     "kid":"1"},

    {"kty":"RSA",
     "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
     "e":"AQAB",
     "alg":"RS256",
     "kid":"2011-04-29"}
  ]
}"#;

fn keys(document: &str) -> Vec<VerifyingKey> {
    VerifyingKey::from_jwk_set(document.as_bytes()).unwrap()
}

fn names(document: &str) -> Vec<String> {
    keys(document).iter().map(|key| key.kid().unwrap().to_owned()).collect()
}

/// Whether this key counts for the tokens of the signer.
fn counts(signer: &Signer, jwk: &Value) -> bool {
    outcome(&accepting(keys(&set(std::slice::from_ref(jwk)))), &signer.named("1")) == "ok"
}

#[test]
fn the_example_of_the_rfc_has_one_key_for_signatures() {
    assert_eq!(names(OF_THE_RFC), ["2011-04-29"]);
}

#[test]
fn a_token_counts_by_the_key_that_it_names_and_by_no_other() {
    let all = set(&[rsa().jwk("r"), p256().jwk("p"), ed25519().jwk("e"), other_p256().jwk("o")]);
    let jwt = accepting(keys(&all));
    for (signer, kid) in [(rsa(), "r"), (p256(), "p"), (ed25519(), "e"), (other_p256(), "o")] {
        for named in ["r", "p", "e", "o", "R", ""] {
            let expected = if named == kid { "ok" } else { "invalid-token" };
            assert_eq!(outcome(&jwt, &signer.named(named)), expected, "{kid} {named}");
        }
    }
    // Signed by openssl, and not by what reads them here.
    for token in [TEST_ONLY_RS256_TOKEN, TEST_ONLY_ES256_TOKEN, TEST_ONLY_EDDSA_TOKEN] {
        assert_eq!(outcome(&jwt, token), "ok");
    }
}

#[test]
fn what_a_key_says_of_itself_can_only_rule_it_out() {
    for (signer, alg, other) in [
        (rsa(), "RS256", "RS512"),
        (rsa(), "RS256", "PS256"),
        (p256(), "ES256", "ES384"),
        (ed25519(), "EdDSA", "RS256"),
    ] {
        let jwk = signer.jwk("1");
        let may = [
            json!({}),
            json!({ "alg": alg, "use": "sig", "key_ops": ["verify"], "x5c": ["no certificate"], "x5u": "http://elsewhere", "more": [1] }),
            json!({ "key_ops": ["sign", "verify"] }),
            json!({ "alg": null, "use": null, "key_ops": null }),
        ];
        for members in may {
            assert!(counts(&signer, &with(jwk.clone(), &members)), "{alg} {members}");
        }
        let may_not = [
            json!({ "alg": other }),
            json!({ "alg": "none" }),
            json!({ "alg": "HS256" }),
            json!({ "alg": alg.to_lowercase() }),
            json!({ "alg": 1 }),
            json!({ "use": "enc" }),
            json!({ "use": "Sig" }),
            json!({ "use": ["sig"] }),
            json!({ "key_ops": [] }),
            json!({ "key_ops": ["encrypt"] }),
            json!({ "key_ops": "verify" }),
            json!({ "kty": "oct" }),
            json!({ "kty": "oct", "k": "AAAA" }),
            json!({ "kty": "rsa" }),
            json!({ "kty": null }),
            json!({ "kid": null }),
            json!({ "kid": 1 }),
        ];
        for members in may_not {
            assert!(!counts(&signer, &with(jwk.clone(), &members)), "{alg} {members}");
        }
        let twice = jwk.to_string().replacen('{', "{\"kid\":\"1\",", 1);
        assert!(keys(&format!(r#"{{"keys":[{twice}]}}"#)).is_empty(), "a member that is given twice");
    }
}

#[test]
fn numbers_must_be_those_of_such_a_key() {
    let long = |bytes: usize| URL_SAFE_NO_PAD.encode(vec![0xff; bytes]);
    let (rsa_n, p256_x) =
        (rsa().jwk("1")["n"].as_str().unwrap().to_owned(), p256().jwk("1")["x"].as_str().unwrap().to_owned());
    let leading_zero = URL_SAFE_NO_PAD.encode([&[0][..], &decode(&rsa_n).unwrap()].concat());
    let cases = [
        (rsa(), json!({ "n": null })),
        (rsa(), json!({ "e": null })),
        (rsa(), json!({ "n": "" })),
        (rsa(), json!({ "e": "" })),
        (rsa(), json!({ "e": "AQ" })),
        (rsa(), json!({ "e": "AAEAAQ" })),
        (rsa(), json!({ "n": leading_zero })),
        (rsa(), json!({ "n": long(255) })),
        (rsa(), json!({ "n": long(1025) })),
        (rsa(), json!({ "n": format!("{rsa_n}=") })),
        (rsa(), json!({ "n": rsa_n.replace(['-', '_'], "+") })),
        (p256(), json!({ "crv": "P-384" })),
        (p256(), json!({ "crv": "secp256k1" })),
        (p256(), json!({ "crv": null })),
        (p256(), json!({ "x": null })),
        (p256(), json!({ "y": null })),
        (p256(), json!({ "y": p256_x })),
        (p256(), json!({ "x": long(31) })),
        (p256(), json!({ "x": long(33) })),
        (ed25519(), json!({ "crv": "Ed448" })),
        (ed25519(), json!({ "crv": "X25519" })),
        (ed25519(), json!({ "x": long(31) })),
        (ed25519(), json!({ "x": long(33) })),
    ];
    for (signer, members) in cases {
        assert!(counts(&signer, &signer.jwk("1")));
        assert!(keys(&set(&[with(signer.jwk("1"), &members)])).is_empty(), "{members}");
    }
}

#[test]
fn a_key_whose_private_part_is_published_does_not_count() {
    for signer in [rsa(), p256(), ed25519()] {
        for private in [json!({ "d": "AAAA" }), json!({ "d": 1 }), json!({ "d": {} })] {
            assert!(!counts(&signer, &with(signer.jwk("1"), &private)));
        }
    }
}

#[test]
fn a_secret_that_is_published_is_none() {
    let oct = json!({ "kty": "oct", "kid": "1", "alg": "HS256", "k": URL_SAFE_NO_PAD.encode(SECRET) });
    let published = keys(&set(&[oct, p256().jwk("2")]));
    assert_eq!(published.len(), 1);
    let jwt = accepting(published);
    for header in [r#"{"alg":"HS256","kid":"1"}"#, r#"{"alg":"HS256"}"#] {
        assert_eq!(outcome(&jwt, &signed(header, &claims())), "invalid-token");
    }
}

#[test]
fn one_bad_key_spoils_no_other() {
    for bad in ["1", "null", "[]", "{}", r#"{"kty":1}"#, r#"{"kty":"new","kid":"n"}"#, &"[".repeat(100), "\"\\ud800\""]
    {
        let bad = if bad.starts_with("[[") { format!("{bad}{}", "]".repeat(100)) } else { bad.to_owned() };
        let document = format!(r#"{{"more":{{}},"keys":[{bad},{},{bad}]}}"#, ed25519().jwk("1"));
        assert_eq!(names(&document), ["1"], "{bad}");
    }
}

#[test]
fn of_two_keys_with_one_name_the_first_counts_for_each_algorithm() {
    let published = keys(&set(&[p256().jwk("1"), other_p256().jwk("1"), rsa().jwk("1")]));
    assert_eq!(published.len(), 2);
    let jwt = accepting(published);
    assert_eq!(outcome(&jwt, &p256().named("1")), "ok");
    assert_eq!(outcome(&jwt, &rsa().named("1")), "ok");
    assert_eq!(outcome(&jwt, &other_p256().named("1")), "invalid-token");
}

#[test]
fn the_first_64_keys_are_used() {
    let many: Vec<Value> = (0..70).map(|number| ed25519().jwk(&number.to_string())).collect();
    let expected: Vec<String> = (0..64).map(|number: i32| number.to_string()).collect();
    assert_eq!(names(&set(&many)), expected);
}

#[test]
fn what_is_no_set_is_refused() {
    for document in [
        "",
        "1",
        "[]",
        "{}",
        r#"{"keys":null}"#,
        r#"{"keys":{}}"#,
        r#"{"keys":[]}x"#,
        r#"{"keys":[],"keys":[]}"#,
        "<html>",
        "\u{feff}{\"keys\":[]}",
    ] {
        assert!(VerifyingKey::from_jwk_set(document.as_bytes()).is_err(), "{document}");
    }
    assert!(VerifyingKey::from_jwk_set(b"{\"keys\":[{\"kty\":\"\xff\"}]}").is_err());
    assert!(keys(r#"{"keys":[]}"#).is_empty());
}

/// Keys put together of members that are right, wrong, or right for another kind.
fn jwk() -> impl Strategy<Value = Value> {
    let own = [rsa().jwk("1"), p256().jwk("1"), other_p256().jwk("1"), ed25519().jwk("1")];
    let texts = [
        "RSA", "EC", "OKP", "oct", "P-256", "Ed25519", "sig", "enc", "RS256", "ES256", "EdDSA", "HS256", "none", "1",
        "2", "AQAB", "", "é",
    ];
    let texts = texts.map(|text| json!(text));
    let others = [json!(null), json!(1), json!([]), json!(["verify"]), json!({})];
    let values: Vec<Value> =
        own.iter().flat_map(|jwk| jwk.as_object().unwrap().values().cloned()).chain(texts).chain(others).collect();
    let names = ["kty", "kid", "use", "key_ops", "alg", "crv", "x", "y", "n", "e", "d", "k"];
    (select(own.to_vec()), vec((select(names.to_vec()), prop_oneof![Just(None), select(values).prop_map(Some)]), 0..4))
        .prop_map(|(mut jwk, changes)| {
            for (name, value) in changes {
                match value {
                    Some(value) => jwk[name] = value,
                    None => drop(jwk.as_object_mut().unwrap().remove(name)),
                }
            }
            jwk
        })
}

proptest! {
    #[test]
    fn a_key_that_counts_is_one_of_its_kind_and_the_first_of_its_name(jwks in vec(jwk(), 0..6)) {
        let published = keys(&set(&jwks));
        let mut seen = Vec::new();
        for key in &published {
            let (kty, alg) = match key.algorithm() {
                Known::Rs256 => ("RSA", "RS256"),
                Known::Es256 => ("EC", "ES256"),
                Known::EdDsa => ("OKP", "EdDSA"),
                Known::Hs256 => panic!("a secret: {jwks:?}"),
            };
            let may = |jwk: &&Value| jwk["kty"] == kty && jwk["kid"] == key.kid().unwrap() && jwk.get("d").is_none_or(Value::is_null)
                && [&json!(null), &json!(alg)].contains(&&jwk["alg"]);
            prop_assert!(jwks.iter().any(|jwk| may(&jwk)), "{jwks:?}");
            let identity = (key.algorithm() as u8, key.kid().unwrap());
            prop_assert!(!seen.contains(&identity), "{jwks:?}");
            seen.push(identity);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..64), at in 0..OF_THE_RFC.len(), with in any::<u8>()) {
        let _ = VerifyingKey::from_jwk_set(&bytes);
        let mut damaged = OF_THE_RFC.as_bytes().to_vec();
        damaged[at] = with;
        let _ = VerifyingKey::from_jwk_set(&damaged);
    }
}
