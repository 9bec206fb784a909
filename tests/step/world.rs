//! A world in virtual time: mirrors with their moods, an engine, and the real step function between them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use mirrorwatch::daemon::schedule::{Allowance, Pace};
use mirrorwatch::daemon::step::{Action, EngineView, Event, Past, Proof, Settings, State};
use mirrorwatch::image::{Digest, Image};
use mirrorwatch::mirror::{DOCKER_HUB, Mirror, MirrorUrl};
use mirrorwatch::observation::{Depth, Failure, Observation, Outcome, REHEARSAL, Spent, Stage};
use mirrorwatch::ranking::Policy;
use mirrorwatch::ranking::record::{Record, Standing};
use mirrorwatch::reason::{ChangeKind, FailureKind, ProblemKind};
use mirrorwatch::timestamp::Timestamp;

pub(super) const START: Timestamp = Timestamp::from_millis(1_795_176_000_000);
pub(super) const UPSTREAM: &str = "https://upstream.example";

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
    /// Answers 429 to everything, with `Retry-After` or without.
    Limits(Option<Duration>),
    /// Answers 500 to every manifest.
    Errors,
    /// The same with Docker Hub's own `TOOMANYREQUESTS` inside, which is a limit: found at the manifest, by HEAD and GET.
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
}

/// One probe as the mirror saw it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) spent: Spent,
}

/// What will happen.
#[derive(Clone, Debug)]
pub(super) enum Next {
    Observed(MirrorUrl, Box<Observation>),
    Applied(Vec<MirrorUrl>),
    Tick,
}

#[derive(Clone)]
pub(super) struct World {
    pub(super) state: State,
    pub(super) now: Timestamp,
    pub(super) moods: BTreeMap<MirrorUrl, Mood>,
    pub(super) agenda: BinaryHeap<Reverse<(Timestamp, u64)>>,
    pub(super) what: BTreeMap<u64, Next>,
    pub(super) count: u64,
    pub(super) tick: Option<Timestamp>,
    pub(super) samples_become_rehearsals: bool,
    /// What chance goes by.
    pub(super) seed: u64,
    /// What the engine answers to an apply.
    pub(super) engine: Result<Proof, ProblemKind>,
    pub(super) applies: Vec<(Timestamp, Vec<String>, ChangeKind)>,
    pub(super) probes: BTreeMap<MirrorUrl, Vec<(Timestamp, Depth)>>,
    /// What the mirrors saw, counted by them and not by us.
    pub(super) asked: BTreeMap<MirrorUrl, Vec<Asked>>,
    /// Nothing may be written, as this world told: until then, or for good.
    paused: Option<Option<Timestamp>>,
}

pub(super) fn url(name: &str) -> MirrorUrl {
    if name.contains("://") {
        name.parse().unwrap()
    } else {
        format!("https://{name}.example").parse().unwrap()
    }
}

fn digest(digit: char) -> Digest {
    format!("sha256:{}", digit.to_string().repeat(64)).parse().unwrap()
}

pub(super) fn mirror(name: &str) -> Mirror {
    let (url, upstream) = (url(name), DOCKER_HUB.to_owned());
    Mirror { name: name.to_owned(), url, upstream, group: None, enabled: true, note: None }
}

pub(super) fn settings(compare_upstream: bool) -> Settings {
    let policy = Policy { compare_upstream, ..Policy::default() };
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    Settings {
        policy,
        pace: Pace {
            connect: minutes(1),
            sample: minutes(10),
            rehearse: minutes(120),
            decide: minutes(10),
            confirm: Duration::from_secs(2),
        },
        allowance: Allowance {
            requests_per_minute: 10,
            minute: minutes(1),
            requests_per_day: 400,
            refusals_per_2_days: 10,
            bytes_per_day: 24 << 20,
            total_bytes_per_day: 256 << 20,
            reloads_per_day: 12,
        },
        keep: Vec::new(),
        upstream: compare_upstream.then(|| url(UPSTREAM)),
        seed: 7,
    }
}

impl World {
    /// Mirrors by name, an engine with an empty list, and no upstream to compare with.
    pub(super) fn new(mirrors: &[(&str, Mood)]) -> Self {
        Self::with(mirrors, None)
    }

    pub(super) fn with(mirrors: &[(&str, Mood)], upstream: Option<Mood>) -> Self {
        let settings = settings(upstream.is_some());
        let mut moods: BTreeMap<MirrorUrl, Mood> =
            mirrors.iter().map(|(name, mood)| (url(name), *mood)).collect();
        moods.extend(upstream.map(|mood| (url(UPSTREAM), mood)));
        let mut world = Self {
            state: State::new(settings.clone(), None),
            now: START,
            moods,
            agenda: BinaryHeap::new(),
            what: BTreeMap::new(),
            count: 0,
            tick: None,
            samples_become_rehearsals: false,
            seed: 0,
            engine: Ok(Proof::Listed),
            applies: Vec::new(),
            probes: BTreeMap::new(),
            asked: BTreeMap::new(),
            paused: None,
        };
        let candidates = mirrors.iter().map(|(name, _)| (mirror(name), Record::default())).collect();
        world.tell(Event::Engine(EngineView::Lists(Vec::new())));
        world.tell(Event::Configured { settings: Box::new(settings), candidates });
        world
    }

