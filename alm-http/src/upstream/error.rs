//! How calls to a service fail.

use std::{error::Error, fmt, time::Duration};

/// A service gave no answer.
#[derive(Debug)]
pub(crate) struct UpstreamError {
    /// Which service.
    pub(crate) upstream: &'static str,
    pub(crate) fault: Fault,
    pub(crate) source: Option<Box<dyn Error + Send + Sync>>,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It has failed so often that it was not even tried; after so long it will be.
    CircuitOpen(Duration),
    /// No connection could be made, so nothing was sent.
    Unreachable,
    /// It was sent, and no answer came in time.
    TimedOut,
    /// It was sent, and the connection was lost, or what came is no answer.
    Failed,
    /// The body of the request, which came from a client, did not come in time.
    RequestTooSlow,
    /// The body of the request, which came from a client, has broken off.
    RequestBroken,
}

impl Fault {
    /// A stable kebab-case name of the meaning.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::CircuitOpen(_) | Self::Unreachable => "upstream-unavailable",
            Self::TimedOut => "upstream-timeout",
            Self::Failed => "upstream-failed",
            Self::RequestTooSlow => "body-too-slow",
            Self::RequestBroken => "body-broken",
        }
    }

    /// Whether the service may have got the request.
    pub(crate) const fn was_sent(self) -> bool {
        match self {
            Self::CircuitOpen(_) | Self::Unreachable => false,
            Self::TimedOut | Self::Failed | Self::RequestTooSlow | Self::RequestBroken => true,
        }
    }

    /// Whether it speaks against the service.
    pub(crate) const fn is_of_the_service(self) -> bool {
        match self {
            Self::Unreachable | Self::TimedOut | Self::Failed => true,
            Self::CircuitOpen(_) | Self::RequestTooSlow | Self::RequestBroken => false,
        }
    }
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.fault {
            Fault::CircuitOpen(_) => "has failed too often to be asked now",
            Fault::Unreachable => "can't be reached",
            Fault::TimedOut => "did not answer in time",
            Fault::Failed => "did not answer properly",
            Fault::RequestTooSlow | Fault::RequestBroken => "did not get the whole request from its client",
        };
        write!(f, "the {} service {what}", self.upstream)
    }
}

impl Error for UpstreamError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}
