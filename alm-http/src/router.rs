//! All routes, put together.

use std::{sync::Arc, time::Duration};

use alm_core::{
    Alm,
    domain::{Services, SourceService},
};
use axum::{Router, middleware};
use serde_json::Value;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    cors::{CorsOrigins, cors},
    docs,
    envelope::{Actions, envelope},
    error::ApiError,
    openapi::{self, Document},
    operations,
    proxies::TrustedProxies,
    resources::{
        api_keys, apps, audit, audit_tree, deployments, environments, events, login, session, users, versions,
    },
    state::{ApiState, MetricsRenderer, Readiness, Settings},
};

/// Every route of the services that `alm` [runs](alm_core::AlmBuilder::services), with the defaults of [`Api`]. It can be nested under any prefix, beside any routes.
///
/// `alm` needs an authenticator, and for log-ins, accounts and API keys a token issuer, a password hasher and a source of secrets.
pub fn router<S: Clone + Send + Sync + 'static>(alm: Alm) -> Router<S> {
    Api::new(alm).router()
}

/// The `OpenAPI` 3.1 document of the API.
pub fn openapi() -> Value {
    openapi::finish(&routes(Services::ALL, true).into_openapi())
}

/// Puts a router together, for hosts that want other than the defaults.
#[must_use = "`router` makes a router of it"]
pub struct Api {
    alm: Alm,
    settings: Settings,
    cors: CorsOrigins,
}

impl Api {
    /// The API over `alm`.
    pub fn new(alm: Alm) -> Self {
        let settings = Settings {
            trusted: TrustedProxies::default(),
            readiness: Readiness::default(),
            metrics: None,
            max_body_bytes: 256 * 1024,
            body_timeout: Duration::from_secs(30),
            heartbeat: Duration::from_secs(15),
        };
        Self { alm, settings, cors: CorsOrigins::default() }
    }

    /// The proxies that are believed when they say for whom they pass a request on; none unless told. Log-ins are counted by the address
    /// that comes of it.
    pub fn trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.settings.trusted = proxies;
        self
    }

    /// What `/readyz` goes by besides its dependencies.
    pub fn readiness(mut self, readiness: Readiness) -> Self {
        self.settings.readiness = readiness;
        self
    }

    /// Serves `/metrics`, too. The routes report to the recorder of the `metrics` crate that the host has installed.
    pub fn metrics(mut self, render: MetricsRenderer) -> Self {
        self.settings.metrics = Some(render);
        self
    }

    /// How large a body may be; 256 KiB unless told.
    pub fn max_body_bytes(mut self, bytes: usize) -> Self {
        self.settings.max_body_bytes = bytes;
        self
    }

    /// How long a body may take to come; 30 s unless told.
    pub fn body_timeout(mut self, timeout: Duration) -> Self {
        self.settings.body_timeout = timeout;
        self
    }

    /// After how long without an event a stream of events sends a comment, so that no one on the way takes the connection for dead;
    /// 15 s unless told. It must be less than any proxy waits.
    pub fn heartbeat(mut self, interval: Duration) -> Self {
        self.settings.heartbeat = interval;
        self
    }

    /// The origins whose pages may call the API from a browser; none unless told.
    pub fn cors_origins(mut self, origins: CorsOrigins) -> Self {
        self.cors = origins;
        self
    }

    /// The finished router.
    pub fn router<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        let (routes, document) = routes(self.alm.services(), self.settings.metrics.is_some()).split_for_parts();
        let state = ApiState { alm: self.alm, settings: Arc::new(self.settings) };
        if state.alm.services().has(SourceService::AuthService) {
            login::login_failures().increment(0);
        }
        let document = openapi::finish(&document);
        let actions = Actions::of(&document);
        let api = routes
            .merge(docs::routes(document))
            .fallback(async || ApiError::no_such_path())
            .method_not_allowed_fallback(async || ApiError::method_not_allowed())
            .layer(middleware::from_fn_with_state(actions, envelope))
            .with_state(state);
        with_cors(api, self.cors)
    }
}

/// Outside of everything else, as errors are to be read, too.
pub(crate) fn with_cors<S: Clone + Send + Sync + 'static>(router: Router<S>, origins: CorsOrigins) -> Router<S> {
    if origins.is_empty() { router } else { router.layer(middleware::from_fn_with_state(origins, cors)) }
}

/// The routes of some services. The log and the state of the process are everywhere.
fn routes(services: Services, with_metrics: bool) -> OpenApiRouter<ApiState> {
    let mut routes = OpenApiRouter::with_openapi(Document::openapi());
    let mut serve = |service, of_service: OpenApiRouter<ApiState>| {
        if services.has(service) {
            routes = std::mem::take(&mut routes).merge(of_service);
        }
    };
    serve(SourceService::AuthService, login::routes().merge(session::routes()));
    serve(SourceService::AppService, apps::routes());
    serve(SourceService::VersionService, versions::routes());
    serve(SourceService::DeploymentService, deployments::routes().merge(environments::routes()));
    serve(SourceService::AuditService, audit::routes().merge(audit_tree::routes()));
    serve(SourceService::AuthService, users::routes().merge(api_keys::routes()));
    let routes = routes.merge(events::routes()).merge(operations::routes());
    if with_metrics { routes.merge(operations::metrics_routes()) } else { routes }
}
