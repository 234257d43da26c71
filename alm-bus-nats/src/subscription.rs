//! A reader of the stream, by pull requests.
//!
//! It asks for no more than its caller wants, so that little lies here while another subscription of the name waits: first for
//! what there is at once, and when there is nothing, for one message, whenever it comes. A wait may be dropped at any point, and often
//! is: what it has pulled, asked and found out is there for the next one.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use alm_core::{
    changeset::ConsumerName,
    domain::{CloudEvent, Event, EventType, LogId, Position},
    ports::{BackendError, BackendErrorKind, BusError, Delivery, DeliveryTag, Message, Place, Subscription},
};
use async_nats::{StatusCode, Subject, Subscriber};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use serde_json::json;
use tokio::{
    runtime::Handle,
    time::{Instant, timeout_at},
};

use crate::{
    acks::{Given, Unacknowledged},
    bus::Inner,
    fault::{ADAPTER, not_applied, unknown},
    link::Period,
    reply::sequence_of,
};

/// How long a request for whatever comes stands, and how often the server says meanwhile that it does.
const EXPIRES: Duration = Duration::from_secs(10);
const HEARTBEAT: Duration = Duration::from_secs(5);

/// How long a request for what there is stands: a server that is wrong about there being something would keep it for ever.
const AT_ONCE: Duration = Duration::from_secs(1);

/// When nothing more has come for so long, what has come is given, though the request still stands: the server gives no more while too
/// many of them are not acknowledged.
const LULL: Duration = Duration::from_millis(20);

/// So long the end of a connection waits for more that is to be given back.
const QUIET: Duration = Duration::from_millis(50);

/// How many acknowledgements are on their way at once.
const ACKS: usize = 256;

pub(crate) struct NatsSubscription {
    bus: Arc<Inner>,
    consumer: ConsumerName,
    /// Where the answers to pull requests come; one for the whole life.
    inbox: String,
    // There until it is dropped.
    subscriber: Option<Subscriber>,
    /// What the server knows of, while it does.
    pull: Option<Pull>,
    requests: u64,
    /// There was nothing when it was asked last.
    waits: bool,
    /// How often in a row there was no answer, or one that consumer or stream may be gone.
    losses: u32,
    /// What was pulled and not given, with the stream that it is from.
    pulled: VecDeque<Pulled>,
    unacknowledged: Unacknowledged,
    /// The stream that was there last.
    log: LogId,
}

struct Pulled {
    given: Given,
    subject: Subject,
    payload: Bytes,
}

/// That the consumer was there, in a time in which the connection was, and what was asked of it.
struct Pull {
    period: Period,
    log: LogId,
    request: Option<Request>,
}

/// A request that may still be answered.
struct Request {
    /// Where its answers of no message come.
    reply: Subject,
    left: usize,
    /// When nothing that comes by then means that it was lost.
    until: Instant,
}

impl Request {
    /// A message of it has come. Whether that was the last one.
    fn is_over_by_one(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left == 0
    }
}

/// What has come of a request.
enum Came {
    Message,
    /// It is over.
    End,
    /// Nothing for now; it is to be looked at again.
    Again,
    /// Consumer or stream may be gone.
    Lost(BackendError),
}

impl NatsSubscription {
    pub(crate) async fn open(bus: Arc<Inner>, consumer: ConsumerName) -> Result<Self, BackendError> {
        let period = bus.link.up("subscribe").await?;
        let info = bus.stream(period, "subscribe").await?;
        bus.consumers.ensure(&bus.link, period, &bus.wanted, &info, &consumer).await?;
        let inbox = bus.link.client.new_inbox();
        let subscriber = bus.link.client.subscribe(format!("{inbox}.*")).await;
        let subscriber = subscriber.map_err(|error| not_applied(BackendErrorKind::Unavailable, "subscribe", error))?;
        let pull = Some(Pull { period, log: info.log, request: None });
        let (pulled, unacknowledged) = (VecDeque::new(), Unacknowledged::default());
        let subscriber = Some(subscriber);
        Ok(Self {
            bus,
            consumer,
            inbox,
            subscriber,
            pull,
            requests: 0,
            waits: false,
            losses: 0,
            pulled,
            unacknowledged,
            log: info.log,
        })
    }

