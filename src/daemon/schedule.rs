//! When a mirror is asked next, how far and for which image.

use std::time::Duration;

use crate::image::Image;
use crate::observation::Depth;
use crate::ranking::record::{Record, Standing};
use crate::timestamp::Timestamp;

use super::step::{Settings, Track};

/// How often mirrors are asked; jitter only shortens. `[schedule]` of mirrors.toml.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Between the connects of a selected mirror.
    pub connect: Duration,
    /// Between the samples of a selected mirror.
    pub sample: Duration,
    /// Between the rehearsals of any mirror.
    pub rehearse: Duration,
    /// Between the rehearsals of a mirror that is about to change the list.
    pub decide: Duration,
    /// Between the re-checks after a first failure.
    pub confirm: Duration,
}

/// How much one mirror may be asked. `[budget]` of mirrors.toml, divided by `share`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// HTTP requests in 24 hours.
    pub requests_per_day: u32,
    /// Refusals in 48 hours.
    pub refusals_per_2_days: u32,
    /// Bytes in 24 hours.
    pub bytes_per_day: u64,
}

/// The next probe of one mirror.
#[derive(Clone, Debug, PartialEq)]
pub struct Due {
    /// When.
    pub at: Timestamp,
    /// How far.
    pub depth: Depth,
    /// For which image; `None` at depth connect.
    pub image: Option<Image>,
}

/// A rehearsal is seven requests at most on a well-behaved mirror, and one more for a late token.
const REHEARSAL_REQUESTS: u32 = 8;
/// A rehearsal reads at most one mebibyte of a layer and some kibibytes of manifests.
const REHEARSAL_BYTES: u64 = (1 << 20) + (64 << 10);
/// After three failed rehearsals in a row the pauses between them double, up to six hours.
const PATIENCE: u32 = 3;
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 3600);
/// Jitter takes up to this part of an interval away.
const JITTER: f64 = 0.1;
/// While nobody answers, the selected mirrors are knocked at this part of `connect`.
const KNOCK: u32 = 12;

/// The next probe of `track`, or `None` while one is under way or when it never takes part.
pub fn due(
    settings: &Settings,
    track: &Track,
    selected: bool,
    is_upstream: bool,
    network_down: bool,
    now: Timestamp,
) -> Option<Due> {
    if track.in_flight.is_some() || !track.mirror.takes_part() {
        return None;
    }
    let record = &track.record;
    let pace = &settings.pace;
    let connect = |at| Some(Due { at, depth: Depth::Connect, image: None });
    if network_down {
        let knock = (pace.connect / KNOCK).max(pace.confirm);
        return connect(track.last_asked.map_or(now, |last| last + knock));
    }
    if track.control {
        return connect(now);
    }
    let mut wishes: Vec<(Timestamp, Depth)> = Vec::new();
    let interval = |base: Duration| shortened(base, settings.seed, track);
    // A deeper probe is a lesser one too; above all a sample that had to become a rehearsal.
    let last = |least: Depth| {
        let depths = [Depth::Connect, Depth::Sample, Depth::Rehearse];
        depths.into_iter().filter(|depth| *depth >= least).filter_map(|depth| record.last(depth)).max()
    };
    if let Some(depth) = record.wants_recheck(&settings.policy) {
        wishes.push((record.last_probe().map_or(now, |last| last + pace.confirm), depth));
    }
    if track.fresh {
        wishes.push((now, Depth::Sample));
    }
    if selected {
        wishes.push((last(Depth::Connect).map_or(now, |at| at + interval(pace.connect)), Depth::Connect));
        wishes.push((last(Depth::Sample).map_or(now, |at| at + interval(pace.sample)), Depth::Sample));
    }
    let rehearse = match last(Depth::Rehearse) {
        None => now,
        Some(at) if track.deciding && !is_upstream => at + interval(pace.decide.min(pace.rehearse)),
        Some(at) => at + interval(patience(record, settings.policy.fall, pace.rehearse)),
    };
    wishes.push((rehearse, Depth::Rehearse));
    let (at, depth) = earliest_deepest(&wishes, now)?;
    // Whatever comes together, nobody is asked twice within a re-check's pause.
    let at = track.last_asked.map_or(at, |asked| at.max(asked + pace.confirm));
    if depth == Depth::Connect {
        return connect(at);
    }
    let at = at.max(rest(settings, record, now));
    let (at, image) = next_image(settings, track, at, now)?;
    // A sample asks for the image whose layers are known; the prober remembers which.
    Some(Due { at, depth, image: Some(image) })
}

