//! The daemon's decisions in virtual time: hours of a world with mirrors that die, stall and recover.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use mirrorwatch::daemon::schedule::{Allowance, Pace};
use mirrorwatch::daemon::step::{Action, EngineView, Event, Proof, Settings, State};
use mirrorwatch::mirror::{DOCKER_HUB, Mirror, MirrorUrl};
use mirrorwatch::observation::{Depth, Failure, Observation, Outcome, Spent, Stage};
use mirrorwatch::ranking::Policy;
use mirrorwatch::ranking::record::{Record, Standing};
use mirrorwatch::reason::{ChangeKind, FailureKind, ProblemKind};
use mirrorwatch::timestamp::Timestamp;

const START: Timestamp = Timestamp::from_millis(1_795_176_000_000);
const UPSTREAM: &str = "https://upstream.example";

/// How a mirror behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mood {
    /// Serves at so many bytes per second.
    Serves(f64),
    /// Refuses connections.
    Dead,
    /// Takes ten seconds to say nothing.
    Hangs,
    /// Connects, and falls silent in a layer.
    Stalls,
}

/// What will happen.
#[derive(Clone, Debug)]
enum Next {
    Observed(MirrorUrl, Box<Observation>),
    Applied(Vec<MirrorUrl>),
    Tick,
}

struct World {
    state: State,
    now: Timestamp,
    moods: BTreeMap<MirrorUrl, Mood>,
    agenda: BinaryHeap<Reverse<(Timestamp, u64)>>,
    what: BTreeMap<u64, Next>,
    count: u64,
    tick: Option<Timestamp>,
    samples_become_rehearsals: bool,
    /// What the engine answers to an apply.
    engine: Result<Proof, ProblemKind>,
    applies: Vec<(Timestamp, Vec<String>, ChangeKind)>,
    probes: BTreeMap<MirrorUrl, Vec<(Timestamp, Depth)>>,
}

fn url(name: &str) -> MirrorUrl {
    if name.contains("://") {
        name.parse().unwrap()
    } else {
        format!("https://{name}.example").parse().unwrap()
    }
}

fn mirror(name: &str) -> Mirror {
    let (url, upstream) = (url(name), DOCKER_HUB.to_owned());
    Mirror { name: name.to_owned(), url, upstream, group: None, enabled: true, note: None }
}

fn settings(compare_upstream: bool) -> Settings {
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
        allowance: Allowance { requests_per_day: 400, refusals_per_2_days: 10, bytes_per_day: 24 << 20 },
        keep: Vec::new(),
        upstream: compare_upstream.then(|| url(UPSTREAM)),
        seed: 7,
    }
}

impl World {
    /// Mirrors by name, an engine with an empty list, and no upstream to compare with.
    fn new(mirrors: &[(&str, Mood)]) -> Self {
        Self::with(mirrors, None)
    }

