//! The state of the process: `/healthz`, `/readyz`, `/metrics`.

use std::time::Duration;

use alm_core::{
    Alm,
    ports::{BusState, StoreError},
    services::StoreState,
};
use axum::{
    Json, Router,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::ApiError,
    gauges,
    headers::secured,
    problem::Dependency,
    request::NoParams,
    state::{ApiState, MetricsRenderer},
};

/// How long the store may take to show that it is there.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz))
}

pub(crate) fn metrics_routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(metrics))
}

/// A router with `/metrics` alone, for a port of its own.
pub fn metrics_router(alm: Alm, render: MetricsRenderer) -> Router {
    secured(Router::new().route("/metrics", get(move || rendered(alm, render))))
}

/// The state of the process.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`, or `ready`.
    pub(crate) status: &'static str,
    /// What the service needs, and its state.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) dependencies: Vec<Dependency>,
}

/// Is the process alive?
///
/// It never depends on anything else.
#[utoipa::path(get, path = "/healthz", tag = "operations", responses((status = 200, body = Health)), security(()))]
pub(crate) async fn healthz(_: NoParams) -> Json<Health> {
    Json(Health { status: "ok", dependencies: Vec::new() })
}

/// Does the process want requests?
///
/// It does as long as its store takes changes. A store that is `read-only` still answers reads. The store is asked at most once a
/// second, however often this is. A bus that is `down` hinders no request: the others hear of it later.
#[utoipa::path(get, path = "/readyz", tag = "operations", responses((status = 200, body = Health),
    (status = 503, body = crate::problem::Problem, content_type = "application/problem+json",
        description = "Not now: the store is `down` or `read-only`, as `dependencies` says, or the process shuts down")), security(()))]
async fn readyz(State(state): State<ApiState>, _: NoParams) -> Result<Json<Health>, ApiError> {
    let dependency = |name: String, status: &str, lag| Dependency { name, status: status.to_owned(), lag };
    if state.settings.readiness.is_shutting_down() {
        return Err(ApiError::not_ready("the server is shutting down", Vec::new()));
    }
    let looking = async { Ok::<_, StoreError>((state.alm.progress().await?, state.alm.store_state().await)) };
    let (progress, store) = match tokio::time::timeout(PATIENCE, looking).await {
        Ok(Ok(seen)) => seen,
        failed => {
            if let Ok(Err(error)) = failed {
                tracing::warn!(error = &error as &dyn std::error::Error, "the store is not ready");
            }
            (Vec::new(), StoreState::Down)
        }
    };
    let (status, why_not) = match store {
        StoreState::Up => ("up", None),
        StoreState::ReadOnly => ("read-only", Some("the store takes no changes")),
        StoreState::Down => ("down", Some("the store does not answer")),
    };
    let consumers = progress.iter().map(|p| dependency(format!("consumer {}", p.consumer), "up", Some(p.lag())));
    let bus = state.alm.bus().map(|bus| {
        let status = if bus.state() == BusState::Up { "up" } else { "down" };
        dependency("bus".to_owned(), status, None)
    });
    let store = dependency("store".to_owned(), status, None);
    let dependencies = std::iter::once(store).chain(bus).chain(consumers).collect();
    match why_not {
        None => Ok(Json(Health { status: "ready", dependencies })),
        Some(why) => Err(ApiError::not_ready(why, dependencies)),
    }
}

/// Metrics in the Prometheus text format
#[utoipa::path(get, path = "/metrics", tag = "operations",
    responses((status = 200, body = String, content_type = "text/plain")), security(()))]
async fn metrics(State(state): State<ApiState>, _: NoParams) -> Result<Response, ApiError> {
    let render = state.settings.metrics.clone().ok_or_else(ApiError::no_such_path)?;
    Ok(rendered(state.alm, render).await)
}

async fn rendered(alm: Alm, render: MetricsRenderer) -> Response {
    // Read when asked: what no one looks at costs nothing.
    gauges::report(&alm, PATIENCE).await;
    exposition(&render).await
}

/// What a scrape of Prometheus gets.
pub(crate) async fn exposition(render: &MetricsRenderer) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], render().await).into_response()
}
