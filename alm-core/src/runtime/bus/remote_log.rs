//! The log of another service, as far as the bus has brought it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::{
    changeset::ConsumerName,
    domain::{CloudEvent, Event, LogId, Position},
    measured::remote_lag,
    ports::{BackendError, BackendErrorKind, BusError, DeliveryTag, EventBus, Outcome, Place, StoreError},
    runtime::feed::{Feed, PAGE},
};

/// How many events that were asked of the owner are kept for readers that are behind. They can ask again.
const MOST_TOLD: usize = 4096;

/// What has come of one log and is not done. The log itself is elsewhere: whatever is missing is asked of its owner.
pub(super) struct RemoteLog {
    id: LogId,
    bus: Arc<dyn EventBus>,
    state: Mutex<State>,
    /// Held while the owner is asked, so that several readers do not ask for the same.
    asking: tokio::sync::Mutex<()>,
    /// Rung when there is more to read.
    news: Notify,
    /// Rung when deliveries are done.
    done: Arc<Notify>,
}

#[derive(Default)]
struct State {
    /// Those behind the checkpoint of any reader.
    events: BTreeMap<Position, Arc<Event>>,
    /// How far the log reaches, as its owner has said or a message claims.
    reaches: Position,
    /// What its owner has announced last.
    announced: Position,
    /// Where the checkpoint of each reader stands, once it is known.
    saved: Vec<Option<Position>>,
    /// Who the readers are.
    readers: Vec<ConsumerName>,
    /// The deliveries that are not acknowledged: of each event the last, for it may have come again.
    tags: BTreeMap<Position, DeliveryTag>,
    /// What came in the place of an event and can't be read.
    doubts: BTreeMap<Position, Vec<Unreadable>>,
    /// Where the log begins that the owner has, as far as it has said.
    oldest: Position,
    /// Whether the owner was asked last for what it did not tell.
    is_untold: bool,
    /// Whether the owner has said that the log ends before some of the events that have come.
    is_denied: bool,
    /// What claims to be of this log, and its owner knows nothing of.
    false_claims: Vec<Unreadable>,
}

/// Who reads it no more is not behind: another process reads it now, or no one any longer.
impl Drop for RemoteLog {
    fn drop(&mut self) {
        let mut state = self.lock();
        state.announced = Position::START;
        state.report(self.id);
    }
}

/// A message that can't be read.
#[derive(Clone, Debug)]
pub(super) struct Unreadable {
    pub(super) tag: DeliveryTag,
    pub(super) place: Place,
    pub(super) payload: Vec<u8>,
    pub(super) reason: String,
}

impl State {
    /// What every reader has done, for good.
    fn done(&self) -> Option<Position> {
        self.saved.iter().copied().min().flatten()
    }

    /// Whether the log stands still until its owner tells what comes next. Where no one has begun to read, the owner alone knows what
    /// that is.
    fn stands_before_a_gap(&self) -> bool {
        self.is_untold && self.done().is_none_or(|done| !self.events.contains_key(&done.next()))
    }

    /// The events that follow one another from behind `after` on.
    fn run(&self, after: Position) -> Vec<Arc<Event>> {
        let (mut run, mut next) = (Vec::new(), after.next());
        while run.len() < PAGE
            && let Some(event) = self.events.get(&next)
        {
            run.push(event.clone());
            next = next.next();
        }
        run
    }

    /// The events in this range are nothing of the log.
    fn put_aside(&mut self, after: Position, known: Position) {
        let later = self.events.split_off(&known.next());
        for (position, event) in self.events.split_off(&after.next()) {
            if let Some(tag) = self.tags.remove(&position) {
                self.false_claims.push(Unreadable {
                    tag,
                    place: Place { log: event.log, position },
                    payload: CloudEvent::encode(&event),
                    reason: "the log that it claims to stand in ends before it".to_owned(),
                });
            }
        }
        self.events.extend(later);
    }

    /// Reports how far behind what was announced its readers are.
    fn report(&self, log: LogId) {
        for (saved, consumer) in self.saved.iter().zip(&self.readers) {
            if let Some(saved) = saved {
                remote_lag(log, consumer, self.announced.get().saturating_sub(saved.get()));
            }
        }
    }

    /// How far the log is known to reach.
    fn end(&self) -> Position {
        self.events.last_key_value().map_or(self.reaches, |(last, _)| self.reaches.max(*last))
    }
}

