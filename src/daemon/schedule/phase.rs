//! Where in an interval a host stands, so that ten thousand of them do not ask at the same moment.
//!
//! It is a hash of the host, the mirror and a count: no randomness, and alike when asked again.

use std::time::Duration;

use super::budget::HOUR;
use crate::observation::Depth;

/// Jitter takes up to this part of an interval away, a twentieth on average, which is what it costs the budget. What it
/// scatters adds up: after a day of connects hosts in step are a minute apart (1440 intervals, a deviation of 1.7 s each)
/// ...
const JITTER: f64 = 0.1;
/// ... and of the first interval of a run, before which all hosts that started together are in step, up to this: they are
/// spread over half an interval at once, for one probe that may come twice as early.
const FIRST: f64 = 0.5;

/// How often a mirror was asked at a depth.
pub(super) type Turn = (Depth, u64);

/// Takes up to a tenth away, differently for every host, mirror and turn; of the first interval up to half.
pub(super) fn shortened(interval: Duration, seed: u64, url: &str, turn: Turn, first: bool) -> Duration {
    let most = if first { FIRST } else { JITTER };
    interval.mul_f64(1.0 - most * part(seed, url, turn))
}

/// The least that jitter leaves of an interval, but of the first one.
pub(super) fn shortest(interval: Duration) -> Duration {
    interval.mul_f64(1.0 - JITTER)
}

/// By how much later than at the full hour this host forgets what an hour of this mirror has cost: or all whose budgets
/// are spent would ask in the minute after it.
pub(super) fn of_hour(seed: u64, url: &str) -> Duration {
    HOUR.mul_f64(part(seed, url, (Depth::Rehearse, u64::MAX)))
}

/// From 0 to 1, differently for every host, mirror and turn.
pub(super) fn part(seed: u64, url: &str, (depth, turn): Turn) -> f64 {
    // FNV-1a: any hash that spreads will do; its constants are Fowler, Noll and Vo's.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ seed;
    let depth = match depth {
        Depth::Connect => b'c',
        Depth::Sample => b's',
        Depth::Rehearse => b'r',
    };
    for byte in url.bytes().chain([depth]).chain(turn.to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    // The last bytes have not reached every bit yet.
    let mixed = (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    f64::from(u32::try_from(mixed >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_hosts_are_spread_evenly() {
        let depths = [Depth::Connect, Depth::Sample, Depth::Rehearse];
        for turn in (0..3).flat_map(|turn| depths.map(|depth| (depth, turn))) {
            let hosts = (0..10_000_u64).map(|host| host.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let parts: Vec<f64> = hosts.map(|seed| part(seed, "https://a.example", turn)).collect();
            for hundredth in 0..100 {
                let from = f64::from(hundredth) / 100.0;
                let count = parts.iter().filter(|part| (from..from + 0.01).contains(*part)).count();
                // A hundred each, and by chance (a standard deviation of ten) some more or fewer.
                assert!((50..=150).contains(&count), "{turn:?}, {hundredth}: {count}");
            }
        }
    }

    #[test]
    fn jitter_only_shortens_and_is_the_same_when_asked_again() {
        let minute = Duration::from_secs(60);
        for turn in 0..1000 {
            let turn = (Depth::Sample, turn);
            let one = shortened(minute, 7, "https://a.example", turn, false);
            assert!(one <= minute && one >= minute.mul_f64(0.9), "{one:?}");
            assert_eq!(one, shortened(minute, 7, "https://a.example", turn, false));
        }
    }
}
