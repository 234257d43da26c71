//! One front for services that run apart: the same routes, at one address. It holds no data.
//!
//! - A request goes to the service that its path belongs to, byte for byte, and the answer comes back as it is. Both are streamed:
//!   nothing is buffered, events come through at once, and who goes away ends what was done for them.
//! - What goes out is repeated only when it is safe, and nothing was sent: when there was no connection, a read or a `POST` with
//!   an `Idempotency-Key`, twice at most.
//! - A service that does not answer is answered for by a problem, whose `upstream` names it and whose `outcome` says whether a
//!   change may have been made: `502 upstream-failed`, `503 upstream-unavailable`, `504 upstream-timeout`. One that fails most
//!   requests is not asked for a few seconds. None of it touches the other services.
//! - `/apps/{id}/environments` comes from the service of the deployments, and the versions in it from theirs, as far as they come in
//!   time and fit in; what is still `null` is named by `version_id` of the deployment. The service of the apps says whether there is
//!   the app.
//! - `/apps/{id}/overview` puts together what the services know of an app, and says what is missing.
//! - `/readyz` asks the services, and tells the state of each. The gateway is ready as long as it is not shutting down and one
//!   service answers: for that one's routes it is of use, and for the others its problems say more than no connection would.
//!
//! The event log is not behind the gateway, as each service has one of its own.
//!
//! # Example
//! ```
//! use alm_http::gateway::{Gateway, Upstreams};
//!
//! # fn main() -> Result<(), alm_http::upstream::InvalidBaseUrl> {
//! let gateway: axum::Router = Gateway::new(Upstreams {
//!     app: "http://app:8080".parse()?,
//!     version: "http://version:8081".parse()?,
//!     deployment: "http://deployment:8082".parse()?,
//!     audit: "http://audit:8083".parse()?,
//! })
//! .router();
//! # Ok(())
//! # }
//! ```

mod document;
mod environments;
mod forwarded;
mod headers;
mod links;
mod overview;
mod part;
mod proxy;
mod ready;
mod routes;

use std::{sync::Arc, time::Duration};

use axum::{Router, extract::State, middleware, response::Response, routing::get};
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes as handlers};

use crate::{
    cors::CorsOrigins,
    docs,
    envelope::{Actions, envelope},
    error::ApiError,
    headers::secured,
    operations,
    proxies::TrustedProxies,
    request::NoParams,
    router::with_cors,
    state::{MetricsRenderer, Readiness},
    upstream::{BaseUrl, Client, Upstream, UpstreamConfig},
};

use self::routes::Service;

/// Where the services are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstreams {
    /// Apps, accounts and log-in.
    pub app: BaseUrl,
    /// Versions.
    pub version: BaseUrl,
    /// Deployments, and what runs where.
    pub deployment: BaseUrl,
    /// The audit log.
    pub audit: BaseUrl,
}

/// Puts the router of a gateway together.
#[must_use = "`router` makes a router of it"]
pub struct Gateway {
    upstreams: Upstreams,
    readiness: Readiness,
    metrics: Option<MetricsRenderer>,
    config: UpstreamConfig,
    part_timeout: Duration,
    cors: CorsOrigins,
    trusted: TrustedProxies,
}

impl Gateway {
    /// A gateway to these services.
    pub fn new(upstreams: Upstreams) -> Self {
        Self {
            upstreams,
            readiness: Readiness::default(),
            metrics: None,
            config: UpstreamConfig::default(),
            part_timeout: Duration::from_secs(2),
            cors: CorsOrigins::default(),
            trusted: TrustedProxies::default(),
        }
    }

    /// What `/readyz` goes by besides the services.
    pub fn readiness(mut self, readiness: Readiness) -> Self {
        self.readiness = readiness;
        self
    }

    /// Serves `/metrics`, too. The gateway reports to the recorder of the `metrics` crate that the host has installed.
    pub fn metrics(mut self, render: MetricsRenderer) -> Self {
        self.metrics = Some(render);
        self
    }

