//! `/events`: the event log, in order, gapless; as pages, or as a stream that goes on.

mod stream;

use std::sync::Arc;

use alm_core::domain::{CloudEvent, Event, Position, Rejected};
use axum::{
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::ApiError,
    request::{Listing, Narrowing, Params, bearer, rejected},
    response::PageOf,
    state::ApiState,
};

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list_events))
}

/// An event as a `CloudEvents` 1.0 document.
#[derive(Serialize)]
#[serde(transparent)]
pub(crate) struct EventBody(CloudEvent);

/// An event as a `CloudEvents` 1.0 document.
#[derive(ToSchema)]
#[schema(as = CloudEvent)]
#[expect(dead_code, reason = "it is the schema of `alm_core::domain::CloudEvent`, which a test compares it with")]
pub(crate) struct CloudEventMembers {
    #[schema(example = "1.0")]
    specversion: String,
    #[schema(format = Uuid)]
    id: String,
    #[schema(example = "/alm/VersionService")]
    source: String,
    #[schema(example = "VersionCreated")]
    r#type: String,
    #[schema(example = "versions/42")]
    subject: String,
    #[schema(format = DateTime)]
    time: String,
    #[schema(example = "application/json")]
    datacontenttype: String,
    /// The log that it stands in.
    #[schema(format = Uuid)]
    almlog: String,
    /// Its position there, padded with zeros to 20 digits.
    #[schema(example = "00000000000000000042")]
    sequence: String,
    /// The changeset that it was committed with.
    #[schema(format = Uuid)]
    almchangeset: String,
    /// Who did it.
    almactor: String,
    traceparent: Option<String>,
    data: serde_json::Value,
}

impl From<Arc<Event>> for EventBody {
    fn from(event: Arc<Event>) -> Self {
        Self(CloudEvent::from(event.as_ref()))
    }
}

/// The event log has no filter.
struct AllEvents;

impl Narrowing for AllEvents {
    type Key = Position;

    fn of(_params: &mut Params) -> Result<Self, ApiError> {
        Ok(Self)
    }

    fn after(params: &mut Params) -> Result<Option<Position>, ApiError> {
        params.take("after", |text| position(&text))
    }
}

fn position(text: &str) -> Result<Position, Rejected> {
    // As the document has it: a position is an integer of 63 bits.
    let position = text.parse::<i64>().ok().and_then(|position| u64::try_from(position).ok());
    position.map(Position::new).ok_or_else(|| rejected("must be a position: an integer from 0"))
}

/// Read the event log
///
/// It begins after the position `after`, or with the oldest event that is kept. When the events after `after` are not kept any more,
/// the answer is `410`, and its `oldest` says where the log begins.
///
/// With `Accept: text/event-stream` the answer is a stream of server-sent events that goes on with the log as long as the token counts: each has an event as
/// its data and the position as its id. A client that was cut off sends the last id in `Last-Event-ID`, as browsers do by
/// themselves, and misses nothing. A stream whose next events are gone before they could be sent ends with an event of the type
/// `gone`, whose data say `oldest`; whoever comes again with the last id gets `410`.
#[utoipa::path(get, path = "/events", tag = "events", params(
    ("after" = Option<i64>, Query, description = "Only events after this position; all that are kept unless told", minimum = 0),
    ("Last-Event-ID" = Option<i64>, Header, description = "Of a stream: only events after this position, whatever `after` says",
        minimum = 0),
    crate::openapi::LimitParam,
), responses((status = 200, content(
    (Vec<CloudEventMembers> = "application/json"),
    (String = "text/event-stream"),
))))]
async fn list_events(
    State(state): State<ApiState>,
    headers: HeaderMap,
    Listing { context, filter: AllEvents, after, limit, uri }: Listing<AllEvents>,
) -> Result<Response, ApiError> {
    let is_stream = stream::is_wanted(&headers);
    let last = if is_stream { stream::last_event_id(&headers)? } else { None };
    let after = match last.or(after) {
        Some(after) => after,
        None => state.alm.log().oldest(&context).await?.previous(),
    };
    if is_stream {
        let token = bearer(&headers)?.to_owned();
        return stream::of(state, context, token, after).await.map(IntoResponse::into_response);
    }
    let page = state.alm.log().read(&context, after, limit).await?;
    Ok(PageOf::<EventBody>::new(page, &uri, ToString::to_string).into_response())
}
