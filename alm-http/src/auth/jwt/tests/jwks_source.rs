//! From whom keys are taken, and what answers are none.

use alm_test_support::certificates::Authority;

use super::{issuer::*, signers::*, *};

/// What becomes of a token of the issuer that names one of its keys.
async fn told(url: &str, authorities: Option<&str>) -> &'static str {
    let jwt = jwt().with_jwks(Jwks::new(url, authorities).unwrap());
    jwt.authenticate(&p256().named("1"), at(NOW)).await.map_or_else(|error| error.code(), |_| "ok")
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn an_answer_of_any_type_is_a_set_if_it_reads_as_one() {
    let issuer = Issuer::silent().await;
    let set = set(&[p256().jwk("1")]);
    let spaces = " ".repeat(256 * 1024 - set.len());
    for answer in [
        ok(&set),
        ok(&format!("{set}{spaces}")),
        format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n{set}"),
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{set}\r\n0\r\n\r\n", set.len()),
    ] {
        issuer.answers(&answer);
        assert_eq!(told(&issuer.url(), None).await, "ok", "{answer}");
    }
}

#[tokio::test]
async fn what_is_no_set_gives_no_keys() {
    let issuer = Issuer::silent().await;
    let elsewhere = Issuer::publishing(&[p256().jwk("1")]).await;
    let set = set(&[p256().jwk("1")]);
    let spaces = " ".repeat(256 * 1024 - set.len() + 1);
    let blanks = format!("1000\r\n{}\r\n", " ".repeat(0x1000)).repeat(70);
    let mut answers = vec![
        ok(&format!("{set}{spaces}")),
        format!("HTTP/1.1 200 OK\r\n\r\n{set}{spaces}"),
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{set}\r\n{blanks}0\r\n\r\n", set.len()),
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{set}", set.len() + 1),
        format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n{set}", "x".repeat(300_000)),
        ok("<html>sign in</html>"),
        ok("{}"),
        ok(""),
        "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        "SSH-2.0-OpenSSH\r\n".to_owned(),
        String::new(),
    ];
    for status in [201, 203, 301, 302, 303, 307, 308, 401, 404, 429, 500, 503] {
        answers.push(format!(
            "HTTP/1.1 {status} x\r\nlocation: {}\r\ncontent-length: {}\r\n\r\n{set}",
            elsewhere.url(),
            set.len()
        ));
    }
    for (number, answer) in answers.iter().enumerate() {
        issuer.answers(answer);
        assert_eq!(told(&issuer.url(), None).await, "backend", "{answer:.200}");
        assert_eq!(issuer.asked(), number + 1);
    }
    assert_eq!(elsewhere.asked(), 0, "no redirect is followed");
}

#[tokio::test]
async fn an_answer_that_never_ends_is_cut_off() {
    let issuer = Issuer::silent().await;
    let document = format!("{}{}", set(&[p256().jwk("1")]), " ".repeat(1024 * 1024));
    issuer.answers(&format!("HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n{document}"));
    assert_eq!(told(&issuer.url(), None).await, "backend");
}

#[tokio::test]
async fn over_tls_the_issuer_must_have_a_certificate_for_its_name_from_an_authority_that_is_trusted() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let read = |authority: &Authority| std::fs::read_to_string(authority.ca()).unwrap();
    let keys = [p256().jwk("1")];
    let issuer = Issuer::certified(&keys, &authority, "DNS:localhost").await;
    assert_eq!(told(&issuer.url(), Some(&read(&authority))).await, "ok");
    assert_eq!(told(&issuer.url(), Some(&format!("{}{}", read(&stranger), read(&authority)))).await, "ok");
    assert_eq!(issuer.asked(), 2);
    assert_eq!(told(&issuer.url(), Some(&read(&stranger))).await, "backend");
    let by_address = issuer.url().replace("localhost", "127.0.0.1");
    assert_eq!(told(&by_address, Some(&read(&authority))).await, "backend", "it is not certified for that");
    let plain = Issuer::publishing(&keys).await;
    assert_eq!(told(&plain.url().replace("http:", "https:"), Some(&read(&authority))).await, "backend");
    assert_eq!((issuer.asked(), plain.asked()), (2, 0), "no request was sent");
}

#[test]
fn keys_come_over_tls_or_from_this_machine() {
    let ca = std::fs::read_to_string(Authority::new().ca()).unwrap();
    for (url, written) in [
        ("https://id.example.com/.well-known/jwks.json", "https://id.example.com/.well-known/jwks.json"),
        ("https://id.example.com", "https://id.example.com/"),
        ("https://id.example.com:8443/keys?p=b2c", "https://id.example.com:8443/keys?p=b2c"),
        ("https://10.0.0.7/keys", "https://10.0.0.7/keys"),
        ("https://[2001:db8::1]/keys", "https://[2001:db8::1]/keys"),
        ("http://localhost:8080/keys", "http://localhost:8080/keys"),
        ("http://127.1.2.3/keys", "http://127.1.2.3/keys"),
        ("http://[::1]:80/keys", "http://[::1]:80/keys"),
    ] {
        let shown = format!("{:?}", Jwks::new(url, Some(&ca)).unwrap());
        assert_eq!(shown, format!("Jwks({written:?})"));
    }
    for (url, why) in [
        ("", InvalidJwks::NoUrl),
        ("id.example.com", InvalidJwks::NoUrl),
        ("/keys", InvalidJwks::NoUrl),
        ("https://", InvalidJwks::NoUrl),
        ("https://a_b..c/", InvalidJwks::NoUrl),
        ("file:///etc/passwd", InvalidJwks::NoUrl),
        ("ftp://id.example.com/keys", InvalidJwks::Scheme),
        ("http://id.example.com/keys", InvalidJwks::Scheme),
        ("http://10.0.0.7/keys", InvalidJwks::Scheme),
        ("http://localhost.example.com/keys", InvalidJwks::Scheme),
        ("http://127.0.0.1.example.com/keys", InvalidJwks::Scheme),
        ("http://localhost@id.example.com/keys", InvalidJwks::TooMuch),
        ("https://me:secret@id.example.com/keys", InvalidJwks::TooMuch),
        ("https://id.example.com/keys#1", InvalidJwks::TooMuch),
    ] {
        assert_eq!(Jwks::new(url, Some(&ca)).unwrap_err(), why, "{url}");
    }
}

#[test]
fn authorities_are_certificates() {
    let url = "https://id.example.com/";
    let ca = std::fs::read_to_string(Authority::new().ca()).unwrap();
    let broken = ca.replace("MII", "MIX");
    for pem in
        ["", "hunter2", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----", &broken, &format!("{ca}{broken}")]
    {
        assert_eq!(Jwks::new(url, Some(pem)).unwrap_err(), InvalidJwks::NoCertificates, "{pem}");
    }
    assert!(Jwks::new(url, Some(&ca)).is_ok());
}
