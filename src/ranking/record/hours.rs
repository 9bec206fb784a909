//! What a mirror cost and how it did, hour by hour, for the last two days.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Moment, SpentToday};
use crate::observation::Spent;
use crate::timestamp::Timestamp;

const MILLIS: u64 = 3_600_000;
/// Requests and bytes are counted over a day ...
const DAY: u32 = 24;
/// ... refusals over two: a mirror's operator counts them so, and bans for them.
const TWO_DAYS: u32 = 48;

/// So many hours are kept: two days, two of a clock that was ahead by less, and two of one that is behind now.
const MOST: usize = 3 * 49;

/// Hosts that share an address count their minute's requests over several minutes, but over no more than these.
pub(crate) const LONGEST_WINDOW: Duration = Duration::from_secs(3600);
/// So many probes of the last hour are kept apart: with the defaults one has to wait for each minute of them.
const APART: usize = 24;

/// The requests of the last hour, by when the probes that made them ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Lately(Vec<(Moment, u32)>);

impl Lately {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, ended: Timestamp, requests: u32) {
        self.0.retain(|(at, _)| near(at.time(), ended, LONGEST_WINDOW));
        if requests > 0 {
            self.0.push((ended.into(), requests));
        }
        // Two are taken for one that came as late as the second: too much is counted for long, never too little.
        if self.0.len() > APART {
            let (_, first) = self.0.remove(0);
            self.0[0].1 = self.0[0].1.saturating_add(first);
        }
    }

    /// The requests of so long before `now`, oldest first, and when the probes that made them ended.
    pub(super) fn within(
        &self,
        now: Timestamp,
        window: Duration,
    ) -> impl DoubleEndedIterator<Item = (Timestamp, u32)> {
        let near = move |(at, _): &&(Moment, u32)| near(at.time(), now, window);
        self.0.iter().filter(near).map(|(at, count)| (at.time(), *count))
    }
}

/// Less than this apart; what lies further ahead is what a clock that was set back has left behind.
fn near(one: Timestamp, other: Timestamp, window: Duration) -> bool {
    one.since(other).max(other.since(one)) < window
}

/// Hourly buckets, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Hours(Vec<Hour>);

/// One hour since the epoch that had a probe in it. Written as an array: there may be `MOST` of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Row", into = "Row")]
struct Hour {
    hour: u32,
    requests: u32,
    refusals: u32,
    bytes: u64,
    /// Probes that had a speed, a failure being 0 ...
    measured: u32,
    /// ... and the sum of these speeds.
    speeds: u64,
}

type Row = (u32, u32, u32, u64, u32, u64);

impl From<Row> for Hour {
    fn from((hour, requests, refusals, bytes, measured, speeds): Row) -> Self {
        Self { hour, requests, refusals, bytes, measured, speeds }
    }
}

impl From<Hour> for Row {
    fn from(hour: Hour) -> Self {
        (hour.hour, hour.requests, hour.refusals, hour.bytes, hour.measured, hour.speeds)
    }
}

fn hour_of(at: Timestamp) -> u32 {
    u32::try_from(at.as_millis() / MILLIS).unwrap_or(u32::MAX)
}

impl Hours {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Counts what a probe cost.
    pub(super) fn spend(&mut self, at: Timestamp, spent: Spent) {
        let bucket = self.bucket(at);
        bucket.requests = bucket.requests.saturating_add(spent.requests);
        bucket.refusals = bucket.refusals.saturating_add(spent.refusals);
        bucket.bytes = bucket.bytes.saturating_add(spent.bytes);
    }

    /// Counts how fast a probe read, in bytes per second: 0 is one that failed.
    pub(super) fn measured(&mut self, at: Timestamp, speed: u64) {
        let bucket = self.bucket(at);
        bucket.measured = bucket.measured.saturating_add(1);
        bucket.speeds = bucket.speeds.saturating_add(speed);
    }

    fn bucket(&mut self, at: Timestamp) -> &mut Hour {
        let now = hour_of(at);
        // Buckets of the future are what a clock that was set back leaves behind, or what one that is behind until the
        // network is up will come back to. Near ones count, so that no budget is passed, and far ones wait.
        self.0.retain(|bucket| bucket.hour.saturating_add(TWO_DAYS) >= now);
        self.0.truncate(MOST);
        let place = match self.0.binary_search_by_key(&now, |bucket| bucket.hour) {
            Ok(place) => place,
            Err(place) => {
                self.0.insert(place, Hour::from((now, 0, 0, 0, 0, 0)));
                place
            }
        };
        &mut self.0[place]
    }

    /// A bucket that began within the time counts in full: too much is counted for up to an hour, never
    /// too little.
    pub(super) fn spent(&self, now: Timestamp) -> SpentToday {
        Self::sum(&self.0, now)
    }

    /// The same of the hours after that of `from`.
    pub(super) fn spent_since(&self, from: Timestamp, now: Timestamp) -> SpentToday {
        let from = hour_of(from);
        let first = self.0.partition_point(|bucket| bucket.hour <= from);
        Self::sum(&self.0[first..], now)
    }

