//! The loop: read from the checkpoint on, handle, commit effects and checkpoint together.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Either, join, select},
};

use crate::{
    changeset::{Changeset, Checkpoint, ConsumerName},
    domain::{Event, EventType, Position, Timestamp},
    ports::{BackendError, Contention, Store, StoreError, Timer},
    services::Alm,
};

use super::{
    alone::{MAX_REFUSALS, letter},
    backoff::Backoff,
    feed::{Feed, PAGE},
    handler::{Effects, HandleError, Handled, Handler, HandlerContext},
    tail::Tail,
    turn::yield_now,
};

/// When nothing follows from events, saying so at once would cost a commit for each of those that wrote them. So long after the end
/// of the log is reached, or so many events later, the checkpoint says so.
const SAVE_AFTER: Duration = Duration::from_millis(50);
const MOST_UNSAVED: u64 = 4096;
/// How long at most until the log is looked at again, whatever [`changed`](crate::ports::EventLog::changed) says.
const POLL: Duration = Duration::from_secs(1);

/// One consumer of one log: of the store that it writes to, or of another service.
pub struct Consumer {
    alm: Alm,
    handler: Arc<dyn Handler>,
    name: ConsumerName,
    log: Arc<dyn Feed>,
}

/// Why a step was not made.
enum Stop {
    /// The store failed, or someone else reads under the same name: find out where we stand, then go on.
    LookAgain(StoreError),
    /// What was decided does not fit the state any more: decide again.
    DecideAgain(StoreError),
}

/// How far a consumer is.
#[derive(Clone, Copy)]
struct Stand {
    /// The last event that it has handled.
    handled: Position,
    /// What its checkpoint says. Nothing has followed from the events behind it.
    saved: Position,
}

impl Stand {
    fn is_saved(self) -> bool {
        self.handled == self.saved
    }
}

impl Consumer {
    /// The consumer that `handler` is for, of the log of the store.
    pub fn new(alm: Alm, handler: Arc<dyn Handler>) -> Self {
        let log = Arc::new(Tail::of(alm.inner.store.clone()));
        Self::reading(log, alm, handler)
    }

    /// One that reads that log.
    pub(super) fn reading(log: Arc<dyn Feed>, alm: Alm, handler: Arc<dyn Handler>) -> Self {
        let name = handler.name();
        Self { alm, handler, name, log }
    }

    /// Consumes for ever. The checkpoint may be a moment behind when nothing follows from events.
    pub async fn run(&self, timer: &dyn Timer) {
        let mut backoff = Backoff::default();
        let mut known = None;
        let mut save_due: Option<BoxFuture<'_, ()>> = None;
        loop {
            // A handler that panics must not take the other consumers with it.
            let caught = AssertUnwindSafe(self.go_on(&mut known, save_due.as_mut(), timer)).catch_unwind().await;
            match caught.unwrap_or_else(|panic| Err(panicked("handler", "handle events", panic.as_ref()))) {
                Ok(()) => {
                    backoff.reset();
                    if known.is_none_or(Stand::is_saved) {
                        save_due = None;
                    } else {
                        save_due.get_or_insert_with(|| timer.sleep(SAVE_AFTER));
                    }
                }
                Err(error) => {
                    // What was handled before must not be handed over again each time.
                    if let Some(stand) = &mut known
                        && let Err(error) = self.save(stand).await
                    {
                        tracing::debug!(consumer = %self.name, error = error.code(), "where it stands is not saved");
                    }
                    (known, save_due) = (None, None);
                    let delay = backoff.next(self.alm.random());
                    tracing::warn!(consumer = %self.name, error = &error as &dyn std::error::Error, ?delay, "consumer waits");
                    timer.sleep(delay).await;
                }
            }
        }
    }