    fn with(mirrors: &[(&str, Mood)], upstream: Option<Mood>) -> Self {
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
            engine: Ok(Proof::Listed),
            applies: Vec::new(),
            probes: BTreeMap::new(),
        };
        let candidates = mirrors.iter().map(|(name, _)| (mirror(name), Record::default())).collect();
        world.tell(Event::Engine(EngineView::Lists(Vec::new())));
        world.tell(Event::Configured { settings: Box::new(settings), candidates });
        world
    }

    fn plan(&mut self, at: Timestamp, next: Next) {
        self.count += 1;
        self.agenda.push(Reverse((at, self.count)));
        self.what.insert(self.count, next);
    }

    fn tell(&mut self, event: Event) {
        for action in self.state.step(event, self.now) {
            match action {
                Action::Probe { url, depth, image, .. } => {
                    self.probes.entry(url.clone()).or_default().push((self.now, depth));
                    let (after, mut observation) = self.answer(&url, depth);
                    observation.image = image;
                    self.plan(self.now + after, Next::Observed(url, Box::new(observation)));
                }
                Action::Apply { list, change } => {
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

    fn answer(&self, url: &MirrorUrl, depth: Depth) -> (Duration, Observation) {
        let becomes = self.samples_become_rehearsals && depth == Depth::Sample;
        let depth = if becomes { Depth::Rehearse } else { depth };
        let mut observation = Observation::new(self.now, depth);
        let failed = |kind, stage| Outcome::Failed(Failure { kind, stage, detail: String::new() });
        let ms = Duration::from_millis;
        let after = match (self.moods[url], depth) {
            (Mood::Dead, _) => {
                observation.outcome = failed(FailureKind::ConnectionRefused, Stage::Connect);
                ms(1)
            }
            (Mood::Hangs, _) => {
                observation.outcome = failed(FailureKind::ConnectTimeout, Stage::Connect);
                ms(10_000)
            }
            (Mood::Stalls, Depth::Sample | Depth::Rehearse) => {
                observation.outcome = failed(FailureKind::Stalled, Stage::Layer);
                ms(5_000)
            }
            (Mood::Stalls | Mood::Serves(_), Depth::Connect) => ms(20),
            (Mood::Serves(speed), Depth::Sample | Depth::Rehearse) => {
                let (bytes, requests) = if depth == Depth::Sample { (32 << 10, 1) } else { (1 << 20, 7) };
                observation.stages.manifest = Some(ms(60));
                observation.stages.layer = Some(ms(30));
                if depth == Depth::Rehearse {
                    observation.bytes_per_second = Some(speed);
                }
                observation.spent = Spent { requests, refusals: 0, bytes };
                ms(300)
            }
        };
        observation.stages.connect = Some(ms(10));
        (after, observation)
    }

    /// Lets this much time go by.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.run_until(end, |_| false);
        self.now = end;
    }

    /// Goes on until something is so, and says how long that took.
    fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) -> Duration {
        let start = self.now;
        self.run_until(start + Duration::from_secs(48 * 3600), &done);
        assert!(done(self), "waited two days in vain for {what}: {:?}", self.applies);
        self.now.since(start)
    }

    fn run_until(&mut self, end: Timestamp, done: impl Fn(&Self) -> bool) {
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

    fn set(&mut self, name: &str, mood: Mood) {
        self.moods.insert(url(name), mood);
    }

    fn list(&self) -> Vec<&str> {
        self.state.list.iter().map(|url| url.host().trim_end_matches(".example")).collect()
    }

    fn standing(&self, name: &str) -> Standing {
        self.state.tracks[&url(name)].record.standing()
    }
}

const MB: f64 = 1e6;

/// Three that serve, one faster than the other, and one that is slower than all.
fn healthy() -> [(&'static str, Mood); 4] {
    [
        ("a", Mood::Serves(20.0 * MB)),
        ("b", Mood::Serves(8.0 * MB)),
        ("c", Mood::Serves(3.0 * MB)),
        ("d", Mood::Serves(1.0 * MB)),
    ]
}

#[test]
fn the_first_list_is_in_place_before_the_slowest_time_out() {
    let mut world = World::new(&[healthy()[0], healthy()[1], healthy()[2], ("hangs", Mood::Hangs)]);
    let first = world.until("the first list", |world| !world.list().is_empty());
    assert!(first < Duration::from_secs(1), "{first:?}");
    world.run(Duration::from_secs(60));
    assert_eq!(world.list(), ["a", "b", "c"]);
    assert_eq!(world.applies[0].2, ChangeKind::First);
    assert!(!world.state.first_round);
}

#[test]
fn the_round_s_end_revises_the_first_list_once_free_of_hold_and_rounds() {
    let mut world = World::new(&[healthy()[1], healthy()[2], healthy()[3], ("late", Mood::Hangs)]);
    world.until("the first list", |world| !world.list().is_empty());
    assert_eq!(world.list(), ["b", "c", "d"]);
    // What hung while the others answered turns out to be the best; nobody waits an hour for it.
    let rehearsed = Duration::from_secs(9);
    world.run(rehearsed);
    let mut served = Observation::new(world.now, Depth::Rehearse);
    served.bytes_per_second = Some(50.0 * MB);
    served.stages.layer = Some(Duration::from_millis(10));
    served.stages.manifest = Some(Duration::from_millis(20));
    world.tell(Event::Observed { url: url("late"), observation: Box::new(served) });
    world.run(Duration::from_secs(1));
    assert_eq!(world.list(), ["late", "b", "c"]);
    assert_eq!(world.applies.len(), 2);
}

#[test]
fn a_leader_that_dies_leaves_within_one_connect_interval_and_the_re_checks() {
    let mut world = World::new(&healthy());
    world.run(Duration::from_secs(3600));
    world.set("a", Mood::Dead);
    let gone = world.until("a list without it", |world| world.list() == ["b", "c", "d"]);
    assert!(gone <= Duration::from_secs(60 + 2 * 2 + 1), "{gone:?}");
    assert_eq!(world.applies.last().unwrap().2, ChangeKind::MemberRejected);
}

#[test]
fn a_leader_that_stalls_in_a_layer_leaves_within_one_sample_interval_and_the_re_checks() {
    let mut world = World::new(&healthy());
    world.run(Duration::from_secs(3600));
    world.set("a", Mood::Stalls);
    let gone = world.until("a list without it", |world| world.list() == ["b", "c", "d"]);
    assert!(gone <= Duration::from_secs(600 + 3 * 5 + 2 * 2 + 1), "{gone:?}");
}

#[test]
fn a_leader_that_recovers_comes_back_after_rise_and_margin_and_not_sooner() {
    let mut world = World::new(&healthy());
    world.run(Duration::from_secs(3600));
    world.set("a", Mood::Dead);
    world.until("a list without it", |world| !world.list().contains(&"a"));
    world.set("a", Mood::Serves(20.0 * MB));
    let from = world.now;
    let back = world.until("its return to the lead", |world| world.list() == ["a", "b", "c"]);
    // The re-checks within seconds were one bad moment: no growing pauses for them.
    assert!(back < Duration::from_secs(3 * 3600), "{back:?}");
    let good: Vec<_> = world.probes[&url("a")]
        .iter()
        .filter(|(at, depth)| *at > from && *depth == Depth::Rehearse)
        .collect();
    assert!(good.len() >= 3, "`rise` and `rounds` are rehearsals: {good:?}");
    assert!(
        good.windows(2).all(|pair| pair[1].0.since(pair[0].0) >= Duration::from_secs(9 * 60)),
        "{good:?}"
    );
}

#[test]
fn when_everybody_fails_together_nobody_is_blamed_and_nothing_is_changed() {
    let mut world = World::with(&healthy(), Some(Mood::Serves(0.2 * MB)));
    world.run(Duration::from_secs(3600));
    let (before, applies) = (world.list().join(" "), world.applies.len());
    for name in ["a", "b", "c", "d", UPSTREAM] {
        world.set(name, Mood::Dead);
    }
    let seen = world.until("the outage", |world| world.state.network.is_down());
    assert!(seen <= Duration::from_secs(62), "{seen:?}");
    world.run(Duration::from_secs(3600));
    assert!(["a", "b", "c", "d"].iter().all(|name| world.standing(name) == Standing::Live));
    for (name, mood) in healthy() {
        world.set(name, mood);
    }
    let over = world.until("its end", |world| !world.state.network.is_down());
    assert!(over <= Duration::from_secs(10), "{over:?}");
    world.run(Duration::from_secs(600));
    assert_eq!((world.list().join(" "), world.applies.len()), (before, applies));
}

#[test]
fn nothing_live_while_the_upstream_answers_makes_the_list_empty() {
    let mut world = World::with(&healthy(), Some(Mood::Serves(0.2 * MB)));
    world.run(Duration::from_secs(3600));
    for (name, _) in healthy() {
        world.set(name, Mood::Dead);
    }
    world.until("an empty list", |world| world.list().is_empty());
    assert_eq!(world.applies.last().unwrap().2, ChangeKind::NothingLive);
}

#[test]
fn a_mirror_slower_than_the_upstream_is_of_no_use() {
    let mut world = World::with(&healthy(), Some(Mood::Serves(2.0 * MB)));
    world.run(Duration::from_secs(60));
    assert_eq!(world.list(), ["a", "b", "c"]);
    let mut world = World::with(&healthy()[2..], Some(Mood::Serves(2.0 * MB)));
    world.run(Duration::from_secs(60));
    assert_eq!(world.list(), ["c"]);
}

#[test]
fn paused_it_goes_on_probing_and_writes_nothing() {
    let mut world = World::new(&healthy());
    world.run(Duration::from_secs(60));
    let applies = world.applies.len();
    let end = world.now + Duration::from_secs(7200);
    world.tell(Event::Paused(Some(Some(end))));
    world.set("a", Mood::Dead);
    world.run(Duration::from_secs(3600));
    assert_eq!(world.standing("a"), Standing::Rejected);
    assert_eq!(world.applies.len(), applies);
    world.until("the end of the pause", |world| world.list() == ["b", "c", "d"]);
    assert!(world.now >= end);
}

#[test]
fn an_engine_that_is_away_gets_its_list_when_it_is_there() {
    let mut world = World::new(&healthy());
    world.tell(Event::Engine(EngineView::Problem(ProblemKind::NotRunning)));
    world.run(Duration::from_secs(3600));
    assert!(world.applies.is_empty());
    world.tell(Event::Engine(EngineView::Lists(Vec::new())));
    world.run(Duration::from_secs(1));
    assert_eq!(world.list(), ["a", "b", "c"]);
}

#[test]
fn an_engine_that_refuses_is_asked_again_with_growing_pauses() {
    let mut world = World::new(&healthy());
    world.engine = Err(ProblemKind::NotTaken);
    world.run(Duration::from_secs(24 * 3600));
    assert!(world.applies.len() > 5 && world.applies.len() < 40, "{}", world.applies.len());
    world.engine = Ok(Proof::Listed);
    world.until("the list", |world| world.list() == ["a", "b", "c"]);
}

#[test]
fn what_the_engine_listed_before_stays_until_there_is_something_better() {
    let mut world = World::new(&[("a", Mood::Dead), ("b", Mood::Dead)]);
    world.tell(Event::Engine(EngineView::Lists(vec!["https://c.example".to_owned()])));
    world.run(Duration::from_secs(24 * 3600));
    assert!(world.applies.is_empty(), "{:?}", world.applies);
}

#[test]
fn a_list_that_somebody_else_changed_is_put_right() {
    let mut world = World::new(&healthy());
    world.run(Duration::from_secs(3600));
    world.tell(Event::Engine(EngineView::Lists(vec!["https://elsewhere.example".to_owned()])));
    assert_eq!(world.applies.last().unwrap().2, ChangeKind::EngineDiffered);
}

#[test]
fn it_gives_way_for_an_hour_to_a_program_that_keeps_rewriting_the_list() {
    let mut world = World::new(&healthy());
    world.run(Duration::from_secs(3600));
    for _ in 0..10 {
        world.tell(Event::Engine(EngineView::Lists(vec!["https://elsewhere.example".to_owned()])));
        world.run(Duration::from_secs(60));
    }
    let contests = world.applies.iter().filter(|(_, _, kind)| *kind == ChangeKind::EngineDiffered).count();
    assert_eq!(contests, 3);
    assert!(world.state.contested(world.now));
    world.run(Duration::from_secs(3600));
    assert!(!world.state.contested(world.now));
}

#[test]
fn a_list_whose_reload_is_left_to_others_is_written_once_and_is_not_in_place_yet() {
    let mut world = World::new(&healthy());
    world.engine = Ok(Proof::Awaited);
    world.run(Duration::from_secs(600));
    assert_eq!(world.applies.len(), 1, "{:?}", world.applies);
    assert!(!world.state.in_place());
    let listed = world.state.wanted(&world.state.list);
    world.tell(Event::Engine(EngineView::Lists(listed)));
    assert!(world.state.in_place());
}

#[test]
fn a_mirror_of_another_registry_is_never_asked_and_never_listed() {
    let mut world = World::new(&healthy());
    let other = Mirror { upstream: "quay.io".to_owned(), ..mirror("quay") };
    world.set("quay", Mood::Serves(99.0 * MB));
    let mut candidates: Vec<_> = ["a", "b"].map(|name| (mirror(name), Record::default())).into();
    candidates.push((other, Record::default()));
    world.tell(Event::Configured { settings: Box::new(settings(false)), candidates });
    world.run(Duration::from_secs(3600));
    assert_eq!(world.list(), ["a", "b"]);
    assert!(!world.probes.contains_key(&url("quay")));
}

#[test]
fn every_image_has_its_turn_in_the_rehearsals() {
    let mut world = World::new(&healthy());
    let images: Vec<_> = ["a/one", "a/two", "a/three"].map(|image| image.parse().unwrap()).into();
    let mut changed = settings(false);
    changed.policy.images.clone_from(&images);
    let candidates = healthy().map(|(name, _)| (mirror(name), Record::default()));
    world.tell(Event::Configured { settings: Box::new(changed), candidates: candidates.into() });
    world.run(Duration::from_secs(8 * 3600));
    for track in world.state.tracks.values() {
        let coverage = track.record.coverage(&images).unwrap();
        assert_eq!((coverage.served, coverage.of), (3, 3), "{}", track.mirror.name);
    }
}

#[test]
fn a_candidate_that_is_taken_out_leaves_the_list() {
    let mut world = World::new(&healthy());
    world.run(Duration::from_secs(3600));
    let candidates = ["b", "c", "d"].map(|name| (mirror(name), Record::default()));
    let settings = Box::new(settings(false));
    world.tell(Event::Configured { settings, candidates: candidates.into() });
    world.run(Duration::from_secs(1));
    assert_eq!(world.list(), ["b", "c", "d"]);
    assert_eq!(world.standing("d"), Standing::Live, "the others keep their records");
}

#[test]
fn a_sample_that_has_to_become_a_rehearsal_is_not_asked_for_again_at_once() {
    let mut world = World::new(&healthy());
    world.samples_become_rehearsals = true;
    world.run(Duration::from_secs(3600));
    for (url, probes) in &world.probes {
        let crowded =
            probes.windows(2).filter(|pair| pair[1].0.since(pair[0].0) < Duration::from_secs(1)).count();
        assert_eq!(crowded, 0, "{url}: {probes:?}");
    }
    assert!(world.probes[&url("a")].len() < 80, "{:?}", world.probes[&url("a")]);
}

#[test]
fn equal_mirrors_never_swap_and_a_day_stays_within_the_budget() {
    let names = ["a", "b", "c", "d", "e", "f"];
    let equal: Vec<(&str, Mood)> = names.iter().map(|name| (*name, Mood::Serves(5.0 * MB))).collect();
    let mut world = World::new(&equal);
    world.run(Duration::from_secs(24 * 3600));
    assert_eq!(world.applies.len(), 1, "{:?}", world.applies);
    let selected = world.state.list.clone();
    for (url, track) in &world.state.tracks {
        let spent = track.record.spent(world.now);
        let (requests, mebibytes) = if selected.contains(url) { (400, 24) } else { (120, 13) };
        assert!(spent.requests_today <= requests, "{url}: {spent:?}");
        assert!(spent.bytes_today <= mebibytes << 20, "{url}: {spent:?}");
    }
}
