//! Messages that can't be read and stand in no log.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::{
    changeset::Changeset,
    domain::{Actor, ChangesetId, CloudEvent, Event, EventData, EventId, NewEvent, Subject, Unread},
    policy::Principal,
    ports::{DeliveryTag, Place, StoreError, Timer},
    runtime::{
        alone::{Alone, handle_alone, letter},
        backoff::Backoff,
        handler::UNREADABLE,
    },
    services::{Alm, Context},
};

use super::remote_log::Unreadable;

/// Those that wait to be put aside. There is no checkpoint for them, so one whose process ends before it is acknowledged is put
/// aside again.
#[derive(Default)]
pub(super) struct Strays {
    queue: Mutex<VecDeque<Stray>>,
    bell: Notify,
}

/// A message, and how many handlers have put it aside.
#[derive(Clone)]
struct Stray {
    message: Unreadable,
    handled: usize,
}

impl Strays {
    /// One has come.
    pub(super) fn push(&self, message: Unreadable) {
        let mut queue = self.lock();
        match queue.iter_mut().find(|stray| stray.message.place == message.place) {
            // It has come again.
            Some(stray) => stray.message.tag = message.tag,
            None => queue.push_back(Stray { message, handled: 0 }),
        }
        drop(queue);
        self.bell.notify_one();
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Those that were delivered come again.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    /// Hands them to every handler, for ever; tells `done` which need not come again.
    pub(super) async fn put_aside(&self, alm: &Alm, timer: &dyn Timer, done: impl Fn(DeliveryTag) + Sync) {
        let mut backoff = Backoff::default();
        loop {
            let next = self.lock().front().cloned();
            let Some(mut stray) = next else {
                self.bell.notified().await;
                continue;
            };
            let handed = hand_over(alm, &mut stray).await;
            if let Some(tag) = self.handed(&stray, handed.is_ok()) {
                done(tag);
            }
            match handed {
                Ok(()) => backoff.reset(),
                Err(error) => {
                    let delay = backoff.next(alm.random());
                    tracing::warn!(error = &error as &dyn std::error::Error, ?delay, "a message waits to be put aside");
                    timer.sleep(delay).await;
                }
            }
        }
    }

    /// The message was handed over, to all or to some: it goes, or the others have their turn. Gives its tag when it goes.
    fn handed(&self, stray: &Stray, to_all: bool) -> Option<DeliveryTag> {
        let mut queue = self.lock();
        // A new subscription may have cleared it meanwhile, or it has come again under another tag.
        let at = queue.iter().position(|other| other.message.place == stray.message.place)?;
        let mut current = queue.remove(at)?;
        if to_all {
            return Some(current.message.tag);
        }
        current.handled = stray.handled;
        queue.push_back(current);
        None
    }

    // Nothing is left half done by a panic: none happens while the lock is held.
    fn lock(&self) -> MutexGuard<'_, VecDeque<Stray>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn hand_over(alm: &Alm, stray: &mut Stray) -> Result<(), StoreError> {
    let event = Arc::new(as_event(alm, &stray.message));
    tracing::error!(place = %event.position, reason = stray.message.reason, "a message of the bus cannot be read");
    for handler in &alm.inner.handlers[stray.handled..] {
        if let Alone::Refused(reason) = handle_alone(alm, handler.as_ref(), &event, None).await? {
            let letter = letter(alm, handler.as_ref(), &event, reason);
            let stamp = alm.stamp(&Context::new(Principal::system()));
            alm.commit_changeset(Changeset::empty(stamp).burying(letter)).await?;
        }
        stray.handled += 1;
    }
    Ok(())
}

/// The message as an event that can't be read, standing in the log that is the bus.
fn as_event(alm: &Alm, message: &Unreadable) -> Event {
    let Place { log, position } = message.place;
    let told = CloudEvent::decode_as_is(&message.payload).ok();
    let text = |named: fn(&EventData) -> &str, else_: &str| {
        told.as_ref().map(|event| named(&event.data)).filter(|text| !text.is_empty()).unwrap_or(else_).to_owned()
    };
    let unread = Unread {
        event_type: text(EventData::type_name, UNREADABLE),
        source: text(EventData::source_name, "unknown"),
        subject: Subject::Events.to_string(),
        data: serde_json::json!({
            "reason": message.reason,
            "payload": String::from_utf8_lossy(&message.payload),
        }),
        reason: message.reason.clone(),
    };
    let event = NewEvent {
        id: EventId::new(alm.uuid()),
        subject: Subject::Events,
        data: EventData::Unread(Box::new(unread)),
        time: alm.now(),
        actor: Actor::anonymous(),
        trace: None,
    };
    Event { log, position, changeset: ChangesetId::new(alm.uuid()), event }
}
