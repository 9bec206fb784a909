//! A smoothed measurement with its deviation, made for few samples.
//!
//! A mean that moves a part of the way to each new value, and beside it a mean of how far the values lie
//! from it: what TCP does with round trips (RFC 6298), with two differences, because a mirror is
//! rehearsed twelve times a day and not a thousand times a second.
//!
//! - **One wild value moves little.** A value further away than twice the deviation counts only as twice
//!   the deviation. A plain mean would need ten rehearsals, a day, to forget one that took twenty times
//!   as long.
//! - **Three wild values in a row on one side are the new level.** The mean starts again at their mean, so
//!   a mirror that begins to crawl, or stops to, is believed after three rehearsals.

use serde::{Deserialize, Serialize};

use super::narrow;

/// How far the mean moves to a rehearsal's value. In made-up worlds of 20 mirrors over 14 days 0.2 and 0.3 lose
/// about as little time against an oracle, and with 0.2 equal mirrors that are noisy change places a third as
/// often: what 0.3 gains in speed, the change of level below has already.
pub(crate) const REHEARSAL: f64 = 0.2;
/// How far the mean moves to a sample's value: some twelve samples come between two rehearsals of a
/// selected mirror, and shall not make it forget within an hour what it knew.
pub(super) const SAMPLE: f64 = 0.07;
/// The deviation follows more slowly than the mean, so that a value *below* the mean always lowers their
/// sum: a better measurement must never make a mirror look worse. TCP has it the other way round.
const DEVIATION_SHARE: f64 = 2.0 / 3.0;
/// The deviation that is assumed beside a first value, as a share of it.
const FIRST_DEVIATION: f64 = 0.25;
/// A value further from the mean than so many deviations is wild.
const WILD: f64 = 2.0;
/// The deviation is never taken for less than this share of the mean when a value is called wild.
const QUIET: f64 = 1.0 / 16.0;
/// So many wild values in a row on one side are the new level.
const LEVEL: u8 = 3;

/// Mean and deviation of something measured now and then; empty until the first value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Smoothed {
    mean: f32,
    deviation: f32,
    count: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    wild: Option<Wild>,
}

/// Wild values in a row, all on one side of where the mean was before them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Wild {
    count: u8,
    sum: f32,
    /// What the next one must lie above, or below, to belong to them.
    edge: f32,
    above: bool,
}

impl Smoothed {
    /// The mean, once there is one.
    pub(crate) fn mean(&self) -> Option<f64> {
        (self.count > 0).then_some(f64::from(self.mean))
    }

    /// How many values there were, up to 255.
    pub(super) fn count(&self) -> u8 {
        self.count
    }

    /// How far values lie from the mean, on average; zero while there is no mean.
    pub(crate) fn deviation(&self) -> f64 {
        f64::from(self.deviation)
    }

    /// Takes one more value, positive and finite, with the given gain.
    pub(super) fn add(&mut self, value: f64, gain: f64) {
        if self.count == 0 {
            self.mean = narrow(value);
            self.deviation = narrow(value * FIRST_DEVIATION);
            self.count = 1;
            return;
        }
        let (mean, deviation) = (f64::from(self.mean), f64::from(self.deviation));
        let error = value - mean;
        let bound = WILD * deviation.max(mean * QUIET);
        if let Some(level) = self.new_level(value, error, bound) {
            // The noise, as a share of the level, is what stays known across a change of level.
            self.deviation = narrow(level * (deviation / mean.max(f64::MIN_POSITIVE)).min(1.0));
            self.mean = narrow(level);
            self.wild = None;
        } else {
            let error = error.clamp(-bound, bound);
            // The first few values count alike: a mean of two is their middle.
            let gain = gain.max(1.0 / (f64::from(self.count) + 1.0));
            self.mean = narrow(mean + gain * error);
            self.deviation = narrow(deviation + gain * DEVIATION_SHARE * (error.abs() - deviation));
        }
        self.count = self.count.saturating_add(1);
    }

    /// Counts wild values in a row; their mean, once there are enough of them. What was wild when the row
    /// began stays wild, although mean and deviation have begun to follow.
    fn new_level(&mut self, value: f64, error: f64, bound: f64) -> Option<f64> {
        let belongs = |wild: &Wild| {
            let edge = f64::from(wild.edge);
            if wild.above { value > edge } else { value < edge }
        };
        self.wild = match self.wild.take().filter(belongs) {
            Some(wild) => {
                let sum = narrow(f64::from(wild.sum) + value);
                Some(Wild { count: wild.count.saturating_add(1), sum, ..wild })
            }
            None if error.abs() > bound => Some(Wild {
                count: 1,
                sum: narrow(value),
                edge: narrow(value - error + bound * error.signum()),
                above: error > 0.0,
            }),
            None => None,
        };
        let wild = self.wild.as_ref().filter(|wild| wild.count >= LEVEL)?;
        Some(f64::from(wild.sum) / f64::from(wild.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(values: &[f64]) -> Smoothed {
        let mut smoothed = Smoothed::default();
        for value in values {
            smoothed.add(*value, REHEARSAL);
        }
        smoothed
    }

    #[track_caller]
    fn check(values: &[f64], mean: f64) {
        let got = after(values).mean().expect("a mean");
        assert!((got - mean).abs() <= mean * 0.02, "{values:?}: {got}, expected {mean}");
    }

    #[test]
    fn means() {
        // Nothing measured is nothing known.
        assert_eq!(Smoothed::default().mean(), None);
        // The first value is the mean.
        check(&[4.0], 4.0);
        // The second counts as much as the first.
        check(&[4.0, 5.0], 4.5);
        // One wild value among quiet ones moves the mean by less than a tenth.
        check(&[1.0, 1.0, 1.0, 1.0, 1.0, 20.0, 1.0], 1.04);
        // Three wild ones in a row are the new level at once, up ...
        check(&[1.0, 1.0, 1.0, 1.0, 10.0, 10.0, 10.0], 10.0);
        // ... and down.
        check(&[10.0, 10.0, 10.0, 1.0, 1.0, 1.0], 1.0);
        // A level is believed although the noise grows while it is reached.
        check(&[2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.2, 1.2, 1.2], 1.2);
        // A wild value on either side in turn is noise, not a level.
        check(&[1.0, 1.0, 1.0, 1.0, 9.0, 0.1, 9.0], 1.05);
    }

    #[test]
    fn a_steady_series_has_no_deviation_in_the_end() {
        assert!(after(&[3.0; 40]).deviation() < 0.01);
    }

    #[test]
    fn a_value_below_the_mean_lowers_the_sum_of_mean_and_deviation() {
        let before = after(&[4.0, 4.2, 3.9, 4.1]);
        let mut same = before.clone();
        same.add(4.0, REHEARSAL);
        let mut better = before;
        better.add(3.6, REHEARSAL);
        let sum = |smoothed: &Smoothed| smoothed.mean().expect("a mean") + smoothed.deviation();
        assert!(sum(&better) < sum(&same));
    }
}
