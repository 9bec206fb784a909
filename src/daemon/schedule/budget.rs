//! How much a mirror may be asked, and when it may be asked again.
//!
//! What is spent is counted by the mirror's record, which survives restarts. A probe is allowed when the worst that
//! it can cost still fits, so that no budget is ever passed and not only not passed for long.

use std::time::Duration;

use crate::image::Image;
use crate::observation::{Depth, REHEARSAL, Spent};
use crate::ranking::record::{LONGEST_WINDOW, Record, SpentToday, Standing};
use crate::timestamp::Timestamp;

use super::{LONGEST_PAUSE, Pace};

/// How much one mirror may be asked, and all together. `[budget]` of mirrors.toml, divided by `share`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// HTTP requests in any `minute`.
    pub requests_per_minute: u32,
    /// 60 seconds; longer where a part of a minute's requests would be less than one rehearsal's.
    pub minute: Duration,
    /// HTTP requests in 24 hours.
    pub requests_per_day: u32,
    /// Refusals in 48 hours.
    pub refusals_per_2_days: u32,
    /// Bytes in 24 hours.
    pub bytes_per_day: u64,
    /// Bytes in 24 hours of all mirrors together.
    pub total_bytes_per_day: u64,
    /// Reloads of the engine in 24 hours.
    pub reloads_per_day: u32,
}

/// What a probe is for: the less it matters, the earlier the budget ends for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    /// To find out whether a mirror that failed serves.
    Needed,
    /// To see whether one that stands in the list serves.
    Watch,
    /// The usual rehearsal.
    Usual,
    /// One of the rehearsals close together of a mirror that may change the list.
    Deciding,
}

/// Whether a mirror stands in the list, as its budget sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stands {
    /// It does.
    Selected,
    /// It did within the last day, until then, and what that cost is still counted.
    Lately(Timestamp),
    /// It does not.
    Outside,
}

/// What all mirrors have cost together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Together {
    /// Bytes of the last 24 hours, with those that the probes under way may still cost.
    pub bytes: u64,
    /// How many mirrors cost a whole rehearsal each time.
    pub whole: usize,
}

/// The most that a sample costs: a new token, a redirect to itself, the layer.
const SAMPLE: Spent = Spent { requests: 3, refusals: 1, bytes: 40 << 10 };

/// What a rehearsal costs ordinarily, where a layer is as long as is read of one.
const ORDINARY: Spent = Spent { requests: 7, refusals: 0, bytes: 1 << 20 };

/// How often a budget lets be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Once in so long at the most.
    pub every: Duration,
    /// The key of `[budget]` that allows no more.
    pub by: &'static str,
}

/// Refusals are counted over so long.
const TWO_DAYS: Duration = Duration::from_secs(48 * 3600);
/// The percentage of a day's requests and bytes, and of the total, at which samples and usual rehearsals end: what remains is for the
/// re-checks of a mirror that has begun to fail. Of 400 requests it is 32, three rehearsals at their dearest and so as
/// many as the default `fall` asks for; of 24 MiB it is 1.9, one rehearsal and twenty samples.
const WATCH: u32 = 92;
/// The share of a day's budget from which on the pauses between samples get longer. What an ordinary selected mirror
/// costs stays below it: 144 samples of one request and 13 rehearsals of seven are 235 of 400, or 59 percent ...
const SPARING: f64 = 0.75;
/// ... and by so much for the whole of it. One that wants a token for each sample would cost 288 and 91, and is asked at
/// the pause at which the two meet: 1.2 times as long, one sample in twelve minutes, at 81 percent of the budget.
const SPARINGLY: f64 = 4.0;

/// The percentage of the total at which usual and deciding rehearsals end, lest those of mirrors outside the list blind
/// the service for those in it. Of 256 MiB 32 are left: a day of samples of eleven mirrors and twenty rehearsals.
const TOGETHER: u64 = 87;
/// So many rehearsals are kept for one that has left the list and is looked out for: the default `rise`.
const RETURN: u32 = 2;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// The budgets of a day are counted by the hour: an hour later the oldest has been forgotten.
pub(super) const HOUR: Duration = Duration::from_secs(3600);