    /// Waits for events behind where it is known to stand and handles them, or saves where it stands when that is due. Whoever does
    /// not know finds out and handles what there is.
    async fn go_on(
        &self,
        known: &mut Option<Stand>,
        save_due: Option<&mut BoxFuture<'_, ()>>,
        timer: &dyn Timer,
    ) -> Result<(), StoreError> {
        let Some(stand) = known else {
            let stand = known.insert(self.begin().await?);
            return self.handle_all(stand, timer).await;
        };
        let wait = self.wait(stand.handled, timer);
        let has_changed = match save_due {
            None => wait.await,
            Some(due) => match select(due, std::pin::pin!(wait)).await {
                Either::Left(_) => return self.save(stand).await,
                Either::Right((has_changed, _)) => has_changed,
            },
        };
        if !has_changed {
            // Perhaps it stands somewhere else by now: another process has gone on, or the store has lost what it said before.
            self.save(stand).await?;
            *stand = self.begin().await?;
        }
        self.handle_all(stand, timer).await
    }

    /// Handles everything that is in the log; says where it stands then.
    ///
    /// # Errors
    /// The store failed, or what is to be handled next is [gone](StoreError::Gone). What was handled before is committed, unless that
    /// is what failed.
    pub async fn catch_up(&self, timer: &dyn Timer) -> Result<Position, StoreError> {
        let mut stand = self.begin().await?;
        let handled = self.handle_all(&mut stand, timer).await;
        let saved = self.save(&mut stand).await;
        handled.and(saved).map(|()| stand.handled)
    }

    async fn handle_all(&self, stand: &mut Stand, timer: &dyn Timer) -> Result<(), StoreError> {
        let mut events = self.log.read(stand.handled).await?;
        while let Some(last) = events.last().map(|event| event.position) {
            // Behind a full page there are more: they are read meanwhile.
            let read_on = async { if events.len() < PAGE { Ok(Vec::new()) } else { self.log.read(last).await } };
            let (consumed, next) = join(self.consume(&events, stand, timer), read_on).await;
            consumed?;
            let next = if stand.handled == last { next? } else { Vec::new() };
            events = if next.is_empty() { self.log.read(stand.handled).await? } else { next };
        }
        Ok(())
    }

    /// Moves the checkpoint to what was handled.
    async fn save(&self, stand: &mut Stand) -> Result<(), StoreError> {
        if !stand.is_saved() {
            let changeset = self.changeset(Effects::default(), stand.saved, stand.handled);
            *stand = match self.alm.commit_changeset(changeset).await {
                Ok(_) => self.stand_at(stand.handled),
                Err(StoreError::Conflict(Contention::Checkpoint(_))) => self.begin().await?,
                Err(error) => return Err(error),
            };
        }
        Ok(())
    }

    /// Where it stands by its checkpoint.
    async fn begin(&self) -> Result<Stand, StoreError> {
        self.log.forget().await;
        let stands = self.store().checkpoint(&self.name, self.log.log_id()).await?;
        Ok(self.stand_at(match stands {
            Some(position) => position,
            None => self.begin_anew().await?,
        }))
    }

    /// It stands there by its checkpoint.
    fn stand_at(&self, position: Position) -> Stand {
        self.log.saved(position);
        Stand { handled: position, saved: position }
    }

    /// Where it begins that has never stood anywhere: before the oldest event that is kept.
    async fn begin_anew(&self) -> Result<Position, StoreError> {
        let oldest = self.log.oldest().await?;
        let position = oldest.previous();
        if position > Position::START {
            // So that from now on it is not new: what comes to be gone without it must not be passed over.
            self.alm.commit_changeset(self.changeset(Effects::default(), Position::START, position)).await?;
            tracing::warn!(consumer = %self.name, %oldest, "a new consumer begins at the oldest event that is kept");
        }
        Ok(position)
    }

