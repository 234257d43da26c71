//! The body of a request on its way to a service.

use std::{
    error::Error,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use axum::body::Body as AxumBody;
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use crate::serve::BodyTimeout;

use super::Fault;

/// A body that can be had again as long as nothing of it was read: a try that came to no connection has not used it up.
#[derive(Clone)]
pub(crate) struct Kept(Arc<Mutex<Progress>>);

struct Progress {
    body: AxumBody,
    /// When something of it was read last.
    last: Instant,
    /// Whether its end was read.
    ended: bool,
    /// Why it ended early.
    broken: Option<Fault>,
}

impl Kept {
    pub(super) fn new(body: AxumBody) -> Self {
        Self(Arc::new(Mutex::new(Progress { body, last: Instant::now(), ended: false, broken: None })))
    }

    /// When something of it was read last.
    pub(super) fn last_progress(&self) -> Instant {
        self.lock().last
    }

    /// When the last of it was read, if there is no more to come.
    pub(super) fn whole_since(&self) -> Option<Instant> {
        let progress = self.lock();
        // Of a body of known length the end itself is not read.
        let is_whole = progress.ended || progress.body.is_end_stream() || progress.body.size_hint().exact() == Some(0);
        is_whole.then_some(progress.last)
    }

    /// Why it ended early, if it did.
    pub(super) fn broken(&self) -> Option<Fault> {
        self.lock().broken
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        // A body that panicked is no worse than one that failed: what it gives next decides.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Body for Kept {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut progress = self.lock();
        let polled = Pin::new(&mut progress.body).poll_frame(cx);
        if let Poll::Ready(frame) = &polled {
            progress.last = Instant::now();
            progress.ended |= frame.is_none();
            if let Some(Err(error)) = frame {
                let too_slow = BodyTimeout::caused(error as &(dyn Error + 'static));
                progress.broken = Some(if too_slow { Fault::RequestTooSlow } else { Fault::RequestBroken });
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.lock().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.lock().body.size_hint()
    }
}
