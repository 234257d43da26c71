//! Use cases of the event log.

use std::sync::Arc;

use crate::{
    domain::{Event, Position, Subject},
    policy::Action,
};

use super::{Alm, Context, Error, Limit, Page};

/// The event log. Got from [`Alm::log`].
#[derive(Clone, Copy, Debug)]
pub struct Log<'a>(pub(super) &'a Alm);

impl Log<'_> {
    /// Events after a position, in order, gapless.
    ///
    /// # Errors
    /// [`Error::Gone`] when the event behind `after` is not kept any more, and those of every use case.
    pub async fn read(&self, cx: &Context, after: Position, limit: Limit) -> Result<Page<Arc<Event>, Position>, Error> {
        self.0.authorize(cx, Action::ListEvents, Subject::Events).await?;
        let events = self.0.inner.store.read(after, limit.and_one_more()).await?;
        Ok(Page::of(events, limit, |event| event.position))
    }

    /// Where the log begins: the position of the oldest event that is kept, or that the next one will get when none is.
    ///
    /// # Errors
    /// Those of every use case.
    pub async fn oldest(&self, cx: &Context) -> Result<Position, Error> {
        self.0.authorize(cx, Action::ListEvents, Subject::Events).await?;
        Ok(self.0.inner.store.oldest().await?)
    }

    /// Waits until it is worth reading on after `after`: there are events, or there may be. A commit of another process may go
    /// unnoticed, so look again after a while in any case. It is safe to drop.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn changed(&self, after: Position) -> Result<(), Error> {
        Ok(self.0.inner.store.changed(after).await?)
    }
}
