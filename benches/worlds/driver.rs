//! The daemon's real decisions in such a world: its events come from there, its actions go there.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mirrorwatch::assembly;
use mirrorwatch::config;
use mirrorwatch::daemon::step::{Action, EngineView, Event, Proof, Settings, State};
use mirrorwatch::mirror::{Mirror, MirrorUrl};
use mirrorwatch::observation::{Depth, Failure, Observation, Outcome, Stage};
use mirrorwatch::pull::{Seen, Sign};
use mirrorwatch::ranking::record::Record;
use mirrorwatch::reason::FailureKind;
use mirrorwatch::timestamp::Timestamp;

use super::account::{Account, MINUTE};
use super::chance::Chance;
use super::probe;
use super::world::{BLACKHOLED, Mood, Pull, REFUSED, World};

const START: Timestamp = Timestamp::from_millis(1_795_176_000_000);
/// How long a list takes to be in place (a write, a reload, the proof).
const RELOAD: Duration = Duration::from_millis(40);
/// A connection without a byte for so long is told.
const SILENT: f64 = 10.0;
/// And when it is clear that the connection does not rest: a pull that hangs waits longer.
const KEPT: f64 = 120.0;
/// And a crawl after so long.
const CRAWLED: f64 = 30.0;
/// The speed of a whole pull differs little from the one that the mirror has to give.
const PULL_NOISE: f64 = 0.1;

/// What differs between two lives in one world.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    /// What is pulled.
    pub(crate) pull: Pull,
    /// Seconds between the host's own pulls on average; without any, nothing is heard.
    pub(crate) pulls_every: Option<f64>,
    /// Lines of mirrors.toml that differ from the defaults, as `schedule.rehearse = "1h"`.
    pub(crate) lines: Vec<String>,
}

/// The settings of mirrors.toml with these lines, and the candidates.
fn read(life: &Life, world: &World) -> (Settings, Vec<(Mirror, Record)>) {
    let mut text = life.lines.join("\n");
    for (number, host) in world.hosts.iter().enumerate() {
        text += &format!("\n[[mirror]]\nname = \"m{number:02}\"\nurl = \"{}\"\n", host.url);
    }
    let path = PathBuf::from("mirrors.toml");
    let config = config::parse(Path::new("mirrors.toml"), &[(path, text.into_bytes())])
        .unwrap_or_else(|invalid| panic!("{invalid}"));
    let candidates = assembly::candidates(&config, &[]);
    let candidates = candidates.into_iter().map(|mirror| (mirror, Record::default())).collect();
    let mut settings = assembly::settings(&config, None);
    // Every machine would have worlds of its own.
    settings.seed = world.seed;
    settings.policy.spread = Some(world.seed);
    (settings, candidates)
}

enum Next {
    Observed(MirrorUrl, Box<Observation>),
    Applied(Vec<MirrorUrl>),
    Heard(Sign),
    Pull,
    Tick,
}

struct Driver<'a> {
    world: &'a World,
    life: &'a Life,
    state: State,
    now: Timestamp,
    hosts: BTreeMap<MirrorUrl, usize>,
    agenda: BinaryHeap<Reverse<(Timestamp, u64)>>,
    what: BTreeMap<u64, Next>,
    count: u64,
    tick: Option<Timestamp>,
    /// For what is measured, and for when is pulled: the pulls come at the same moments whatever is asked.
    chance: Chance,
    pulls: Chance,
    account: Account,
    /// Whether anybody was sampled.
    sampled: bool,
}

/// Lives through a world from a cold start, with an engine that always takes its list.
pub(crate) fn live(world: &World, life: &Life) -> Account {
    let (settings, candidates) = read(life, world);
    let mut driver = Driver {
        world,
        life,
        state: State::new(settings.clone(), None),
        now: START,
        hosts: world.hosts.iter().enumerate().map(|(number, host)| (host.url.clone(), number)).collect(),
        agenda: BinaryHeap::new(),
        what: BTreeMap::new(),
        count: 0,
        tick: None,
        chance: Chance::new(world.seed, 200),
        pulls: Chance::new(world.seed, 300),
        account: Account::new(world),
        sampled: false,
    };
    driver.tell(Event::Engine(EngineView::Lists(Vec::new())));
    driver.tell(Event::Configured { settings: Box::new(settings), candidates });
    driver.plan_pull();
    // The first list is in place within seconds; what a cold start takes is another bench's affair.
    for minute in 1..=world.days * 24 * 60 {
        let at = f64::from(minute) * MINUTE;
        driver.run_until(START + Duration::from_secs_f64(at));
        let list = driver.list();
        driver.account.minute(world, life.pull, &list, at);
    }
    assert!(
        driver.sampled,
        "a service that takes no samples is blind for hours, and no figure of it says anything"
    );
    driver.account
}

