//! Logs and metrics.

use std::{
    error::Error,
    io::IsTerminal,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use alm_http::MetricsRenderer;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use tokio::sync::Mutex;
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer,
    fmt::{
        self, FmtContext, FormatEvent, FormatFields,
        format::{Format, Json, Writer},
    },
    layer::SubscriberExt as _,
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

#[cfg(feature = "otlp")]
use tracing_subscriber::filter::filter_fn;

#[cfg(feature = "otlp")]
use crate::spans::Spans;
use crate::{settings::Settings, storage::Storage};

/// How long the store may take to tell of itself.
const PATIENCE: Duration = Duration::from_secs(1);

/// Logs to the standard output: for people on a terminal, else one JSON object a line.
///
/// Keep what it gives until the end: it sends the last traces.
pub(crate) fn log(settings: &Settings) -> Result<Kept, Box<dyn Error>> {
    let filter = EnvFilter::try_new(&settings.log).map_err(|error| format!("LOG: {error}"))?;
    let log = fmt::layer().with_target(false);
    let log = if std::io::stdout().is_terminal() {
        log.boxed()
    } else {
        let line = fmt::format().json().flatten_event(true).with_current_span(false).with_span_list(false);
        let service = settings.services.to_string();
        log.json().event_format(OfService { line: line.with_target(false), service }).boxed()
    };
    let subscriber = tracing_subscriber::registry().with(log.with_filter(filter));
    #[cfg(feature = "otlp")]
    let (subscriber, kept) = {
        let spans = spans(settings)?;
        let kept = Kept { _rest: spans.as_ref().map(Spans::rest) };
        let listens = filter_fn(|line| Spans::listens_to(line.target()));
        (subscriber.with(spans.map(|spans| spans.with_filter(listens))), kept)
    };
    #[cfg(not(feature = "otlp"))]
    let kept = no_spans(settings).map(|()| Kept {})?;
    #[cfg(feature = "failpoints")]
    let subscriber = subscriber.with(crate::failpoint::armed()?);
    subscriber.init();
    Ok(kept)
}

/// What has to be kept until the process ends.
#[must_use]
pub(crate) struct Kept {
    #[cfg(feature = "otlp")]
    _rest: Option<crate::spans::Rest>,
}

/// Where traces are to be sent, if anywhere. An empty address is none, as OpenTelemetry has it.
fn collector(settings: &Settings) -> Result<Option<&str>, Box<dyn Error>> {
    match settings.otel_exporter_otlp_endpoint.as_deref() {
        None | Some("") => Ok(None),
        Some(url) if url.starts_with("http://") => Ok(Some(url)),
        Some(_) => Err("OTEL_EXPORTER_OTLP_ENDPOINT must begin with http://, such as http://localhost:4318".into()),
    }
}

/// What sends traces, if the settings say where to.
#[cfg(feature = "otlp")]
fn spans(settings: &Settings) -> Result<Option<Spans>, Box<dyn Error>> {
    let spans = collector(settings)?.map(|url| Spans::to(url, &settings.services.to_string()));
    spans.transpose().map_err(|error| format!("OTEL_EXPORTER_OTLP_ENDPOINT: {error}").into())
}

/// There is nothing that could send any.
#[cfg(not(feature = "otlp"))]
fn no_spans(settings: &Settings) -> Result<(), Box<dyn Error>> {
    match collector(settings)? {
        None => Ok(()),
        Some(_) => {
            Err("OTEL_EXPORTER_OTLP_ENDPOINT is set, and this server can't send traces: build it with --features otlp"
                .into())
        }
    }
}

/// Lines that say which service they are of.
struct OfService {
    line: Format<Json>,
    service: String,
}

impl<S, N> FormatEvent<S, N> for OfService
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, cx: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> std::fmt::Result {
        let mut line = String::new();
        self.line.format_event(cx, Writer::new(&mut line), event)?;
        // Names of services need no escape.
        write!(out, r#"{{"service":"{}",{}"#, self.service, line.strip_prefix('{').unwrap_or(&line))
    }
}

/// Takes the metrics of the process from now on; must be called on the runtime.
pub(crate) fn metrics(settings: &Settings) -> Result<MetricsRenderer, Box<dyn Error>> {
    const SECONDS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
    const SIZES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_batch_size".to_owned()), &SIZES)?
        .install_recorder()?;
    let (version, services) = (env!("CARGO_PKG_VERSION"), settings.services.to_string());
    metrics::gauge!("alm_build_info", "version" => version, "services" => services).set(1.0);
    if let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) {
        metrics::gauge!("process_start_time_seconds").set(now.as_secs_f64());
    }
    let upkeep = handle.clone();
    tokio::spawn(async move {
        // Samples that no one scrapes would otherwise pile up.
        let mut every = tokio::time::interval(Duration::from_secs(5));
        loop {
            every.tick().await;
            upkeep.run_upkeep();
        }
    });
    Ok(Arc::new(move || {
        let handle = handle.clone();
        Box::pin(async move { handle.render() })
    }))
}

/// The same, with what the store alone knows of itself, as far as it tells it soon.
pub(crate) fn with_storage(render: MetricsRenderer, storage: Storage) -> MetricsRenderer {
    let read = Arc::new(Mutex::<Option<Instant>>::default());
    Arc::new(move || {
        let (storage, rendered, read) = (storage.clone(), render(), read.clone());
        Box::pin(async move {
            // One at a time is enough, and at most once a second.
            if let Ok(mut read) = read.try_lock()
                && read.is_none_or(|read| read.elapsed() >= Duration::from_secs(1))
            {
                *read = Some(Instant::now());
                if let Ok(Err(error)) = tokio::time::timeout(PATIENCE, storage.report_metrics()).await {
                    tracing::debug!(error = &error as &dyn Error, "metrics of the store are not read");
                }
            }
            rendered.await
        })
    })
}
