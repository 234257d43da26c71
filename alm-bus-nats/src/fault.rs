//! What goes wrong with NATS, as the meanings of the port.

use alm_core::ports::{BackendError, BackendErrorKind, Outcome};
use async_nats::{RequestErrorKind, client::RequestError, jetstream::ErrorCode};

/// How this adapter calls itself.
pub(crate) const ADAPTER: &str = "nats";

type Source = Box<dyn std::error::Error + Send + Sync>;

/// A fault after which it is not known what has happened.
pub(crate) fn unknown(kind: BackendErrorKind, operation: &'static str, source: impl Into<Source>) -> BackendError {
    let source = Some(source.into());
    BackendError { kind, adapter: ADAPTER, operation, outcome: Outcome::Unknown, retry_after: None, source }
}

/// A fault before anything was done.
pub(crate) fn not_applied(kind: BackendErrorKind, operation: &'static str, source: impl Into<Source>) -> BackendError {
    BackendError { outcome: Outcome::NotApplied, ..unknown(kind, operation, source) }
}

/// What a request that was not answered means.
pub(crate) fn of_request(error: RequestError, operation: &'static str) -> BackendError {
    match error.kind() {
        RequestErrorKind::TimedOut => unknown(BackendErrorKind::Timeout, operation, error),
        RequestErrorKind::NoResponders => not_applied(BackendErrorKind::Unavailable, operation, error),
        RequestErrorKind::InvalidSubject | RequestErrorKind::MaxPayloadExceeded => {
            not_applied(BackendErrorKind::Internal, operation, error)
        }
        RequestErrorKind::Other => unknown(BackendErrorKind::Unavailable, operation, error),
    }
}

/// The kind of what `JetStream` says. Its codes are stable, its words are not
/// (<https://github.com/nats-io/nats-server/blob/main/server/errors.json>).
pub(crate) fn kind_of(status: usize, code: ErrorCode) -> BackendErrorKind {
    match code {
        ErrorCode::STREAM_STORE_FAILED
        | ErrorCode::STORAGE_RESOURCES_EXCEEDED
        | ErrorCode::MEMORY_RESOURCES_EXCEEDED
        | ErrorCode::ACCOUNT_RESOURCES_EXCEEDED => BackendErrorKind::NotWritable,
        ErrorCode::INSUFFICIENT_RESOURCES => BackendErrorKind::Overloaded,
        // A cluster that has just begun does not know all of its servers yet.
        ErrorCode::CLUSTER_NO_PEERS
        | ErrorCode::JETSTREAM_NOT_ENABLED
        | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => BackendErrorKind::Unavailable,
        _ => match status {
            408 => BackendErrorKind::Timeout,
            429 => BackendErrorKind::Overloaded,
            503 => BackendErrorKind::Unavailable,
            _ => BackendErrorKind::Internal,
        },
    }
}
