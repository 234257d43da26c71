//! TLS as clients see it.

use std::{path::Path, process::Command};

use axum::http::Request;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, ProtocolVersion, RootCertStore,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
        version::{TLS12, TLS13},
    },
};

use super::{
    super::tls::{
        InvalidCertificate::{Mismatch, NoCertificate, NoKey, Unusable},
        Tls,
    },
    *,
};

/// A certificate that has signed itself, and its key, in PEM.
struct Pair {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Pair {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
        openssl.args(["-days", "2", "-subj", "/CN=alm", "-addext", "subjectAltName=DNS:alm"]);
        openssl.args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"]);
        let made = openssl.arg(file("key")).arg("-out").arg(file("certificate")).output().expect("openssl is there");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let read = |path: &Path| std::fs::read(path).unwrap();
        Self { certificate: read(&file("certificate")), key: read(&file("key")) }
    }

    fn tls(&self) -> Tls {
        Tls::from_pem(&self.certificate, &self.key).unwrap()
    }

    /// A connection of one who trusts it, and speaks `protocols`.
    async fn connects(&self, server: &Server, protocols: &[&str]) -> io::Result<TlsStream<TcpStream>> {
        let mut trusted = RootCertStore::empty();
        trusted.add(CertificateDer::from_pem_slice(&self.certificate).unwrap()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .unwrap()
            .with_root_certificates(trusted)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("alm").unwrap();
        within(TlsConnector::from(Arc::new(config)).connect(name, server.connect().await)).await
    }
}

async fn secured(app: Router, config: ServeConfig) -> (Pair, Server) {
    let pair = Pair::new();
    let server = Server::start(app, config.tls(pair.tls())).await;
    (pair, server)
}

async fn done_by_http1(mut client: TlsStream<TcpStream>) {
    client.write_all(b"GET / HTTP/1.1\r\nhost: alm\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    within(client.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
    assert!(answer.contains("\r\nstrict-transport-security: max-age="), "{answer}");
}

#[tokio::test]
async fn both_protocols_are_spoken_as_the_client_wants_it() {
    let (pair, server) = secured(plain(), patient()).await;
    for protocols in [&[] as &[&str], &["http/1.1"]] {
        let client = pair.connects(&server, protocols).await.unwrap();
        assert_eq!(client.get_ref().1.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        done_by_http1(client).await;
    }
    for protocols in [&["h2"] as &[&str], &["http/1.1", "h2"]] {
        let client = pair.connects(&server, protocols).await.unwrap();
        assert_eq!(client.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
        let (mut client, connection) = within(h2::client::handshake(client)).await.unwrap();
        tokio::spawn(connection);
        let request = Request::builder().uri("https://alm/").body(()).unwrap();
        let (response, _) = client.send_request(request, true).unwrap();
        let answer = within(response).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(answer.headers().contains_key("strict-transport-security"));
    }
    assert_eq!(server.stop().await.dropped, 0);
}

#[tokio::test]
async fn without_tls_nothing_is_said() {
    let (_, server) = secured(plain(), patient()).await;
    let answer = rest_of_bytes(server.send(GET).await).await;
    assert!(!answer.windows(4).any(|four| four == b"HTTP"), "{answer:?}");
}

async fn rest_of_bytes(mut client: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = within(client.read_to_end(&mut bytes)).await;
    bytes
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_cut_off() {
    let (pair, server) = secured(plain(), patient().header_timeout(SHORT)).await;
    // A record of a handshake, and a part of it.
    for begun in [b"".as_slice(), b"\x16\x03\x01\x02\x00\x01"] {
        let mut client = server.connect().await;
        client.write_all(begun).await.unwrap();
        closed(client).await;
    }
    let client = server.connect().await;
    within(drip(client)).await;
    // Nor does a request that does not come after it.
    let mut silent = pair.connects(&server, &[]).await.unwrap();
    let _ = within(silent.read_to_end(&mut Vec::new())).await;
    done_by_http1(pair.connects(&server, &[]).await.unwrap()).await;
}

#[tokio::test]
async fn a_handshake_takes_a_place_among_the_connections() {
    let (pair, server) = secured(plain(), patient().max_connections(1)).await;
    let first = server.connect().await;
    let mut second = tokio::spawn({
        let address = server.address;
        async move { TcpStream::connect(address).await.unwrap() }
    });
    let second = within(&mut second).await.unwrap();
    let mut byte = [0];
    timeout(SHORT, second.peek(&mut byte)).await.expect_err("no one speaks with it");
    drop((first, second));
    done_by_http1(pair.connects(&server, &[]).await.unwrap()).await;
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_dropped() {
    let app = Router::new().route("/", get(async || vec![b'x'; 64 * 1024 * 1024])).route("/done", get(async || "done"));
    let (pair, server) = secured(app, patient().max_connections(1).write_timeout(SHORT)).await;
    let mut first = pair.connects(&server, &[]).await.unwrap();
    first.write_all(GET.as_bytes()).await.unwrap();
    let mut second = pair.connects(&server, &[]).await.expect("it gets the place of the first");
    second.write_all(b"GET /done HTTP/1.1\r\nhost: alm\r\n\r\n").await.unwrap();
    within(second.read_exact(&mut [0])).await.unwrap();
}

#[tokio::test]
async fn a_running_request_finishes_during_shutdown_and_a_handshake_does_not_hold_it_up() {
    let (app, mut gate) = gated();
    let (pair, server) = secured(app, patient()).await;
    let client = pair.connects(&server, &[]).await.unwrap();
    let answered = tokio::spawn(done_by_http1(client));
    within(gate.started.recv()).await.unwrap();
    let _in_handshake = server.connect().await;
    server.stop.send(()).unwrap();
    gate.open.notify_one();
    within(answered).await.unwrap();
    assert_eq!(within(server.done).await.unwrap().dropped, 0);
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_from_then_on_and_a_broken_one_never() {
    let (old, new) = (Pair::new(), Pair::new());
    let tls = old.tls();
    let server = Server::start(plain(), patient().tls(tls.clone())).await;
    let earlier = old.connects(&server, &[]).await.unwrap();
    tls.replace(&new.certificate, &new.key).unwrap();
    done_by_http1(earlier).await;
    old.connects(&server, &[]).await.expect_err("it is not shown any more");
    done_by_http1(new.connects(&server, &[]).await.unwrap()).await;
    tls.replace(&old.certificate, &new.key).unwrap_err();
    done_by_http1(new.connects(&server, &[]).await.unwrap()).await;
}

#[test]
fn what_is_wrong_with_a_certificate_is_said() {
    let (one, other) = (Pair::new(), Pair::new());
    let refused = |certificate: &[u8], key: &[u8]| Tls::from_pem(certificate, key).unwrap_err();
    assert!(matches!(refused(b"", &one.key), NoCertificate));
    assert!(matches!(refused(&one.key, &one.certificate), NoCertificate), "mixed up");
    assert!(matches!(refused(&one.certificate, b"nothing"), NoKey));
    assert!(matches!(refused(&one.certificate, &one.certificate), NoKey));
    assert!(matches!(refused(&one.certificate, &other.key), Mismatch));
    let garbage = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(refused(garbage, &one.key), Unusable(_)));
    let garbage = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert!(matches!(refused(&one.certificate, garbage), Unusable(_)));
}
