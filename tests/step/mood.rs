//! What mirrors are like, and how each of them answers a probe.

use std::time::Duration;

use mirrorwatch::image::{Digest, Image};
use mirrorwatch::observation::{Depth, Failure, Observation, Outcome, REHEARSAL, Spent, Stage};
use mirrorwatch::reason::FailureKind;
use mirrorwatch::timestamp::Timestamp;

use super::shown;
use super::world::START;

/// A megabyte, as speeds are told.
pub(super) const MB: f64 = 1e6;

/// How a mirror behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mood {
    /// Serves at so many bytes per second.
    Serves(f64),
    /// The same, as often faster as slower by a factor whose logarithm has this deviation.
    Varies(f64, f64),
    /// Serves at so many bytes per second what a tag led to a year ago.
    Old(f64),
    /// The same as `Serves`, and refuses every image that is not on its list: 403 to HEAD and to GET.
    Allows(f64, &'static [&'static str]),
    /// Refuses connections.
    Dead,
    /// Takes ten seconds to say nothing.
    Hangs,
    /// Connects, and falls silent in a layer.
    Stalls,
    /// The same, farther into it than a sample reads.
    StallsLate,
    /// Answers 429 to everything, with `Retry-After` or without.
    Limits(Option<Duration>),
    /// Answers 500 to everything but `/v2/` and tokens.
    Errors,
    /// Serves at so many bytes per second, but answers 500 to the layers of this image.
    ErrsAt(f64, &'static str),
    /// Serves at so many bytes per second, and takes so long for those of a sample.
    Reads(f64, Duration),
    /// The same with Docker Hub's own `TOOMANYREQUESTS` inside, which is a limit.
    Nested,
    /// Serves, and makes every probe cost as much as one can: a token each time, redirects to itself, a whole mebibyte.
    Costs(f64),
    /// Serves now at this speed and now at that, from one rehearsal to the next.
    Wavers(f64, f64),
    /// Serves for so long, then answers 500 for so long, and so on.
    Flaps(Duration, f64),
    /// Fails so at the first step that can fail so.
    Fails(FailureKind),
    /// Answers in time, but this process has not been running for so long meanwhile.
    Starved(Duration),
    /// Serves, and this process did not get to run for so long while it measured that speed.
    Hampered(f64, Duration),
    /// Word by word what each probe sees, in turn, and the last for ever.
    Shows(&'static str),
}

/// One probe, as the mirror meets it.
pub(super) struct Asking<'a> {
    pub(super) at: Timestamp,
    pub(super) depth: Depth,
    pub(super) image: Option<&'a Image>,
    /// How many probes it has answered in this mood.
    pub(super) turn: usize,
    /// How many of its rehearsals there were in all, with this one.
    pub(super) rehearsals: usize,
    /// From the normal distribution.
    pub(super) chance: f64,
}

/// How long a probe takes, and what it sees.
pub(super) type Answer = (Duration, Observation);

impl Mood {
    /// By the words of a scenario file.
    pub(super) fn parse(text: &str) -> Self {
        let words: Vec<&str> = text.split_whitespace().collect();
        let speed = |word: &str| word.parse::<f64>().expect("a speed") * MB;
        match words[..] {
            ["serves", at] => Self::Serves(speed(at)),
            ["serves", at, "noise", noise] => Self::Varies(speed(at), noise.parse().expect("a part")),
            ["serves", at, "starved", lost] => Self::Hampered(speed(at), time(lost)),
            ["old", at] => Self::Old(speed(at)),
            ["allows", at, ref images @ ..] => {
                let images: Vec<&'static str> = images.iter().map(|image| for_ever(image)).collect();
                Self::Allows(speed(at), Box::leak(images.into_boxed_slice()))
            }
            ["dead"] => Self::Dead,
            ["hangs"] => Self::Hangs,
            ["stalls"] => Self::Stalls,
            ["stalls", "late"] => Self::StallsLate,
            ["limits"] => Self::Limits(None),
            ["limits", rest] => Self::Limits(Some(time(rest))),
            ["nested"] => Self::Nested,
            ["errors"] => Self::Errors,
            ["costs", at] => Self::Costs(speed(at)),
            ["wavers", one, other] => Self::Wavers(speed(one), speed(other)),
            ["flaps", half, at] => Self::Flaps(time(half), speed(at)),
            ["fails", word] => Self::Fails(kind(word)),
            ["starved", lost] => Self::Starved(time(lost)),
            ["shows", ..] => Self::Shows(for_ever(text.trim_start_matches("shows"))),
            _ => panic!("no mood is called {text}"),
        }
    }

