//! Points in time as ALM keeps them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::Error as _};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::Rejected;

/// A point in time, UTC, in whole microseconds; written as RFC 3339 with six decimals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

// Years 0000 to 9999: what RFC 3339 can write.
const MIN: i64 = -62_167_219_200_000_000;
const MAX: i64 = 253_402_300_799_999_999;

impl Timestamp {
    /// The earliest time there is, `0000-01-01T00:00:00.000000Z`.
    pub const MIN: Self = Self(MIN);
    /// The latest time there is: the last microsecond of the year 9999.
    pub const MAX: Self = Self(MAX);

    /// `micros` after the Unix epoch, or `None` outside the years 0 to 9999.
    pub const fn from_micros(micros: i64) -> Option<Self> {
        if micros < MIN || micros > MAX { None } else { Some(Self(micros)) }
    }

    /// The time of a `time` value, cut to microseconds and to the years 0 to 9999.
    pub fn from_datetime(datetime: OffsetDateTime) -> Self {
        let micros = datetime.unix_timestamp_nanos().div_euclid(1000);
        Self(i64::try_from(micros.clamp(i128::from(MIN), i128::from(MAX))).unwrap_or(MAX))
    }

    /// Reads RFC 3339 with any offset; digits beyond microseconds are cut.
    ///
    /// # Errors
    /// `text` is not RFC 3339.
    pub fn parse(text: &str) -> Result<Self, Rejected> {
        OffsetDateTime::parse(text, &Rfc3339)
            .ok()
            .filter(|t| {
                (MIN..=MAX).contains(&i64::try_from(t.unix_timestamp_nanos().div_euclid(1000)).unwrap_or(i64::MAX))
            })
            .map(Self::from_datetime)
            .ok_or_else(|| Rejected::new("not-a-time", "must be a time in RFC 3339, such as 2026-11-22T16:52:00Z"))
    }

    /// Microseconds since the Unix epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since the Unix epoch, rounded down.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This time and `seconds` more, at most the year 9999.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000)).clamp(MIN, MAX))
    }
}

/// How long a time is when it is written.
const WRITTEN: usize = "2026-11-22T16:52:00.000000Z".len();

impl Timestamp {
    /// It as text. By hand, because lists of anything are full of times, and formatting them was a good part of their cost.
    fn write(self, text: &mut [u8; WRITTEN]) -> Option<&str> {
        let time = OffsetDateTime::from_unix_timestamp(self.seconds()).ok()?;
        *text = *b"0000-00-00T00:00:00.000000Z";
        digits(&mut text[0..4], time.year().unsigned_abs());
        digits(&mut text[5..7], u8::from(time.month()).into());
        digits(&mut text[8..10], time.day().into());
        digits(&mut text[11..13], time.hour().into());
        digits(&mut text[14..16], time.minute().into());
        digits(&mut text[17..19], time.second().into());
        digits(&mut text[20..26], u32::try_from(self.0.rem_euclid(1_000_000)).ok()?);
        str::from_utf8(text).ok()
    }
}

/// Writes a number from the right.
fn digits(places: &mut [u8], mut number: u32) {
    for place in places.iter_mut().rev() {
        *place = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.write(&mut [0; WRITTEN]).ok_or(fmt::Error)?)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = [0; WRITTEN];
        serializer.serialize_str(self.write(&mut text).ok_or_else(|| S::Error::custom("the time can't be written"))?)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_written_in_utc_with_six_decimals() {
        assert_eq!(Timestamp::from_micros(0).unwrap().to_string(), "1970-01-01T00:00:00.000000Z");
        let parsed = Timestamp::parse("2026-11-22T17:52:00.1234567+01:00").unwrap();
        assert_eq!(parsed.to_string(), "2026-11-22T16:52:00.123456Z");
        assert_eq!(Timestamp::MIN.to_string(), "0000-01-01T00:00:00.000000Z");
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.999999Z");
        assert_eq!(Timestamp::from_micros(-1).unwrap().to_string(), "1969-12-31T23:59:59.999999Z");
        assert_eq!(serde_json::to_value(parsed).unwrap(), "2026-11-22T16:52:00.123456Z");
    }

    #[test]
    fn what_is_not_rfc_3339_is_refused() {
        for text in ["", "now", "2026-11-22", "2026-13-01T00:00:00Z", "0000-01-01T00:00:00+01:00"] {
            assert!(Timestamp::parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn writing_and_reading_gives_the_same(micros in MIN..=MAX) {
            let time = Timestamp::from_micros(micros).unwrap();
            prop_assert_eq!(Timestamp::parse(&time.to_string()).unwrap(), time);
        }
    }
}
