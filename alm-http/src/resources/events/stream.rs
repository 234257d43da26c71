//! The event log as a stream of server-sent events
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

use std::{convert::Infallible, sync::Arc, time::Duration};

use alm_core::{
    Context,
    domain::{Event, Position},
    services::{Error, Limit},
};
use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{
        AppendHeaders, IntoResponse,
        sse::{self, KeepAlive, Sse},
    },
};
use futures_util::{StreamExt, stream};
use serde_json::json;
use tokio::time::timeout;

use crate::{error::ApiError, state::ApiState};

use super::{EventBody, position};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// How long at most until the log is looked at again: what other processes commit may go unnoticed.
const POLL: Duration = Duration::from_secs(1);

/// Whether the client asks for a stream. One that takes anything gets pages.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut types =
        accepted.flat_map(|value| value.split(',')).map(|range| range.split(';').next().unwrap_or_default());
    types.any(|essence| essence.trim().eq_ignore_ascii_case("text/event-stream"))
}

/// Where a client that was cut off goes on.
pub(super) fn last_event_id(headers: &HeaderMap) -> Result<Option<Position>, ApiError> {
    let Some(value) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    let parsed = position(value.to_str().unwrap_or_default());
    parsed
        .map(Some)
        .map_err(|rejected| ApiError::header("invalid-last-event-id", format!("Last-Event-ID {}", rejected.detail)))
}

/// The events after `after` and all that come, until the client goes, its token counts no more, or the process shuts down.
pub(super) async fn of(
    state: ApiState,
    context: Context,
    token: String,
    after: Position,
) -> Result<impl IntoResponse, ApiError> {
    let keep_alive = KeepAlive::new().interval(state.settings.heartbeat);
    let tail = Tail { state, context, token, after, is_over: false };
    // Before the answer begins, so that who may not read is told so.
    let first = tail.read().await?;
    let stopped = {
        let readiness = tail.state.settings.readiness.clone();
        async move { readiness.shutting_down().await }
    };
    let events = stream::unfold((tail, Some(first)), |(mut tail, first)| async move {
        let events = match first {
            Some(events) => Ok(events),
            None => tail.next().await?,
        };
        let told = match events {
            Ok(events) => {
                tail.after = events.last().map_or(tail.after, |event| event.position);
                events.into_iter().map(told).collect()
            }
            Err(gone) => {
                tail.is_over = true;
                vec![gone]
            }
        };
        Some((stream::iter(told), (tail, None)))
    });
    let events = events.flatten().map(Ok::<_, Infallible>).take_until(Box::pin(stopped));
    // Proxies hold back what they buffer; this tells nginx and those who do as it does not to.
    let unbuffered = (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok((AppendHeaders([unbuffered]), Sse::new(events).keep_alive(keep_alive)))
}

/// The end of the log, which a client follows.
struct Tail {
    state: ApiState,
    context: Context,
    // It is looked at again and again: a stream goes on no longer than the token counts.
    token: String,
    after: Position,
    // What comes next is gone, and the client was told.
    is_over: bool,
}

impl Tail {
    async fn read(&self) -> Result<Vec<Arc<Event>>, Error> {
        let limit = Limit::new(Limit::MAX).unwrap_or_default();
        Ok(self.state.alm.log().read(&self.context, self.after, limit).await?.items)
    }

    /// The next events, as soon as there are any, or the last thing to say when they are gone. None when they can't be read: the
    /// client comes again and says where it was.
    async fn next(&self) -> Option<Result<Vec<Arc<Event>>, sse::Event>> {
        loop {
            if self.is_over {
                return None;
            }
            if self.state.alm.authenticate(&self.token).await.is_err() {
                return None;
            }
            match self.read().await {
                Ok(events) if !events.is_empty() => return Some(Ok(events)),
                Err(Error::Gone { oldest }) => return Some(Err(gone(oldest))),
                Ok(_) => {
                    let changed = timeout(POLL, self.state.alm.log().changed(self.after)).await;
                    if let Ok(Err(_)) = changed {
                        return None;
                    }
                }
                Err(_) => return None,
            }
        }
    }
}

/// That the next events are gone: the client must not take it that the stream was just cut off. It has no id, so that a browser
/// says again where it was, gets `410`, and gives up.
fn gone(oldest: Position) -> sse::Event {
    sse::Event::default().event("gone").data(json!({"code": "gone", "oldest": oldest}).to_string())
}

fn told(event: Arc<Event>) -> sse::Event {
    let id = event.position.to_string();
    // JSON has no line break of its own, so it is one line of data.
    let document = serde_json::to_string(&EventBody::from(event)).unwrap_or_default();
    sse::Event::default().id(id).data(document)
}
