//! The gateway: one address for the services.

use std::error::Error;

use alm_http::{
    gateway::{Gateway, Upstreams, metrics_router},
    upstream::BaseUrl,
};

use crate::{run::Process, settings::Settings};

/// Passes requests on until the process is terminated.
pub(crate) async fn run(
    process: Process,
    settings: &Settings,
    terminated: impl Future<Output = ()>,
) -> Result<(), Box<dyn Error>> {
    let mut gateway = Gateway::new(upstreams(settings)?)
        .readiness(process.readiness.clone())
        .cors_origins(settings.cors_origins.clone())
        .trusted_proxies(settings.trusted_proxies.clone());
    if settings.metrics_port.is_none() {
        gateway = gateway.metrics(process.metrics.clone());
    }
    let open = process.open(settings, gateway.router(), metrics_router).await?;
    terminated.await;
    open.close().await?;
    tracing::info!("stopped");
    Ok(())
}

fn upstreams(settings: &Settings) -> Result<Upstreams, String> {
    let url = |name: &str, url: &Option<BaseUrl>| {
        url.clone()
            .ok_or_else(|| format!("{name} is not set, and the gateway needs to know where that service answers"))
    };
    Ok(Upstreams {
        app: url("APP_URL", &settings.app_url)?,
        version: url("VERSION_URL", &settings.version_url)?,
        deployment: url("DEPLOYMENT_URL", &settings.deployment_url)?,
        audit: url("AUDIT_URL", &settings.audit_url)?,
    })
}