    fn sum(buckets: &[Hour], now: Timestamp) -> SpentToday {
        let now = hour_of(now);
        let mut sum = SpentToday::default();
        for bucket in buckets {
            let age = bucket.hour.abs_diff(now);
            if age <= DAY {
                sum.requests_today = sum.requests_today.saturating_add(bucket.requests);
                sum.bytes_today = sum.bytes_today.saturating_add(bucket.bytes);
            }
            if age <= TWO_DAYS {
                sum.refusals_2_days = sum.refusals_2_days.saturating_add(bucket.refusals);
            }
        }
        sum
    }

    /// The mean speed in each of the last 24 hours, oldest first.
    pub(super) fn day(&self, now: Timestamp) -> Vec<Option<u64>> {
        let now = hour_of(now);
        let mean = |hour: u32| {
            let place = self.0.binary_search_by_key(&hour, |bucket| bucket.hour).ok()?;
            self.0[place].speeds.checked_div(u64::from(self.0[place].measured))
        };
        (0..DAY).rev().map(|ago| now.checked_sub(ago).and_then(mean)).collect()
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
        spent.spend(START, once);
        spent.spend(START + hours(1), once);
        for (after, requests, refusals) in
            [(1, 12, 2), (24, 12, 2), (25, 6, 2), (26, 0, 2), (49, 0, 1), (50, 0, 0)]
        {
            let got = spent.spent(START + hours(after));
            assert_eq!((got.requests_today, got.refusals_2_days), (requests, refusals), "after {after} h");
            assert_eq!(got.bytes_today, u64::from(requests) / 6 * 1000, "after {after} h");
        }
    }

    #[test]
    fn what_was_spent_since_begins_with_the_next_hour() {
        let mut spent = Hours::default();
        for hour in 0..4 {
            spent.spend(START + hours(hour), Spent { requests: 1 << hour, refusals: 0, bytes: 0 });
        }
        let since = |from| spent.spent_since(from, START + hours(3)).requests_today;
        assert_eq!([since(START), since(START + hours(2)), since(START + hours(3))], [14, 8, 0]);
        assert_eq!(since(START - hours(1)), 15);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut spent = Hours::default();
        for hour in 0..1000 {
            spent.measured(START + hours(hour), 1);
        }
        assert_eq!(spent.0.len(), 49);
        for hour in (0..1000).rev() {
            spent.measured(START + hours(hour), 1);
        }
        assert!(spent.0.len() <= MOST + 1);
    }

    #[test]
    fn a_clock_that_is_wrong_until_the_network_is_up_takes_no_budget_away() {
        let mut spent = Hours::default();
        let one = Spent { requests: 10, refusals: 1, bytes: 0 };
        for hour in (0..48).rev() {
            spent.spend(START - hours(hour), one);
        }
        let boot = Timestamp::from_millis(MILLIS);
        for hour in 0..3 {
            spent.spend(boot + hours(hour), one);
        }
        assert_eq!(spent.spent(boot + hours(2)).requests_today, 30);
        assert_eq!((spent.spent(START).requests_today, spent.spent(START).refusals_2_days), (250, 48));
    }

    #[test]
    fn a_clock_set_back_a_year_does_not_leave_a_budget_spent_for_a_year() {
        let mut spent = Hours::default();
        spent.spend(START, Spent { requests: 400, refusals: 9, bytes: 0 });
        spent.spend(START - hours(9000), Spent { requests: 1, refusals: 0, bytes: 0 });
        assert_eq!(spent.spent(START - hours(9000)).requests_today, 1);
    }

    #[test]
    fn a_day_has_24_values_each_the_mean_of_its_hour_and_unknown_is_none() {
        let mut spent = Hours::default();
        spent.measured(START - hours(2), 100);
        spent.measured(START - hours(2), 0);
        spent.measured(START, 100);
        spent.spend(START - hours(1), Spent { requests: 1, refusals: 0, bytes: 0 });
        // What lies ahead is what a clock that was set back has left behind.
        spent.measured(START + hours(1), 0);
        let day = spent.day(START);
        assert_eq!(day.len(), 24);
        assert_eq!(day[21..], [Some(50), None, Some(100)]);
        assert!(day[..21].iter().all(Option::is_none));
    }

    #[test]
    fn requests_leave_a_window_as_long_after_their_probe_ended_as_it_is() {
        let mut lately = Lately::default();
        lately.add(START, 7);
        lately.add(START + Duration::from_secs(20), 2);
        let at = |seconds| START + Duration::from_secs(seconds);
        let left = |now, seconds| lately.within(now, Duration::from_secs(seconds)).collect::<Vec<_>>();
        assert_eq!(left(at(30), 60), [(at(0), 7), (at(20), 2)]);
        assert_eq!(left(at(60), 60), [(at(20), 2)]);
        assert_eq!(left(at(80), 60), []);
        assert_eq!(left(at(80), 120), [(at(0), 7), (at(20), 2)]);
        assert_eq!(left(START - hours(9000), 60), [], "the clock was set back");
    }

    #[test]
    fn what_is_kept_of_the_last_hour_is_bounded_and_never_counts_too_little() {
        let mut lately = Lately::default();
        for minute in 0..59 {
            lately.add(START + Duration::from_secs(60 * minute), 1);
        }
        let now = START + Duration::from_secs(60 * 58);
        let kept: Vec<_> = lately.within(now, LONGEST_WINDOW).collect();
        assert_eq!((kept.len(), kept.iter().map(|(_, requests)| requests).sum::<u32>()), (APART, 59));
        assert_eq!(lately.within(now, Duration::from_secs(600)).count(), 10);
    }
}
