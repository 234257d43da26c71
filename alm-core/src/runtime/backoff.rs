//! How long to wait before trying again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
/// Whoever waits so long is back well within five seconds of the store, and asks it so seldom that this is no load.
const LAST: Duration = Duration::from_secs(1);

/// Doubles from 50 ms to 1 s, and begins anew after a success. Each wait is shortened by up to a half of it, at random, so that those
/// who have failed together do not come back together.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next wait; `random` says by how much of the half it is shortened.
    pub(super) fn next(&mut self, random: u32) -> Duration {
        let delay = FIRST.saturating_mul(1 << self.failures.min(10)).min(LAST);
        self.failures = self.failures.saturating_add(1);
        delay.mul_f64(1.0 - f64::from(random) / f64::from(u32::MAX) / 2.0)
    }

    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(random: u32) -> Vec<u128> {
        let mut backoff = Backoff::default();
        (0..7).map(|_| backoff.next(random).as_millis()).collect()
    }

    #[test]
    fn it_doubles_up_to_a_bound() {
        assert_eq!(delays(0), [50, 100, 200, 400, 800, 1000, 1000]);
        let mut backoff = Backoff { failures: u32::MAX };
        assert_eq!(backoff.next(0), LAST);
        backoff.reset();
        assert_eq!(backoff.next(0), FIRST);
    }

    #[test]
    fn it_is_shortened_by_a_half_at_most() {
        assert_eq!(delays(u32::MAX), [25, 50, 100, 200, 400, 500, 500]);
        assert_eq!(delays(u32::MAX / 2)[5], 750);
    }
}
