//! The checkpoints of an audit log, given out to a stream that someone else keeps.

use std::{fmt, future::IntoFuture as _};

use alm_core::ports::{BackendError, BackendErrorKind, CheckpointOutlet, KeptCheckpoint};
use async_nats::{
    HeaderMap, Subject,
    header::NATS_MESSAGE_ID,
    jetstream::{context::PublishErrorKind, message::PublishMessage},
};
use async_trait::async_trait;

use crate::{
    NatsBus, OptionsError,
    fault::not_applied,
    publish::fault,
    subjects::{covers, is_token},
};

const OPERATION: &str = "give out a checkpoint";

/// Publishes each checkpoint of an audit log as it is, a signed note, on one subject. It counts as given out once a stream has
/// acknowledged it.
///
/// The stream is not made here: it is to be out of reach of whoever holds the database, and so of what ALM may do with it. What comes
/// again after a restart has its `Nats-Msg-Id` again, the name of the log and the size.
///
/// ```no_run
/// use std::sync::Arc;
/// use alm_bus_nats::NatsBus;
/// use alm_core::ports::CheckpointOutlet;
/// # async fn embed(bus: NatsBus) -> Result<(), Box<dyn std::error::Error>> {
/// // For `AuditTree::publishing`.
/// let outlet: Arc<dyn CheckpointOutlet> = Arc::new(bus.checkpoints("checkpoints.alm")?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct NatsCheckpoints {
    bus: NatsBus,
    subject: Subject,
}

impl NatsBus {
    /// Where checkpoints go out: on this subject of NATS, over this connection.
    ///
    /// # Errors
    /// It is no subject, stands for several, or is among those of the bus itself.
    pub fn checkpoints(&self, subject: &str) -> Result<NatsCheckpoints, OptionsError> {
        let refuse = |rule: &str| Err(OptionsError::new("the subject of checkpoints", rule));
        if !subject.split('.').all(is_token) {
            return refuse("must consist of a-z, A-Z, 0-9, '-' and '_', in parts with dots between");
        }
        if self.inner().subjects.all().iter().any(|of_bus| covers(of_bus, subject)) {
            return refuse("must not be one of the bus itself");
        }
        Ok(NatsCheckpoints { bus: self.clone(), subject: subject.into() })
    }
}

impl fmt::Debug for NatsCheckpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsCheckpoints").field("subject", &self.subject.as_str()).finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl CheckpointOutlet for NatsCheckpoints {
    async fn publish(&self, checkpoint: &KeptCheckpoint) -> Result<(), BackendError> {
        let bus = self.bus.inner();
        let period = bus.link.up(OPERATION).await?;
        let sent = async {
            let ack = bus.jetstream.send_publish(self.subject.clone(), message(checkpoint)).await?;
            ack.into_future().await
        };
        match bus.link.during(period, OPERATION, sent).await? {
            // One that is there already is there.
            Ok(_) => Ok(()),
            Err(error) if error.kind() == PublishErrorKind::StreamNotFound => Err(self.without_a_stream()),
            Err(error) => Err(bus.link.explained(fault(error, OPERATION))),
        }
    }
}

impl NatsCheckpoints {
    fn without_a_stream(&self) -> BackendError {
        let subject = &self.subject;
        let source = format!(
            "no stream keeps {subject}: make one, such as by `nats stream add CHECKPOINTS --subjects {subject} --deny-delete --deny-purge \
             --defaults`"
        );
        not_applied(BackendErrorKind::Unavailable, OPERATION, source)
    }
}

fn message(checkpoint: &KeptCheckpoint) -> PublishMessage {
    // The name of the log stands in the first line of a checkpoint. Whatever it is, a header has one line.
    let log = checkpoint.note.lines().next().unwrap_or_default();
    let mut headers = HeaderMap::new();
    headers.insert(NATS_MESSAGE_ID, format!("{log}@{}", checkpoint.size));
    headers.insert("Content-Type", "text/plain; charset=utf-8");
    PublishMessage::build().headers(headers).payload(checkpoint.note.clone().into())
}
