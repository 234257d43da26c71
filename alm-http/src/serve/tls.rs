//! TLS: the certificate that the server shows, and what it speaks with it.

use std::{
    fmt, io,
    sync::{Arc, PoisonError, RwLock},
};

use axum::{
    extract::Request,
    http::{HeaderValue, header},
    middleware::Next,
    response::Response,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        Error, InconsistentKeys, ServerConfig,
        crypto::{CryptoProvider, aws_lc_rs},
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::{ClientHello, ResolvesServerCert},
        sign::CertifiedKey,
        version::{TLS12, TLS13},
    },
    server::TlsStream,
};

use super::{OverTls, protocol::Protocol};

const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// For a year browsers come back by TLS alone (RFC 6797). What other hosts below this one's name speak is not known here.
const COME_BACK_BY_TLS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// A certificate and its key, with which a server [speaks TLS](super::ServeConfig::tls) 1.2 and 1.3. Clones are one: when one of them
/// [is given another certificate](Self::replace), so are all, and connections from then on see it.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
    shown: Arc<Shown>,
}

/// Why a certificate can't be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidCertificate {
    /// There is none where it should be.
    #[error(
        "there is no certificate in it: it must be PEM, the server's certificate first, then those that lead to its authority"
    )]
    NoCertificate,
    /// There is no key where it should be.
    #[error("there is no private key in it: it must be PEM (PKCS #8, PKCS #1 or SEC 1), and not encrypted")]
    NoKey,
    /// They don't belong together.
    #[error("the private key is not that of the certificate, which must be the first in its file")]
    Mismatch,
    /// They are of a kind that can't be used, or damaged.
    #[error("the certificate or its key can't be used")]
    Unusable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Tls {
    /// The certificate in `chain`, followed by those that lead to its authority, and the private key in `key`, both in PEM.
    ///
    /// # Errors
    /// See [`InvalidCertificate`]. Whether the certificate has expired, or is for this server, is not looked at.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, InvalidCertificate> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let shown = Arc::new(Shown(RwLock::new(certified(chain, key, &provider)?)));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(unusable)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&shown) as _);
        config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
        Ok(Self { config: Arc::new(config), shown })
    }

    /// Shows another certificate from now on, such as a renewed one.
    ///
    /// # Errors
    /// As for [`from_pem`](Self::from_pem); then the one before goes on to be shown.
    pub fn replace(&self, chain: &[u8], key: &[u8]) -> Result<(), InvalidCertificate> {
        let certified = certified(chain, key, self.config.crypto_provider())?;
        *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = certified;
        Ok(())
    }

    /// What a client that begins TLS on `io` is spoken to in.
    pub(super) async fn accept<I>(&self, io: I) -> io::Result<(TlsStream<I>, Protocol)>
    where
        I: AsyncRead + AsyncWrite + Unpin,
    {
        let stream = TlsAcceptor::from(Arc::clone(&self.config)).accept(io).await?;
        let protocol = match stream.get_ref().1.alpn_protocol() {
            Some(HTTP2) => Protocol::Http2,
            _ => Protocol::Http1,
        };
        Ok((stream, protocol))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

fn certified(chain: &[u8], key: &[u8], provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, InvalidCertificate> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(|_| InvalidCertificate::NoCertificate)?;
    if chain.is_empty() {
        return Err(InvalidCertificate::NoCertificate);
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| InvalidCertificate::NoKey)?;
    match CertifiedKey::from_der(chain, key, provider) {
        Ok(certified) => Ok(Arc::new(certified)),
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(InvalidCertificate::Mismatch),
        Err(error) => Err(unusable(error)),
    }
}

fn unusable(error: Error) -> InvalidCertificate {
    InvalidCertificate::Unusable(error.into())
}

/// The certificate of the moment.
#[derive(Debug)]
struct Shown(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// What a request over TLS goes through.
pub(super) async fn over_tls(mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(OverTls);
    let mut response = next.run(request).await;
    response.headers_mut().entry(header::STRICT_TRANSPORT_SECURITY).or_insert(COME_BACK_BY_TLS);
    response
}