impl Allowance {
    /// The part of one among `share` hosts behind one address.
    ///
    /// What a rehearsal may cost is the least of each, for it cannot be had in halves; `check` warns of that. Of the
    /// requests of a minute less can be had: one rehearsal in several of them.
    pub fn part(self, share: u32) -> Self {
        let share = share.max(1);
        let minutes = u64::from(REHEARSAL.requests) * u64::from(share);
        let minutes = minutes.div_ceil(u64::from(self.requests_per_minute.max(1)));
        Self {
            requests_per_minute: (self.requests_per_minute / share).max(REHEARSAL.requests),
            minute: Duration::from_secs(60 * minutes).min(LONGEST_WINDOW),
            requests_per_day: (self.requests_per_day / share).max(REHEARSAL.requests),
            refusals_per_2_days: (self.refusals_per_2_days / share).max(REHEARSAL.refusals),
            bytes_per_day: (self.bytes_per_day / u64::from(share)).max(REHEARSAL.bytes),
            total_bytes_per_day: (self.total_bytes_per_day / u64::from(share)).max(REHEARSAL.bytes),
            reloads_per_day: self.reloads_per_day,
        }
    }

    /// Whether one more rehearsal of a mirror that was asked so much would pass a limit of the day.
    pub fn is_short(&self, spent: SpentToday) -> bool {
        spent.requests_today.saturating_add(REHEARSAL.requests) > self.requests_per_day
            || spent.bytes_today.saturating_add(REHEARSAL.bytes) > self.bytes_per_day
            || !has_refusals_left(self, spent, REHEARSAL.refusals)
    }

    /// The usual pause between two rehearsals of one mirror, long enough for all of them to fit into the total.
    pub(super) fn stretched(&self, rehearse: Duration, together: Together) -> Duration {
        // A quarter of the total is for samples, re-checks and decisions.
        let usual = self.total_bytes_per_day / 4 * 3;
        let whole = u64::try_from(together.whole).unwrap_or(u64::MAX);
        let seconds = whole.saturating_mul(REHEARSAL.bytes).saturating_mul(DAY.as_secs()) / usual.max(1);
        rehearse.max(Duration::from_secs(seconds))
    }

    /// The usual pause between two samples, long enough for a day of them to fit into half of the budget.
    fn sampled(&self, sample: Duration) -> Duration {
        let many = u64::from(self.requests_per_day / 2).min(self.bytes_per_day / 2 / SAMPLE.bytes);
        sample.max(DAY / u32::try_from(many).unwrap_or(u32::MAX).max(1))
    }

    /// How often a mirror outside the list is rehearsed at the most, where so many serve.
    pub fn rehearsals(&self, serving: usize) -> Carried {
        let (requests, bytes) = self.outside();
        // The last one is begun only when the worst that it can cost still fits.
        let times = |limit: u64, most: u64, each: u64| 1 + limit.saturating_sub(most) / each;
        let each = |times: u64| DAY / u32::try_from(times).unwrap_or(u32::MAX);
        let requests = times(requests.into(), REHEARSAL.requests.into(), ORDINARY.requests.into());
        let bytes = times(bytes, REHEARSAL.bytes, ORDINARY.bytes);
        let together = Together { bytes: 0, whole: serving };
        let carried = [
            Carried { every: each(requests), by: "requests_per_day" },
            Carried { every: each(bytes), by: "bytes_per_day" },
            Carried { every: self.stretched(Duration::ZERO, together), by: "total_bytes_per_day" },
        ];
        carried.into_iter().max_by_key(|one| one.every).expect("there are three")
    }

    /// How often one in the list is sampled at the most.
    pub fn samples(&self) -> Carried {
        let of_bytes = self.bytes_per_day / 2 / SAMPLE.bytes < u64::from(self.requests_per_day / 2);
        let by = if of_bytes { "bytes_per_day" } else { "requests_per_day" };
        Carried { every: self.sampled(Duration::ZERO), by }
    }

    /// The pause between two samples, longer as the budget of the day runs out, so that it lasts for the day.
    pub(super) fn spared(&self, sample: Duration, spent: SpentToday) -> Duration {
        let sample = self.sampled(sample);
        #[expect(clippy::cast_precision_loss, reason = "shares of some mebibytes")]
        let bytes = spent.bytes_today as f64 / self.bytes_per_day.max(1) as f64;
        let requests = f64::from(spent.requests_today) / f64::from(self.requests_per_day.max(1));
        sample.mul_f64(1.0 + SPARINGLY * (bytes.max(requests) - SPARING).clamp(0.0, 1.0))
    }

    /// Whether a day's samples have cost as much as they may at the usual pace, so that what happens again and again is no
    /// reason for another: the rest of the day is to have some, too.
    pub fn has_sampled_enough(&self, sampled: Spent) -> bool {
        sampled.requests >= self.requests_per_day / 2 || sampled.bytes >= self.bytes_per_day / 4
    }

