//! A point in time: milliseconds since the Unix epoch, UTC.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since the Unix epoch. Printed and serialised as RFC 3339 in UTC, to the second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment `millis` milliseconds after the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// For a table, UTC: `2026-11-20 12:00:00`.
    pub fn clock(self) -> String {
        self.to_string().replace('T', " ").trim_end_matches('Z').to_owned()
    }

    /// How long ago `earlier` was; zero when it lies ahead, as after a clock was set back.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// A duration as people write it: `30s`, `1h 30m`; `None` where it is none.
///
/// humantime checks each sum of seconds and not the nanoseconds that are carried into it, so that some texts make it
/// panic. Within these bounds the sum is far below that: 64 bytes hold six numbers of nine digits, and a thousand
/// million years are 10^16.5 of the 10^19 seconds that a [`Duration`] takes.
pub fn duration(said: &str) -> Option<Duration> {
    const BYTES: usize = 64;
    const DIGITS: usize = 9;
    let long = said.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() > DIGITS);
    if said.len() > BYTES || long { None } else { humantime::parse_duration(said).ok() }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let elapsed = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(millis))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // humantime ends at the year 9999; a clock beyond that is shown at the end.
        let shown = self.0.min(253_402_300_799_000);
        let time = UNIX_EPOCH + Duration::from_millis(shown);
        humantime::format_rfc3339_seconds(time).fmt(f)
    }
}

impl FromStr for Timestamp {
    type Err = humantime::TimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        humantime::parse_rfc3339_weak(text).map(Self::from)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_reads_rfc_3339() {
        let time = Timestamp::from_millis(1_795_176_000_000);
        assert_eq!(time.to_string(), "2026-11-20T12:00:00Z");
        assert_eq!("2026-11-20T12:00:00Z".parse(), Ok(time));
    }

    #[test]
    fn a_duration_that_overflows_is_none_and_no_panic() {
        for said in [
            "584542046090y 19767615s 1000000000ns",
            "18446744073709551615s 1000000000ns",
            "1s 99999999999999999999ns",
            "soon",
            "",
        ] {
            assert_eq!(duration(said), None, "{said}");
        }
        assert_eq!(duration(&"1s ".repeat(22)), None, "66 bytes");
        assert_eq!(duration("1h 30m"), Some(Duration::from_secs(5400)));
        let most = duration(&"999999999y".repeat(6)).expect("sixty bytes");
        assert_eq!((Timestamp::default() + most).since(Timestamp::from_millis(u64::MAX)), Duration::ZERO);
    }

    #[test]
    fn arithmetic_never_wraps() {
        let start = Timestamp::from_millis(5);
        assert_eq!(start - Duration::from_secs(1), Timestamp::from_millis(0));
        assert_eq!(start.since(start + Duration::from_secs(1)), Duration::ZERO);
        let end = Timestamp::from_millis(u64::MAX);
        assert_eq!(end + Duration::from_secs(1), end);
        assert_eq!(end.to_string(), "9999-12-31T23:59:59Z");
    }
}
