//! What every handler can reach.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use alm_core::Alm;

use crate::auth::LoginThrottle;

#[derive(Clone)]
pub(crate) struct ApiState {
    pub(crate) alm: Alm,
    pub(crate) settings: Arc<Settings>,
}

pub(crate) struct Settings {
    pub(crate) throttle: LoginThrottle,
    pub(crate) readiness: Readiness,
    pub(crate) metrics: Option<MetricsRenderer>,
    pub(crate) max_body_bytes: usize,
    pub(crate) body_timeout: Duration,
}

/// Gives the metrics of the process in the Prometheus text format.
pub type MetricsRenderer = Arc<dyn Fn() -> String + Send + Sync>;

/// Whether the process wants requests: yes until it is told that it shuts down. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    shutting_down: Arc<AtomicBool>,
}

impl Readiness {
    /// From now on `/readyz` says that the process is not ready, so that no new requests are sent here.
    pub fn shut_down(&self) {
        self.shutting_down.store(true, Ordering::Release);
    }

    pub(crate) fn is_shutting_down(&self) -> bool {
        self.shutting_down.load(Ordering::Acquire)
    }
}