impl RemoteLog {
    /// The log of this id, of which nothing is known. `done` is rung when deliveries are done.
    pub(super) fn of(bus: Arc<dyn EventBus>, id: LogId, done: Arc<Notify>) -> Self {
        Self { id, bus, state: Mutex::default(), asking: tokio::sync::Mutex::default(), news: Notify::new(), done }
    }

    /// A way to read it for one more consumer.
    pub(super) fn reader(self: &Arc<Self>, consumer: ConsumerName) -> RemoteFeed {
        let mut state = self.lock();
        state.saved.push(None);
        state.readers.push(consumer);
        RemoteFeed { log: self.clone(), number: state.saved.len() - 1 }
    }

    /// An event has come. False when it is done.
    pub(super) fn take(&self, event: Arc<Event>, tag: DeliveryTag) -> bool {
        let mut state = self.lock();
        let position = event.position;
        if state.done().is_some_and(|done| position <= done) {
            return false;
        }
        // Of two that claim one place the first is kept, unless its owner tells another.
        state.events.entry(position).or_insert(event);
        state.tags.insert(position, tag);
        drop(state);
        self.news.notify_waiters();
        true
    }

    /// How many deliveries it has that are not done.
    pub(super) fn held(&self) -> usize {
        let state = self.lock();
        state.tags.len() + state.doubts.values().map(Vec::len).sum::<usize>() + state.false_claims.len()
    }

    /// There is no room for others: when the log stands before a gap, lets all but the first `keep` deliveries go that its owner can
    /// tell again, and gives their tags. Whatever is merely not handled yet stays: its owner may have trimmed it since.
    pub(super) fn let_go(&self, keep: usize) -> Vec<DeliveryTag> {
        let mut state = self.lock();
        if !state.stands_before_a_gap() {
            return Vec::new();
        }
        state.reaches = state.end();
        if let Some((&first, _)) = state.doubts.iter().nth(keep) {
            // These no one could tell again.
            let claims = state.doubts.split_off(&first);
            state.false_claims.extend(claims.into_values().flatten());
        }
        let Some((&first, _)) = state.tags.iter().nth(keep) else { return Vec::new() };
        let first = first.max(state.oldest);
        state.events.split_off(&first);
        state.tags.split_off(&first).into_values().collect()
    }

    /// Something has come that claims to be the event at this position and can't be read. Its owner will tell. False when that is
    /// done.
    pub(super) fn doubt(&self, position: Position, message: Unreadable) -> bool {
        let mut state = self.lock();
        if state.done().is_some_and(|done| position <= done) {
            return false;
        }
        state.reaches = state.reaches.max(position);
        let doubts = state.doubts.entry(position).or_default();
        doubts.retain(|doubt| doubt.place != message.place);
        doubts.push(message);
        drop(state);
        self.news.notify_waiters();
        true
    }

    /// The owner says how far the log is. What it said the time before should have come by now.
    pub(super) fn announced(&self, position: Position) {
        let mut state = self.lock();
        if let Some(done) = state.done().filter(|done| *done > position) {
            // Its positions are given again, and what gets them will be taken for what was there before.
            tracing::error!(log = %self.id, %done, head = %position, "a log has lost its end: what comes next is not heard");
        }
        let before = std::mem::replace(&mut state.announced, position);
        state.report(self.id);
        if before.min(position) > state.reaches {
            state.reaches = before.min(position);
            drop(state);
            self.news.notify_waiters();
        }
    }

    /// The deliveries that need not come again, and the messages that are nothing of this log.
    pub(super) fn take_done(&self) -> (Vec<DeliveryTag>, Vec<Unreadable>) {
        let mut state = self.lock();
        let Some(done) = state.done() else { return (Vec::new(), std::mem::take(&mut state.false_claims)) };
        let left = state.events.split_off(&done.next());
        state.events = left;
        let left = state.tags.split_off(&done.next());
        let mut tags: Vec<_> = std::mem::replace(&mut state.tags, left).into_values().collect();
        let left = state.doubts.split_off(&done.next());
        tags.extend(std::mem::replace(&mut state.doubts, left).into_values().flatten().map(|message| message.tag));
        (tags, std::mem::take(&mut state.false_claims))
    }