    /// The pause before a sample of one that answers with errors: each costs a refusal, and waits three times as long as
    /// the one before it, so that what lasted an hour is over after two and what lasts half a day is found all the same.
    /// `None` when nothing but a rehearsal's refusals are left. Of ten, three are gone with its fall, and it is asked after
    /// 12 minutes, 36, 1 h 50 min, 5 h 20 min and `LONGEST_PAUSE`.
    pub(super) fn after_an_error(&self, spent: SpentToday) -> Option<Duration> {
        let gone = spent.refusals_2_days.saturating_add(REHEARSAL.refusals);
        let left = self.refusals_per_2_days.checked_sub(gone).filter(|left| *left > 0)?;
        Some((TWO_DAYS / 3_u32.saturating_pow(left)).min(LONGEST_PAUSE))
    }

    /// The bytes of a day of all mirrors together that end for this purpose.
    fn total(&self, purpose: Purpose) -> u64 {
        let percent = match purpose {
            Purpose::Needed => 100,
            Purpose::Watch => WATCH.into(),
            Purpose::Usual | Purpose::Deciding => TOGETHER,
        };
        (self.total_bytes_per_day / 100 * percent).max(REHEARSAL.bytes)
    }

    /// The budget of a day that ends for this purpose: (requests, bytes). `sampled` is what the day's samples have cost.
    fn ends(&self, purpose: Purpose, stands: Stands, pace: &Pace, sampled: Spent) -> (u32, u64) {
        let (requests, bytes) = (self.requests_per_day, self.bytes_per_day);
        let watch = (requests.saturating_mul(WATCH) / 100, bytes / 100 * u64::from(WATCH));
        // A member's samples see a stall: no rehearsal may use up what those of a day will need. Each that was taken
        // makes way for another when it is forgotten.
        let pause = self.sampled(pace.sample).as_secs().max(1);
        let samples = u32::try_from(DAY.as_secs() / pause).unwrap_or(u32::MAX);
        let needed = (samples.min(requests / 2), (u64::from(samples) * SAMPLE.bytes).min(bytes / 4));
        let lacking = (needed.0.saturating_sub(sampled.requests), needed.1.saturating_sub(sampled.bytes));
        let rest = (requests - lacking.0, bytes - lacking.1);
        match (purpose, stands) {
            (Purpose::Needed, Stands::Selected | Stands::Lately(_)) => (requests, bytes),
            // Without the re-checks' part a leader could begin to fail and nobody be allowed to prove it.
            (Purpose::Watch, _) => watch,
            (Purpose::Usual, Stands::Selected | Stands::Lately(_)) => {
                (rest.0.min(watch.0).max(REHEARSAL.requests), rest.1.min(watch.1).max(REHEARSAL.bytes))
            }
            (Purpose::Deciding, Stands::Selected | Stands::Lately(_)) => (rest.0 / 10 * 9, rest.1 / 10 * 9),
            (Purpose::Needed | Purpose::Usual | Purpose::Deciding, Stands::Outside) => self.outside(),
        }
    }

    /// What a day costs a mirror that does not stand in the list: (requests, bytes). Of 400 requests and 24 MiB, 120 and
    /// 13: as much as a rehearsal every two hours takes. And one at least. Who contends without end for a place that it
    /// does not win costs no more than that either, and neither does who is re-checked without end.
    fn outside(&self) -> (u32, u64) {
        let (requests, bytes) = (self.requests_per_day, self.bytes_per_day);
        ((requests / 10 * 3).max(REHEARSAL.requests), (bytes / 24 * 13).max(REHEARSAL.bytes))
    }
}

/// Who asks to be asked.
pub(super) struct Request<'a> {
    pub(super) allowance: &'a Allowance,
    pub(super) pace: &'a Pace,
    pub(super) record: &'a Record,
    /// As of when its hours are counted: a part of an hour ago.
    pub(super) counted: Timestamp,
    /// What went of the record's budget by then.
    pub(super) spent: SpentToday,
    pub(super) stands: Stands,
    pub(super) depth: Depth,
    pub(super) purpose: Purpose,
    pub(super) together: Together,
}

/// The most that a probe of this depth can cost.
pub(super) fn most(depth: Depth) -> Spent {
    match depth {
        Depth::Connect => Spent::default(),
        Depth::Sample => SAMPLE,
        Depth::Rehearse => REHEARSAL,
    }
}

