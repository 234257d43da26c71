//! The subcommand `health`: asks the server that runs with the same settings how it is. An image needs no other tool for its check.

use std::{
    error::Error,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, DigitallySignedStruct, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
        pki_types::{CertificateDer, ServerName, UnixTime},
    },
};

use crate::{commands::HealthArgs, settings::Settings};

/// A server that takes longer is not well.
const PATIENCE: Duration = Duration::from_secs(3);
/// Enough for the line with the status.
const LONGEST: u64 = 1024;

/// Ok if the server has answered that it is well.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn ask(settings: &Settings, args: &HealthArgs) -> Result<(), Box<dyn Error>> {
    if settings.port == 0 {
        return Err("PORT: 0 does not say where the server listens".into());
    }
    let address = SocketAddr::new(from_here(settings.bind), settings.port);
    let path = if args.ready { "/readyz" } else { "/healthz" };
    let asked = timeout(PATIENCE, status(address, settings.tls_cert.is_some(), path));
    let status = match asked.await {
        Ok(answer) => answer.map_err(|error| format!("{address} does not answer: {error}"))?,
        Err(_) => return Err(format!("{address} does not answer within {} s", PATIENCE.as_secs()).into()),
    };
    if status != "200" {
        return Err(format!("{address}{path} answers {status}").into());
    }
    println!("ok");
    Ok(())
}

/// Who listens everywhere is asked at home.
fn from_here(bind: IpAddr) -> IpAddr {
    match bind {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        address => address,
    }
}

async fn status(address: SocketAddr, is_tls: bool, path: &str) -> Result<String, Box<dyn Error>> {
    let stream = TcpStream::connect(address).await?;
    if !is_tls {
        return get(stream, address, path).await;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Whoever(provider)))
        .with_no_client_auth();
    let name = ServerName::IpAddress(address.ip().into());
    get(TlsConnector::from(Arc::new(config)).connect(name, stream).await?, address, path).await
}

async fn get(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    address: SocketAddr,
    path: &str,
) -> Result<String, Box<dyn Error>> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer).await?;
    let line = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let status = str::from_utf8(line)?.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    status.map(ToOwned::to_owned).ok_or_else(|| "it does not speak HTTP".into())
}

/// Any certificate will do: the server is asked at its own address, which is rarely in it, and told nothing that is secret.
#[derive(Debug)]
struct Whoever(Arc<CryptoProvider>);

impl ServerCertVerifier for Whoever {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, tokio_rustls::rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, tokio_rustls::rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, tokio_rustls::rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
