//! What every handler can reach.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use alm_core::Alm;
use axum::http::HeaderMap;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::proxies::TrustedProxies;

#[derive(Clone)]
pub(crate) struct ApiState {
    pub(crate) alm: Alm,
    pub(crate) settings: Arc<Settings>,
}

pub(crate) struct Settings {
    pub(crate) trusted: TrustedProxies,
    pub(crate) readiness: Readiness,
    pub(crate) metrics: Option<MetricsRenderer>,
    pub(crate) max_body_bytes: usize,
    pub(crate) body_timeout: Duration,
    pub(crate) heartbeat: Duration,
}

impl Settings {
    /// Whose address counts: that of the connection, or the one for which a trusted proxy speaks.
    pub(crate) fn client(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        peer.map(|peer| self.trusted.client(peer.ip(), headers))
    }
}

/// Gives the metrics of the process in the Prometheus text format, when they are asked for.
pub type MetricsRenderer = Arc<dyn Fn() -> BoxFuture<'static, String> + Send + Sync>;

/// Whether the process wants requests: yes until it is told that it shuts down. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    shutting_down: Arc<watch::Sender<bool>>,
}

impl Readiness {
    /// From now on `/readyz` says that the process is not ready, so that no new requests are sent here; answers that would go on
    /// for ever, the streams of events, come to their end.
    pub fn shut_down(&self) {
        self.shutting_down.send_replace(true);
    }

    pub(crate) fn is_shutting_down(&self) -> bool {
        *self.shutting_down.borrow()
    }

    /// Waits until the process shuts down.
    pub(crate) async fn shutting_down(&self) {
        // The sender lives as long as `self`, so the wait can't end in an error.
        let _ = self.shutting_down.subscribe().wait_for(|shutting_down| *shutting_down).await;
    }
}