    async fn consume(&self, events: &[Arc<Event>], stand: &mut Stand, timer: &dyn Timer) -> Result<(), StoreError> {
        let mut rest = events;
        let mut waits = Backoff::default();
        let mut refusals = 0;
        // Once an effect was refused too often, events are handed over one by one: so the one that it follows from is found,
        // and no other is given up with it.
        let mut alone = false;
        while !rest.is_empty() {
            let given = if alone { &rest[..1] } else { rest };
            match self.step(given, stand).await {
                Ok(done) => {
                    waits.reset();
                    refusals = 0;
                    rest = rest.get(done..).unwrap_or_default();
                    yield_now().await;
                }
                Err(Stop::LookAgain(StoreError::Conflict(Contention::Checkpoint(_)))) => {
                    *stand = self.begin().await?;
                    return Ok(());
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
                        self.bury(rest, 0, stand, error.to_string()).await?;
                        rest = &rest[1..];
                        alone = false;
                        waits.reset();
                    }
                }
            }
        }
        Ok(())
    }

    /// Handles some events from the front on; says how many.
    async fn step(&self, events: &[Arc<Event>], stand: &mut Stand) -> Result<usize, Stop> {
        let begun = self.alm.now();
        let Handled { count, effects } = match self.handler.handle(events, &HandlerContext(&self.alm)).await {
            Ok(handled) => handled,
            Err(HandleError::Store(error)) => return Err(Stop::LookAgain(error)),
            Err(HandleError::Backend(error)) => return Err(Stop::LookAgain(error.into())),
            Err(HandleError::Unprocessable { at, reason }) => {
                if at >= events.len() {
                    return Err(Stop::LookAgain(impossible("the event that cannot be handled is none of those given")));
                }
                self.bury(events, at, stand, reason).await.map_err(Stop::LookAgain)?;
                return Ok(at + 1);
            }
        };
        if count > events.len() || (count == 0 && effects.is_empty()) {
            return Err(Stop::LookAgain(impossible(
                "a handler counted events that it was not given, or did nothing at all",
            )));
        }
        let to = count.checked_sub(1).and_then(|last| events.get(last)).map_or(stand.handled, |last| last.position);
        if effects.is_empty() && to.get() - stand.saved.get() < MOST_UNSAVED {
            stand.handled = to;
            return Ok(count);
        }
        let changeset = self.changeset(effects, stand.saved, to);
        tracing::trace!(name: "consumer_decided", consumer = %self.name, "effects are to be committed");
        match self.alm.commit_changeset(changeset).await {
            Ok(_) => {
                tracing::trace!(name: "consumer_done", consumer = %self.name, "effects are committed");
                self.tell_spans(events.iter().take(count), begun);
                *stand = self.stand_at(to);
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

    /// Tells of the spans that events had here, each in the trace of its event, for those who collect them.
    fn tell_spans<'e>(&self, events: impl Iterator<Item = &'e Arc<Event>>, begun: Timestamp) {
        if !tracing::enabled!(target: "alm_core::span", tracing::Level::DEBUG) {
            return;
        }
        let took = u64::try_from(self.alm.now().micros() - begun.micros()).unwrap_or(0);
        for (event, trace) in events.filter_map(|event| Some((event, event.trace.as_ref()?))) {
            tracing::debug!(
                target: "alm_core::span",
                consumer = self.name.as_str(),
                event_type = event.data.event_type().map(EventType::as_str),
                duration_us = took,
                trace_id = trace.trace_id(),
                span_id = trace.with_span(self.alm.uuid()).span_id(),
                parent_span_id = trace.span_id(),
                trace_flags = trace.flags(),
                "handled"
            );
        }
    }

    /// Puts the event at place `at` to the dead letters and moves on behind it.
    async fn bury(
        &self,
        events: &[Arc<Event>],
        at: usize,
        stand: &mut Stand,
        reason: String,
    ) -> Result<(), StoreError> {
        let Some(event) = events.get(at) else { return Ok(()) };
        tracing::error!(consumer = %self.name, event = %event.id, position = %event.position, reason, "event buried");
        let letter = letter(&self.alm, self.handler.as_ref(), event, reason);
        let changeset = self.changeset(Effects::default(), stand.saved, event.position).burying(letter);
        self.alm.commit_changeset(changeset).await?;
        *stand = self.stand_at(event.position);
        Ok(())
    }

    fn changeset(&self, effects: Effects, from: Position, to: Position) -> Changeset {
        let checkpoint = Checkpoint { consumer: self.name.clone(), log: self.log.log_id(), from, to };
        effects.into_changeset(&self.alm, |stamp| Changeset::progress(stamp, checkpoint))
    }

    /// Waits for events behind `position`; false when none are known to have come for a while.
    async fn wait(&self, position: Position, timer: &dyn Timer) -> bool {
        let changed = async {
            if self.log.changed(position).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        matches!(select(std::pin::pin!(changed), timer.sleep(POLL)).await, Either::Left(_))
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
