//! Request bodies that must come to an end.

use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::{
    runtime::Handle,
    time::{Sleep, sleep, timeout},
};

/// The body of a request took too long. Whoever reads the body finds it among the sources of the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body of the request took too long")]
#[non_exhaustive]
pub struct BodyTimeout;

impl BodyTimeout {
    /// Whether this is why `error` came about.
    pub fn caused(error: &(dyn Error + 'static)) -> bool {
        std::iter::successors(Some(error), |&error| error.source()).any(<dyn Error>::is::<Self>)
    }
}

/// For how long the rest of a body is read that no one wants. A connection that is closed on what still comes is reset, and then the
/// client may never see the answer that it has got already (RFC 9112, section 9.6).
const LINGER: Duration = Duration::from_secs(1);

/// A body that fails when it is not there in time. The time begins when it is first waited for, so a body that comes with its
/// header costs no timer.
pub(super) struct TimedBody {
    // It is there until its end.
    body: Option<Incoming>,
    timeout: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
    lingers: bool,
}

impl TimedBody {
    pub(super) fn new(body: Incoming, timeout: Duration) -> Self {
        Self { body: Some(body), timeout, deadline: None, lingers: false }
    }

    /// When it is dropped before its end, the rest is read on for a moment, and thrown away.
    pub(super) fn lingering(mut self) -> Self {
        self.lingers = true;
        self
    }
}

impl Drop for TimedBody {
    fn drop(&mut self) {
        if let Some(mut body) = self.body.take().filter(|body| self.lingers && !body.is_end_stream())
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(timeout(LINGER, async move { while let Some(Ok(_)) = body.frame().await {} }));
        }
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) {
            if frame.is_none() {
                self.body = None;
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let timeout = self.timeout;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(timeout)));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Some(Err(BodyTimeout.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
