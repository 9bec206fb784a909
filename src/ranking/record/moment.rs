//! A time as a record keeps it: to the millisecond, as a number; and numbers as a record keeps them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::timestamp::Timestamp;

/// No rest is longer: `Retry-After` is capped at a day.
const LONGEST_REST: Duration = Duration::from_secs(24 * 3600);

/// A [`Timestamp`] that comes back from JSON as it was. The text form ends at the second, and rehearsals of
/// a quick schedule lie closer together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "u64", into = "u64")]
pub(super) struct Moment(Timestamp);

impl Moment {
    pub(super) fn time(self) -> Timestamp {
        self.0
    }
}

impl From<Timestamp> for Moment {
    fn from(time: Timestamp) -> Self {
        Self(time)
    }
}

impl From<u64> for Moment {
    fn from(millis: u64) -> Self {
        Self(Timestamp::from_millis(millis))
    }
}

impl From<Moment> for u64 {
    fn from(moment: Moment) -> Self {
        moment.0.as_millis()
    }
}

/// Until when a rest lasts, if it still does. One that ends later than any rest can is what a clock that was
/// set back has left behind.
pub(super) fn at_rest(until: Moment, now: Timestamp) -> Option<Timestamp> {
    let until = until.time();
    (until > now && until.since(now) <= LONGEST_REST).then_some(until)
}

/// A figure as a record keeps it: seven digits are more than any measurement has, the shortest text of it is
/// short, and it comes back from JSON as it was.
#[expect(clippy::cast_possible_truncation, reason = "what lies beyond f32 is clamped first")]
pub(super) fn narrow(value: f64) -> f32 {
    value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}
