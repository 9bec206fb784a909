//! How often the applier runs. Each run is a process of root's, and a prober that was taken over can ask without end.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::publish::{Durability, publish};
use crate::timestamp::Timestamp;

/// So many runs in a row are free: more than a start, a switch and a few edits need together.
const FREE: u32 = 30;

/// From then on there is one in this time. It is also what systemd wants: a path unit that starts something two hundred
/// times in two seconds is given up for good.
const EACH: Duration = Duration::from_secs(1);

/// Its name in the applier's runtime directory, where nobody else writes.
const FILE: &str = "pace";

/// Counts this run, and says how long it has to wait.
pub(super) fn wait(directory: &Path, now: Timestamp) -> Duration {
    let text = fs::read_to_string(directory.join(FILE)).unwrap_or_default();
    let before = text.trim().parse().map_or(Timestamp::default(), Timestamp::from_millis);
    let (after, wait) = count(before, now);
    // Where it cannot be kept no report can be published either, and that is said there.
    let _ = publish(directory, FILE, after.as_millis().to_string().as_bytes(), Durability::Cached);
    wait
}

/// From the moment at which all runs before are made up for: the same after this one, and how long this one waits.
fn count(before: Timestamp, now: Timestamp) -> (Timestamp, Duration) {
    let most = now + EACH * FREE;
    // One further ahead than can be was written before the clock was set back.
    let after = before.clamp(now, most) + EACH;
    (after, after.since(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_without_end_gets_a_run_a_second() {
        let start = Timestamp::from_millis(1_000_000_000_000);
        let (mut now, mut paid, mut runs) = (start, Timestamp::default(), 0);
        while now < start + Duration::from_secs(600) {
            let (after, wait) = count(paid, now);
            assert!(wait <= EACH, "{wait:?}");
            paid = after;
            // A run that takes a hundredth of a second.
            now = now + wait + Duration::from_millis(10);
            runs += 1;
        }
        assert!((600..=600 + FREE + 2).contains(&runs), "{runs}");
        let (paid, wait) = count(paid, now + EACH * FREE);
        assert_eq!(wait, Duration::ZERO, "whoever has been silent is served at once");
        assert_eq!(count(paid, start).1, EACH, "a clock that was set back costs a moment");
    }

    #[test]
    fn a_start_and_some_edits_wait_for_nothing() {
        let place = tempfile::tempdir().unwrap();
        let now = Timestamp::from_millis(1_000_000_000_000);
        for run in 0..FREE {
            assert_eq!(wait(place.path(), now), Duration::ZERO, "{run}");
        }
        assert_eq!(wait(place.path(), now), EACH);
        publish(place.path(), FILE, b"damaged", Durability::Cached).unwrap();
        assert_eq!(wait(place.path(), now), Duration::ZERO);
    }
}
