//! What the prober would see of a mirror of such a world, and how long it would look.

use std::time::Duration;

use mirrorwatch::image::{Descriptor, Digest};
use mirrorwatch::observation::{Depth, Failure, Observation, Outcome, Spent, Stage};
use mirrorwatch::reason::FailureKind;
use mirrorwatch::timestamp::Timestamp;

use super::chance::Chance;
use super::world::{Host, Mood, Pull};

/// Two measurements of the same thing differ by so much: the deviation of their logarithms.
const NOISE: f64 = 0.2;
/// `connect_timeout`, and the time-out of an answer.
const CONNECT_TIMEOUT: f64 = 3.0;
const STALL: f64 = 5.0;
/// How long a layer is read, and how long it takes to tell a crawl from a slow start (`stall` · 4/5 and · 1/5).
const READ_FOR: f64 = 4.0;
const TELL_AFTER: f64 = 1.0;
/// So many bytes are enough to tell a speed.
const ENOUGH_TO_TELL: f64 = 65_536.0;
/// What is read of a layer.
const REHEARSED: f64 = 1_048_576.0;
const SAMPLED: f64 = 32_768.0;
/// Manifests, tokens and the configuration, beside the layer.
const AROUND: u64 = 8_192;
/// `min_speed`.
const MIN_SPEED: f64 = 65_536.0;

/// Asks a mirror at a moment, and says after how many seconds it knows what.
pub(crate) fn ask(
    host: &Host,
    pull: Pull,
    depth: Depth,
    at: (f64, Timestamp),
    chance: &mut Chance,
) -> (f64, Observation) {
    let (seconds, now) = at;
    let mood = host.mood(seconds);
    let mut seen = Observation::new(now, depth);
    let (far, noise) = (host.rtt * chance.around_one(NOISE), chance.around_one(NOISE));
    let fail = |seen: &mut Observation, kind, stage| {
        seen.outcome = Outcome::Failed(Failure { kind, stage, detail: String::new() });
    };
    match mood {
        Mood::Blackhole => {
            fail(&mut seen, FailureKind::ConnectTimeout, Stage::Connect);
            return (CONNECT_TIMEOUT, seen);
        }
        Mood::Refuses => {
            fail(&mut seen, FailureKind::ConnectionRefused, Stage::Connect);
            return (far, seen);
        }
        Mood::Serves | Mood::Answers(_) | Mood::Crawls | Mood::Hangs => {}
    }
    seen.stages.name = Some(time(0.005));
    seen.stages.connect = Some(time(far));
    seen.stages.tls = Some(time(far));
    if depth == Depth::Connect {
        return (2.0 * far, seen);
    }
    if let Mood::Answers(kind) = mood {
        let (stage, requests, refusals) = match (depth, kind) {
            (Depth::Sample, _) => (Stage::Layer, 1, 1),
            (_, FailureKind::NotAllowed) => (Stage::Manifest, 4, 2),
            (_, FailureKind::RateLimited) => (Stage::Manifest, 3, 1),
            _ => (Stage::Ping, 1, 1),
        };
        fail(&mut seen, kind, stage);
        seen.spent = Spent { requests, refusals, bytes: u64::from(requests) * 512 };
        return (6.0 * far, seen);
    }
    let scale = far / host.rtt;
    let mut took = 0.0;
    let tokens = u32::from(host.wants_token);
    if depth == Depth::Rehearse {
        seen.stages.ping = Some(time(host.ping() * scale));
        seen.stages.token = host.wants_token.then(|| time(host.token() * scale));
        seen.stages.manifest = Some(time(host.manifest() * scale));
        seen.stages.config = Some(time(host.ping() * scale));
        took += (host.chain() + host.ping()) * scale;
    }
    let first = host.first_byte() * chance.around_one(NOISE);
    took += first;
    let (wanted, requests) =
        if depth == Depth::Rehearse { (REHEARSED, 6 + tokens) } else { (SAMPLED, 1 + tokens) };
    if mood == Mood::Hangs {
        fail(&mut seen, FailureKind::Stalled, Stage::Layer);
        seen.spent = Spent { requests, refusals: 0, bytes: AROUND };
        return (took + STALL, seen);
    }
    seen.stages.layer = Some(time(first));
    let speed = host.speed(mood, seconds) * noise;
    let whole = pull.transfer(wanted, speed, host.rtt, 1.0);
    let reading = whole.min(READ_FOR);
    let read = if whole > READ_FOR { wanted * READ_FOR / whole } else { wanted };
    seen.reading = Some(time(reading));
    let after_first = (read - pull.first_window()).max(0.0);
    if reading > 0.0 && (after_first >= ENOUGH_TO_TELL || reading >= TELL_AFTER) {
        let told = after_first / reading;
        seen.bytes_per_second = Some(told);
        if told < MIN_SPEED {
            fail(&mut seen, FailureKind::TooSlow, Stage::Layer);
        }
    }
    let around = if depth == Depth::Rehearse { AROUND } else { 0 };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is at most a mebibyte")]
    let bytes = read as u64 + around;
    seen.spent = Spent { requests, refusals: 0, bytes };
    // Without one that is known every sample would be a rehearsal.
    seen.layers = (depth == Depth::Rehearse && seen.failure().is_none()).then(|| vec![layer()].into());
    (took + reading, seen)
}

/// Somebody's layer: nothing is ever read of it.
fn layer() -> Descriptor {
    Descriptor { media_type: String::new(), digest: Digest::of(b"layer"), size: 3 << 20 }
}

fn time(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}
