//! How patient the server is.

use std::time::Duration;

use crate::TrustedProxies;

/// Bounds on what one client may take. The defaults suit a server that stands on the internet.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServeConfig {
    /// How long the header of a request may take, from when it can begin: so also how long a connection may be idle. For the first one
    /// it counts from when the connection was accepted.
    pub header_timeout: Duration,
    /// How long the body of a request may take, once it is waited for.
    pub body_timeout: Duration,
    /// How long a client may take nothing of an answer that is there for it. A stream of events may pause for longer.
    pub write_timeout: Duration,
    /// How long requests may still run when the server shuts down.
    pub shutdown_grace: Duration,
    /// How long, within the first half of the grace, the server goes on as before when it shuts down, except that it tells each client of HTTP/1 with its
    /// answer that the connection ends. What was on its way is answered by then, and whoever comes later is refused.
    pub shutdown_linger: Duration,
    /// How many connections are open at a time; the next ones wait to be accepted.
    pub max_connections: usize,
    /// How many of them one address has at a time; more are closed at once, so that no one alone takes all places. IPv6 addresses count by
    /// their /64.
    pub max_connections_per_address: usize,
    /// The proxies by whose addresses many clients come: they may take every place, and are to bound their clients themselves.
    pub trusted_proxies: TrustedProxies,
    /// How many requests run at a time on one connection of HTTP/2.
    pub max_streams: u32,
    /// With what TLS is spoken, and nothing but TLS. What clients take for a handshake counts as part of the first header.
    pub tls: Option<super::Tls>,
}

impl Default for ServeConfig {
    /// 10 s for the header, 30 s for the body, 30 s without progress in reading an answer, 20 s to shut down, of which
    /// 250 ms go to what is on its way; 10 000 connections, 1 000 from one address, 100 requests on one of HTTP/2.
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            shutdown_grace: Duration::from_secs(20),
            shutdown_linger: Duration::from_millis(250),
            max_connections: 10_000,
            max_connections_per_address: 1_000,
            trusted_proxies: TrustedProxies::default(),
            max_streams: 100,
            tls: None,
        }
    }
}

impl ServeConfig {
    /// Sets how long the header of a request may take.
    #[must_use]
    pub fn header_timeout(mut self, timeout: Duration) -> Self {
        self.header_timeout = timeout;
        self
    }

    /// Sets how long the body of a request may take.
    #[must_use]
    pub fn body_timeout(mut self, timeout: Duration) -> Self {
        self.body_timeout = timeout;
        self
    }

    /// Sets how long a client may take nothing of its answer.
    #[must_use]
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.write_timeout = timeout;
        self
    }

    /// Sets how long requests may still run when the server shuts down.
    #[must_use]
    pub fn shutdown_grace(mut self, grace: Duration) -> Self {
        self.shutdown_grace = grace;
        self
    }

    /// Sets how long the server goes on as before when it shuts down, so that what is on its way is answered.
    #[must_use]
    pub fn shutdown_linger(mut self, linger: Duration) -> Self {
        self.shutdown_linger = linger;
        self
    }

    /// Sets how many connections are open at a time, at least one.
    #[must_use]
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// Sets how many connections one address has at a time, at least one.
    #[must_use]
    pub fn max_connections_per_address(mut self, connections: usize) -> Self {
        self.max_connections_per_address = connections;
        self
    }

    /// Sets the proxies that may have as many connections as there are.
    #[must_use]
    pub fn trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.trusted_proxies = proxies;
        self
    }

    /// Sets how many requests run at a time on one connection of HTTP/2.
    #[must_use]
    pub fn max_streams(mut self, streams: u32) -> Self {
        self.max_streams = streams;
        self
    }

    /// Speaks TLS, and nothing but TLS.
    #[must_use]
    pub fn tls(mut self, tls: super::Tls) -> Self {
        self.tls = Some(tls);
        self
    }
}