impl Request<'_> {
    fn cost(&self) -> Spent {
        most(self.depth)
    }

    /// The first time from `at` on at which the budget has room for it.
    pub(super) fn allowed(&self, at: Timestamp, now: Timestamp) -> Timestamp {
        let at = at.max(self.after_the_minute(at)).max(self.after_refusals(now).unwrap_or(at));
        if self.fits_the_day() { at } else { at.max(now + HOUR) }
    }

    /// Once half of the refusals are spent, what is left is spread over the two days: a mirror that refuses everything
    /// today is to be found again soon after it has come to its senses, and not when the first refusal is forgotten. One
    /// that has served since has come to them. What looks out for the end of a mirror's errors has pauses of its own, by
    /// what is left.
    fn after_refusals(&self, now: Timestamp) -> Option<Timestamp> {
        let limit = self.allowance.refusals_per_2_days;
        let stands = self.record.standing() == Standing::Live || self.record.rising() > 0;
        let served = stands && self.record.failed_rehearsals() == 0 || self.record.is_back();
        let looks_out = self.purpose == Purpose::Watch && self.record.errs();
        if self.purpose == Purpose::Needed
            || looks_out
            || served
            || self.spent.refusals_2_days < limit.div_ceil(2)
        {
            return None;
        }
        // The samples of one that answers with errors have spent them.
        let least = if self.record.errs() { Depth::Sample } else { Depth::Rehearse };
        let last = super::last(self.record, least, now)?;
        Some(last + TWO_DAYS.saturating_mul(REHEARSAL.refusals) / limit.max(1))
    }

    fn after_the_minute(&self, at: Timestamp) -> Timestamp {
        let Allowance { requests_per_minute: limit, minute, .. } = *self.allowance;
        let mut left = self.cost().requests;
        // From the newest: what still fits beside the new one may stay; what does not must be a minute old.
        for (ended, requests) in self.record.asked_lately(at, minute).rev() {
            left = left.saturating_add(requests);
            if left > limit {
                return ended + minute;
            }
        }
        at
    }

    fn fits_the_day(&self) -> bool {
        let (cost, spent) = (self.cost(), self.spent);
        let sampled = self.record.sampled(self.counted);
        let (requests, bytes) = self.allowance.ends(self.purpose, self.stands, self.pace, sampled);
        spent.requests_today.saturating_add(cost.requests) <= requests
            && spent.bytes_today.saturating_add(cost.bytes) <= bytes
            && has_refusals_left(self.allowance, spent, cost.refusals)
            && self.together.bytes.saturating_add(cost.bytes) <= self.allowance.total(self.purpose)
            && self.fits_outside()
    }

    /// Whether one that has left the list costs no more from then on than one that never stood there.
    fn fits_outside(&self) -> bool {
        let Stands::Lately(left) = self.stands else { return true };
        let (cost, spent) = (self.cost(), self.record.spent_since(left, self.counted));
        let (requests, bytes) = self.allowance.outside();
        // Samples show that it is back, and rehearsals prove it: they are not to find all of it spent.
        let kept = if self.purpose == Purpose::Watch { RETURN } else { 0 };
        let requests = requests.saturating_sub(kept * REHEARSAL.requests);
        let bytes = bytes.saturating_sub(u64::from(kept) * REHEARSAL.bytes);
        spent.requests_today.saturating_add(cost.requests) <= requests
            && spent.bytes_today.saturating_add(cost.bytes) <= bytes
    }

    /// Whether the budget has no room for it now.
    pub(super) fn is_kept_back(&self, now: Timestamp) -> bool {
        !self.fits_the_day() || self.after_refusals(now).is_some_and(|at| at > now)
    }

    /// Whether this image may be asked for. One that may well be refused must leave room for the failures that matter.
    pub(super) fn may_ask_for(&self, image: &Image) -> bool {
        // The first refusals tell what kind of mirror it is; half of the budget is enough for that.
        let enough = REHEARSAL.refusals + self.allowance.refusals_per_2_days / 2;
        has_refusals_left(self.allowance, self.spent, enough)
            || self.record.serves(image) == Some(true)
            || !self.record.serves_some()
    }
}

/// Whether a live mirror's failure can be checked no more, because its own refusals leave no room for it.
pub(super) fn is_out_of_refusals(allowance: &Allowance, spent: SpentToday, depth: Depth) -> bool {
    let refusals = most(depth).refusals;
    refusals > 0 && !has_refusals_left(allowance, spent, refusals)
}

fn has_refusals_left(allowance: &Allowance, spent: SpentToday, cost: u32) -> bool {
    spent.refusals_2_days.saturating_add(cost) <= allowance.refusals_per_2_days
}
