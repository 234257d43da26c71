//! One event handled by itself: out of its order, and without a checkpoint.

use std::sync::Arc;

use crate::{
    changeset::{Changeset, DeadLetter, Stamp},
    domain::{CloudEvent, Event},
    ports::StoreError,
    services::Alm,
};

use super::handler::{HandleError, Handled, Handler, HandlerContext};

/// How often a handler may decide what can't be committed before the event goes to the dead letters.
pub(super) const MAX_REFUSALS: u32 = 16;

/// How it went.
pub(super) enum Alone {
    /// Its effects are committed.
    Done,
    /// It can't be handled.
    Refused(String),
}

/// Lets `handler` handle `event`. When it settles a letter, that goes with the last of the effects, so that of several who retry
/// it one has them.
pub(super) async fn handle_alone(
    alm: &Alm,
    handler: &dyn Handler,
    event: &Arc<Event>,
    settled: Option<&DeadLetter>,
) -> Result<Alone, StoreError> {
    let mut refusals = 0;
    loop {
        let Handled { count, effects } = match handler.handle(std::slice::from_ref(event), &HandlerContext(alm)).await {
            Ok(done) => done,
            Err(HandleError::Store(error)) => return Err(error),
            Err(HandleError::Backend(error)) => return Err(error.into()),
            Err(HandleError::Unprocessable { reason, .. }) => return Ok(Alone::Refused(reason)),
        };
        let is_last = count > 0;
        if effects.is_empty() && !(is_last && settled.is_some()) {
            return Ok(if is_last { Alone::Done } else { Alone::Refused("nothing follows from it".to_owned()) });
        }
        let base = |stamp: Stamp| match settled.filter(|_| is_last) {
            Some(letter) => Changeset::settling(stamp, letter.consumer.clone(), letter.log, letter.position),
            None => Changeset::empty(stamp),
        };
        match alm.commit_changeset(effects.into_changeset(alm, base)).await {
            Ok(_) if is_last => return Ok(Alone::Done),
            Ok(_) => {}
            Err(error @ (StoreError::Backend(_) | StoreError::Unsupported(_) | StoreError::Gone { .. })) => {
                return Err(error);
            }
            Err(error @ StoreError::Conflict(crate::ports::Contention::DeadLetter { .. })) => return Err(error),
            Err(error) => {
                refusals += 1;
                if refusals == MAX_REFUSALS {
                    return Ok(Alone::Refused(error.to_string()));
                }
            }
        }
    }
}

/// The letter that `consumer` writes about an event that it gives up on.
pub(super) fn letter(alm: &Alm, handler: &dyn Handler, event: &Event, reason: String) -> DeadLetter {
    DeadLetter {
        consumer: handler.name(),
        log: event.log,
        position: event.position,
        event_id: event.id,
        document: serde_json::to_value(CloudEvent::from(event)).unwrap_or_default(),
        reason,
        at: alm.now(),
    }
}
