//! A request to a service and its answer, within a deadline.

use std::time::Duration;

use axum::http::{Request, Response, Version, request::Parts};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use tokio::time::{Instant, sleep_until};

use super::{Fault, UpstreamError, body::Kept, client::Client};

/// What it takes to ask one service. Clones are cheap.
#[derive(Clone)]
pub(super) struct Exchange {
    pub(super) upstream: &'static str,
    pub(super) client: Client,
    pub(super) answer_timeout: Duration,
}

impl Exchange {
    /// The answer to a request, whose URI is one of this service.
    pub(super) async fn run(self, parts: Parts, body: Kept) -> Result<Response<Incoming>, UpstreamError> {
        let mut request = Request::from_parts(parts, body.clone());
        // Of the connection here, whatever that to the client speaks.
        *request.version_mut() = Version::HTTP_11;
        let mut answer = self.client.0.request(request);
        // Counted from when the last of the request went out, so that a large body has its time.
        let mut deadline = Instant::now() + self.answer_timeout;
        loop {
            tokio::select! {
                biased;
                answered = &mut answer => return self.judge(answered, &body),
                () = sleep_until(deadline) => {
                    let later = body.last_progress() + self.answer_timeout;
                    if later <= deadline {
                        return Err(self.error(Fault::TimedOut, None));
                    }
                    deadline = later;
                }
            }
        }
    }

    fn judge(
        &self,
        answered: Result<Response<Incoming>, legacy::Error>,
        body: &Kept,
    ) -> Result<Response<Incoming>, UpstreamError> {
        match answered {
            // No request that goes out asks for another protocol.
            Ok(answer) if answer.status().is_informational() => Err(self.error(Fault::Failed, None)),
            Ok(answer) => Ok(answer),
            Err(error) if error.is_connect() => Err(self.error(Fault::Unreachable, Some(error.into()))),
            Err(error) => Err(self.error(body.broken().unwrap_or(Fault::Failed), Some(error.into()))),
        }
    }

    pub(super) fn error(
        &self,
        fault: Fault,
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    ) -> UpstreamError {
        UpstreamError { upstream: self.upstream, fault, source }
    }
}
