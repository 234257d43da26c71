//! Logs and metrics.

use std::{error::Error, io::IsTerminal, sync::Arc};

use alm_http::MetricsRenderer;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use tracing_subscriber::{EnvFilter, Layer as _, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// Logs to the standard output: for people on a terminal, else one JSON object a line.
pub(crate) fn log(filter: &str) -> Result<(), Box<dyn Error>> {
    let filter = EnvFilter::try_new(filter).map_err(|error| format!("LOG: {error}"))?;
    let log = fmt::layer().with_target(false);
    let log = if std::io::stdout().is_terminal() {
        log.boxed()
    } else {
        log.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
    };
    let subscriber = tracing_subscriber::registry().with(log.with_filter(filter));
    #[cfg(feature = "failpoints")]
    let subscriber = subscriber.with(crate::failpoint::armed()?);
    subscriber.init();
    Ok(())
}

/// Takes the metrics of the process from now on; must be called on the runtime.
pub(crate) fn metrics() -> Result<MetricsRenderer, Box<dyn Error>> {
    const SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .install_recorder()?;
    let upkeep = handle.clone();
    tokio::spawn(async move {
        // Samples that no one scrapes would otherwise pile up.
        let mut every = tokio::time::interval(std::time::Duration::from_secs(5));
        loop {
            every.tick().await;
            upkeep.run_upkeep();
        }
    });
    Ok(Arc::new(move || handle.render()))
}
