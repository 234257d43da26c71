//! The server's own accept loop, for HTTP/1.1 and HTTP/2. `axum::serve` sets no timer, so a client that never ends its header keeps its
//! connection for ever; here what a client sends has deadlines, and so have what it reads and the shutdown.
//!
//! A connection is one of HTTP/2 when it begins as one (prior knowledge, RFC 9113, section 3.3), or over TLS when client and
//! server agree on it (ALPN).

mod accept;
mod activity;
mod addresses;
mod body;
mod config;
mod connections;
mod framing;

mod protocol;
mod requests;
mod socket;
mod speak;
#[cfg(test)]
mod tests;
mod tls;

pub use body::BodyTimeout;
pub use config::ServeConfig;
pub use connections::{ServeReport, serve};
pub use tls::{InvalidCertificate, Tls};

/// Marks a request that came over TLS, among its extensions. A host that ends TLS itself may set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverTls;
