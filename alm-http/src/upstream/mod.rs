//! Calls to other services of ALM: pooled HTTP/1.1 with deadlines, a circuit breaker for each service, and a few tries where
//! nothing was sent. The [gateway](crate::gateway) and the [directory](crate::directory) speak through it.
//!
//! Only plain `http` is spoken: between services it belongs on a network of their own, or behind a proxy that adds TLS.

mod answer;
mod backoff;
mod body;
mod circuit;
mod client;
mod config;
mod connect;
mod error;
mod url;

pub use config::UpstreamConfig;
pub use url::{BaseUrl, InvalidBaseUrl};

pub(crate) use answer::AnswerBody;
pub(crate) use backoff::full_jitter;
pub(crate) use client::{Client, Upstream};
pub(crate) use connect::Connector;
pub(crate) use error::{Fault, UpstreamError};
