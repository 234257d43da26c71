//! The trace that a request belongs to (W3C Trace Context, <https://www.w3.org/TR/trace-context/>).

use alm_core::{
    domain::TraceParent,
    ports::{Ids, SystemIds},
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// What a request is in its trace: a span of its own, under that of whoever sent it.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) own: TraceParent,
    /// The id of the span that it was sent from; none where the trace begins here.
    pub(crate) parent: Option<String>,
}

impl Span {
    /// Begins one, and has the headers say so: what the request leads to is under it.
    pub(crate) fn begin(headers: &mut HeaderMap) -> Self {
        let id = SystemIds.uuid_v7();
        let span = if let Some(sender) = given(headers) {
            Self { own: sender.with_span(id), parent: Some(sender.span_id().to_owned()) }
        } else {
            // Of a trace that can't be read nothing is carried on (section 4.3).
            headers.remove(TRACESTATE);
            Self { own: TraceParent::root(SystemIds.uuid_v7(), id), parent: None }
        };
        if let Ok(value) = HeaderValue::from_str(span.own.as_str()) {
            headers.insert(TRACEPARENT, value);
        }
        span
    }
}

/// What whoever sent the request says, once.
fn given(headers: &HeaderMap) -> Option<TraceParent> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    TraceParent::parse(value.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(traceparents: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(TRACESTATE, HeaderValue::from_static("vendor=1"));
        for value in traceparents {
            headers.append(TRACEPARENT, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_request_goes_on_with_the_trace_that_it_came_in() {
        let mut headers = headers(&["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"]);
        let span = Span::begin(&mut headers);
        assert_eq!(span.own.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(span.parent.as_deref(), Some("00f067aa0ba902b7"));
        assert_ne!(span.own.span_id(), "00f067aa0ba902b7");
        assert!(span.own.as_str().ends_with("-00"));
        assert_eq!(headers["traceparent"], span.own.as_str());
        assert_eq!(headers["tracestate"], "vendor=1");
    }

    #[test]
    fn a_request_without_a_trace_that_can_be_read_begins_one() {
        let one = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        for given in [&[][..], &["nonsense"], &[one, one]] {
            let mut headers = headers(given);
            let span = Span::begin(&mut headers);
            assert_eq!(span.parent, None);
            assert_ne!(span.own.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
            assert_eq!(headers.get_all("traceparent").iter().collect::<Vec<_>>(), [span.own.as_str()]);
            assert!(!headers.contains_key("tracestate"));
        }
    }
}
