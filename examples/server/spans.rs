//! Traces, sent to a collector by OTLP over HTTP.
//!
//! ALM tells of each span when it is over, by a line of the log that has `trace_id`, `span_id` and how long it took: of a request in
//! `alm_http`, of an event that a consumer has handled in `alm_core::span`. This makes spans of those lines, in a thread of its own.

use std::{
    error::Error,
    fmt::Debug,
    sync::Arc,
    time::{Duration, SystemTime},
};

use opentelemetry::{
    InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId, Value,
    trace::{SpanContext, SpanKind, Status, TraceState},
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor as _},
};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::layer::{Context, Layer};

/// How long the collector may take for what is left when the server stops.
const LAST: Duration = Duration::from_secs(3);

/// Sends spans of the log's lines to a collector.
pub(crate) struct Spans {
    processor: Arc<BatchSpanProcessor>,
    scope: InstrumentationScope,
}

/// Sends what is left when it is dropped, at the end of the process.
pub(crate) struct Rest(Arc<BatchSpanProcessor>);

impl Spans {
    /// To the collector at this address, such as `http://localhost:4318`.
    pub(crate) fn to(collector: &str, service: &str) -> Result<Self, Box<dyn Error>> {
        let endpoint = format!("{}/v1/traces", collector.trim_end_matches('/'));
        let exporter = SpanExporter::builder().with_http().with_endpoint(endpoint).build()?;
        let mut processor = BatchSpanProcessor::new(exporter, BatchConfigBuilder::default().build());
        let resource = Resource::builder().with_service_name(format!("alm-{service}"));
        processor.set_resource(
            &resource.with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))).build(),
        );
        Ok(Self { processor: Arc::new(processor), scope: InstrumentationScope::builder("alm").build() })
    }

    /// What has to be kept until the end.
    pub(crate) fn rest(&self) -> Rest {
        Rest(self.processor.clone())
    }

    /// Whether lines from there may tell of spans.
    pub(crate) fn listens_to(target: &str) -> bool {
        target == "alm_http::envelope" || target == "alm_core::span"
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        // What the collector does not take by then is lost.
        let _ = self.0.shutdown_with_timeout(LAST);
    }
}

impl<S: Subscriber> Layer<S> for Spans {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut told = Told::default();
        event.record(&mut told);
        if let Some(span) = told.span(&self.scope) {
            self.processor.on_end(span);
        }
    }
}

/// What a line tells of a span.
#[derive(Default)]
struct Told {
    trace: Option<TraceId>,
    span: Option<SpanId>,
    parent: Option<SpanId>,
    /// Who began the trace does not keep it, so no one should.
    is_unsampled: bool,
    took: Duration,
    method: String,
    route: String,
    consumer: String,
    event_type: String,
    status: u64,
    attributes: Vec<KeyValue>,
}

impl Told {
    fn span(mut self, scope: &InstrumentationScope) -> Option<SpanData> {
        let (trace, id) = (self.trace?, self.span?);
        if self.is_unsampled {
            return None;
        }
        let (name, span_kind) = if self.consumer.is_empty() {
            (format!("{} {}", self.method, self.route), SpanKind::Server)
        } else {
            (format!("{} {}", self.consumer, self.event_type), SpanKind::Consumer)
        };
        let end_time = SystemTime::now();
        Some(SpanData {
            span_context: SpanContext::new(trace, id, TraceFlags::SAMPLED, false, TraceState::NONE),
            parent_span_id: self.parent.unwrap_or(SpanId::INVALID),
            parent_span_is_remote: true,
            span_kind,
            name: name.into(),
            start_time: end_time.checked_sub(self.took).unwrap_or(end_time),
            end_time,
            attributes: std::mem::take(&mut self.attributes),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            // What a client did wrong is no error of the server.
            status: if self.status >= 500 { Status::error("") } else { Status::Unset },
            instrumentation_scope: scope.clone(),
        })
    }

    fn attribute(&mut self, name: &'static str, value: impl Into<Value>) {
        self.attributes.push(KeyValue::new(name, value));
    }
}

/// Attributes have the names of OpenTelemetry's semantic conventions where there is one.
impl Visit for Told {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "trace_id" => self.trace = TraceId::from_hex(value).ok(),
            "span_id" => self.span = SpanId::from_hex(value).ok(),
            "parent_span_id" => self.parent = SpanId::from_hex(value).ok(),
            "trace_flags" => self.is_unsampled = value == "00",
            "method" => {
                value.clone_into(&mut self.method);
                self.attribute("http.request.method", value.to_owned());
            }
            "route" => {
                value.clone_into(&mut self.route);
                self.attribute("http.route", value.to_owned());
            }
            "consumer" => {
                value.clone_into(&mut self.consumer);
                self.attribute("alm.consumer", value.to_owned());
            }
            "event_type" => {
                value.clone_into(&mut self.event_type);
                self.attribute("alm.event_type", value.to_owned());
            }
            "action" => self.attribute("alm.action", value.to_owned()),
            "actor" => self.attribute("enduser.id", value.to_owned()),
            "request_id" => self.attribute("alm.request_id", value.to_owned()),
            _ => {}
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "duration_us" => self.took = Duration::from_micros(value),
            "status" => {
                self.status = value;
                self.attribute("http.response.status_code", i64::try_from(value).unwrap_or(i64::MAX));
            }
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}
