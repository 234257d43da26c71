//! The body of an answer on its way to a client.

use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// The service stopped in the middle of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer paused for too long")]
struct Paused;

/// A body that passes what comes as it comes. When the service breaks off, it fails, so that the client does not take a part for
/// the whole.
pub(crate) struct AnswerBody {
    upstream: &'static str,
    body: Incoming,
    pause: Option<Duration>,
    deadline: Option<Pin<Box<Sleep>>>,
    end: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl AnswerBody {
    /// Fails when nothing comes for as long as `pause`.
    pub(crate) fn of_one_piece(upstream: &'static str, body: Incoming, pause: Duration) -> Self {
        Self { upstream, body, pause: Some(pause), deadline: None, end: None }
    }

    /// Goes on until the service or `end` ends it.
    pub(crate) fn going_on(
        upstream: &'static str,
        body: Incoming,
        end: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        Self { upstream, body, pause: None, deadline: None, end: Some(Box::pin(end)) }
    }

    /// Whether it has paused for too long.
    fn has_paused(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(pause) = self.pause else { return false };
        // A body that comes with its header costs no timer.
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(pause)));
        deadline.as_mut().poll(cx).is_ready()
    }

    fn fails(&self, error: &(dyn Error + 'static)) {
        metrics::counter!("alm_upstream_failures_total", "upstream" => self.upstream, "code" => "broken-off")
            .increment(1);
        tracing::warn!(upstream = self.upstream, error, "an answer broke off");
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            if let (Some(pause), Some(deadline)) = (self.pause, &mut self.deadline) {
                deadline.as_mut().reset(Instant::now() + pause);
            }
            if let Some(Err(error)) = &frame {
                self.fails(error);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        if self.has_paused(cx) {
            self.fails(&Paused);
            return Poll::Ready(Some(Err(Paused.into())));
        }
        if self.end.as_mut().is_some_and(|end| end.as_mut().poll(cx).is_ready()) {
            return Poll::Ready(None);
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
