//! `/readyz`: what the services say.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json,
    extract::State,
    http::{Request, StatusCode, uri::PathAndQuery},
};
use futures_util::future::join_all;
use tokio::{sync::Mutex, time::timeout};

use crate::{error::ApiError, operations::Health, problem::Dependency, request::NoParams, upstream::Upstream};

use super::{GatewayState, Shared, routes::Service};

/// How long a service may take to say how it is.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long it counts what they said, so that however often anyone asks here, they are asked once.
const FRESH: Duration = Duration::from_secs(1);

/// What the services said last, and when.
#[derive(Default)]
pub(super) struct Seen(Mutex<Option<(Instant, Vec<Dependency>)>>);

/// Does the gateway want requests?
///
/// It does as long as one service answers. Each is asked for its own readiness, at most once a second: it is `up`; `degraded` when it
/// answers, and says that it is not ready; or `down`.
#[utoipa::path(get, path = "/readyz", tag = "operations", responses((status = 200, body = Health),
    (status = 503, body = crate::problem::Problem, content_type = "application/problem+json",
        description = "Not now: no service answers, as `dependencies` says, or the gateway shuts down")), security(()))]
pub(super) async fn readyz(
    State(GatewayState(shared)): State<GatewayState>,
    _: NoParams,
) -> Result<Json<Health>, ApiError> {
    if shared.readiness.is_shutting_down() {
        return Err(ApiError::not_ready("the gateway is shutting down", Vec::new()));
    }
    let dependencies = states(&shared).await;
    if dependencies.iter().all(|dependency| dependency.status == "down") {
        return Err(ApiError::not_ready("no service answers", dependencies));
    }
    Ok(Json(Health { status: "ready", dependencies }))
}

async fn states(shared: &Arc<Shared>) -> Vec<Dependency> {
    // Whoever comes meanwhile waits here, and then finds the answer.
    let mut seen = shared.seen.0.lock().await;
    if let Some((at, states)) = &*seen
        && at.elapsed() < FRESH
    {
        return states.clone();
    }
    let states = join_all(Service::ALL.map(|service| state(shared.upstream(service)))).await;
    *seen = Some((Instant::now(), states.clone()));
    states
}

async fn state(upstream: &Upstream) -> Dependency {
    let status = match timeout(PATIENCE, ask(upstream)).await {
        Ok(Some(StatusCode::OK)) => "up",
        Ok(Some(_)) => "degraded",
        Ok(None) | Err(_) => "down",
    };
    Dependency { name: upstream.name.to_owned(), status: status.to_owned(), lag: None }
}

/// What its own readiness answers, if it answers. The circuit is left out: this is to tell how the service is now.
async fn ask(upstream: &Upstream) -> Option<StatusCode> {
    let uri = upstream.base.at(&PathAndQuery::from_static("/readyz"))?;
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.uri = uri;
    match upstream.probe(parts).await {
        Ok(answer) => Some(answer.status()),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "a service does not say how it is");
            None
        }
    }
}
