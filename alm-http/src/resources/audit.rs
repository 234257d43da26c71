//! `/audit/events`, and `/audits`, which answers the same.

use alm_core::{
    domain::{Actor, AuditEntry, AuditIndex, EventType, SourceService, Subject, Timestamp},
    ports::AuditFilter,
};
use axum::{Json, extract::State, routing::get};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{
    error::ApiError,
    request::{Caller, Listing, Narrowing, Params, PathId, cursor_of, named, parse_cursor},
    response::PageOf,
    state::ApiState,
};

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list_audit_entries))
        .routes(routes!(get_audit_entry))
        .route("/audits", get(list_audit_entries))
        .route("/audits/{index}", get(get_audit_entry))
}

/// An entry of the audit log. It never changes.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(crate) struct AuditEntryBody {
    /// Gapless, from 1.
    #[schema(minimum = 1)]
    index: u64,
    event_id: Uuid,
    /// The same as `event_type`.
    #[schema(example = "VersionCreated")]
    event: String,
    #[schema(example = "VersionCreated")]
    event_type: String,
    #[schema(example = "VersionService")]
    source_service: String,
    /// The event's data.
    #[schema(value_type = Object)]
    payload: serde_json::Value,
    /// When the event happened, in milliseconds since the Unix epoch.
    timestamp: i64,
    /// When the entry was recorded.
    #[schema(value_type = String, format = DateTime)]
    recorded_at: Timestamp,
    /// Who did it.
    #[schema(example = "ada")]
    actor: String,
    /// What it is about.
    #[schema(example = "versions/42")]
    subject: String,
}

impl From<AuditEntry> for AuditEntryBody {
    fn from(AuditEntry { index, entry }: AuditEntry) -> Self {
        Self {
            index: index.get(),
            event_id: entry.event_id.get(),
            event: entry.event_type.clone(),
            event_type: entry.event_type,
            source_service: entry.source_service,
            payload: entry.payload,
            timestamp: entry.timestamp,
            recorded_at: entry.recorded_at,
            actor: entry.actor.into(),
            subject: entry.subject,
        }
    }
}

impl Narrowing for AuditFilter {
    type Key = AuditIndex;

    fn of(params: &mut Params) -> Result<Self, ApiError> {
        let event_type = params.take("event_type", named(EventType::parse))?;
        let source_service = params.take("source_service", named(SourceService::parse))?;
        let subject = params.take("subject", |text| Subject::parse(&text))?;
        Ok(Self {
            event_type: event_type.map(|event_type| event_type.as_str().to_owned()),
            source_service: source_service.map(|service| service.as_str().to_owned()),
            actor: params.take("actor", Actor::parse)?,
            subject: subject.map(|subject| subject.to_string()),
            since: params.take("since", |text| Timestamp::parse(&text))?,
            until: params.take("until", |text| Timestamp::parse(&text))?,
        })
    }

    fn after(params: &mut Params) -> Result<Option<AuditIndex>, ApiError> {
        params.take("after", parse_cursor(|key| key.parse().ok().map(AuditIndex::new)))
    }
}

/// List audit entries, newest last
///
/// `/audits` answers the same.
#[utoipa::path(get, path = "/audit/events", tag = "audit", params(
    ("event_type" = Option<String>, Query, description = "Only those of this event type", example = "VersionCreated"),
    ("source_service" = Option<String>, Query, description = "Only those from this service", example = "VersionService"),
    ("actor" = Option<String>, Query, description = "Only those by this actor", min_length = 1, max_length = 256,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]+$"),
    ("subject" = Option<String>, Query, description = "Only those about this subject", example = "versions/42",
        pattern = r"^((apps|versions|deployments)(/[1-9][0-9]{0,17})?|users(/[A-Za-z0-9][A-Za-z0-9._@+-]{0,63})?|audit|events)$"),
    ("since" = Option<String>, Query, description = "Only events at this time or later (RFC 3339)", format = DateTime),
    ("until" = Option<String>, Query, description = "Only events before this time (RFC 3339)", format = DateTime),
    crate::openapi::PageParams,
), responses((status = 200, body = Vec<AuditEntryBody>)))]
async fn list_audit_entries(
    State(state): State<ApiState>,
    Listing { context, filter, after, limit, uri }: Listing<AuditFilter>,
) -> Result<PageOf<AuditEntryBody>, ApiError> {
    let page = state.alm.audit().list(&context, &filter, after, limit).await?;
    Ok(PageOf::new(page, &uri, |index| cursor_of(&index.to_string())))
}

/// Read an audit entry
///
/// `/audits/{index}` answers the same.
#[utoipa::path(get, path = "/audit/events/{index}", tag = "audit",
    params(("index" = i64, Path, description = "From 1", minimum = 1)),
    responses((status = 200, body = AuditEntryBody)))]
async fn get_audit_entry(
    State(state): State<ApiState>,
    Caller(context): Caller,
    PathId(index): PathId<AuditIndex>,
) -> Result<Json<AuditEntryBody>, ApiError> {
    let entry = state.alm.audit().get(&context, index).await?.ok_or_else(ApiError::no_such_path)?;
    Ok(Json(entry.into()))
}
