//! Time and randomness, the two things that a test wants to decide.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use crate::domain::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// Waits. The library has no runtime of its own, so the host lends it one: on tokio, `TokioTimer` (feature `tokio`).
#[async_trait]
pub trait Timer: Send + Sync {
    /// Returns after `duration`. It is safe to drop.
    async fn sleep(&self, duration: Duration);
}

/// Gives ids that no one else gives.
pub trait Ids: Send + Sync {
    /// A `UUIDv7` (RFC 9562).
    fn uuid_v7(&self) -> Uuid;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the port's way to the machine's clock")]
    fn now(&self) -> Timestamp {
        Timestamp::from_datetime(time::OffsetDateTime::now_utc())
    }
}

/// Ids from the machine's clock and random numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemIds;

impl Ids for SystemIds {
    #[expect(clippy::disallowed_methods, reason = "this is the port's way to the machine's clock and random numbers")]
    fn uuid_v7(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// Waits on tokio's timer.
#[cfg(feature = "tokio")]
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioTimer;

#[cfg(feature = "tokio")]
#[async_trait]
impl Timer for TokioTimer {
    #[expect(clippy::disallowed_methods, reason = "this is the port's way to tokio's timer")]
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