    /// Events behind `after` from the owner of the log, when one is missing that should be there.
    async fn fill_gap(&self, after: Position) -> Result<(), StoreError> {
        let _asking = self.asking.lock().await;
        let known = {
            let state = self.lock();
            if state.end() <= after || state.events.contains_key(&after.next()) {
                return Ok(());
            }
            state.end()
        };
        let told = self.ask(after, PAGE).await.map_err(unanswered)?;
        tracing::debug!(log = %self.id, %after, events = told.len(), "a gap was asked of the owner of the log");
        let mut state = self.lock();
        if told.is_empty() {
            // That is the end of the log. What claimed to be behind it when it was asked is not of it.
            let later = state.doubts.split_off(&known.next());
            let claims = state.doubts.split_off(&after.next());
            state.doubts.extend(later);
            state.false_claims.extend(claims.into_values().flatten());
            state.announced = state.announced.min(after);
            let is_denied = std::mem::replace(&mut state.is_denied, true);
            if is_denied {
                state.put_aside(after, known);
            }
            let last = state.events.last_key_value().map_or(after, |(last, _)| *last);
            state.reaches = state.doubts.last_key_value().map_or(last, |(doubt, _)| last.max(*doubt));
            let is_beyond = state.end() > after;
            drop(state);
            self.done.notify_one();
            // It comes to this when the owner has lost the end of its log to a failover, or someone else publishes in its name.
            return if is_beyond { Err(lost_end()) } else { Ok(()) };
        }
        state.is_denied = false;
        for event in told {
            state.reaches = state.reaches.max(event.position);
            state.events.insert(event.position, event);
        }
        drop(state);
        self.news.notify_waiters();
        Ok(())
    }

    /// What the owner of the log tells of it.
    async fn ask(&self, after: Position, limit: usize) -> Result<Vec<Arc<Event>>, BusError> {
        let told = self.bus.replay(self.id, after, limit).await;
        let mut state = self.lock();
        state.is_untold = told.is_err();
        if let Err(BusError::Gone { oldest }) = &told {
            state.oldest = state.oldest.max(*oldest);
        }
        drop(state);
        told
    }

    /// What was delivered comes again, with other tags.
    pub(super) fn forget_tags(&self) {
        let mut state = self.lock();
        state.tags.clear();
        state.doubts.clear();
        state.false_claims.clear();
    }

    // No state is left half done by a panic: none happens while the lock is held.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One consumer's way to read a log.
pub(super) struct RemoteFeed {
    log: Arc<RemoteLog>,
    number: usize,
}

#[async_trait]
impl Feed for RemoteFeed {
    fn log_id(&self) -> LogId {
        self.log.id
    }

    async fn read(&self, after: Position) -> Result<Vec<Arc<Event>>, StoreError> {
        let here = self.log.lock().run(after);
        if !here.is_empty() {
            return Ok(here);
        }
        self.log.fill_gap(after).await?;
        Ok(self.log.lock().run(after))
    }

    async fn oldest(&self) -> Result<Position, StoreError> {
        let first = self.log.lock().events.first_key_value().map(|(first, _)| *first);
        if first == Some(Position::START.next()) {
            return Ok(Position::START.next());
        }
        match self.log.ask(Position::START, 1).await {
            Ok(_) => Ok(Position::START.next()),
            // The bus may still have what its owner has not.
            Err(BusError::Gone { oldest }) => Ok(first.map_or(oldest, |first| first.min(oldest))),
            Err(error) => Err(unanswered(error)),
        }
    }

    async fn changed(&self, after: Position) -> Result<(), StoreError> {
        loop {
            // Listens before it looks, or what comes in between would not wake it.
            let news = self.log.news.notified();
            if self.log.lock().end() > after {
                return Ok(());
            }
            news.await;
        }
    }

    async fn forget(&self) {}

    fn saved(&self, position: Position) {
        let mut state = self.log.lock();
        let before = state.done();
        if let Some(saved) = state.saved.get_mut(self.number) {
            *saved = Some(position);
        }
        let is_news = state.done() != before;
        state.report(self.log.id);
        if state.events.len() > MOST_TOLD {
            let State { events, tags, .. } = &mut *state;
            events.retain(|at, _| *at > position || tags.contains_key(at));
        }
        drop(state);
        if is_news {
            self.log.done.notify_one();
        }
    }
}

fn unanswered(error: BusError) -> StoreError {
    match error {
        BusError::Gone { oldest } => StoreError::Gone { oldest },
        BusError::Backend(error) => error.into(),
        error => BackendError::internal("bus", "replay").with_source(error).into(),
    }
}

fn lost_end() -> StoreError {
    BackendError {
        kind: BackendErrorKind::Unavailable,
        adapter: "bus",
        operation: "replay",
        outcome: Outcome::NotApplied,
        retry_after: None,
        source: Some("the bus has events behind the end of the log that they are said to stand in".into()),
    }
    .into()
}