impl Driver<'_> {
    fn seconds(&self) -> f64 {
        self.now.since(START).as_secs_f64()
    }

    /// What the engine lists now.
    fn list(&self) -> Vec<usize> {
        self.state.list.iter().map(|url| self.hosts[url]).collect()
    }

    fn plan(&mut self, at: Timestamp, next: Next) {
        self.count += 1;
        self.agenda.push(Reverse((at, self.count)));
        self.what.insert(self.count, next);
    }

    fn plan_in(&mut self, seconds: f64, next: Next) {
        self.plan(self.now + Duration::from_secs_f64(seconds), next);
    }

    fn plan_pull(&mut self) {
        if let Some(mean) = self.life.pulls_every {
            let wait = self.pulls.wait(mean);
            self.plan_in(wait, Next::Pull);
        }
    }

    fn run_until(&mut self, end: Timestamp) {
        while self.agenda.peek().is_some_and(|Reverse((at, _))| *at <= end) {
            let Some(Reverse((at, id))) = self.agenda.pop() else { return };
            self.now = self.now.max(at);
            match self.what.remove(&id).expect("whatever is planned is kept") {
                Next::Observed(url, observation) => self.tell(Event::Observed { url, observation }),
                Next::Applied(list) => {
                    if !self.state.list.is_empty() {
                        self.account.change();
                    }
                    self.tell(Event::Applied { list, outcome: Ok(Proof::Listed) });
                    self.account.listed(&self.list(), self.seconds());
                }
                Next::Heard(sign) => self.tell(Event::Heard(sign)),
                Next::Pull => {
                    self.pull();
                    self.plan_pull();
                }
                Next::Tick => {
                    if self.tick.is_some_and(|tick| tick <= self.now) {
                        self.tick = None;
                    }
                    self.tell(Event::Tick);
                }
            }
        }
        self.now = self.now.max(end);
    }

    fn tell(&mut self, event: Event) {
        for action in self.state.step(event, self.now) {
            match action {
                Action::Probe { url, depth, image, .. } => {
                    let (after, mut seen) = self.ask(&url, depth);
                    seen.image = image;
                    self.plan_in(after, Next::Observed(url, Box::new(seen)));
                }
                Action::Apply { list, .. } => self.plan(self.now + RELOAD, Next::Applied(list)),
                Action::Save(_) | Action::Forgive(..) => {}
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

    fn ask(&mut self, url: &MirrorUrl, depth: Depth) -> (f64, Observation) {
        let at = self.seconds();
        self.sampled |= depth == Depth::Sample;
        let Some(host) = self.hosts.get(url).copied() else {
            // The upstream drops every packet, as it does where mirrors are needed most.
            let mut seen = Observation::new(self.now, depth);
            seen.outcome = failed(FailureKind::ConnectTimeout, Stage::Connect);
            return (3.0, seen);
        };
        let one = &self.world.hosts[host];
        let (after, seen) = probe::ask(one, self.life.pull, depth, (at, self.now), &mut self.chance);
        self.account.spend(host, seen.spent, at);
        (after, seen)
    }

    /// The host pulls: what the engine goes through is heard when the engine says it, or the kernel shows it.
    fn pull(&mut self) {
        let begun = self.seconds();
        let mut after = 0.0;
        for host in self.list() {
            let one = &self.world.hosts[host];
            let url = one.url.clone();
            let mood = one.mood_for_pulls(begun);
            let left = |kind, stage| {
                let Outcome::Failed(failure) = failed(kind, stage) else { return None };
                Some(Seen::Left { url: url.clone(), failure })
            };
            let (seconds, served) = self.life.pull.one_try(one, begun);
            let (told, seen) = match mood {
                Mood::Blackhole => (BLACKHOLED, left(FailureKind::ConnectTimeout, Stage::Connect)),
                Mood::Refuses => (REFUSED, left(FailureKind::ConnectionRefused, Stage::Connect)),
                // A 403 may be about the image alone: it counts for nothing.
                Mood::Answers(FailureKind::NotAllowed) => (REFUSED, None),
                Mood::Answers(kind) => (REFUSED, left(kind, Stage::Manifest)),
                Mood::Hangs => {
                    let silent = |quiet_ms, may_rest| Seen::Silent { url: url.clone(), quiet_ms, may_rest };
                    let at = self.now + Duration::from_secs_f64(after + KEPT);
                    self.plan(at, Next::Heard(Sign { at, seen: silent(120_000, false) }));
                    (SILENT, Some(silent(10_000, true)))
                }
                Mood::Crawls => {
                    let bytes_per_second = one.speed(mood, begun);
                    (CRAWLED, Some(Seen::Crawling { url: url.clone(), bytes_per_second }))
                }
                Mood::Serves => {
                    let speed = one.speed(mood, begun) * self.pulls.around_one(PULL_NOISE);
                    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some MB")]
                    let bytes = self.life.pull.bytes.min(speed * seconds) as u64;
                    (seconds, Some(Seen::Served { url: url.clone(), bytes, bytes_per_second: Some(speed) }))
                }
            };
            if let Some(seen) = seen {
                let at = self.now + Duration::from_secs_f64(after + told);
                self.plan(at, Next::Heard(Sign { at, seen }));
            }
            after += seconds;
            if served {
                return;
            }
        }
    }
}

fn failed(kind: FailureKind, stage: Stage) -> Outcome {
    Outcome::Failed(Failure { kind, stage, detail: String::new() })
}
