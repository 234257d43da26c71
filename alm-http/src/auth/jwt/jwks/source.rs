//! Where an issuer publishes its keys, and how they are fetched from there.

use std::{convert::Infallible, error::Error, fmt, future::pending, net::IpAddr, sync::Arc, time::Duration};

use axum::http::{
    HeaderValue, Request, StatusCode, Uri, header,
    uri::{Authority, PathAndQuery, Scheme},
};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};
use tower::ServiceExt;

use crate::{
    auth::jwt::{InvalidJwkSet, VerifyingKey},
    upstream::Connector,
};

/// How long a fetch may take, from the look-up of the host to the last byte.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);
/// The most that a set may have: that is 64 keys of 8192 bits, each with a chain of certificates.
const MAX_BYTES: usize = 256 * 1024;
/// The most that is buffered of a connection, which bounds the header of the answer.
const MAX_BUFFER_BYTES: usize = 64 * 1024;

/// The URL of a set, and who may answer there.
pub(super) struct Source {
    authority: Authority,
    path: PathAndQuery,
    /// Where to connect to.
    address: Uri,
    /// None for plain HTTP.
    tls: Option<(TlsConnector, ServerName<'static>)>,
    connector: Connector,
}

/// What keys can't be had from. What was given is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidJwks {
    /// It is no URL with a host.
    #[error("must be a URL, such as https://id.example.com/.well-known/jwks.json")]
    NoUrl,
    /// It is neither `https`, nor `http` on this machine.
    #[error(
        "must begin with https://, or with http://localhost: whoever could change the keys on their way could forge every token"
    )]
    Scheme,
    /// It has a user or a fragment.
    #[error("must have no user, password or fragment")]
    TooMuch,
    /// What was given as certificates of authorities is none.
    #[error("must be one or more certificates in PEM, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----")]
    NoCertificates,
    /// This machine trusts no authority, so that no answer could be believed.
    #[error(
        "this machine has no certificates of authorities, by which to know the issuer: install ca-certificates, or give those to trust"
    )]
    NoAuthorities,
}

impl Source {
    pub(super) fn new(url: &str, authorities: Option<&str>) -> Result<Self, InvalidJwks> {
        let roots = authorities.map(certificates).transpose()?;
        if url.contains('#') {
            return Err(InvalidJwks::TooMuch);
        }
        let parts = url.parse::<Uri>().map_err(|_| InvalidJwks::NoUrl)?.into_parts();
        let authority = parts.authority.filter(|authority| !authority.host().is_empty());
        let (Some(scheme), Some(authority)) = (parts.scheme, authority) else { return Err(InvalidJwks::NoUrl) };
        if authority.as_str().contains('@') {
            return Err(InvalidJwks::TooMuch);
        }
        let (default_port, tls) = if scheme == Scheme::HTTPS {
            (443, Some(tls(authority.host(), roots)?))
        } else if scheme == Scheme::HTTP && is_of_this_machine(authority.host()) {
            (80, None)
        } else {
            return Err(InvalidJwks::Scheme);
        };
        let address = format!("http://{}:{}", authority.host(), authority.port_u16().unwrap_or(default_port));
        Ok(Self {
            address: address.parse().map_err(|_| InvalidJwks::NoUrl)?,
            path: parts.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/")),
            authority,
            tls,
            connector: Connector::new(DEADLINE),
        })
    }

    /// The keys that are published now.
    pub(super) async fn fetch(&self) -> Result<Vec<VerifyingKey>, Failure> {
        let document = timeout(DEADLINE, self.get()).await.map_err(|_| Failure::TimedOut)??;
        Ok(VerifyingKey::from_jwk_set(&document)?)
    }