/// Of all that is due, the deepest; else the earliest that will be.
fn earliest_deepest(wishes: &[(Timestamp, Depth)], now: Timestamp) -> Option<(Timestamp, Depth)> {
    let overdue = wishes.iter().filter(|(at, _)| *at <= now).max_by_key(|(_, depth)| *depth);
    overdue.or_else(|| wishes.iter().min_by_key(|(at, depth)| (*at, std::cmp::Reverse(*depth)))).copied()
}

/// The pause between the rehearsals of a mirror that keeps failing.
fn patience(record: &Record, fall: u32, rehearse: Duration) -> Duration {
    // The re-checks that led to the rejection came within seconds; they are one bad moment, not three.
    let failed = record.failed_rehearsals().saturating_sub(fall);
    if record.standing() != Standing::Rejected || failed < PATIENCE {
        return rehearse;
    }
    let doublings = (failed - PATIENCE + 1).min(16);
    rehearse.saturating_mul(1 << doublings).min(LONGEST_PAUSE.max(rehearse))
}

/// Until when nothing may be asked: a 429's rest, or an exhausted budget.
fn rest(settings: &Settings, record: &Record, now: Timestamp) -> Timestamp {
    let mut until = record.resting(now).unwrap_or(now);
    if over_budget(&settings.allowance, record, now) {
        // The budget is counted by the hour: an hour later the oldest has been forgotten.
        until = until.max(now + Duration::from_secs(3600));
    }
    until
}

/// Whether one more rehearsal would pass the budget.
pub fn over_budget(allowance: &Allowance, record: &Record, now: Timestamp) -> bool {
    let spent = record.spent(now);
    spent.requests_today.saturating_add(REHEARSAL_REQUESTS) > allowance.requests_per_day
        || spent.refusals_2_days >= allowance.refusals_per_2_days
        || spent.bytes_today.saturating_add(REHEARSAL_BYTES) > allowance.bytes_per_day
}

/// The image whose turn it is among those that do not rest, or the one that wakes first.
fn next_image(
    settings: &Settings,
    track: &Track,
    at: Timestamp,
    now: Timestamp,
) -> Option<(Timestamp, Image)> {
    if let Some(image) = &track.ask_for {
        return Some((track.record.image_resting(image, now).unwrap_or(at).max(at), image.clone()));
    }
    let images = &settings.policy.images;
    let count = u64::try_from(images.len()).ok().filter(|count| *count > 0)?;
    let first = usize::try_from(track.rehearsals % count).ok()?;
    let rotated = images[first..].iter().chain(&images[..first]);
    rotated
        .map(|image| (track.record.image_resting(image, now).unwrap_or(at).max(at), image))
        .min_by_key(|(at, _)| *at)
        .map(|(at, image)| (at, image.clone()))
}

/// Takes up to a tenth away, differently for every host, mirror and turn, and alike when asked again.
fn shortened(interval: Duration, seed: u64, track: &Track) -> Duration {
    // FNV-1a: any hash that spreads will do; its constants are Fowler, Noll and Vo's.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ seed;
    for byte in track.mirror.url.as_str().bytes().chain(track.turn.to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let part = f64::from(u32::try_from(hash >> 32).unwrap_or(0)) / f64::from(u32::MAX);
    interval.mul_f64(1.0 - JITTER * part)
}
