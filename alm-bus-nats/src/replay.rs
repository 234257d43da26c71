//! Replays: asked by request, answered by whoever serves the log, page by page.

use std::sync::Arc;

use alm_core::{
    domain::{CloudEvent, Event, LogId, Position},
    ports::{BackendError, BackendErrorKind, BusError, EventLog, StoreError},
};
use async_nats::Message;
use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    bus::Inner,
    fault::{ADAPTER, not_applied},
};

/// The servers of one log share its requests.
const GROUP: &str = "alm-replay";

/// How many requests are answered at once. More wait in the order in which they came.
const AT_ONCE: usize = 8;

/// How many events are read from the log at once.
const READ: usize = 256;

/// The largest page, whatever the server takes.
const PAGE_BYTES: usize = 1 << 20;

/// What a page needs beside its events.
const ROOM: usize = 512;

/// `{"after":41,"limit":100}`.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    after: Position,
    limit: usize,
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer<E> {
    /// `{"page":{"events":[…],"more":false}}`.
    Page {
        events: E,
        /// Whether there may be more to this request than the page holds.
        more: bool,
    },
    /// `{"gone":{"oldest":7}}`.
    Gone { oldest: Position },
    /// `{"fault":{"kind":"unavailable"}}`.
    Fault { kind: Kind },
}

/// The kind of a fault, in a word that lasts.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    BadRequest,
    TooLarge,
    Unavailable,
    Timeout,
    Overloaded,
    NotWritable,
    Corrupt,
    #[serde(other)]
    Internal,
}

pub(crate) async fn ask(bus: &Inner, log: LogId, after: Position, limit: usize) -> Result<Vec<Arc<Event>>, BusError> {
    let subject = bus.subjects.replay(log);
    let mut all: Vec<Arc<Event>> = Vec::new();
    while all.len() < limit {
        let period = bus.link.up("replay").await?;
        let after = all.last().map_or(after, |event| event.position);
        let request = Request { after, limit: limit - all.len() };
        let answer = ask_for_page(bus, period, &subject, &request).await?;
        let (events, more) = match answer {
            Answer::Page { events, more } => (events, more),
            Answer::Gone { oldest } => return Err(BusError::Gone { oldest }),
            Answer::Fault { kind } => return Err(fault_of_log(kind).into()),
        };
        for event in events {
            let event = CloudEvent::decode_as_is(event.get().as_bytes()).map_err(odd)?;
            if event.log != log || event.position <= all.last().map_or(after, |event| event.position) {
                return Err(odd("it holds an event that was not asked for").into());
            }
            all.push(Arc::new(event));
        }
        if !more {
            break;
        }
        if all.last().is_none_or(|event| event.position <= after) {
            return Err(odd("it says that there is more, and holds nothing").into());
        }
    }
    all.truncate(limit);
    Ok(all)
}

async fn ask_for_page(
    bus: &Inner,
    period: crate::link::Period,
    subject: &str,
    request: &Request,
) -> Result<Answer<Vec<Box<RawValue>>>, BackendError> {
    let request = serde_json::to_vec(request).map_err(odd)?;
    let answer = bus.link.request(period, "replay", subject.to_owned(), request).await;
    // A replay changes nothing, whether it was answered or not.
    let answer = answer.map_err(|error| BackendError { outcome: alm_core::ports::Outcome::NotApplied, ..error })?;
    serde_json::from_slice(&answer.payload).map_err(odd)
}

