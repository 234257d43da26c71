use std::sync::{Arc, Mutex};

use axum::{Router, body::Bytes, extract::State, routing::post};
use serde_json::json;

use super::{Clients as _, Process};
use crate::support::{Given, PASSWORD, SECRET, eventually};

/// Keeps what a collector is sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Vec<u8>>>>);

impl Collector {
    /// At which address it listens.
    async fn listen(&self) -> String {
        let take = async |State(Self(bodies)): State<Self>, body: Bytes| bodies.lock().unwrap().push(body.to_vec());
        let router = Router::new().route("/v1/traces", post(take)).with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    /// The spans of a trace.
    fn spans(&self, trace: [u8; 16]) -> Vec<Span> {
        self.0.lock().unwrap().iter().flat_map(|body| spans_in(body, trace)).collect()
    }
}

#[derive(Clone, Debug)]
struct Span {
    name: String,
    id: String,
    parent: String,
}

/// Each message `Span` of OTLP begins with these fields, in this order: `trace_id`, `span_id`, perhaps `trace_state`,
/// `parent_span_id`, perhaps `flags`, `name`.
fn spans_in(body: &[u8], trace: [u8; 16]) -> Vec<Span> {
    let head: Vec<u8> = [&[0x0a, 16][..], &trace, &[0x12, 8]].concat();
    let begins = (0..body.len()).filter(|at| body[*at..].starts_with(&head));
    let hex = |id: &[u8]| format!("{:016x}", u64::from_be_bytes(id.try_into().unwrap()));
    begins
        .map(|at| {
            let (id, mut rest) = body[at + head.len()..].split_at(8);
            let mut parent = String::new();
            loop {
                if let [0x85, 0x01, _, _, _, _, after @ ..] = rest {
                    // The flags, a number of four bytes.
                    rest = after;
                    continue;
                }
                let (value, after) = rest[2..].split_at(usize::from(rest[1]));
                match rest[0] {
                    0x22 => parent = hex(value),
                    0x2a => break Span { name: String::from_utf8(value.to_vec()).unwrap(), id: hex(id), parent },
                    _ => {}
                }
                rest = after;
            }
        })
        .collect()
}

#[tokio::test]
async fn a_request_is_one_trace_from_the_gateway_to_the_consumers_of_its_event() {
    let collector = Collector::default();
    let endpoint = collector.listen().await;
    let secret = str::from_utf8(SECRET).unwrap();
    let common =
        [("JWT_SECRET", secret), ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_BSP_SCHEDULE_DELAY", "50")];
    let mut service =
        Process::serve(&[&common[..], &[("ADMIN_PASSWORD", PASSWORD), ("AUTO_DEPLOY", "staging")]].concat());
    let url = format!("http://{}", service.address_of("listening"));
    let urls = ["APP_URL", "VERSION_URL", "DEPLOYMENT_URL", "AUDIT_URL"].map(|name| (name, &*url));
    let mut gateway = Process::serve(&[&common[..], &[("SERVICES", "gateway")], &urls].concat());
    let anyone = gateway.client();
    let token = anyone.post("/login", &json!({"username": "admin", "password": PASSWORD})).await.ok(200);
    let admin = anyone.with_token(token["access_token"].as_str().unwrap());
    let app = admin.app("billing").await;

    // Of a trace that is not kept nothing is collected, also not of what follows from it.
    let unsampled = [0x5c; 16];
    let sent = admin.post("/versions", &json!({"app_id": app, "tag": "v0"}));
    sent.header("traceparent", "00-5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c5c-00f067aa0ba902b7-00").await.is(201);

    let trace = [0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36];
    let sent = admin.post("/versions", &json!({"app_id": app, "tag": "v1"}));
    sent.header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").await.is(201);
    let spans = eventually("all spans", async || {
        let spans = collector.spans(trace);
        (spans.len() >= 5).then_some(spans)
    })
    .await;
    let below = |parent: &str| {
        let mut names: Vec<_> = spans.iter().filter(|span| span.parent == parent).map(|span| &*span.name).collect();
        names.sort_unstable();
        names
    };
    let id = |name: &str, parent: &str| {
        spans.iter().find(|span| (&*span.name, &*span.parent) == (name, parent)).unwrap().id.clone()
    };
    assert_eq!(below("00f067aa0ba902b7"), ["POST /versions"], "{spans:?}");
    let gateway = id("POST /versions", "00f067aa0ba902b7");
    assert_eq!(below(&gateway), ["POST /versions"], "{spans:?}");
    // What a consumer does stands in the trace of what it follows from.
    let service = id("POST /versions", &gateway);
    let handled = ["audit DeploymentCreated", "audit VersionCreated", "auto-deploy VersionCreated"];
    assert_eq!(below(&service), handled, "{spans:?}");
    assert!(collector.spans(unsampled).is_empty());
}
