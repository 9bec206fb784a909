//! A world in virtual time: mirrors with their moods, an engine, and the real step function between them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use mirrorwatch::daemon::schedule::{Allowance, Pace};
use mirrorwatch::daemon::step::{Action, EngineView, Event, Past, Proof, Settings, State, Track};
use mirrorwatch::image::{Descriptor, Digest, Image, Layers};
use mirrorwatch::mirror::{DOCKER_HUB, Mirror, MirrorUrl};
use mirrorwatch::observation::{Depth, Observation};
use mirrorwatch::ranking::Policy;
use mirrorwatch::ranking::record::{Record, Standing};
use mirrorwatch::ranking::select::Change;
use mirrorwatch::reason::ProblemKind;
use mirrorwatch::timestamp::Timestamp;

use super::budget::Asked;
use super::mood::{Answer, Asking, MB, Mood};

pub(super) const START: Timestamp = Timestamp::from_millis(1_795_176_000_000);
pub(super) const UPSTREAM: &str = "https://upstream.example";

/// What will happen.
#[derive(Clone, Debug)]
pub(super) enum Next {
    Observed(MirrorUrl, Box<Observation>),
    Applied(Vec<MirrorUrl>),
    Tick,
}

/// One list that was given to the engine.
#[derive(Clone, Debug)]
pub(super) struct Apply {
    pub(super) at: Timestamp,
    /// By the names of the hosts.
    pub(super) list: Vec<String>,
    pub(super) change: Change,
}

#[derive(Clone)]
pub(super) struct World {
    pub(super) state: State,
    pub(super) now: Timestamp,
    pub(super) moods: BTreeMap<MirrorUrl, Mood>,
    /// How many probes each has answered in its mood.
    turns: BTreeMap<MirrorUrl, usize>,
    pub(super) agenda: BinaryHeap<Reverse<(Timestamp, u64)>>,
    pub(super) what: BTreeMap<u64, Next>,
    pub(super) count: u64,
    pub(super) tick: Option<Timestamp>,
    pub(super) samples_find_nothing: bool,
    /// Whether what the daemon itself asks is never answered, because somebody else asks in this world.
    pub(super) ignores_the_daemon: bool,
    /// What chance goes by.
    pub(super) seed: u64,
    /// What the engine answers to an apply, and how long it takes for it.
    pub(super) engine: Result<Proof, ProblemKind>,
    pub(super) applying: Duration,
    pub(super) applies: Vec<Apply>,
    /// How often something was to be written down.
    pub(super) saves: usize,
    pub(super) probes: BTreeMap<MirrorUrl, Vec<(Timestamp, Depth)>>,
    /// What the mirrors saw, counted by them and not by us.
    pub(super) asked: BTreeMap<MirrorUrl, Vec<Asked>>,
    /// Nothing may be written, as this world told: until then, or for good.
    paused: Option<Option<Timestamp>>,
    /// What was written down of whoever was asked before the last edits.
    former: BTreeMap<MirrorUrl, Record>,
}

/// What a rehearsal that went well has found.
fn layers() -> Layers {
    let layer = Descriptor { media_type: String::new(), digest: Digest::of(b"a layer"), size: 3 << 20 };
    vec![layer].into()
}

/// What the database would hold of a mirror.
fn written(track: &Track) -> (MirrorUrl, Record) {
    let json = serde_json::to_string(&track.record).unwrap();
    (track.mirror.url.clone(), serde_json::from_str(&json).unwrap())
}

pub(super) fn url(name: &str) -> MirrorUrl {
    if name.contains("://") {
        name.parse().unwrap()
    } else {
        format!("https://{name}.example").parse().unwrap()
    }
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
            turns: BTreeMap::new(),
            agenda: BinaryHeap::new(),
            what: BTreeMap::new(),
            count: 0,
            tick: None,
            samples_find_nothing: false,
            ignores_the_daemon: false,
            seed: 0,
            engine: Ok(Proof::Listed),
            applying: Duration::from_millis(40),
            applies: Vec::new(),
            saves: 0,
            probes: BTreeMap::new(),
            asked: BTreeMap::new(),
            paused: None,
            former: BTreeMap::new(),
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
        if let Event::Configured { .. } = &event {
            self.former.extend(self.state.tracks.values().chain(&self.state.upstream).map(written));
        }
        for action in self.state.step(event, self.now) {
            match action {
                Action::Probe { .. } if self.ignores_the_daemon => {}
                Action::Probe { url, depth, image, .. } => {
                    self.probes.entry(url.clone()).or_default().push((self.now, depth));
                    let (after, mut observation) = self.answer(&url, self.now, depth, image.as_ref());
                    if depth == Depth::Rehearse && observation.failure().is_none() {
                        observation.layers = Some(layers());
                    }
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
                    self.applies.push(Apply { at: self.now, list: names, change });
                    self.plan(self.now + self.applying, Next::Applied(list));
                }
                Action::Save(_) => self.saves += 1,
                Action::Forgive(..) => {}
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

    /// What this mirror shows to one probe, and how long that takes.
    pub(super) fn answer(
        &mut self,
        url: &MirrorUrl,
        at: Timestamp,
        depth: Depth,
        image: Option<&Image>,
    ) -> Answer {
        let lost = self.samples_find_nothing && depth == Depth::Sample;
        let depth = if lost { Depth::Connect } else { depth };
        let probes = self.probes.get(url).into_iter().flatten();
        let rehearsals = probes.filter(|(_, depth)| *depth == Depth::Rehearse).count();
        let chance = self.chance(url);
        let turn = self.turns.entry(url.clone()).or_default();
        let asking = Asking { at, depth, image, turn: *turn, rehearsals, chance };
        *turn += 1;
        self.moods[url].answer(&asking)
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
        let tracks = self.state.tracks.values();
        let records: Vec<(Mirror, Record)> =
            tracks.map(|track| (track.mirror.clone(), written(track).1)).collect();
        let mut others = self.former.clone();
        others.extend(self.state.tracks.values().chain(&self.state.upstream).map(written));
        let past = Past {
            list: Some(self.state.list.clone()),
            upstream: others.remove_entry(&url(UPSTREAM)),
            others,
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

    /// Sets the clock, which ends nothing that is under way sooner or later.
    pub(super) fn set_clock(&mut self, minutes: i64) {
        let by = Duration::from_secs(60 * minutes.unsigned_abs());
        let set = |at: Timestamp| if minutes < 0 { at - by } else { at + by };
        self.now = set(self.now);
        self.agenda = self.agenda.drain().map(|Reverse((at, id))| Reverse((set(at), id))).collect();
        self.tick = self.tick.map(set);
        self.tell(Event::Tick);
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
        self.is(&url(name), mood);
    }

    /// The same, of a mirror anywhere.
    pub(super) fn is(&mut self, url: &MirrorUrl, mood: Mood) {
        self.moods.insert(url.clone(), mood);
        self.turns.remove(url);
    }

    pub(super) fn list(&self) -> Vec<&str> {
        self.state.list.iter().map(|url| url.host().trim_end_matches(".example")).collect()
    }

    pub(super) fn standing(&self, name: &str) -> Standing {
        self.state.tracks[&url(name)].record.standing()
    }
}

/// Three that serve, one faster than the other, and one that is slower than all.
pub(super) fn healthy() -> [(&'static str, Mood); 4] {
    [
        ("a", Mood::Serves(20.0 * MB)),
        ("b", Mood::Serves(8.0 * MB)),
        ("c", Mood::Serves(3.0 * MB)),
        ("d", Mood::Serves(1.0 * MB)),
    ]
}
