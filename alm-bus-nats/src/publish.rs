//! Publishing: all of a call on its way at once, and done when the stream has acknowledged each.

use std::{collections::VecDeque, error::Error as _, future::IntoFuture, sync::Arc};

use alm_core::{
    domain::{CloudEvent, Event},
    ports::{BackendError, BackendErrorKind, BusError},
};
use async_nats::{
    HeaderMap,
    header::NATS_MESSAGE_ID,
    jetstream::{
        self, ErrorCode,
        context::{PublishError, PublishErrorKind},
        message::PublishMessage,
    },
};

use crate::{
    bus::{Inner, WINDOW},
    fault::{kind_of, unknown},
    link::{Period, broken},
};

/// What an event is, to whoever reads its headers.
const CONTENT_TYPE: &str = "application/cloudevents+json";

/// Where a publication has ended, and why. Everything before is stored.
struct Stopped {
    at: usize,
    why: Why,
}

enum Why {
    /// No stream takes it, or the stream is not as it must be.
    NoStream(&'static str),
    /// It will never be taken.
    NeverTaken(String),
    Fault(BackendError),
}

pub(crate) async fn publish(bus: &Inner, events: &[Arc<Event>]) -> Result<(), BusError> {
    let mut stored = 0;
    let mut looked_again = false;
    while stored < events.len() {
        let period = bus.link.up("publish").await?;
        bus.stream(period, "publish").await?;
        let Err(Stopped { at, why }) = send(bus, period, &events[stored..]).await else { break };
        stored += at;
        match why {
            // It has changed since it was looked at: the server has lost its store, say, or someone has removed it.
            Why::NoStream(_) if !looked_again => {
                looked_again = true;
                bus.forget().await;
            }
            Why::NoStream(source) => {
                return Err(unknown(BackendErrorKind::Unavailable, "publish", source).into());
            }
            Why::NeverTaken(reason) => return Err(BusError::Rejected { event: events[stored].id, reason }),
            Why::Fault(error) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn send(bus: &Inner, period: Period, events: &[Arc<Event>]) -> Result<(), Stopped> {
    let mut acks = VecDeque::with_capacity(events.len().min(WINDOW));
    let mut acknowledged = 0;
    for (at, event) in events.iter().enumerate() {
        if acks.len() == WINDOW {
            await_first(bus, period, &mut acks, &mut acknowledged).await?;
        }
        // What is written after a reconnection would be stored, and what was written before it may be lost: out of order.
        if bus.link.is_lost(period) {
            return Err(Stopped { at: acknowledged, why: Why::Fault(broken("publish")) });
        }
        let sent = match event.data.event_type().and_then(|event_type| bus.subjects.event(event_type)) {
            Some(subject) => bus.jetstream.send_publish(subject, message(event)).await.map_err(why),
            None => Err(Why::NeverTaken("it is of a type that is not published".to_owned())),
        };
        match sent {
            Ok(ack) => acks.push_back(ack.into_future()),
            Err(why) => {
                // Those before it come first, also in the answer.
                while !acks.is_empty() {
                    await_first(bus, period, &mut acks, &mut acknowledged).await?;
                }
                return Err(Stopped { at, why });
            }
        }
    }
    while !acks.is_empty() {
        await_first(bus, period, &mut acks, &mut acknowledged).await?;
    }
    Ok(())
}

type Ack = <jetstream::context::PublishAckFuture as IntoFuture>::IntoFuture;

async fn await_first(
    bus: &Inner,
    period: Period,
    acks: &mut VecDeque<Ack>,
    acknowledged: &mut usize,
) -> Result<(), Stopped> {
    let Some(ack) = acks.front_mut() else { return Ok(()) };
    let why = match bus.link.during(period, "publish", ack).await {
        // A duplicate is there, as it should be.
        Ok(Ok(_)) => {
            acks.pop_front();
            *acknowledged += 1;
            return Ok(());
        }
        Ok(Err(error)) => match why(error) {
            Why::Fault(error) => Why::Fault(bus.link.explained(error)),
            why => why,
        },
        Err(error) => Why::Fault(error),
    };
    Err(Stopped { at: *acknowledged, why })
}

fn message(event: &Event) -> PublishMessage {
    let mut headers = HeaderMap::new();
    headers.insert(NATS_MESSAGE_ID, event.id.to_string());
    headers.insert("Content-Type", CONTENT_TYPE);
    PublishMessage::build().headers(headers).payload(CloudEvent::encode(event).into())
}

fn why(error: PublishError) -> Why {
    match error.kind() {
        PublishErrorKind::StreamNotFound => Why::NoStream("no stream takes the events"),
        PublishErrorKind::Other
            if refused(&error).is_some_and(|why| why.error_code() == ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM) =>
        {
            Why::NoStream("the stream takes less than an event may need")
        }
        _ => Why::Fault(fault(error, "publish")),
    }
}

/// What the stream has answered, if it was not that it has the message.
fn refused(error: &PublishError) -> Option<&jetstream::Error> {
    error.source()?.downcast_ref()
}

/// A publication that may have been stored or not.
pub(crate) fn fault(error: PublishError, operation: &'static str) -> BackendError {
    let kind = match error.kind() {
        // That is the fault of the server: none that is used takes less than an event may need.
        PublishErrorKind::MaxPayloadExceeded => BackendErrorKind::NotWritable,
        PublishErrorKind::TimedOut => BackendErrorKind::Timeout,
        PublishErrorKind::BrokenPipe | PublishErrorKind::StreamNotFound => BackendErrorKind::Unavailable,
        PublishErrorKind::MaxAckPending => BackendErrorKind::Overloaded,
        PublishErrorKind::WrongLastMessageId | PublishErrorKind::WrongLastSequence => BackendErrorKind::Internal,
        PublishErrorKind::Other => {
            refused(&error).map_or(BackendErrorKind::Unavailable, |why| kind_of(why.code(), why.error_code()))
        }
    };
    unknown(kind, operation, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_is_too_large_for_a_server_waits_for_another() {
        let Why::Fault(error) = why(PublishErrorKind::MaxPayloadExceeded.into()) else { panic!("it is given up") };
        assert_eq!(error.kind, BackendErrorKind::NotWritable);
        assert!(error.is_retryable());
    }
}
