//! How often something may be tried.

use std::{fmt, num::NonZeroU32, time::Duration};

use crate::domain::{Rejected, Timestamp};

/// How many attempts are let through: so many at once, then one each time the interval has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// So many at once.
    pub burst: NonZeroU32,
    /// Then one each time this has passed.
    pub interval: Duration,
}

impl Rate {
    /// What a bucket that is counted by the generic cell rate algorithm (ITU-T I.371, as virtual scheduling) becomes by one more
    /// attempt. `full_at` is the time until which it is filled, `None` of one that was never used. A store keeps no more than that time.
    ///
    /// # Errors
    /// The attempt is one too many: the next may be made at this time.
    pub fn admit(self, full_at: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, Timestamp> {
        let (now, interval) = (now.micros(), self.interval_micros());
        // A clock that was ahead must shut no one out for longer than it takes to empty the bucket.
        let most = now.saturating_add(self.depth_micros());
        let next = full_at.map_or(now, |full_at| full_at.micros().clamp(now, most)).saturating_add(interval);
        let earliest = next.saturating_sub(self.depth_micros());
        if earliest <= now { Ok(time(next)) } else { Err(time(earliest)) }
    }

    /// The interval in microseconds, at least one.
    pub fn interval_micros(self) -> i64 {
        i64::try_from(self.interval.as_micros()).unwrap_or(i64::MAX).clamp(1, Self::LONGEST)
    }

    /// How far ahead of now a bucket may be filled, in microseconds.
    pub fn depth_micros(self) -> i64 {
        self.interval_micros().saturating_mul(self.burst.get().into()).min(Self::LONGEST)
    }

    /// A hundred years: no one waits for longer.
    const LONGEST: i64 = 100 * 365 * 24 * 60 * 60 * 1_000_000;
}

fn time(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros).unwrap_or(Timestamp::MAX)
}

/// What attempts are counted by: 1 to 400 characters, such as `login/192.0.2.1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket(String);

impl Bucket {
    /// Checks the rule above.
    ///
    /// # Errors
    /// `name` breaks it.
    pub fn parse(name: impl Into<String>) -> Result<Self, Rejected> {
        let name = name.into();
        crate::domain::length(&name, 400)?;
        if name.chars().any(char::is_control) {
            return Err(Rejected::new("control-character", "must not contain control characters"));
        }
        Ok(Self(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000).unwrap().plus_seconds(seconds)
    }

    /// How many of a thousand attempts at once are let through.
    fn let_through(rate: Rate, full_at: &mut Option<Timestamp>, now: Timestamp) -> usize {
        (0..1_000)
            .take_while(|_| match rate.admit(*full_at, now) {
                Ok(next) => {
                    *full_at = Some(next);
                    true
                }
                Err(_) => false,
            })
            .count()
    }

    #[test]
    fn a_burst_is_let_through_and_then_one_each_interval() {
        let rate = Rate { burst: 10.try_into().unwrap(), interval: Duration::from_secs(6) };
        let mut bucket = None;
        assert_eq!(let_through(rate, &mut bucket, at(0)), 10);
        assert_eq!(rate.admit(bucket, at(0)), Err(at(6)));
        assert_eq!(rate.admit(bucket, at(4)), Err(at(6)));
        assert_eq!(let_through(rate, &mut bucket, at(6)), 1);
        assert_eq!(let_through(rate, &mut bucket, at(18)), 2);
        assert_eq!(let_through(rate, &mut bucket, at(10_000)), 10);
        // A clock that was set back lets no more through at once, and shuts no one out for longer than it takes to empty the bucket.
        assert_eq!(let_through(rate, &mut bucket, at(9_000)), 0);
        assert_eq!(rate.admit(bucket, at(9_000)), Err(at(9_006)));
    }

    #[test]
    fn no_rate_is_too_odd() {
        for (burst, interval, attempts) in [
            (NonZeroU32::MIN, Duration::ZERO, 1),
            (NonZeroU32::MAX, Duration::ZERO, 1_000),
            (NonZeroU32::MIN, Duration::MAX, 1),
            (NonZeroU32::MAX, Duration::MAX, 1),
        ] {
            for now in [Timestamp::MIN, at(0)] {
                assert_eq!(let_through(Rate { burst, interval }, &mut None, now), attempts, "{burst} {interval:?}");
            }
        }
    }
}