    pub(super) fn plan(&mut self, at: Timestamp, next: Next) {
        self.count += 1;
        self.agenda.push(Reverse((at, self.count)));
        self.what.insert(self.count, next);
    }

    pub(super) fn tell(&mut self, event: Event) {
        if let Event::Paused(paused) = &event {
            self.paused = *paused;
        }
        for action in self.state.step(event, self.now) {
            match action {
                Action::Probe { url, depth, image, .. } => {
                    self.probes.entry(url.clone()).or_default().push((self.now, depth));
                    let (after, mut observation) = self.answer(&url, depth, image.as_ref());
                    observation.image = image;
                    let asked = Asked { from: self.now, to: self.now + after, spent: observation.spent };
                    self.asked.entry(url.clone()).or_default().push(asked);
                    self.plan(self.now + after, Next::Observed(url, Box::new(observation)));
                }
                Action::Apply { list, change } => {
                    let paused = self.paused.is_some_and(|until| until.is_none_or(|until| until > self.now));
                    assert!(!paused, "written while paused: {list:?}, {change:?}");
                    assert!(!self.state.network.is_down(), "written in an outage: {list:?}, {change:?}");
                    let names =
                        list.iter().map(|url| url.host().trim_end_matches(".example").to_owned()).collect();
                    self.applies.push((self.now, names, change.kind));
                    self.plan(self.now + Duration::from_millis(40), Next::Applied(list));
                }
                Action::Save(_) => {}
            }
        }
        // One tick is planned at a time, as the loop sleeps once.
        if let Some(at) = self.state.next_wake()
            && self.tick.is_none_or(|tick| at < tick)
        {
            self.tick = Some(at);
            self.plan(at, Next::Tick);
        }
    }

    fn answer(&self, url: &MirrorUrl, depth: Depth, image: Option<&Image>) -> Answer {
        let becomes = self.samples_become_rehearsals && depth == Depth::Sample;
        let depth = if becomes { Depth::Rehearse } else { depth };
        let mut seen = Observation::new(self.now, depth);
        let asks = depth != Depth::Connect;
        match self.moods[url] {
            Mood::Dead => fails(seen, FailureKind::ConnectionRefused, Stage::Connect, 0, 0, ms(1)),
            Mood::Hangs => fails(seen, FailureKind::ConnectTimeout, Stage::Connect, 0, 0, ms(10_000)),
            Mood::Stalls if asks => {
                let requests = if depth == Depth::Sample { 1 } else { 7 };
                fails(seen, FailureKind::Stalled, Stage::Layer, requests, 0, ms(5_000))
            }
            Mood::Limits(rest) if asks => {
                seen.retry_after = rest;
                fails(seen, FailureKind::RateLimited, Stage::Ping, 1, 1, ms(50))
            }
            Mood::Nested if depth == Depth::Sample => {
                fails(seen, FailureKind::RateLimited, Stage::Layer, 1, 1, ms(200))
            }
            Mood::Nested if asks => fails(seen, FailureKind::RateLimited, Stage::Manifest, 4, 2, ms(200)),
            Mood::Costs(speed) => {
                let (after, mut seen) = serves(seen, speed);
                match depth {
                    Depth::Connect => {}
                    Depth::Sample => (seen.spent.requests, seen.spent.bytes) = (3, 40 << 10),
                    Depth::Rehearse => seen.spent = Spent { refusals: 0, ..REHEARSAL },
                }
                (after, seen)
            }
            Mood::Wavers(one, other) => {
                let rehearsed = self.probes.get(url).into_iter().flatten();
                let count = rehearsed.filter(|(_, depth)| *depth == Depth::Rehearse).count();
                serves(seen, if count.is_multiple_of(2) { one } else { other })
            }
            Mood::Errors if asks => fails(seen, FailureKind::ServerError, Stage::Manifest, 4, 2, ms(200)),
            Mood::Flaps(half, speed) => {
                let good = (self.now.since(START).as_secs() / half.as_secs()).is_multiple_of(2);
                match (good, asks) {
                    (false, true) if depth == Depth::Sample => {
                        fails(seen, FailureKind::ServerError, Stage::Layer, 1, 1, ms(200))
                    }
                    (false, true) => fails(seen, FailureKind::ServerError, Stage::Manifest, 4, 2, ms(200)),
                    (true, _) | (false, false) => serves(seen, speed),
                }
            }
            Mood::Allows(speed, list) => match image {
                Some(image) if !list.contains(&image.to_string().as_str()) => {
                    fails(seen, FailureKind::NotAllowed, Stage::Manifest, 4, 2, ms(200))
                }
                Some(_) | None => serves(seen, speed),
            },
            Mood::Fails(kind) => fails_by(seen, kind),
            Mood::Hampered(speed, lost) => {
                seen.starved = lost;
                serves(seen, speed)
            }
            Mood::Starved(lost) => {
                seen.starved = lost;
                fails(seen, FailureKind::ConnectTimeout, Stage::Connect, 0, 0, ms(3_000))
            }
            Mood::Serves(speed) => serves(seen, speed),
            Mood::Varies(speed, noise) => serves(seen, speed * (noise * self.chance(url)).exp()),
            Mood::Old(speed) => {
                let (after, mut seen) = serves(seen, speed);
                if depth == Depth::Rehearse {
                    seen.digest = Some(digest('0'));
                    seen.created = Some(START - Duration::from_secs(365 * 24 * 3600));
                }
                (after, seen)
            }
            Mood::Stalls | Mood::Limits(_) | Mood::Errors | Mood::Nested => serves(seen, 1.0),
        }
    }

