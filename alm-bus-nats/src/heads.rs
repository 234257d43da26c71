//! Heads: told on a subject that no stream keeps.

use alm_core::domain::{LogId, Position};
use alm_core::ports::{BackendError, BackendErrorKind, BusError, Head, Heads};
use async_nats::Subscriber;
use async_trait::async_trait;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

use crate::{bus::Inner, fault::not_applied};

/// A head as JSON: `{"log":"0190…","position":42}`.
#[derive(Serialize, Deserialize)]
struct Document {
    log: LogId,
    position: Position,
}

pub(crate) async fn announce(bus: &Inner, head: Head) -> Result<(), BackendError> {
    let fault = |error| not_applied(BackendErrorKind::Unavailable, "announce", error);
    // Never kept for later: by then it is old.
    bus.link.up("announce").await?;
    let document = Document { log: head.log, position: head.position };
    let document = serde_json::to_vec(&document).map_err(|error| fault(error.to_string()))?;
    let published = bus.link.client.publish(bus.subjects.heads.clone(), document.into()).await;
    published.map_err(|error| fault(error.to_string()))
}

/// Who listens, over as many connections as there come to be.
pub(crate) struct NatsHeads(Subscriber);

impl NatsHeads {
    pub(crate) async fn open(bus: &Inner) -> Result<Self, BackendError> {
        let subscriber = bus.link.client.subscribe(bus.subjects.heads.clone()).await;
        subscriber.map(Self).map_err(|error| not_applied(BackendErrorKind::Unavailable, "heads", error))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Heads for NatsHeads {
    async fn next(&mut self) -> Result<Head, BusError> {
        loop {
            let Some(message) = self.0.next().await else {
                return Err(not_applied(BackendErrorKind::Unavailable, "heads", "the connection was closed").into());
            };
            match serde_json::from_slice(&message.payload) {
                Ok(Document { log, position }) => return Ok(Head { log, position }),
                Err(error) => tracing::warn!(%error, "what was announced is no head"),
            }
        }
    }
}
