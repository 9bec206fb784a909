//! How often a mirror succeeds, from probes of different depths at uneven times.
//!
//! Three levels are judged apart and multiplied: is the host reached, does the registry answer, does the
//! content come. A check of the connection says something of the first and nothing of the others, so a
//! selected mirror, which is connected to every minute, is not thereby more reliable than another one.
//!
//! Each observation stands for the time since the one before it on its level, within bounds: three
//! re-checks within six seconds are one bad minute and not three bad hours. The failures of a mirror that is
//! rejected already are not told here: no pull meets them. Old times fade with a
//! half-life of a day. A little good will at the start keeps one success from being certainty and one
//! failure from being zero.

use serde::{Deserialize, Serialize};

use super::{Moment, narrow};
use crate::observation::{Depth, Stage};
use crate::timestamp::Timestamp;

/// Hours after which an observation counts half.
const HALF_LIFE: f64 = 24.0;
/// Hours that the first observation of a level stands for.
const FIRST: f64 = 1.0;
/// The fewest hours an observation stands for: a second.
const LEAST: f64 = 1.0 / 3600.0;
/// The most: two hours, the pace of rehearsals; a laptop's night says nothing about the mirror.
const MOST: f64 = 2.0;
/// The good will: so many hours ...
const PRIOR_WEIGHT: f64 = 0.5;
/// ... of this success.
const PRIOR: f64 = 0.99;

/// Success on the three levels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Reliability {
    at: Option<Moment>,
    reach: Level,
    answer: Level,
    content: Level,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Level {
    good: f32,
    hours: f32,
    at: Option<Moment>,
}

impl Level {
    fn fade(&mut self, factor: f64) {
        self.good = narrow(f64::from(self.good) * factor);
        self.hours = narrow(f64::from(self.hours) * factor);
    }

    fn add(&mut self, at: Timestamp, good: bool) {
        let hours = self.at.map_or(FIRST, |last| hours_between(last.time(), at).clamp(LEAST, MOST));
        self.hours = narrow(f64::from(self.hours) + hours);
        if good {
            self.good = narrow(f64::from(self.good) + hours);
        }
        self.at = Some(at.into());
    }

    fn success(&self) -> f64 {
        let (good, hours) = (f64::from(self.good), f64::from(self.hours));
        (good + PRIOR * PRIOR_WEIGHT) / (hours + PRIOR_WEIGHT)
    }
}

impl Reliability {
    /// Takes one observation: at which depth, and at which stage it failed, if it did.
    pub(super) fn add(&mut self, at: Timestamp, depth: Depth, failed: Option<Stage>) {
        // Every level fades at every observation, whatever it says: otherwise a success would renew a
        // level's age, and cost it a little, where a failure elsewhere would not.
        if let Some(last) = self.at {
            let factor = (-hours_between(last.time(), at) / HALF_LIFE).exp2();
            for level in [&mut self.reach, &mut self.answer, &mut self.content] {
                level.fade(factor);
            }
        }
        self.at = Some(at.into());
        let failed_level = failed.map(level_of);
        for level in passed(depth) {
            let good = failed_level != Some(*level);
            self.level(*level).add(at, good);
            if !good {
                return;
            }
        }
        // A sample that fails at its token is outside of the levels that a sample passes.
        if let Some(level) = failed_level
            && !passed(depth).contains(&level)
        {
            self.level(level).add(at, false);
        }
    }

    /// An answer that is about one image and no fault: the host was reached, nothing else is said.
    pub(super) fn add_reached(&mut self, at: Timestamp) {
        self.add(at, Depth::Connect, None);
    }

    /// How often a pull succeeds, above 0 and below 1; `None` before the first observation.
    pub(super) fn success(&self) -> Option<f64> {
        self.at?;
        Some(self.reach.success() * self.answer.success() * self.content.success())
    }

    fn level(&mut self, of: Of) -> &mut Level {
        match of {
            Of::Reach => &mut self.reach,
            Of::Answer => &mut self.answer,
            Of::Content => &mut self.content,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Reach,
    Answer,
    Content,
}

fn level_of(stage: Stage) -> Of {
    match stage {
        Stage::Name | Stage::Connect | Stage::Tls => Of::Reach,
        Stage::Ping | Stage::Token | Stage::Manifest | Stage::Config => Of::Answer,
        Stage::Layer => Of::Content,
    }
}

/// The levels that a good probe of this depth has passed, in the order in which it meets them.
fn passed(depth: Depth) -> &'static [Of] {
    match depth {
        Depth::Connect => &[Of::Reach],
        Depth::Sample => &[Of::Reach, Of::Content],
        Depth::Rehearse => &[Of::Reach, Of::Answer, Of::Content],
    }
}

fn hours_between(from: Timestamp, to: Timestamp) -> f64 {
    to.since(from).as_secs_f64() / 3600.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// `(minutes after the one before, depth, stage of the failure)`, and the success expected.
    #[track_caller]
    fn check(observations: &[(u64, Depth, Option<Stage>)], expected: std::ops::Range<f64>) {
        let mut reliability = Reliability::default();
        let mut at = Timestamp::from_millis(1_000_000_000_000);
        for (minutes, depth, failed) in observations {
            at = at + Duration::from_secs(60 * minutes);
            reliability.add(at, *depth, *failed);
        }
        let got = reliability.success().expect("observed");
        assert!(expected.contains(&got), "{observations:?}: {got}, expected {expected:?}");
    }

    #[test]
    fn successes() {
        use Depth::{Connect, Rehearse, Sample};
        // One success is not certainty.
        check(&[(0, Rehearse, None)], 0.98..0.995);
        // One failure is not zero.
        check(&[(0, Rehearse, Some(Stage::Manifest))], 0.2..0.5);
        // A day of good rehearsals is nearly certainty.
        check(&[(120, Rehearse, None); 12], 0.998..1.0);
        // One bad rehearsal in a day is one in twelve ...
        let mut day = [(120, Rehearse, None); 12];
        day[11].2 = Some(Stage::Layer);
        check(&day, 0.88..0.94);
        // ... and its re-checks, seconds later, do not make it four.
        let mut rechecked = day.to_vec();
        rechecked.extend([(0, Rehearse, Some(Stage::Layer)); 3]);
        check(&rechecked, 0.88..0.94);
        // A mirror that is connected to every minute is not more reliable for that.
        let mut connected = vec![(0, Rehearse, None)];
        connected.extend([(1, Connect, None); 600]);
        check(&connected, 0.985..0.995);
        // One that fails half the time succeeds half the time, whichever depth sees it.
        let flapping: Vec<_> = (0..200).map(|i| (10, Sample, (i % 2 == 0).then_some(Stage::Layer))).collect();
        check(&flapping, 0.48..0.52);
    }
}