    /// Pulls until there is something to give.
    async fn pull(&mut self, limit: usize) -> Result<(), BackendError> {
        loop {
            self.prepare().await?;
            if !self.is_asking() {
                let missing = limit - self.pulled.len().min(limit - 1);
                self.request(if self.waits { 1 } else { missing }).await?;
            }
            match self.answer().await? {
                Came::Message => {
                    (self.waits, self.losses) = (false, 0);
                    if !self.is_asking() || self.pulled.len() >= limit {
                        return Ok(());
                    }
                }
                // What has come before is to be given.
                Came::End | Came::Again | Came::Lost(_) if !self.pulled.is_empty() => return Ok(()),
                Came::End => (self.waits, self.losses) = (true, 0),
                Came::Again => {}
                Came::Lost(error) => {
                    self.bus.forget().await;
                    self.pull = None;
                    self.losses += 1;
                    if self.losses > 1 {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Whether there is a request that may still be answered.
    fn is_asking(&self) -> bool {
        self.pull.as_ref().is_some_and(|pull| pull.request.is_some())
    }

    /// The consumer is there afterwards, also if the server has lost it since.
    async fn prepare(&mut self) -> Result<(), BackendError> {
        if self.pull.as_ref().is_some_and(|pull| !self.bus.link.is_lost(pull.period)) {
            return Ok(());
        }
        self.pull = None;
        let Self { bus, consumer, .. } = self;
        let period = bus.link.up("next").await?;
        let info = bus.stream(period, "next").await?;
        bus.consumers.ensure(&bus.link, period, &bus.wanted, &info, consumer).await?;
        if self.log != info.log {
            // What an earlier stream had can't be acknowledged any more. Whoever published it knows of it.
            tracing::warn!(consumer = consumer.as_str(), "the stream was made anew");
            self.pulled.clear();
            self.log = info.log;
        }
        self.pull = Some(Pull { period, log: info.log, request: None });
        Ok(())
    }

    async fn request(&mut self, batch: usize) -> Result<(), BackendError> {
        self.requests += 1;
        let reply = Subject::from(format!("{}.{}", self.inbox, self.requests));
        let (request, patience) = if self.waits {
            let request =
                json!({"batch": batch, "expires": EXPIRES.as_nanos(), "idle_heartbeat": HEARTBEAT.as_nanos()});
            (request, 2 * HEARTBEAT)
        } else {
            (json!({"batch": batch, "no_wait": true, "expires": AT_ONCE.as_nanos()}), 2 * AT_ONCE)
        };
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", self.bus.wanted.name, self.consumer);
        let sent = self.bus.link.client.publish_with_reply(subject, reply.clone(), request.to_string().into()).await;
        sent.map_err(|error| not_applied(BackendErrorKind::Unavailable, "next", error))?;
        if let Some(pull) = &mut self.pull {
            pull.request = Some(Request { reply, left: batch, until: Instant::now() + patience });
        }
        Ok(())
    }

    /// Waits for what comes of the request.
    async fn answer(&mut self) -> Result<Came, BackendError> {
        let Some(pull) = &mut self.pull else { return Ok(Came::Again) };
        let (Some(request), Some(subscriber)) = (&mut pull.request, &mut self.subscriber) else {
            return Ok(Came::Again);
        };
        let until = if self.pulled.is_empty() { request.until } else { Instant::now() + LULL };
        let message = tokio::select! {
            biased;
            message = timeout_at(until, subscriber.next()) => message,
            // What it was asked went with it.
            () = self.bus.link.lost(pull.period) => return Ok(Came::Again),
        };
        let message = match message {
            Ok(Some(message)) => message,
            Ok(None) => return Err(not_applied(BackendErrorKind::Unavailable, "next", "the connection was closed")),
            Err(_) if !self.pulled.is_empty() => return Ok(Came::Again),
            Err(_) => {
                let lost =
                    unknown(BackendErrorKind::Timeout, "next", "the server has forgotten the consumer's request");
                return Ok(Came::Lost(lost));
            }
        };

        if let Some(status) = message.status.filter(|status| *status != StatusCode::OK) {
            if message.subject != request.reply {
                return Ok(Came::Again);
            }
            if status == StatusCode::IDLE_HEARTBEAT {
                request.until = Instant::now() + 2 * HEARTBEAT;
                return Ok(Came::Again);
            }
            pull.request = None;
            return Ok(match status {
                StatusCode::NOT_FOUND | StatusCode::TIMEOUT => Came::End,
                _ => {
                    let told = message.description.unwrap_or_else(|| status.to_string());
                    Came::Lost(not_applied(BackendErrorKind::Unavailable, "next", format!("NATS says: {told}")))
                }
            });
        }
        let Some((reply, sequence)) = delivery(&message) else {
            tracing::warn!(subject = %message.subject, "what came is no delivery of a stream");
            return Ok(Came::Again);
        };
        let given = Given { log: pull.log, sequence, reply };
        self.pulled.push_back(Pulled { given, subject: message.subject, payload: message.payload });
        if request.is_over_by_one() {
            pull.request = None;
        }
        Ok(Came::Message)
    }

    fn give(&mut self, limit: usize) -> Vec<Delivery> {
        let given = limit.min(self.pulled.len());
        let Self { pulled, unacknowledged, .. } = self;
        let give = |Pulled { given, subject, payload }: Pulled| {
            let message = match event_in(&subject, &payload) {
                Ok(event) => Message::Event(Arc::new(event)),
                Err(reason) => Message::Unreadable {
                    place: Place { log: given.log, position: Position::new(given.sequence) },
                    payload: payload.to_vec(),
                    reason,
                },
            };
            Delivery { tag: unacknowledged.give(given), message }
        };
        pulled.drain(..given).map(give).collect()
    }
}

/// The event that a message tells of. It must have come by the subject of its type: that is what NATS permits to some and not to others,
/// so whoever may tell of versions can't tell that an app is gone.
fn event_in(subject: &str, payload: &[u8]) -> Result<Event, String> {
    let event = CloudEvent::decode(payload).map_err(|rejected| rejected.to_string())?;
    let topic = event.data.event_type().map(EventType::topic).unwrap_or_default();
    match subject.strip_suffix(topic) {
        Some(prefix) if prefix.ends_with('.') => Ok(event),
        _ => Err(format!("{subject} is not the subject of {} events", event.data.type_name())),
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Subscription for NatsSubscription {
    async fn next(&mut self, limit: usize) -> Result<Vec<Delivery>, BusError> {
        if self.pulled.is_empty() {
            self.pull(limit).await?;
        }
        Ok(self.give(limit))
    }

    async fn ack(&mut self, deliveries: &[DeliveryTag]) -> Result<(), BusError> {
        let unknown = |error: String| BackendError::internal(ADAPTER, "ack").with_source(error);
        let mut pending = Vec::with_capacity(deliveries.len());
        for tag in deliveries {
            if let Some(given) = self.unacknowledged.get(*tag).map_err(unknown)? {
                pending.push((*tag, given.clone()));
            }
        }
        if pending.is_empty() {
            return Ok(());
        }
        let period = self.bus.link.up("ack").await?;
        let log = self.bus.stream(period, "ack").await?.log;
        let link = &self.bus.link;
        let mut acks = pending.into_iter().map(|(tag, given)| async move {
            // What the stream of that time had will not come again.
            if given.log == log {
                link.request(period, "ack", given.reply, Bytes::from_static(b"+ACK")).await?;
            }
            Ok::<_, BackendError>(tag)
        });
        let mut on_their_way: FuturesUnordered<_> = acks.by_ref().take(ACKS).collect();
        let mut failed = None;
        while let Some(acked) = on_their_way.next().await {
            match acked {
                Ok(tag) => self.unacknowledged.done(tag),
                Err(error) => failed = Some(error),
            }
            // One that fails takes none with it that is on its way: those that are heard need not come again. The rest would only wait as
            // long for nothing.
            if failed.is_none() {
                on_their_way.extend(acks.next());
            }
        }
        failed.map_or(Ok(()), |error| Err(error.into()))
    }
}

impl Drop for NatsSubscription {
    fn drop(&mut self) {
        // Without a runtime it comes again by itself, when its time is over.
        let (Ok(runtime), Some(subscriber)) = (Handle::try_current(), self.subscriber.take()) else { return };
        // At once: whoever drops it may close the connection next.
        let giving = Giving::of(self.bus.clone());
        let mut held = self.unacknowledged.replies(self.log);
        held.extend(self.pulled.drain(..).map(|pulled| pulled.given.reply));
        runtime.spawn(give_back(giving, subscriber, held, self.pull.take()));
    }
}

/// That something is given back, which the end of the connection waits for.
struct Giving(Arc<Inner>);

impl Giving {
    fn of(bus: Arc<Inner>) -> Self {
        bus.giving_back.send_modify(|count| *count += 1);
        Self(bus)
    }
}

impl Drop for Giving {
    fn drop(&mut self) {
        self.0.giving_back.send_modify(|count| *count -= 1);
    }
}

/// Gives back what a subscription held when it was dropped, and what still comes to it: nothing tells the server to forget a
/// request, so it may be answered by what was just given back; and a message that is on its way when no one listens any more would be
/// missed for as long as its acknowledgement is waited for. So it listens until the request is over.
async fn give_back(giving: Giving, mut subscriber: Subscriber, held: Vec<Subject>, pull: Option<Pull>) {
    let bus = giving.0.clone();
    let nak = async |reply: Subject| drop(bus.link.client.publish(reply, Bytes::from_static(b"-NAK")).await);
    for reply in held {
        nak(reply).await;
    }
    if let Some(Pull { period, request: Some(mut request), .. }) = pull {
        let end = Instant::now() + EXPIRES + AT_ONCE;
        let mut giving = Some(giving);
        loop {
            // Once nothing comes any more the connection may end: then the request ends with it.
            let until = if giving.is_some() { Instant::now() + QUIET } else { end };
            let came = tokio::select! {
                came = timeout_at(until, subscriber.next()) => came,
                () = bus.link.lost(period) => break,
            };
            match came {
                Err(_) if giving.take().is_some() => {}
                Err(_) | Ok(None) => break,
                Ok(Some(message)) => match delivery(&message) {
                    Some((reply, _)) => {
                        nak(reply).await;
                        if request.is_over_by_one() {
                            break;
                        }
                    }
                    None if message.subject != request.reply => {}
                    None if message.status == Some(StatusCode::IDLE_HEARTBEAT) => {}
                    None => break,
                },
            }
        }
    }
    // It ends with its drop as well, if not as surely.
    let _ = subscriber.unsubscribe().await;
}

/// What a message is acknowledged on, and its place in the stream, if it is from one.
fn delivery(message: &async_nats::Message) -> Option<(Subject, u64)> {
    let reply = message.reply.clone()?;
    let sequence = sequence_of(&reply)?;
    Some((reply, sequence))
}

#[cfg(test)]
mod tests {
    use alm_core::testing::fixtures::event;

    use super::*;

    #[test]
    fn an_event_counts_by_the_subject_of_its_type_alone() {
        let event = event(LogId::new(uuid::Uuid::from_u128(1)), 1);
        let (payload, topic) = (CloudEvent::encode(&event), event.data.event_type().unwrap().topic());
        for prefix in ["alm.v1", "staging.v1", "v1"] {
            assert_eq!(event_in(&format!("{prefix}.{topic}"), &payload).as_ref(), Ok(event.as_ref()));
        }
        for subject in ["alm.v1.users.access_denied", "alm.v1.versions.deleted", topic, &format!("alm.v1x{topic}"), ""]
        {
            assert!(event_in(subject, &payload).unwrap_err().contains("is not the subject of"), "{subject}");
        }
        assert!(event_in(&format!("alm.v1.{topic}"), b"{").is_err());
    }
}