fn odd(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> BackendError {
    BackendError::internal(ADAPTER, "replay").with_source(error)
}

fn fault_of_log(kind: Kind) -> BackendError {
    let (kind, source) = match kind {
        Kind::BadRequest => (BackendErrorKind::Internal, "whoever serves the log does not understand the request"),
        Kind::TooLarge => (BackendErrorKind::Internal, "an event of the log is larger than what NATS takes"),
        Kind::Unavailable => (BackendErrorKind::Unavailable, "the log can't be reached"),
        Kind::Timeout => (BackendErrorKind::Timeout, "the log did not answer in time"),
        Kind::Overloaded => (BackendErrorKind::Overloaded, "the log has too much to do"),
        Kind::NotWritable => (BackendErrorKind::NotWritable, "the log takes no writes"),
        Kind::Corrupt => (BackendErrorKind::Corrupt, "the log is damaged"),
        Kind::Internal => (BackendErrorKind::Internal, "the log failed"),
    };
    not_applied(kind, "replay", source)
}

pub(crate) async fn serve(bus: &Inner, log: Arc<dyn EventLog>) -> Result<(), BusError> {
    let subject = bus.subjects.replay(log.log_id());
    let closed = |error: String| not_applied(BackendErrorKind::Unavailable, "serve_replays", error);
    let subscriber = bus.link.client.queue_subscribe(subject, GROUP.to_owned()).await;
    // It is told to the server again with each connection.
    let mut requests = subscriber.map_err(|error| closed(error.to_string()))?;
    let mut answering = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(()) = answering.next() => {}
            request = requests.next(), if answering.len() < AT_ONCE => match request {
                Some(request) => answering.push(answer(bus, log.as_ref(), request)),
                None => return Err(closed("the connection was closed".to_owned()).into()),
            },
        }
    }
}

async fn answer(bus: &Inner, log: &dyn EventLog, request: Message) {
    let Some(reply) = request.reply else { return };
    let bytes = bus.link.max_payload().unwrap_or(PAGE_BYTES).min(PAGE_BYTES).saturating_sub(ROOM);
    let answer = match serde_json::from_slice(&request.payload) {
        Ok(request) => page(log, &request, bytes).await,
        Err(error) => {
            tracing::warn!(%error, "a request for a replay can't be read");
            Answer::Fault { kind: Kind::BadRequest }
        }
    };
    let answered = match serde_json::to_vec(&answer) {
        Ok(answer) => bus.link.client.publish(reply, Bytes::from(answer)).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = answered {
        // Whoever asked hears nothing, and asks again.
        tracing::warn!(error, "a replay was not answered");
    }
}

/// As many of the events that were asked for as fit into so many bytes.
async fn page(log: &dyn EventLog, request: &Request, bytes: usize) -> Answer<Vec<Box<RawValue>>> {
    let mut events: Vec<Box<RawValue>> = Vec::new();
    let (mut after, mut left) = (request.after, bytes);
    while events.len() < request.limit {
        let read = match log.read(after, (request.limit - events.len()).min(READ)).await {
            Ok(read) => read,
            // What was read before is the page; the fault meets the next one.
            Err(_) if !events.is_empty() => return Answer::Page { events, more: true },
            Err(StoreError::Gone { oldest }) => return Answer::Gone { oldest },
            Err(error) => {
                tracing::warn!(%error, "a log does not answer a replay");
                return Answer::Fault { kind: kind_of(&error) };
            }
        };
        if read.is_empty() {
            return Answer::Page { events, more: false };
        }
        for event in read {
            let Some(document) = document(&event) else { return Answer::Fault { kind: Kind::Internal } };
            // With its comma.
            match left.checked_sub(document.get().len() + 1) {
                Some(after_it) => left = after_it,
                None if events.is_empty() => return Answer::Fault { kind: Kind::TooLarge },
                None => return Answer::Page { events, more: true },
            }
            after = event.position;
            events.push(document);
        }
    }
    Answer::Page { events, more: false }
}

fn document(event: &Event) -> Option<Box<RawValue>> {
    let document = String::from_utf8(CloudEvent::encode(event)).ok()?;
    RawValue::from_string(document).ok()
}

fn kind_of(error: &StoreError) -> Kind {
    let StoreError::Backend(error) = error else { return Kind::Internal };
    match error.kind {
        BackendErrorKind::Unavailable => Kind::Unavailable,
        BackendErrorKind::Timeout => Kind::Timeout,
        BackendErrorKind::Overloaded => Kind::Overloaded,
        BackendErrorKind::NotWritable => Kind::NotWritable,
        BackendErrorKind::Corrupt => Kind::Corrupt,
        _ => Kind::Internal,
    }
}