    pub(super) fn answer(self, asking: &Asking<'_>) -> Answer {
        let mut seen = Observation::new(asking.at, asking.depth);
        let sampled = asking.depth == Depth::Sample;
        let asks = asking.depth != Depth::Connect;
        match self {
            Self::Dead => fails(seen, FailureKind::ConnectionRefused, Stage::Connect, 0, 0, ms(1)),
            Self::Hangs => fails(seen, FailureKind::ConnectTimeout, Stage::Connect, 0, 0, ms(10_000)),
            Self::Stalls if asks => {
                fails(seen, FailureKind::Stalled, Stage::Layer, if sampled { 1 } else { 7 }, 0, ms(5_000))
            }
            Self::StallsLate if asking.depth == Depth::Rehearse => {
                fails(seen, FailureKind::Stalled, Stage::Layer, 7, 0, ms(5_000))
            }
            Self::Limits(rest) if asks => {
                seen.retry_after = rest;
                fails(seen, FailureKind::RateLimited, Stage::Ping, 1, 1, ms(50))
            }
            Self::Nested if asks => refuses(seen, FailureKind::RateLimited),
            Self::Errors if asks => refuses(seen, FailureKind::ServerError),
            Self::ErrsAt(_, image) if asks && asking.image.is_some_and(|one| one.to_string() == image) => {
                fails(seen, FailureKind::ServerError, Stage::Layer, if sampled { 1 } else { 6 }, 1, ms(300))
            }
            Self::Reads(speed, reading) => {
                seen.reading = sampled.then_some(reading);
                serves(seen, speed)
            }
            Self::Costs(speed) => {
                let (after, mut seen) = serves(seen, speed);
                match asking.depth {
                    Depth::Connect => {}
                    Depth::Sample => (seen.spent.requests, seen.spent.bytes) = (3, 40 << 10),
                    Depth::Rehearse => seen.spent = Spent { refusals: 0, ..REHEARSAL },
                }
                (after, seen)
            }
            Self::Wavers(one, other) => {
                serves(seen, if asking.rehearsals.is_multiple_of(2) { one } else { other })
            }
            Self::Flaps(half, speed) => {
                let good = (asking.at.since(START).as_secs() / half.as_secs()).is_multiple_of(2);
                if good || !asks { serves(seen, speed) } else { refuses(seen, FailureKind::ServerError) }
            }
            Self::Allows(speed, list) => match asking.image {
                Some(image) if !list.contains(&image.to_string().as_str()) => {
                    refuses(seen, FailureKind::NotAllowed)
                }
                Some(_) | None => serves(seen, speed),
            },
            Self::Fails(kind) => fails_by(seen, kind),
            Self::Hampered(speed, lost) => {
                seen.starved = lost;
                serves(seen, speed)
            }
            Self::Starved(lost) => {
                seen.starved = lost;
                fails(seen, FailureKind::ConnectTimeout, Stage::Connect, 0, 0, ms(3_000))
            }
            Self::Serves(speed) | Self::ErrsAt(speed, _) => serves(seen, speed),
            Self::Varies(speed, noise) => serves(seen, speed * (noise * asking.chance).exp()),
            Self::Old(speed) => {
                let (after, mut seen) = serves(seen, speed);
                if asking.depth == Depth::Rehearse {
                    seen.digest = Some(digest('0'));
                    seen.created = Some(START - Duration::from_secs(365 * 24 * 3600));
                }
                (after, seen)
            }
            Self::Shows(words) => (ms(300), shown::answer(words, asking)),
            Self::Stalls | Self::StallsLate | Self::Limits(_) | Self::Errors | Self::Nested => {
                serves(seen, 1.0)
            }
        }
    }
}

pub(super) fn time(text: &str) -> Duration {
    humantime::parse_duration(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

pub(super) fn kind(word: &str) -> FailureKind {
    *FailureKind::ALL
        .iter()
        .find(|kind| kind.as_str() == word)
        .unwrap_or_else(|| panic!("no failure is called {word}"))
}

/// A mood is copied as often as a world; its few words stay until the tests end.
fn for_ever(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

fn digest(digit: char) -> Digest {
    format!("sha256:{}", digit.to_string().repeat(64)).parse().unwrap()
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn fails(
    mut seen: Observation,
    kind: FailureKind,
    stage: Stage,
    requests: u32,
    refusals: u32,
    after: Duration,
) -> Answer {
    seen.outcome = Outcome::Failed(Failure { kind, stage, detail: String::new() });
    seen.spent = Spent { requests, refusals, bytes: 2000 * u64::from(requests) };
    (after, seen)
}

/// By an answer: to a sample at its layer, for it asks for nothing else; to a rehearsal at the manifest, by HEAD and GET.
fn refuses(seen: Observation, kind: FailureKind) -> Answer {
    match seen.depth {
        Depth::Sample => fails(seen, kind, Stage::Layer, 1, 1, ms(200)),
        Depth::Connect | Depth::Rehearse => fails(seen, kind, Stage::Manifest, 4, 2, ms(200)),
    }
}

/// At the stage where such a failure shows.
fn fails_by(seen: Observation, kind: FailureKind) -> Answer {
    if kind == FailureKind::NameNotResolved {
        fails(seen, kind, Stage::Name, 0, 0, ms(2_000))
    } else if kind == FailureKind::ConnectTimeout {
        // Packets are dropped, and `connect_timeout` is three seconds unless mirrors.toml says another.
        fails(seen, kind, Stage::Connect, 0, 0, ms(3_000))
    } else if matches!(kind, FailureKind::TlsExpired | FailureKind::TlsWrongHost) {
        fails(seen, kind, Stage::Tls, 0, 0, ms(30))
    } else if seen.depth == Depth::Connect {
        // Whoever answers in the clear has answered the connection already.
        serves(seen, 1.0)
    } else if matches!(kind, FailureKind::NotAllowed | FailureKind::NotFound) {
        refuses(seen, kind)
    } else {
        fails(seen, kind, Stage::Ping, 1, 0, ms(30))
    }
}

fn serves(mut seen: Observation, speed: f64) -> Answer {
    let (bytes, requests) = match seen.depth {
        Depth::Connect => return (ms(20), seen),
        Depth::Sample => (32 << 10, 1),
        Depth::Rehearse => ((1 << 20) + (20 << 10), 7),
    };
    let whole = seen.depth == Depth::Rehearse;
    seen.stages.connect = Some(ms(10));
    seen.stages.manifest = Some(ms(60));
    seen.stages.layer = Some(ms(30));
    seen.bytes_per_second = whole.then_some(speed);
    seen.digest = whole.then(|| digest('1'));
    seen.created = whole.then(|| START - Duration::from_secs(24 * 3600));
    seen.spent = Spent { requests, refusals: 0, bytes };
    (ms(300), seen)
}
