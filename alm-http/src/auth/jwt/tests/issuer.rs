//! An issuer that publishes its keys on this machine, and fails as a test likes.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use alm_test_support::{LONG, certificates::Authority};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    sync::watch,
    task::JoinSet,
    time,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use super::signers::set;

/// One that takes a request for each connection.
pub(super) struct Issuer {
    scheme: &'static str,
    address: SocketAddr,
    /// What it answers, byte for byte; none: nothing until there is something.
    answer: watch::Sender<Option<Arc<[u8]>>>,
    /// How many requests it has got.
    asked: watch::Receiver<usize>,
    // It ends with the test.
    _task: JoinSet<()>,
}

impl Issuer {
    /// One that does not answer yet.
    pub(super) async fn silent() -> Self {
        Self::behind("http", None).await
    }

    /// One that publishes these keys.
    pub(super) async fn publishing(keys: &[Value]) -> Self {
        let issuer = Self::silent().await;
        issuer.publishes(keys);
        issuer
    }

    /// The same in TLS, with a certificate of `authority` for `name`.
    pub(super) async fn certified(keys: &[Value], authority: &Authority, name: &str) -> Self {
        let (certificate, key) = authority.certify("issuer", "an issuer", name);
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_file(certificate).unwrap()],
                PrivateKeyDer::from_pem_file(key).unwrap(),
            )
            .unwrap();
        let issuer = Self::behind("https", Some(TlsAcceptor::from(Arc::new(config)))).await;
        issuer.publishes(keys);
        issuer
    }

    async fn behind(scheme: &'static str, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (answer, answers) = watch::channel(None);
        let (count, asked) = watch::channel(0);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                let (tls, count, answers) = (tls.clone(), count.clone(), answers.clone());
                connections.spawn(async move {
                    match tls {
                        Some(tls) => {
                            // Who does not trust it goes away.
                            if let Ok(stream) = tls.accept(tcp).await {
                                serve(stream, count, answers).await;
                            }
                        }
                        None => serve(tcp, count, answers).await,
                    }
                });
            }
        });
        Self { scheme, address, answer, asked, _task: task }
    }

    pub(super) fn publishes(&self, keys: &[Value]) {
        let body = set(keys);
        self.answers(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
    }

    pub(super) fn answers(&self, answer: &str) {
        self.answer.send_replace(Some(answer.as_bytes().into()));
    }

    /// Answers nothing from now on.
    pub(super) fn hangs(&self) {
        self.answer.send_replace(None);
    }

    /// Closes connections.
    pub(super) fn fails(&self) {
        self.answers("");
    }

    pub(super) fn url(&self) -> String {
        format!("{}://localhost:{}/keys?v=1", self.scheme, self.address.port())
    }

    /// How many requests it has got.
    pub(super) fn asked(&self) -> usize {
        *self.asked.borrow()
    }

    /// Waits until it has got so many requests.
    pub(super) async fn is_asked(&self, times: usize) {
        let mut asked = self.asked.clone();
        let waiting = time::timeout(LONG, asked.wait_for(|asked| *asked >= times));
        assert!(waiting.await.is_ok(), "the issuer was asked {} times", self.asked());
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    count: watch::Sender<usize>,
    mut answers: watch::Receiver<Option<Arc<[u8]>>>,
) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        // Who speaks TLS where none is spoken does not send a G first.
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 || request[0] != b'G' {
            return;
        }
    }
    let request = String::from_utf8(request).unwrap();
    assert!(request.starts_with("GET /keys?v=1 HTTP/1.1\r\n") && request.contains("host: localhost:"), "{request}");
    count.send_modify(|asked| *asked += 1);
    let Ok(answer) = answers.wait_for(Option::is_some).await.map(|answer| answer.clone().unwrap()) else { return };
    // Who has read enough goes away.
    let _ = stream.write_all(&answer).await;
    let _ = stream.shutdown().await;
}

/// Lets so many seconds pass at once.
pub(super) async fn after(seconds: u64) {
    time::pause();
    time::advance(Duration::from_secs(seconds)).await;
    time::resume();
}
