//! The loop: read from the checkpoint on, handle, commit effects and checkpoint together.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::select};
use serde_json::Value;

use crate::{
    changeset::{Changeset, Checkpoint, ConsumerName, DeadLetter},
    domain::{CloudEvent, Event, Position},
    ports::{BackendError, Contention, Store, StoreError, Timer},
    services::Alm,
};

use super::{
    backoff::Backoff,
    handler::{Effects, HandleError, Handled, Handler, HandlerContext},
    turn::yield_now,
};

/// How many events are read at once.
const BATCH: usize = 256;
/// How long at most until the log is looked at again, whatever [`changed`](crate::ports::EventLog::changed) says.
const POLL: Duration = Duration::from_secs(1);
/// How often a handler may decide what can't be committed before the event goes to the dead letters.
const MAX_REFUSALS: u32 = 16;

/// One consumer of the log of the store it writes to.
pub struct Consumer {
    alm: Alm,
    handler: Arc<dyn Handler>,
    name: ConsumerName,
}

/// Why a step was not made.
enum Stop {
    /// The store failed, or someone else reads under the same name: find out where we stand, then go on.
    LookAgain(StoreError),
    /// What was decided does not fit the state any more: decide again.
    DecideAgain(StoreError),
}

impl Consumer {
    /// The consumer that `handler` is for.
    pub fn new(alm: Alm, handler: Arc<dyn Handler>) -> Self {
        let name = handler.name();
        Self { alm, handler, name }
    }

    /// Consumes for ever.
    pub async fn run(&self, timer: &dyn Timer) {
        let mut backoff = Backoff::default();
        loop {
            // A handler that panics must not take the other consumers with it.
            let caught = AssertUnwindSafe(self.catch_up(timer)).catch_unwind().await;
            match caught.unwrap_or_else(|panic| Err(panicked("handler", "handle events", panic.as_ref()))) {
                Ok(position) => {
                    backoff.reset();
                    self.wait(position, timer).await;
                }
                Err(error) => {
                    let delay = backoff.next(self.alm.random());
                    tracing::warn!(consumer = %self.name, error = &error as &dyn std::error::Error, ?delay, "consumer waits");
                    timer.sleep(delay).await;
                }
            }
        }
    }

    /// Handles everything that is in the log; says where it stands then.
    ///
    /// # Errors
    /// The store failed, or what is to be handled next is [gone](StoreError::Gone). What was handled before is committed.
    pub async fn catch_up(&self, timer: &dyn Timer) -> Result<Position, StoreError> {
        let store = self.store();
        let mut position = match self.stands().await? {
            Some(position) => position,
            None => self.begin().await?,
        };
        loop {
            let events = store.read(position, BATCH).await?;
            if events.is_empty() {
                return Ok(position);
            }
            position = self.consume(&events, position, timer).await?;
        }
    }

    async fn stands(&self) -> Result<Option<Position>, StoreError> {
        self.store().checkpoint(&self.name, self.store().log_id()).await
    }

    /// Where it begins that has never stood anywhere: before the oldest event that is kept.
    async fn begin(&self) -> Result<Position, StoreError> {
        let oldest = self.store().oldest().await?;
        let position = oldest.previous();
        if position > Position::START {
            // So that from now on it is not new: what comes to be gone without it must not be passed over.
            self.alm.commit_changeset(self.changeset(Effects::default(), Position::START, position)).await?;
            tracing::warn!(consumer = %self.name, %oldest, "a new consumer begins at the oldest event that is kept");
        }
        Ok(position)
    }

    async fn consume(&self, events: &[Arc<Event>], from: Position, timer: &dyn Timer) -> Result<Position, StoreError> {
        let (mut rest, mut position) = (events, from);
        let mut waits = Backoff::default();
        let mut refusals = 0;
        // Once an effect was refused too often, events are handed over one by one: so the one that it follows from is found,
        // and no other is given up with it.
        let mut alone = false;
        while !rest.is_empty() {
            let given = if alone { &rest[..1] } else { rest };
            match self.step(given, position).await {
                Ok(done) => {
                    waits.reset();
                    refusals = 0;
                    if let Some(last) = done.checked_sub(1).and_then(|last| rest.get(last)) {
                        position = last.position;
                    }
                    rest = rest.get(done..).unwrap_or_default();
                    yield_now().await;
                }
                Err(Stop::LookAgain(StoreError::Conflict(Contention::Checkpoint(_)))) => {
                    return Ok(self.stands().await?.unwrap_or(Position::START));
                }
                Err(Stop::LookAgain(error)) => return Err(error),
                Err(Stop::DecideAgain(error)) => {
                    tracing::debug!(consumer = %self.name, error = error.code(), "consumer decides again");
                    timer.sleep(waits.next(self.alm.random())).await;
                    // That someone else was faster is never a reason to give up.
                    refusals += u32::from(!error.is_retryable());
                    if refusals < MAX_REFUSALS {
                        continue;
                    }
                    refusals = 0;
                    if given.len() > 1 {
                        alone = true;
                    } else {
                        position = self.bury(rest, 0, position, error.to_string()).await?;
                        rest = &rest[1..];
                        alone = false;
                        waits.reset();
                    }
                }
            }
        }
        Ok(position)
    }

