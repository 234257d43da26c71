//! Public keys in PEM.

use super::{signers::*, test_keys::*, *};

#[test]
fn a_token_that_openssl_has_signed_counts_by_the_public_key_alone() {
    let openssl = [
        (TEST_ONLY_RSA_PUBLIC, TEST_ONLY_RS256_TOKEN),
        (TEST_ONLY_P256_PUBLIC, TEST_ONLY_ES256_TOKEN),
        (TEST_ONLY_ED25519_PUBLIC, TEST_ONLY_EDDSA_TOKEN),
    ];
    for (index, (public, _)) in openssl.iter().enumerate() {
        let jwt = accepting(VerifyingKey::from_pem(public).unwrap());
        for (other, (_, token)) in openssl.iter().enumerate() {
            assert_eq!(outcome(&jwt, token), if other == index { "ok" } else { "invalid-token" }, "{index} {other}");
        }
    }
    assert_eq!(outcome(&accepting([other_p256().key()]), TEST_ONLY_ES256_TOKEN), "invalid-token");
}

#[test]
fn a_pem_may_have_several_keys_and_white_space_as_it_likes() {
    let all = [TEST_ONLY_RSA_PUBLIC, TEST_ONLY_P256_PUBLIC, TEST_ONLY_ED25519_PUBLIC, TEST_ONLY_OTHER_P256_PUBLIC];
    let one_after_the_other = all.concat();
    for pem in [
        one_after_the_other.clone(),
        one_after_the_other.replace('\n', "\r\n"),
        one_after_the_other.replace('\n', " "),
        format!("\n\n{}\n", all.join("\n\n")),
        all.map(str::trim_end).concat(),
    ] {
        let keys = VerifyingKey::from_pem(&pem).unwrap();
        assert_eq!(keys.len(), 4, "{pem}");
        let jwt = accepting(keys);
        for token in [TEST_ONLY_RS256_TOKEN, TEST_ONLY_ES256_TOKEN, TEST_ONLY_EDDSA_TOKEN] {
            assert_eq!(outcome(&jwt, token), "ok", "{pem}");
        }
    }
}

#[test]
fn what_is_no_public_key_for_tokens_is_refused_in_one_line_that_does_not_repeat_it() {
    let p256 = der(TEST_ONLY_P256_PUBLIC);
    let mut off_the_curve = p256.clone();
    *off_the_curve.last_mut().unwrap() ^= 1;
    let cases = [
        ("nothing", String::new(), "block 1 does not begin so"),
        ("blanks", " \n".to_owned(), "block 1 does not begin so"),
        ("another text", "hunter2".to_owned(), "block 1 does not begin so"),
        ("a private key", TEST_ONLY_P256_PRIVATE.to_owned(), "private key"),
        ("an RSA private key", TEST_ONLY_RSA_PRIVATE.to_owned(), "private key"),
        ("PKCS #1", TEST_ONLY_RSA_PUBLIC_PKCS1.to_owned(), "block 1 does not begin so"),
        ("PKCS #1 by another name", pem(&der(TEST_ONLY_RSA_PUBLIC_PKCS1)), "no such key"),
        ("a certificate", TEST_ONLY_P256_PUBLIC.replace("PUBLIC KEY", "CERTIFICATE"), "block 1 does not begin so"),
        ("no end", TEST_ONLY_RSA_PUBLIC.replace("-----END PUBLIC KEY-----", ""), "block 1 does not end so"),
        ("no base64", TEST_ONLY_RSA_PUBLIC.replace("MII", "M!I"), "block 1 is not in base64"),
        ("an empty block", pem(&[]), "block 1 has no such key"),
        ("half a key", pem(&p256[..60]), "no such key"),
        ("more than a key", pem(&[&p256[..], &[0]].concat()), "no such key"),
        ("a point alone", pem(&p256[p256.len() - 65..]), "no such key"),
        ("32 bytes", pem(&p256[p256.len() - 32..]), "no such key"),
        ("a point off the curve", pem(&off_the_curve), "no such key"),
        ("a compressed point", TEST_ONLY_P256_PUBLIC_COMPRESSED.to_owned(), "no such key"),
        ("P-384", TEST_ONLY_P384_PUBLIC.to_owned(), "no such key"),
        ("secp256k1", TEST_ONLY_SECP256K1_PUBLIC.to_owned(), "no such key"),
        ("Ed448", TEST_ONLY_ED448_PUBLIC.to_owned(), "no such key"),
        ("RSA for PSS alone", TEST_ONLY_RSA_PSS_PUBLIC.to_owned(), "no such key"),
        ("a small RSA key", TEST_ONLY_RSA_1024_PUBLIC.to_owned(), "block 1 has an RSA key of 1024 bits"),
        ("an RSA key that is nearly right", TEST_ONLY_RSA_2047_PUBLIC.to_owned(), "an RSA key of 2047 bits"),
        ("text after a key", format!("{TEST_ONLY_P256_PUBLIC}hunter2"), "block 2 does not begin so"),
        ("text before a key", format!("hunter2\n{TEST_ONLY_P256_PUBLIC}"), "block 1 does not begin so"),
        (
            "a wrong key after a right one",
            [TEST_ONLY_P256_PUBLIC, TEST_ONLY_P384_PUBLIC].concat(),
            "block 2 has no such",
        ),
    ];
    for (what, text, says) in cases {
        let Err(error) = VerifyingKey::from_pem(&text) else { panic!("{what} is accepted") };
        let line = error.to_string();
        assert!(line.contains(says) && !line.contains('\n'), "{what}: {line}");
        assert!(line.contains("-----BEGIN PUBLIC KEY-----") && line.contains("P-256"), "{what}: {line}");
        let mut words = text.split_ascii_whitespace().filter(|word| !word.contains("---"));
        let repeated = words.find(|word| word.len() > 6 && line.contains(word));
        assert_eq!(repeated, None, "{what}: {line}");
    }
}

#[test]
fn any_bit_of_a_public_key_matters() {
    for (public, token) in [
        (TEST_ONLY_RSA_PUBLIC, TEST_ONLY_RS256_TOKEN),
        (TEST_ONLY_P256_PUBLIC, TEST_ONLY_ES256_TOKEN),
        (TEST_ONLY_ED25519_PUBLIC, TEST_ONLY_EDDSA_TOKEN),
    ] {
        let der = der(public);
        for bit in 0..der.len() * 8 {
            let mut flipped = der.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(keys) = VerifyingKey::from_pem(&pem(&flipped)) {
                assert_eq!(outcome(&accepting(keys), token), "invalid-token", "bit {bit} of\n{public}");
            }
        }
    }
}