    async fn get(&self) -> Result<Bytes, Failure> {
        let tcp =
            self.connector.clone().oneshot(self.address.clone()).await.map_err(Failure::Unreachable)?.into_inner();
        match &self.tls {
            Some((connector, name)) => {
                self.get_over(connector.connect(name.clone(), tcp).await.map_err(|error| Failure::Tls(error.into()))?)
                    .await
            }
            // The name of this machine may lead elsewhere.
            None if !tcp.peer_addr().is_ok_and(|peer| peer.ip().is_loopback()) => Err(Failure::Elsewhere),
            None => self.get_over(tcp).await,
        }
    }

    async fn get_over(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send) -> Result<Bytes, Failure> {
        let request = self.request()?;
        let mut client = http1::Builder::new();
        client.max_buf_size(MAX_BUFFER_BYTES);
        let (mut sender, connection) = client.handshake(TokioIo::new(stream)).await?;
        let exchange = async {
            let answer = sender.send_request(request).await?;
            // Nothing else is followed: where the keys are is for whoever has set the URL to say.
            if answer.status() != StatusCode::OK {
                return Err(Failure::Status(answer.status()));
            }
            let body = Limited::new(answer.into_body(), MAX_BYTES).collect().await;
            Ok(body
                .map_err(
                    |error| if error.is::<LengthLimitError>() { Failure::TooLarge } else { Failure::Broken(error) },
                )?
                .to_bytes())
        };
        let driven = async {
            // What goes wrong with it, the exchange says.
            let _ = connection.await;
            pending::<Infallible>().await
        };
        tokio::select! {
            biased;
            answered = exchange => answered,
            never = driven => match never {},
        }
    }

    fn request(&self) -> Result<Request<Empty<Bytes>>, Failure> {
        let host = HeaderValue::from_str(self.authority.as_str()).map_err(|error| Failure::Broken(error.into()))?;
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = self.path.clone().into();
        let headers = request.headers_mut();
        headers.insert(header::HOST, host);
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/jwk-set+json, application/json"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("alm/", env!("CARGO_PKG_VERSION"))));
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        Ok(request)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

fn is_of_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// What speaks TLS with `host`, which must have a certificate from one of these authorities, or else from one that this machine trusts.
fn tls(host: &str, roots: Option<RootCertStore>) -> Result<(TlsConnector, ServerName<'static>), InvalidJwks> {
    let name = ServerName::try_from(host.trim_start_matches('[').trim_end_matches(']').to_owned());
    let roots = roots.unwrap_or_else(|| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots
    });
    if roots.is_empty() {
        return Err(InvalidJwks::NoAuthorities);
    }
    // Said by name: where a host's features turn on two of them, there is no default.
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| InvalidJwks::NoAuthorities)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok((TlsConnector::from(Arc::new(config)), name.map_err(|_| InvalidJwks::NoUrl)?))
}

fn certificates(pem: &str) -> Result<RootCertStore, InvalidJwks> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let added = certificate.ok().and_then(|certificate| roots.add(certificate).ok());
        added.ok_or(InvalidJwks::NoCertificates)?;
    }
    if roots.is_empty() { Err(InvalidJwks::NoCertificates) } else { Ok(roots) }
}

/// Why no keys came.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("no connection can be made")]
    Unreachable(#[source] Box<dyn Error + Send + Sync>),
    #[error("the name is of this machine, but its address is not")]
    Elsewhere,
    #[error("no TLS can be spoken with it")]
    Tls(#[source] Box<dyn Error + Send + Sync>),
    #[error("it did not answer within {DEADLINE:?}")]
    TimedOut,
    #[error("it has answered {0}, and nothing but 200 OK is taken, nor is a redirect followed")]
    Status(StatusCode),
    #[error("its answer has more than {MAX_BYTES} bytes")]
    TooLarge,
    #[error("its answer has broken off")]
    Broken(#[source] Box<dyn Error + Send + Sync>),
    #[error(transparent)]
    NoKeySet(#[from] InvalidJwkSet),
}

impl From<hyper::Error> for Failure {
    fn from(error: hyper::Error) -> Self {
        Self::Broken(error.into())
    }
}
