//! The inbox: what other services tell over the bus, to the consumers of this one.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{
    StreamExt,
    future::{BoxFuture, Either, join4, pending, select},
    stream::FuturesUnordered,
};
use tokio::sync::Notify;

use crate::{
    changeset::ConsumerName,
    domain::{CloudEvent, Event, EventData, EventType, LogId, Position},
    ports::{BusError, Delivery, DeliveryTag, EventBus, Message, Place, Subscription, Timer},
    runtime::{backoff::Backoff, consumer::Consumer, handler::Handler},
    services::Alm,
};

use super::{
    remote_log::{RemoteLog, Unreadable},
    strays::Strays,
};

/// How many messages are taken at once.
const BATCH: usize = 512;
/// How many messages are taken and not acknowledged at most: fewer than a bus may give without an acknowledgement, 4,096 on NATS.
const MOST_UNACKNOWLEDGED: usize = 2048;
/// When there has been no room for so long, some log stands still.
const FULL: Duration = Duration::from_secs(1);
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
    strays: Strays,
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
            strays: Strays::default(),
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
                Ok(mut subscription) => self.receive_from(subscription.as_mut(), &mut backoff, timer).await,
                Err(error) => error,
            };
            let delay = backoff.next(self.alm.random());
            tracing::warn!(error = &failed as &dyn std::error::Error, ?delay, "the bus is not read");
            timer.sleep(delay).await;
        }
    }

    /// Goes on until the bus fails.
    async fn receive_from(
        &self,
        subscription: &mut dyn Subscription,
        backoff: &mut Backoff,
        timer: &dyn Timer,
    ) -> BusError {
        // Tags count within their subscription alone.
        self.forget_tags();
        let mut full: Option<BoxFuture<'_, ()>> = None;
        let mut done = Vec::new();
        loop {
            done.extend(self.take_done());
            if !done.is_empty()
                && let Err(error) = subscription.ack(&done).await
            {
                return error;
            }
            done.clear();
            let room = MOST_UNACKNOWLEDGED.saturating_sub(self.held()).min(BATCH);
            if room > 0 {
                full = None;
            } else {
                full.get_or_insert_with(|| timer.sleep(FULL));
            }
            let came = {
                let next = async {
                    match &mut full {
                        None => Some(subscription.next(room).await),
                        Some(moment) => {
                            moment.await;
                            None
                        }
                    }
                };
                match select(pin!(next), pin!(self.some_done())).await {
                    Either::Left((came, _)) => came,
                    Either::Right((tags, _)) => {
                        done = tags;
                        continue;
                    }
                }
            };
            match came {
                Some(Ok(deliveries)) => {
                    backoff.reset();
                    for delivery in deliveries {
                        self.sort(delivery);
                    }
                }
                Some(Err(error)) => return error,
                None => {
                    full = None;
                    self.make_room();
                }
            }
        }
    }

    /// Lets go of what the owners of the logs can tell again, so that one log which stands still, because its owner is away, keeps no
    /// other from coming. When it is the store or a handler here that stands still, there is nothing to make room for.
    fn make_room(&self) {
        let logs = self.all_logs();
        let keep = MOST_UNACKNOWLEDGED / 2 / logs.len().max(1);
        let gone: Vec<_> = logs.iter().flat_map(|log| log.let_go(keep)).collect();
        tracing::debug!(messages = gone.len(), "there was no room for more: what can be told again is let go");
        lock(&self.done).extend(gone);
    }

    /// How many messages are not acknowledged.
    fn held(&self) -> usize {
        self.all_logs().iter().map(|log| log.held()).sum::<usize>() + self.strays.len()
    }

    /// Puts a message where it belongs.
    fn sort(&self, delivery: Delivery) {
        let tag = delivery.tag;
        let message = match delivery.message {
            Message::Unreadable { place, payload, reason } => match of_newer_version(&payload) {
                Some(event) => Message::Event(event),
                None => Message::Unreadable { place, payload, reason },
            },
            message @ Message::Event(_) => message,
        };
        let is_kept = match message {
            Message::Event(event) if self.is_own(event.log) => false,
            Message::Event(event) => match self.log(event.log) {
                Some(log) => log.take(event, tag),
                None => self.stray(one_log_too_many(&event, tag)),
            },
            Message::Unreadable { place, payload, reason } => {
                let claim = CloudEvent::place(&payload);
                let message = Unreadable { tag, place, payload, reason };
                match claim {
                    // Who has the log itself knows what stands there.
                    Some((log, _)) if self.is_own(log) => false,
                    Some((log, position)) => match self.log(log) {
                        Some(log) => log.doubt(position, message),
                        None => self.stray(message),
                    },
                    None => self.stray(message),
                }
            }
        };
        if !is_kept {
            self.is_done(tag);
        }
    }

    /// The delivery need not come again.
    fn is_done(&self, tag: DeliveryTag) {
        lock(&self.done).push(tag);
        self.done_bell.notify_one();
    }

    fn stray(&self, message: Unreadable) -> bool {
        self.strays.push(message);
        true
    }

    fn all_logs(&self) -> Vec<Arc<RemoteLog>> {
        lock(&self.logs).values().cloned().collect()
    }

    /// The deliveries that are done.
    fn take_done(&self) -> Vec<DeliveryTag> {
        let mut done = std::mem::take(&mut *lock(&self.done));
        for log in self.all_logs() {
            let (tags, false_claims) = log.take_done();
            done.extend(tags);
            for claim in false_claims {
                self.stray(claim);
            }
        }
        done
    }

    /// The deliveries that are done, once there are some. The bell rings also when there are none, and no wait is given up for that.
    async fn some_done(&self) -> Vec<DeliveryTag> {
        loop {
            let done = self.take_done();
            if !done.is_empty() {
                return done;
            }
            self.done_bell.notified().await;
        }
    }

    /// What an earlier subscription gave comes again, so it is kept no longer than it is needed.
    fn forget_tags(&self) {
        lock(&self.done).clear();
        self.strays.clear();
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
                    let consumer =
                        Consumer::reading(Arc::new(log.reader(handler.name())), self.alm.clone(), handler.clone());
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
                            if self.is_own(head.log) {
                                self.notice_a_copy(head.log);
                            } else if head.position > Position::START
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

    /// Whoever announces the log of this store has it. Under another identity that is a copy, which is taken for what stood in the log
    /// before.
    fn notice_a_copy(&self, log: LogId) {
        if log != self.alm.inner.store.log_id() {
            tracing::warn!(%log, "a copy of this store works on the same bus: neither hears the other");
        }
    }

    /// Puts aside what can't be read and stands in no log.
    async fn put_aside(&self, timer: &dyn Timer) {
        self.strays.put_aside(&self.alm, timer, |tag| self.is_done(tag)).await;
    }

    fn handlers(&self) -> &[Arc<dyn Handler>] {
        &self.alm.inner.handlers
    }

    /// Whether that is the log of this store, under whatever identity: of what stood in it before a restore, no one is left to ask.
    fn is_own(&self, log: LogId) -> bool {
        log.is_of_same_log(self.alm.inner.store.log_id())
    }
}

/// What a newer version of a service tells: all is said that must be known of an event, and its type is not one of ours. It is
/// taken at its word as others are, for its owner would tell the same, if it is there at all.
fn of_newer_version(payload: &[u8]) -> Option<Arc<Event>> {
    let event = CloudEvent::decode_as_is(payload).ok()?;
    match &event.data {
        EventData::Unread(unread)
            if !unread.event_type.is_empty() && EventType::parse(&unread.event_type).is_none() =>
        {
            Some(Arc::new(event))
        }
        _ => None,
    }
}

fn one_log_too_many(event: &Event, tag: DeliveryTag) -> Unreadable {
    Unreadable {
        tag,
        place: Place { log: event.log, position: event.position },
        payload: CloudEvent::encode(event),
        reason: format!("there are more than {MOST_LOGS} logs"),
    }
}

// Nothing is left half done by a panic: none happens while a lock is held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