    /// How patient it is with the services.
    pub fn upstream_config(mut self, config: UpstreamConfig) -> Self {
        self.config = config;
        self
    }

    /// How long each part may take of what is put together, such as an overview; 2 s unless told.
    pub fn part_timeout(mut self, timeout: Duration) -> Self {
        self.part_timeout = timeout;
        self
    }

    /// The origins whose pages may call the API from a browser; none unless told.
    pub fn cors_origins(mut self, origins: CorsOrigins) -> Self {
        self.cors = origins;
        self
    }

    /// The proxies before the gateway that are believed when they say for whom they pass a request on; none unless told. What anyone else
    /// says there reaches no service.
    pub fn trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.trusted = proxies;
        self
    }

    /// The finished router. Connections to the services are made by tasks of the tokio runtime that serves it.
    pub fn router<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        let (own, own_document) = own_routes(self.metrics.is_some()).split_for_parts();
        let client = Client::new(&self.config);
        let upstream = |name, base: &BaseUrl| Upstream::new(name, base.clone(), client.clone(), &self.config);
        let state = GatewayState(Arc::new(Shared {
            app: upstream("app", &self.upstreams.app),
            version: upstream("version", &self.upstreams.version),
            deployment: upstream("deployment", &self.upstreams.deployment),
            audit: upstream("audit", &self.upstreams.audit),
            readiness: self.readiness,
            metrics: self.metrics,
            pause_timeout: self.config.pause_timeout,
            part_timeout: self.part_timeout,
            seen: ready::Seen::default(),
        }));
        let document = document::merged(&own_document);
        let actions = Actions::of(&document);
        let gateway = own
            .merge(docs::routes(document))
            .fallback(proxy::pass)
            .method_not_allowed_fallback(async || ApiError::method_not_allowed())
            .layer(middleware::from_fn_with_state(self.trusted, forwarded::admit))
            .layer(middleware::from_fn_with_state(actions, envelope))
            .with_state(state);
        with_cors(gateway, self.cors)
    }
}

/// The `OpenAPI` 3.1 document of the gateway: that of the [API](crate::openapi) without the event log, with the gateway's own routes.
pub fn openapi() -> Value {
    document::merged(&own_routes(true).into_openapi())
}

/// A router with `/metrics` alone, for a port of its own.
pub fn metrics_router(render: MetricsRenderer) -> Router {
    secured(Router::new().route("/metrics", get(move || async move { operations::exposition(&render).await })))
}

fn own_routes(with_metrics: bool) -> OpenApiRouter<GatewayState> {
    let own = OpenApiRouter::new()
        .routes(handlers!(overview::get_overview))
        .routes(handlers!(operations::healthz))
        .routes(handlers!(ready::readyz));
    if with_metrics { own.routes(handlers!(metrics)) } else { own }
}

/// What every handler of the gateway can reach.
#[derive(Clone)]
struct GatewayState(Arc<Shared>);

struct Shared {
    app: Upstream,
    version: Upstream,
    deployment: Upstream,
    audit: Upstream,
    readiness: Readiness,
    metrics: Option<MetricsRenderer>,
    pause_timeout: Duration,
    part_timeout: Duration,
    seen: ready::Seen,
}

impl Shared {
    fn upstream(&self, service: Service) -> &Upstream {
        match service {
            Service::App => &self.app,
            Service::Version => &self.version,
            Service::Deployment => &self.deployment,
            Service::Audit => &self.audit,
        }
    }
}

/// Metrics in the Prometheus text format
#[utoipa::path(get, path = "/metrics", tag = "operations",
    responses((status = 200, body = String, content_type = "text/plain")), security(()))]
async fn metrics(State(GatewayState(shared)): State<GatewayState>, _: NoParams) -> Result<Response, ApiError> {
    let render = shared.metrics.as_ref().ok_or_else(ApiError::no_such_path)?;
    Ok(operations::exposition(render).await)
}
