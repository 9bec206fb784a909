//! The last day of one mirror: 24 hours as values, 12 bars as a picture.

use std::time::Duration;

use crate::observation::Observation;
use crate::timestamp::Timestamp;

/// How many values a day has.
pub const HOURS: usize = 24;

const HOUR: Duration = Duration::from_secs(3600);
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Bytes per second in each of the 24 hours before `now`, oldest first.
///
/// The mean over an hour's observations that failed or had a speed, a failure counted as 0: the lower, the less a
/// pull could have got from this mirror. `None` where an hour has none of either.
pub fn last_day<'a>(
    observations: impl IntoIterator<Item = &'a Observation>,
    now: Timestamp,
) -> Vec<Option<u64>> {
    let mut hours = [(0.0, 0_u32); HOURS];
    // What lies ahead is what a clock that was set back has left behind.
    for observation in observations.into_iter().filter(|observation| observation.at <= now) {
        let hours_ago =
            usize::try_from(now.since(observation.at).as_secs() / HOUR.as_secs()).unwrap_or(usize::MAX);
        let speed = observation.failure().map(|_| 0.0).or(observation.bytes_per_second);
        if let (Some(speed), Some(hour)) = (speed, HOURS.checked_sub(hours_ago + 1)) {
            hours[hour].0 += speed;
            hours[hour].1 += 1;
        }
    }
    hours.into_iter().map(|(sum, count)| (count > 0).then(|| rounded(sum / f64::from(count)))).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, which is what is wanted"
)]
fn rounded(speed: f64) -> u64 {
    speed.round() as u64
}

/// The bars of one mirror, two hours each, `fastest` being the full one: each bar less is half the speed, an outage
/// the lowest, a blank where nothing was measured. `None` when nothing at all was.
///
/// Two hours, because that is how often a mirror is rehearsed that is not selected; the worse of them, because an
/// outage is what one looks for.
pub fn bars(day: &[Option<u64>], fastest: u64) -> Option<String> {
    let worst = |hours: &[Option<u64>]| hours.iter().flatten().min().copied();
    let bars = day.chunks(2).map(|hours| worst(hours).map_or(' ', |speed| bar(speed, fastest)));
    day.iter().any(Option::is_some).then(|| bars.collect())
}

fn bar(speed: u64, fastest: u64) -> char {
    let halvings = BARS.len().saturating_sub(1);
    let mut level = 0;
    let mut floor = fastest;
    // Up to 1.5 times below the fastest is still the full bar, so that noise does not draw teeth.
    for step in 0..halvings {
        if speed > 0 && u128::from(speed) * 3 >= u128::from(floor) * 2 {
            level = halvings - step;
            break;
        }
        floor /= 2;
    }
    BARS[level]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{Depth, Failure, Outcome, Stage};
    use crate::reason::FailureKind;

    const NOW: Timestamp = Timestamp::from_millis(1_795_176_000_000);

    fn seen(hours_ago: u64, minutes: u64, speed: Option<f64>, failed: bool) -> Observation {
        let at = NOW - Duration::from_secs(hours_ago * 3600 + minutes * 60);
        let mut observation = Observation::new(at, Depth::Sample);
        observation.bytes_per_second = speed;
        if failed {
            let (kind, stage) = (FailureKind::Stalled, Stage::Layer);
            observation.outcome = Outcome::Failed(Failure { kind, stage, detail: String::new() });
        }
        observation
    }

    #[test]
    fn each_hour_is_the_mean_of_what_was_measured_in_it() {
        let day = [
            seen(0, 1, Some(100.0), false),
            seen(0, 30, Some(50.0), true), // a failure is no speed, however fast it began
            seen(0, 59, None, false),      // nothing measured, nothing failed: says nothing of the speed
            seen(1, 0, Some(10.4), false),
            seen(23, 59, None, true),
            seen(24, 0, Some(9.0), false), // a day ago is no longer in the last day
            Observation { at: NOW + HOUR * 9000, ..seen(0, 0, None, true) }, // the clock was set back
        ];
        let values = last_day(&day, NOW);
        assert_eq!(values.len(), HOURS);
        assert_eq!((values[23], values[22], values[21], values[0]), (Some(50), Some(10), None, Some(0)));
    }

    #[test]
    fn a_bar_less_is_half_the_speed_and_an_outage_the_lowest() {
        let hours = [6400, 4300, 3200, 800, 1].map(|speed| [Some(speed), None]).concat();
        assert_eq!(bars(&hours, 6400).as_deref(), Some("██▇▅▁"));
        assert_eq!(bars(&[Some(6400), Some(0), None, None, None, Some(6400)], 6400).as_deref(), Some("▁ █"));
        assert_eq!(bars(&[Some(0)], 0).as_deref(), Some("▁"));
        assert_eq!(bars(&[None, None], 6400), None);
        assert_eq!(bars(&[], 6400), None);
    }
}
