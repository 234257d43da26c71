//! Where a consumer reads from.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    domain::{Event, LogId, Position},
    ports::StoreError,
};

/// How many events are read at once.
pub(super) const PAGE: usize = 256;

/// A log as its consumers read it: that of the store which they write to, or that of another service.
#[async_trait]
pub(super) trait Feed: Send + Sync {
    /// Which log it is.
    fn log_id(&self) -> LogId;

    /// Events behind `after`, in order and without a gap, at most a page; none when there are none yet.
    async fn read(&self, after: Position) -> Result<Vec<Arc<Event>>, StoreError>;

    /// Where the log begins.
    async fn oldest(&self) -> Result<Position, StoreError>;

    /// Waits until there are events behind `after`, as far as is known. It is safe to drop.
    async fn changed(&self, after: Position) -> Result<(), StoreError>;

    /// Forgets what was read: the log may have lost its end to a failover, and have others in its place.
    async fn forget(&self);

    /// The checkpoint of the consumer stands there.
    fn saved(&self, position: Position);
}
