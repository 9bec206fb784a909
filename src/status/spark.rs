//! The last day of one mirror: 24 hours as values, 12 bars as a picture.

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

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
