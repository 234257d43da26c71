//! Time and ids that a test decides.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use uuid::Uuid;

use crate::{
    domain::Timestamp,
    ports::{Clock, Ids, Timer},
    runtime::yield_now,
};

/// A clock that stands until a test moves it.
///
/// ```
/// use alm_core::{ports::Clock, testing::ManualClock};
///
/// let clock = ManualClock::at(1_000_000);
/// clock.move_by(500);
/// assert_eq!(clock.now().to_string(), "1970-01-01T00:00:01.000500Z");
/// ```
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// It stands so many microseconds after the epoch.
    pub fn at(micros: i64) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(micros)))
    }

    /// Moves it by so many microseconds; back when negative, as clocks do.
    pub fn move_by(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    /// The time that the test has set, or the nearest there is.
    fn now(&self) -> Timestamp {
        let micros = self.0.load(Ordering::Relaxed);
        Timestamp::from_micros(micros).unwrap_or(if micros < 0 { Timestamp::MIN } else { Timestamp::MAX })
    }
}

/// Gives the ids `00000000-0000-7000-8000-000000000001`, `…2` and so on: `UUIDv7` in form, and the same in every run.
///
/// ```
/// use alm_core::{ports::Ids, testing::SequentialIds};
///
/// let ids = SequentialIds::default();
/// assert_eq!(ids.uuid_v7().to_string(), "00000000-0000-7000-8000-000000000001");
/// assert_eq!(ids.uuid_v7().to_string(), "00000000-0000-7000-8000-000000000002");
/// ```
#[derive(Debug, Default)]
pub struct SequentialIds(AtomicU64);

impl Ids for SequentialIds {
    fn uuid_v7(&self) -> Uuid {
        // Version 7 and the variant of RFC 9562 are the only bits set above the counter, which never reaches them.
        const FORM: u128 = (7 << 76) | (0b10 << 62);
        let count = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        Uuid::from_u128(FORM | u128::from(count))
    }
}

/// A timer that lets others have their turn and returns: no test waits for time to pass.
#[derive(Clone, Copy, Debug, Default)]
pub struct InstantTimer;

#[async_trait]
impl Timer for InstantTimer {
    async fn sleep(&self, _: Duration) {
        yield_now().await;
    }
}

/// A timer that waits a hundredth of the time on another one: for tests with a real bus or store, which need time, but not so much.
#[derive(Clone, Copy, Debug, Default)]
pub struct QuickTimer<T>(pub T);

#[async_trait]
impl<T: Timer> Timer for QuickTimer<T> {
    async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration / 100).await;
    }
}