    /// The normal distribution (Box and Muller), the same for the same seed, mirror and moment (SplitMix64).
    fn chance(&self, url: &MirrorUrl) -> f64 {
        let mixed = |value: u64| {
            let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            value ^ (value >> 31)
        };
        let who = url.as_str().bytes().fold(self.seed, |hash, byte| mixed(hash ^ u64::from(byte)));
        let draw = mixed(who ^ self.now.as_millis());
        let part =
            |bits: u64| (f64::from(u32::try_from(bits & 0xffff_ffff).unwrap()) + 1.0) / 4_294_967_296.0;
        (-2.0 * part(draw).ln()).sqrt() * (std::f64::consts::TAU * part(draw >> 32)).cos()
    }

    /// Drops what is under way and planned, as a leap of the clock does.
    pub(super) fn forget_plans(&mut self) {
        for track in self.state.tracks.values_mut() {
            track.in_flight = None;
        }
        self.agenda.clear();
        self.what.clear();
        self.tick = None;
    }

    /// Ends the daemon without a word, and starts it again with what was written down.
    pub(super) fn restart(&mut self) {
        let records: Vec<(Mirror, Record)> = self
            .state
            .tracks
            .values()
            .map(|track| {
                let json = serde_json::to_string(&track.record).unwrap();
                (track.mirror.clone(), serde_json::from_str(&json).unwrap())
            })
            .collect();
        let upstream = self.state.upstream.as_ref().map(|track| track.record.clone());
        let past = Past {
            list: Some(self.state.list.clone()),
            upstream: upstream.unwrap_or_default(),
            treatment: self.state.treatment.clone(),
        };
        // Who is killed asks nothing more.
        for asked in self.asked.values_mut().flatten() {
            asked.to = asked.to.min(self.now);
        }
        let settings = self.state.settings.clone();
        let listed = self.state.wanted(&self.state.list);
        self.state = State::new(settings.clone(), past);
        self.agenda.clear();
        self.what.clear();
        self.tick = None;
        self.tell(Event::Paused(self.paused));
        self.tell(Event::Configured { settings: Box::new(settings), candidates: records });
        self.tell(Event::Engine(EngineView::Lists(listed)));
    }

    /// Lets this much time go by.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.run_until(end, |_| false);
        self.now = end;
    }

    /// Goes on until something is so, and says how long that took.
    pub(super) fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) -> Duration {
        let start = self.now;
        self.run_until(start + Duration::from_secs(48 * 3600), &done);
        assert!(done(self), "waited two days in vain for {what}: {:?}", self.applies);
        self.now.since(start)
    }

    pub(super) fn run_until(&mut self, end: Timestamp, done: impl Fn(&Self) -> bool) {
        while !done(self) && self.agenda.peek().is_some_and(|Reverse((at, _))| *at <= end) {
            let Some(Reverse((at, id))) = self.agenda.pop() else { return };
            self.now = self.now.max(at);
            match self.what.remove(&id).unwrap() {
                Next::Observed(url, observation) => self.tell(Event::Observed { url, observation }),
                Next::Applied(list) => {
                    let outcome = self.engine;
                    self.tell(Event::Applied { list, outcome });
                }
                Next::Tick => {
                    if self.tick.is_some_and(|tick| tick <= self.now) {
                        self.tick = None;
                    }
                    self.tell(Event::Tick);
                }
            }
        }
    }

    pub(super) fn set(&mut self, name: &str, mood: Mood) {
        self.moods.insert(url(name), mood);
    }

    pub(super) fn list(&self) -> Vec<&str> {
        self.state.list.iter().map(|url| url.host().trim_end_matches(".example")).collect()
    }

    pub(super) fn standing(&self, name: &str) -> Standing {
        self.state.tracks[&url(name)].record.standing()
    }
}

pub(super) const MB: f64 = 1e6;

/// Three that serve, one faster than the other, and one that is slower than all.
pub(super) fn healthy() -> [(&'static str, Mood); 4] {
    [
        ("a", Mood::Serves(20.0 * MB)),
        ("b", Mood::Serves(8.0 * MB)),
        ("c", Mood::Serves(3.0 * MB)),
        ("d", Mood::Serves(1.0 * MB)),
    ]
}

/// How long a probe takes, and what it sees.
type Answer = (Duration, Observation);

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
