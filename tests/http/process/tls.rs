//! TLS by the settings.

use std::{fs, path::Path, sync::Arc};

use alm_test_support::certificates::Authority;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
        version::TLS13,
    },
};

use super::{Process, settings::refused};
use crate::support::{LONG, eventually};

/// A folder with `cert.pem` and `key.pem`, and the authority that has made them.
struct Files {
    authority: Authority,
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let files = Self { authority: Authority::new(), folder: tempfile::tempdir().unwrap() };
        files.write("alm.example");
        files
    }

    /// Another certificate takes the place of the one before.
    fn write(&self, name: &str) {
        let (certificate, key) = self.authority.certify("server", "a server", &format!("DNS:{name}"));
        fs::copy(certificate, self.certificate()).unwrap();
        fs::copy(key, self.key()).unwrap();
    }

    fn certificate(&self) -> std::path::PathBuf {
        self.folder.path().join("cert.pem")
    }

    fn key(&self) -> std::path::PathBuf {
        self.folder.path().join("key.pem")
    }

    /// What `GET path` answers at `address` to one who expects the server to be `name`; nothing, if it is another.
    async fn get(&self, address: &str, name: &str, path: &str) -> Option<String> {
        let mut trusted = RootCertStore::empty();
        trusted.add(CertificateDer::from_pem_file(self.authority.ca()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_root_certificates(trusted)
            .with_no_client_auth();
        let talk = async {
            let stream = TcpStream::connect(address).await.unwrap();
            let name = ServerName::try_from(name.to_owned()).unwrap();
            let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
            let request = format!("GET {path} HTTP/1.1\r\nhost: alm.example\r\nconnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            Some(answer)
        };
        timeout(LONG, talk).await.unwrap()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn a_certificate_is_shown_and_a_renewed_one_without_a_restart() {
    let files = Files::new();
    let (certificate, key) = (files.certificate(), files.key());
    let mut server = Process::serve(&[("TLS_CERT", text(&certificate)), ("TLS_KEY", text(&key))]);
    let listening = server.logged("listening");
    assert!(listening["docs"].as_str().unwrap().starts_with("https://"), "{listening}");
    let address = listening["address"].as_str().unwrap().to_owned();
    let answer = files.get(&address, "alm.example", "/healthz").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

    files.write("renewed.example");
    server.signal("HUP");
    server.logged("the certificate was replaced");
    assert!(files.get(&address, "alm.example", "/healthz").await.is_none());
    files.get(&address, "renewed.example", "/healthz").await.unwrap();

    fs::write(&certificate, "half of a certif").unwrap();
    server.signal("HUP");
    let warning = server.logged("the new certificate can't be used, the one before goes on");
    assert_eq!(warning["level"], "WARN");
    assert!(warning["error"].as_str().unwrap().contains("TLS_CERT"), "{warning}");
    fs::remove_file(&certificate).unwrap();
    server.signal("HUP");
    server.logged("the certificate can't be read again, the one before goes on");
    eventually("it goes on", async || files.get(&address, "renewed.example", "/healthz").await).await;
    server.signal("TERM");
    assert_eq!(server.ended().status.code(), Some(0));
}

#[test]
fn a_certificate_that_is_none_stops_the_start() {
    let files = Files::new();
    let other = Files::new();
    let (certificate, key, others) = (files.certificate(), files.key(), other.key());
    let (certificate, key, others) = (text(&certificate), text(&key), text(&others));
    refused(&[], &[("TLS_CERT", certificate)], &["TLS_CERT", "TLS_KEY"]);
    refused(&[], &[("TLS_KEY", key)], &["TLS_CERT", "TLS_KEY"]);
    refused(&[], &[("TLS_CERT", "/nowhere/cert.pem"), ("TLS_KEY", key)], &["TLS_CERT", "/nowhere/cert.pem"]);
    refused(&[], &[("TLS_CERT", certificate), ("TLS_KEY", "/nowhere/key.pem")], &["TLS_KEY", "/nowhere/key.pem"]);
    refused(
        &[],
        &[("TLS_CERT", certificate), ("TLS_KEY", others)],
        &["TLS_KEY", others, "not that of the certificate"],
    );
    refused(&[], &[("TLS_CERT", key), ("TLS_KEY", certificate)], &["TLS_CERT", key, "no certificate", "PEM"]);
    refused(
        &[],
        &[("TLS_CERT", certificate), ("TLS_KEY", "/dev/null")],
        &["TLS_KEY", "no private key", "not encrypted"],
    );
}
