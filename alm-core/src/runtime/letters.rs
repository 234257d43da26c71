//! Dead letters: what consumers gave up on, and how it gets another chance.

use std::sync::Arc;

use crate::{
    changeset::{ConsumerName, DeadLetter},
    domain::{CloudEvent, Event, LogId, Position},
    ports::{Contention, StoreError},
    services::{Alm, Error},
};

use super::{
    alone::{Alone, handle_alone},
    bus::Relay,
    handler::Handler,
};

/// How a [retry](Alm::retry) ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retried {
    /// It is handled, and the letter is gone.
    Handled,
    /// It is gone already: someone else was faster.
    Gone,
    /// It can't be handled still, for this reason. The letter stays.
    Refused(String),
}

impl Alm {
    /// The names of the consumers of this process, the relay to the bus included.
    pub fn consumers(&self) -> Vec<ConsumerName> {
        self.all_handlers().map(|handler| handler.name()).collect()
    }

    /// What `consumer` gave up on, by log and position.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn dead_letters(
        &self,
        consumer: &ConsumerName,
        after: Option<(LogId, Position)>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, Error> {
        Ok(self.inner.store.dead_letters(consumer, after, limit).await?)
    }

    /// Handles an event that its consumer had given up on: out of its order, by the state as it is now. Its effects are committed
    /// together with the end of the letter.
    ///
    /// # Errors
    /// [`Error::NotConfigured`] when this process has no such consumer, and those of the store. The letter stays then.
    pub async fn retry(&self, letter: &DeadLetter) -> Result<Retried, Error> {
        let handler = self.all_handlers().find(|handler| handler.name() == letter.consumer);
        let handler = handler.ok_or(Error::NotConfigured("the consumer of this letter"))?;
        let event = match CloudEvent::decode_as_is(letter.document.to_string().as_bytes()) {
            // Where it stands the letter says: the log may have got another identity since.
            Ok(event) => Arc::new(Event { log: letter.log, position: letter.position, ..event }),
            Err(rejected) => return Ok(Retried::Refused(rejected.detail)),
        };
        match handle_alone(self, handler.as_ref(), &event, Some(letter)).await {
            Ok(Alone::Done) => Ok(Retried::Handled),
            Ok(Alone::Refused(reason)) => Ok(Retried::Refused(reason)),
            Err(StoreError::Conflict(Contention::DeadLetter { .. })) => Ok(Retried::Gone),
            Err(error) => Err(error.into()),
        }
    }

    /// Every handler that reads the log of this store.
    pub(super) fn all_handlers(&self) -> impl Iterator<Item = Arc<dyn Handler>> + '_ {
        let relay = self.inner.bus.iter().map(|bus| Arc::new(Relay::to(bus.clone())) as Arc<dyn Handler>);
        self.inner.handlers.iter().cloned().chain(relay)
    }
}