    /// Handles some events from the front on; says how many.
    async fn step(&self, events: &[Arc<Event>], position: Position) -> Result<usize, Stop> {
        let Handled { count, effects } = match self.handler.handle(events, &HandlerContext(&self.alm)).await {
            Ok(handled) => handled,
            Err(HandleError::Store(error)) => return Err(Stop::LookAgain(error)),
            Err(HandleError::Backend(error)) => return Err(Stop::LookAgain(error.into())),
            Err(HandleError::Unprocessable { at, reason }) => {
                if at >= events.len() {
                    return Err(Stop::LookAgain(impossible("the event that cannot be handled is none of those given")));
                }
                self.bury(events, at, position, reason).await.map_err(Stop::LookAgain)?;
                return Ok(at + 1);
            }
        };
        if count > events.len() || (count == 0 && effects.is_empty()) {
            return Err(Stop::LookAgain(impossible(
                "a handler counted events that it was not given, or did nothing at all",
            )));
        }
        let to = count.checked_sub(1).and_then(|last| events.get(last)).map_or(position, |last| last.position);
        let changeset = self.changeset(effects, position, to);
        tracing::trace!(name: "consumer_decided", consumer = %self.name, "effects are to be committed");
        match self.alm.commit_changeset(changeset).await {
            Ok(_) => {
                tracing::trace!(name: "consumer_done", consumer = %self.name, "effects are committed");
                Ok(count)
            }
            Err(error) => Err(match error {
                StoreError::Conflict(Contention::Checkpoint(_)) | StoreError::Gone { .. } | StoreError::Backend(_) => {
                    Stop::LookAgain(error)
                }
                StoreError::AlreadyExists(_)
                | StoreError::NotFound(_)
                | StoreError::Conflict(_)
                | StoreError::GuardFailed(_)
                | StoreError::Unsupported(_) => Stop::DecideAgain(error),
            }),
        }
    }

    /// Puts the event at place `at` to the dead letters and moves on behind it.
    async fn bury(
        &self,
        events: &[Arc<Event>],
        at: usize,
        position: Position,
        reason: String,
    ) -> Result<Position, StoreError> {
        let Some(event) = events.get(at) else { return Ok(position) };
        tracing::error!(consumer = %self.name, event = %event.id, position = %event.position, reason, "event buried");
        let letter = DeadLetter {
            consumer: self.name.clone(),
            log: event.log,
            position: event.position,
            event_id: event.id,
            document: serde_json::to_value(CloudEvent::from(event.as_ref())).unwrap_or(Value::Null),
            reason,
            at: self.alm.now(),
        };
        let changeset = self.changeset(Effects::default(), position, event.position).burying(letter);
        self.alm.commit_changeset(changeset).await?;
        Ok(event.position)
    }

    fn changeset(&self, effects: Effects, from: Position, to: Position) -> Changeset {
        let checkpoint = Checkpoint { consumer: self.name.clone(), log: self.store().log_id(), from, to };
        effects.into_changeset(&self.alm, checkpoint)
    }

    async fn wait(&self, position: Position, timer: &dyn Timer) {
        let changed = async {
            if self.store().changed(position).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        select(std::pin::pin!(changed), timer.sleep(POLL)).await;
    }

    fn store(&self) -> &dyn Store {
        self.alm.inner.store.as_ref()
    }
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A fault of a handler. It is waited out like any other, so that it is seen and no event is lost.
fn impossible(what: &'static str) -> StoreError {
    BackendError::internal("handler", "handle events").with_source(what).into()
}

/// A fault that shows what panicked, of `adapter` while it did `operation`.
pub(super) fn panicked(adapter: &'static str, operation: &'static str, panic: &(dyn Any + Send)) -> StoreError {
    let message = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let message = format!("it panicked: {}", message.unwrap_or("no message"));
    BackendError::internal(adapter, operation).with_source(message).into()
}
