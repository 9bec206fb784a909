//! What a mirror cost and how it did, hour by hour, for the last two days.

use serde::{Deserialize, Serialize};

use super::SpentToday;
use crate::observation::Spent;
use crate::timestamp::Timestamp;

const MILLIS: u64 = 3_600_000;
/// Requests and bytes are counted over a day ...
const DAY: u32 = 24;
/// ... refusals over two: a mirror's operator counts them so, and bans for them.
const TWO_DAYS: u32 = 48;

/// Hourly buckets, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Hours(Vec<Hour>);

/// One hour since the epoch that had a probe in it. Written as an array: there may be 49 of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "(u32, u32, u32, u64, u32, u32)", into = "(u32, u32, u32, u64, u32, u32)")]
struct Hour {
    hour: u32,
    requests: u32,
    refusals: u32,
    bytes: u64,
    served: u32,
    failed: u32,
}

impl From<(u32, u32, u32, u64, u32, u32)> for Hour {
    fn from((hour, requests, refusals, bytes, served, failed): (u32, u32, u32, u64, u32, u32)) -> Self {
        Self { hour, requests, refusals, bytes, served, failed }
    }
}

impl From<Hour> for (u32, u32, u32, u64, u32, u32) {
    fn from(hour: Hour) -> Self {
        (hour.hour, hour.requests, hour.refusals, hour.bytes, hour.served, hour.failed)
    }
}

fn hour_of(at: Timestamp) -> u32 {
    u32::try_from(at.as_millis() / MILLIS).unwrap_or(u32::MAX)
}

impl Hours {
    pub(super) fn add(&mut self, at: Timestamp, spent: Spent, served: bool) {
        let now = hour_of(at);
        // Buckets of the future are what a clock that was set back leaves behind: near ones still count,
        // so that no budget is passed, and far ones would count for ever.
        self.0.retain(|bucket| bucket.hour.abs_diff(now) <= TWO_DAYS);
        let place = match self.0.binary_search_by_key(&now, |bucket| bucket.hour) {
            Ok(place) => place,
            Err(place) => {
                self.0.insert(place, Hour::from((now, 0, 0, 0, 0, 0)));
                place
            }
        };
        let bucket = &mut self.0[place];
        bucket.requests = bucket.requests.saturating_add(spent.requests);
        bucket.refusals = bucket.refusals.saturating_add(spent.refusals);
        bucket.bytes = bucket.bytes.saturating_add(spent.bytes);
        let count = if served { &mut bucket.served } else { &mut bucket.failed };
        *count = count.saturating_add(1);
    }

    /// A bucket that began within the time counts in full: too much is counted for up to an hour, never
    /// too little.
    pub(super) fn spent(&self, now: Timestamp) -> SpentToday {
        let now = hour_of(now);
        let within = |hours: u32| self.0.iter().filter(move |bucket| bucket.hour.abs_diff(now) <= hours);
        SpentToday {
            requests_today: within(DAY).fold(0, |sum, bucket| sum.saturating_add(bucket.requests)),
            refusals_2_days: within(TWO_DAYS).fold(0, |sum, bucket| sum.saturating_add(bucket.refusals)),
            bytes_today: within(DAY).fold(0, |sum, bucket| sum.saturating_add(bucket.bytes)),
        }
    }

    /// The share of probes that were served in each of the last 24 hours, oldest first.
    pub(super) fn spark(&self, now: Timestamp) -> Vec<Option<f64>> {
        let now = hour_of(now);
        let share = |hour: u32| {
            let place = self.0.binary_search_by_key(&hour, |bucket| bucket.hour).ok()?;
            let (served, failed) = (f64::from(self.0[place].served), f64::from(self.0[place].failed));
            Some(served / (served + failed)).filter(|share| share.is_finite())
        };
        (0..DAY).rev().map(|ago| now.checked_sub(ago).and_then(share)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_795_176_000_000);

    fn hours(count: u64) -> Duration {
        Duration::from_secs(3600 * count)
    }

    #[test]
    fn a_day_is_the_last_24_hours_and_refusals_count_for_48() {
        let mut spent = Hours::default();
        let once = Spent { requests: 6, refusals: 1, bytes: 1000 };
        spent.add(START, once, true);
        spent.add(START + hours(1), once, true);
        for (after, requests, refusals) in
            [(1, 12, 2), (24, 12, 2), (25, 6, 2), (26, 0, 2), (49, 0, 1), (50, 0, 0)]
        {
            let got = spent.spent(START + hours(after));
            assert_eq!((got.requests_today, got.refusals_2_days), (requests, refusals), "after {after} h");
            assert_eq!(got.bytes_today, u64::from(requests) / 6 * 1000, "after {after} h");
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut spent = Hours::default();
        for hour in 0..1000 {
            spent.add(START + hours(hour), Spent::default(), true);
        }
        assert_eq!(spent.0.len(), 49);
    }

    #[test]
    fn a_clock_set_back_a_year_does_not_leave_a_budget_spent_for_a_year() {
        let mut spent = Hours::default();
        spent.add(START, Spent { requests: 400, refusals: 9, bytes: 0 }, true);
        spent.add(START - hours(9000), Spent { requests: 1, refusals: 0, bytes: 0 }, true);
        assert_eq!(spent.spent(START - hours(9000)).requests_today, 1);
    }

    #[test]
    fn the_spark_has_24_values_and_unknown_is_none() {
        let mut spent = Hours::default();
        spent.add(START - hours(2), Spent::default(), true);
        spent.add(START - hours(2), Spent::default(), false);
        spent.add(START, Spent::default(), true);
        let spark = spent.spark(START);
        assert_eq!(spark.len(), 24);
        assert_eq!(spark[21..], [Some(0.5), None, Some(1.0)]);
        assert!(spark[..21].iter().all(Option::is_none));
    }
}
