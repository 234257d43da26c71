//! The inbox: what other services tell over the bus, to the consumers of this one.

use std::{
    collections::{BTreeMap, VecDeque},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{
    StreamExt,
    future::{Either, join4, pending, select},
    stream::FuturesUnordered,
};
use tokio::sync::Notify;

use crate::{
    changeset::{Changeset, ConsumerName},
    domain::{Actor, ChangesetId, CloudEvent, Event, EventData, EventId, LogId, NewEvent, Position, Subject, Unread},
    policy::Principal,
    ports::{BusError, Delivery, DeliveryTag, EventBus, Message, StoreError, Subscription, Timer},
    runtime::{
        alone::{Alone, handle_alone, letter},
        backoff::Backoff,
        consumer::Consumer,
        handler::{Handler, UNREADABLE},
    },
    services::{Alm, Context},
};

use super::remote_log::{RemoteLog, Unreadable};

/// How many messages are taken at once.
const BATCH: usize = 512;
/// How many messages are taken and not acknowledged at most.
const MOST_UNACKNOWLEDGED: usize = 8192;
/// How many logs there may be. There is one for each service, so this is about what someone makes up.
const MOST_LOGS: usize = 256;

/// Reads the bus under one name, for all consumers of a process. Each of them has a checkpoint for each log; a delivery is
/// acknowledged when the checkpoints of all are behind it.
pub(super) struct Inbox {
    alm: Alm,
    bus: Arc<dyn EventBus>,
    name: ConsumerName,
    logs: Mutex<BTreeMap<LogId, Arc<RemoteLog>>>,
    /// Logs that no one reads yet.
    found: Mutex<Vec<Arc<RemoteLog>>>,
    found_bell: Notify,
    /// What can't be read and stands in no log.
    strays: Mutex<VecDeque<Unreadable>>,
    strays_bell: Notify,
    /// Deliveries that are done.
    done: Mutex<Vec<DeliveryTag>>,
    done_bell: Arc<Notify>,
}

impl Inbox {
    pub(super) fn of(alm: Alm, bus: Arc<dyn EventBus>, name: ConsumerName) -> Self {
        Self {
            alm,
            bus,
            name,
            logs: Mutex::default(),
            found: Mutex::default(),
            found_bell: Notify::new(),
            strays: Mutex::default(),
            strays_bell: Notify::new(),
            done: Mutex::default(),
            done_bell: Arc::default(),
        }
    }

    /// Reads for ever.
    pub(super) async fn run(&self, timer: &dyn Timer) {
        join4(self.receive(timer), self.consume(timer), self.listen(timer), self.put_aside(timer)).await;
    }

    /// Takes messages in, and acknowledges those that are done.
    async fn receive(&self, timer: &dyn Timer) {
        let mut backoff = Backoff::default();
        loop {
            let failed = match self.bus.subscribe(&self.name).await {
                Ok(mut subscription) => self.receive_from(subscription.as_mut(), &mut backoff).await,
                Err(error) => error,
            };
            let delay = backoff.next(self.alm.random());
            tracing::warn!(error = &failed as &dyn std::error::Error, ?delay, "the bus is not read");
            timer.sleep(delay).await;
        }
    }

    /// Goes on until the bus fails.
    async fn receive_from(&self, subscription: &mut dyn Subscription, backoff: &mut Backoff) -> BusError {
        // Tags count within their subscription alone.
        let mut held = 0_usize;
        self.forget_tags();
        loop {
            let done = self.take_done();
            if !done.is_empty() {
                held = held.saturating_sub(done.len());
                if let Err(error) = subscription.ack(&done).await {
                    return error;
                }
            }
            let room = MOST_UNACKNOWLEDGED.saturating_sub(held).min(BATCH);
            let next = async {
                if room == 0 {
                    return pending().await;
                }
                subscription.next(room).await
            };
            match select(pin!(next), pin!(self.done_bell.notified())).await {
                Either::Left((Ok(deliveries), _)) => {
                    backoff.reset();
                    held += deliveries.len();
                    for delivery in deliveries {
                        self.sort(delivery);
                    }
                }
                Either::Left((Err(error), _)) => return error,
                Either::Right(_) => {}
            }
        }
    }

    /// Puts a message where it belongs.
    fn sort(&self, delivery: Delivery) {
        let tag = delivery.tag;
        let is_kept = match delivery.message {
            Message::Event(event) if event.log == self.own_log() => false,
            Message::Event(event) => match self.log(event.log) {
                Some(log) => log.take(event, tag),
                None => self.stray(one_log_too_many(&event, tag)),
            },
            Message::Unreadable { place, payload, reason } => {
                let claim = CloudEvent::place(&payload).filter(|(log, _)| *log != self.own_log());
                let message = Unreadable { tag, place: (place.log, place.position), payload, reason };
                match claim.and_then(|(log, position)| Some((self.log(log)?, position))) {
                    Some((log, position)) => log.doubt(position, message),
                    None => self.stray(message),
                }
            }
        };
        if !is_kept {
            lock(&self.done).push(tag);
            self.done_bell.notify_one();
        }
    }

    fn stray(&self, message: Unreadable) -> bool {
        lock(&self.strays).push_back(message);
        self.strays_bell.notify_one();
        true
    }

    /// The deliveries that are done.
    fn take_done(&self) -> Vec<DeliveryTag> {
        let mut done = std::mem::take(&mut *lock(&self.done));
        let logs: Vec<_> = lock(&self.logs).values().cloned().collect();
        for log in logs {
            let (tags, false_claims) = log.take_done();
            done.extend(tags);
            for claim in false_claims {
                self.stray(claim);
            }
        }
        done
    }

    /// What an earlier subscription gave comes again, so it is kept no longer than it is needed.
    fn forget_tags(&self) {
        lock(&self.done).clear();
        lock(&self.strays).clear();
        for log in lock(&self.logs).values() {
            log.forget_tags();
        }
    }

    /// The log of this id; none when there are too many.
    fn log(&self, id: LogId) -> Option<Arc<RemoteLog>> {
        let mut logs = lock(&self.logs);
        if let Some(log) = logs.get(&id) {
            return Some(log.clone());
        }
        if logs.len() >= MOST_LOGS {
            return None;
        }
        let log = Arc::new(RemoteLog::of(self.bus.clone(), id, self.done_bell.clone()));
        logs.insert(id, log.clone());
        drop(logs);
        tracing::info!(log = %id, "the log of another service is read");
        lock(&self.found).push(log.clone());
        self.found_bell.notify_one();
        Some(log)
    }

    /// Lets every handler consume every log.
    async fn consume(&self, timer: &dyn Timer) {
        let mut running = FuturesUnordered::new();
        loop {
            for log in std::mem::take(&mut *lock(&self.found)) {
                for handler in self.handlers() {
                    let consumer = Consumer::reading(Arc::new(log.reader()), self.alm.clone(), handler.clone());
                    running.push(async move { consumer.run(timer).await });
                }
            }
            let run = async {
                // Without any there is nothing to wait for; and none ever ends.
                if running.next().await.is_none() {
                    pending::<()>().await;
                }
            };
            select(pin!(run), pin!(self.found_bell.notified())).await;
        }
    }

    /// Hears how far the logs are.
    async fn listen(&self, timer: &dyn Timer) {
        let mut backoff = Backoff::default();
        loop {
            let failed = match self.bus.heads().await {
                Ok(mut heads) => loop {
                    match heads.next().await {
                        Ok(head) => {
                            backoff.reset();
                            if head.log != self.own_log()
                                && head.position > Position::START
                                && let Some(log) = self.log(head.log)
                            {
                                log.announced(head.position);
                            }
                        }
                        Err(error) => break error,
                    }
                },
                Err(error) => error,
            };
            let delay = backoff.next(self.alm.random());
            tracing::debug!(error = &failed as &dyn std::error::Error, ?delay, "no heads are heard");
            timer.sleep(delay).await;
        }
    }

    /// Hands what can't be read and stands in no log to every handler. As there is no checkpoint for it, it is handed over again when
    /// the process ends before it is acknowledged.
    async fn put_aside(&self, timer: &dyn Timer) {
        let mut backoff = Backoff::default();
        loop {
            let next = lock(&self.strays).front().cloned();
            let Some(message) = next else {
                self.strays_bell.notified().await;
                continue;
            };
            match self.hand_over(&message).await {
                Ok(()) => {
                    backoff.reset();
                    let mut strays = lock(&self.strays);
                    // A new subscription may have cleared them meanwhile.
                    if strays.front().is_some_and(|front| front.tag == message.tag) {
                        strays.pop_front();
                        drop(strays);
                        lock(&self.done).push(message.tag);
                        self.done_bell.notify_one();
                    }
                }
                Err(error) => {
                    let delay = backoff.next(self.alm.random());
                    tracing::warn!(error = &error as &dyn std::error::Error, ?delay, "a message waits to be put aside");
                    timer.sleep(delay).await;
                }
            }
        }
    }

    async fn hand_over(&self, message: &Unreadable) -> Result<(), StoreError> {
        let event = Arc::new(self.as_event(message));
        tracing::error!(place = %event.position, reason = message.reason, "a message of the bus cannot be read");
        for handler in self.handlers() {
            if let Alone::Refused(reason) = handle_alone(&self.alm, handler.as_ref(), &event, None).await? {
                let letter = letter(&self.alm, handler.as_ref(), &event, reason);
                let stamp = self.alm.stamp(&Context::new(Principal::system()));
                self.alm.commit_changeset(Changeset::empty(stamp).burying(letter)).await?;
            }
        }
        Ok(())
    }

    /// The message as an event that can't be read, standing in the log that is the bus.
    fn as_event(&self, message: &Unreadable) -> Event {
        let (log, position) = message.place;
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
            id: EventId::new(self.alm.uuid()),
            subject: Subject::Events,
            data: EventData::Unread(Box::new(unread)),
            time: self.alm.now(),
            actor: Actor::anonymous(),
            trace: None,
        };
        Event { log, position, changeset: ChangesetId::new(self.alm.uuid()), event }
    }

    fn handlers(&self) -> &[Arc<dyn Handler>] {
        &self.alm.inner.handlers
    }

    fn own_log(&self) -> LogId {
        self.alm.inner.store.log_id()
    }
}

fn one_log_too_many(event: &Event, tag: DeliveryTag) -> Unreadable {
    Unreadable {
        tag,
        place: (event.log, event.position),
        payload: CloudEvent::encode(event),
        reason: format!("there are more than {MOST_LOGS} logs"),
    }
}

// Nothing is left half done by a panic: none happens while a lock is held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
