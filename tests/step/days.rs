//! Days as data: every file in `tests/days` is one world of the real step function in virtual time.
//!
//! ```toml
//! title = "what these days prove"
//! upstream = "serves 0.3"           # without it the upstream is not compared
//!
//! [settings]                        # what differs from the defaults, by the keys of mirrors.toml
//! hold = "10m"
//!
//! [mirrors]                         # name = mood; speeds are megabytes per second
//! a = "serves 20"
//!
//! [[then]]
//! set.a = "dead"                    # moods from now on
//! events = ["route"]                # what happens, in this order; see `happen`
//! after = "3h"                      # then so much time goes by ...
//! within = "70s"                    # ... or as much as is needed until all is as expected, and no more
//! expect = ["list: b c", "a: rejected", "applies: 1", "asked a: rehearse 0..2"]
//! ```
//!
//! Moods: `serves N`, `serves N noise 0.1`, `serves N starved 2s`, `old N`, `allows N IMAGE …`, `dead`, `hangs`, `stalls`, `limits`, `limits 5m`, `errors`, `flaps 5m N`,
//! `fails KIND`, `starved 2s`. What was asked and applied is counted from the step's beginning;
//! what the first round asks, which begins with the world, is not in any step.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use mirrorwatch::daemon::step::{EngineView, Event, Settings, Shift};
use mirrorwatch::mirror::Mirror;
use mirrorwatch::observation::{Depth, Failure, Stage};
use mirrorwatch::pull::{Seen, Sign};
use mirrorwatch::ranking::record::{Record, Standing};
use mirrorwatch::reason::{FailureKind, ProblemKind};
use serde::Deserialize;

use super::world::{MB, Mood, UPSTREAM, World, mirror, settings, url};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Days {
    title: String,
    upstream: Option<String>,
    #[serde(default)]
    settings: BTreeMap<String, toml::Value>,
    mirrors: BTreeMap<String, String>,
    then: Vec<Then>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Then {
    #[serde(default)]
    set: BTreeMap<String, String>,
    #[serde(default)]
    events: Vec<String>,
    after: Option<String>,
    within: Option<String>,
    #[serde(default)]
    expect: Vec<String>,
}

struct Run {
    world: World,
    settings: Settings,
    candidates: Vec<Mirror>,
    applied_before: usize,
}

#[test]
fn every_file_of_days_goes_as_it_says() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/days");
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 25, "the files are there: {}", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let days: Days = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(days.then.iter().any(|then| !then.expect.is_empty()), "{name} expects something");
        wrong.extend(play(&days).into_iter().map(|what| format!("{name} ({}): {what}", days.title)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn play(days: &Days) -> Vec<String> {
    let mut run = Run::new(days);
    let mut wrong = Vec::new();
    for (number, then) in days.then.iter().enumerate() {
        run.begin();
        for (name, mood) in &then.set {
            run.world.set(&full(name), parse_mood(mood));
        }
        for event in &then.events {
            run.happen(event);
        }
        run.world.run(then.after.as_deref().map_or(Duration::ZERO, time));
        if let Some(within) = &then.within {
            run.wait(time(within), &then.expect);
        }
        let missed = then.expect.iter().filter_map(|line| run.check(line).err().map(|got| (line, got)));
        wrong.extend(missed.map(|(line, got)| format!("step {}: {line}: {got}", number + 1)));
    }
    wrong
}

fn full(name: &str) -> String {
    if name == "upstream" { UPSTREAM.to_owned() } else { name.to_owned() }
}

fn time(text: &str) -> Duration {
    humantime::parse_duration(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn parse_mood(text: &str) -> Mood {
    let words: Vec<&str> = text.split_whitespace().collect();
    let speed = |word: &str| word.parse::<f64>().expect("a speed") * MB;
    match words[..] {
        ["serves", at] => Mood::Serves(speed(at)),
        ["serves", at, "noise", noise] => Mood::Varies(speed(at), noise.parse().expect("a part")),
        ["serves", at, "starved", lost] => Mood::Hampered(speed(at), time(lost)),
        ["old", at] => Mood::Old(speed(at)),
        ["allows", at, ref images @ ..] => {
            let images: Vec<&'static str> =
                images.iter().map(|image| &*Box::leak((*image).to_owned().into_boxed_str())).collect();
            Mood::Allows(speed(at), Box::leak(images.into_boxed_slice()))
        }
        ["dead"] => Mood::Dead,
        ["hangs"] => Mood::Hangs,
        ["stalls"] => Mood::Stalls,
        ["limits"] => Mood::Limits(None),
        ["limits", rest] => Mood::Limits(Some(time(rest))),
        ["errors"] => Mood::Errors,
        ["flaps", half, at] => Mood::Flaps(time(half), speed(at)),
        ["fails", word] => Mood::Fails(kind(word)),
        ["starved", lost] => Mood::Starved(time(lost)),
        _ => panic!("no mood is called {text}"),
    }
}

fn kind(word: &str) -> FailureKind {
    *FailureKind::ALL
        .iter()
        .find(|kind| kind.as_str() == word)
        .unwrap_or_else(|| panic!("no failure is called {word}"))
}

fn change(settings: &mut Settings, key: &str, value: &toml::Value) {
    let (policy, pace, allowance) = (&mut settings.policy, &mut settings.pace, &mut settings.allowance);
    let duration = || time(value.as_str().expect("a duration"));
    let count = || u32::try_from(value.as_integer().expect("a number")).expect("a small one");
    let mebibytes = || u64::from(count()) << 20;
    match key {
        "connect" => pace.connect = duration(),
        "sample" => pace.sample = duration(),
        "rehearse" => pace.rehearse = duration(),
        "decide" => (pace.decide, policy.decide) = (duration(), duration()),
        "confirm" => pace.confirm = duration(),
        "hold" => policy.hold = duration(),
        "max" => policy.max = usize::try_from(count()).expect("a small number"),
        "margin" => policy.margin = value.as_float().expect("a part"),
        "rounds" => policy.rounds = count(),
        "fall" => policy.fall = count(),
        "rise" => policy.rise = count(),
        "images" => {
            let images =
                value.as_array().expect("a list").iter().map(|image| image.as_str().expect("an image"));
            policy.images = images.map(|image| image.parse().expect("an image")).collect();
        }
        "requests_per_minute" => allowance.requests_per_minute = count(),
        "requests_per_day" => allowance.requests_per_day = count(),
        "refusals_per_2_days" => allowance.refusals_per_2_days = count(),
        "mebibytes_per_day" => allowance.bytes_per_day = mebibytes(),
        "total_mebibytes_per_day" => allowance.total_bytes_per_day = mebibytes(),
        "reloads_per_day" => allowance.reloads_per_day = count(),
        "share" => *allowance = allowance.clone().part(count()),
        _ => panic!("no setting is called {key}"),
    }
}

impl Run {
    fn new(days: &Days) -> Self {
        let mut settings = settings(days.upstream.is_some());
        for (key, value) in &days.settings {
            change(&mut settings, key, value);
        }
        let mut world = World::with(&[], None);
        let moods = days.mirrors.iter().map(|(name, mood)| (name.clone(), mood));
        for (name, mood) in moods.chain(days.upstream.iter().map(|mood| (UPSTREAM.to_owned(), mood))) {
            world.set(&name, parse_mood(mood));
        }
        let candidates = days.mirrors.keys().map(|name| mirror(name)).collect();
        let mut run = Self { world, settings, candidates, applied_before: 0 };
        run.configure();
        run
    }

    fn configure(&mut self) {
        let candidates = self.candidates.iter().map(|mirror| (mirror.clone(), Record::default())).collect();
        self.world.tell(Event::Configured { settings: Box::new(self.settings.clone()), candidates });
    }

    fn begin(&mut self) {
        self.world.probes.clear();
        self.world.asked.clear();
        self.applied_before = self.world.applies.len();
    }

    fn candidate(&mut self, name: &str) -> &mut Mirror {
        let found = self.candidates.iter_mut().find(|mirror| mirror.name == name);
        found.unwrap_or_else(|| panic!("no mirror is called {name}"))
    }

    fn pull(&mut self, seen: Seen) {
        let at = self.world.now;
        self.world.tell(Event::Heard(Sign { at, seen }));
    }

    /// What can happen.
    fn happen(&mut self, event: &str) {
        let words: Vec<&str> = event.split_whitespace().collect();
        match words[..] {
            ["route"] => self.world.tell(Event::Shifted(Shift::Route)),
            ["woke"] => self.world.tell(Event::Shifted(Shift::Woke)),
            ["restart"] => self.world.restart(),
            ["pause", until] => {
                let until = self.world.now + time(until);
                self.world.tell(Event::Paused(Some(Some(until))));
            }
            ["resume"] => self.world.tell(Event::Paused(None)),
            ["engine", "away"] => {
                self.world.tell(Event::Engine(EngineView::Problem(ProblemKind::NotRunning)));
            }
            ["engine", "back"] => {
                let listed = self.world.state.wanted(&self.world.state.list);
                self.world.tell(Event::Engine(EngineView::Lists(listed)));
            }
            ["engine", "lists", name] => {
                self.world.tell(Event::Engine(EngineView::Lists(vec![url(name).as_str().to_owned()])));
            }
            ["applied", "by", "hand", ref names @ ..] => {
                self.world.tell(Event::Listed(names.iter().map(|name| url(name)).collect()));
            }
            ["add", name, ref mood @ ..] => {
                self.world.set(name, parse_mood(&mood.join(" ")));
                self.candidates.push(mirror(name));
                self.configure();
            }
            ["remove", name] => {
                self.candidates.retain(|mirror| mirror.name != name);
                self.configure();
            }
            ["rename", from, to] => {
                to.clone_into(&mut self.candidate(from).name);
                self.configure();
            }
            ["disable", name] => {
                self.candidate(name).enabled = false;
                self.configure();
            }
            ["enable", name] => {
                self.candidate(name).enabled = true;
                self.configure();
            }
            ["setting", key, value] => {
                let value = value.parse().map_or_else(|_| value.to_owned().into(), toml::Value::Integer);
                change(&mut self.settings, key, &value);
                self.configure();
            }
            ["pull", name, "left", word] => {
                let stage = match word {
                    "server_error" | "not_a_registry" => Stage::Manifest,
                    "stalled" | "connection_lost" => Stage::Layer,
                    _ => Stage::Connect,
                };
                let failure = Failure { kind: kind(word), stage, detail: String::new() };
                self.pull(Seen::Left { url: url(name), failure });
            }
            ["pull", name, "silent"] => self.pull(Seen::Silent { url: url(name), quiet_ms: 10_000 }),
            ["pull", name, "crawling"] => {
                self.pull(Seen::Crawling { url: url(name), bytes_per_second: 20e3 });
            }
            ["pull", name, "served", speed] => {
                let speed = speed.parse::<f64>().expect("a speed") * MB;
                self.pull(Seen::Served { url: url(name), bytes: 30 << 20, bytes_per_second: Some(speed) });
            }
            ["pull", "absent"] => self.pull(Seen::Absent { detail: String::new() }),
            ["pull", "doubtful"] => self.pull(Seen::Doubtful { detail: String::new() }),
            _ => panic!("no event is called {event}"),
        }
    }

    fn wait(&mut self, longest: Duration, expect: &[String]) {
        let end = self.world.now + longest;
        // A tenth of a second is finer than anything that is waited for.
        while self.world.now < end && expect.iter().any(|line| self.check(line).is_err()) {
            self.world.run(Duration::from_millis(100));
        }
    }

    fn check(&self, line: &str) -> Result<(), String> {
        let (what, wanted) =
            line.split_once(": ").unwrap_or_else(|| panic!("no expectation is called {line}"));
        let same = |got: String| if got == wanted { Ok(()) } else { Err(format!("it is {got}")) };
        match what.split_whitespace().collect::<Vec<_>>()[..] {
            ["list"] => same(self.world.list().join(" ")),
            ["listed"] => {
                let named = self.world.list().contains(&wanted);
                if named { Ok(()) } else { Err(format!("the list is {}", self.world.list().join(" "))) }
            }
            ["unlisted"] => {
                let named = self.world.list().contains(&wanted);
                if named { Err(format!("the list is {}", self.world.list().join(" "))) } else { Ok(()) }
            }
            ["applies"] => within(self.world.applies.len() - self.applied_before, wanted)
                .map_err(|got| format!("{got}: {:?}", &self.world.applies[self.applied_before..])),
            ["why"] => {
                same(self.world.applies.last().map_or("nothing", |(_, _, kind)| kind.as_str()).to_owned())
            }
            ["network"] => {
                let outage = self.world.state.network.outage();
                let said =
                    outage.map_or_else(|| "up".to_owned(), |outage| format!("down, {}", outage.reason()));
                if said.contains(wanted) { Ok(()) } else { Err(said) }
            }
            ["asked", name] => {
                let (depth, count) = wanted.split_once(' ').expect("a depth and a count");
                let probes = self.world.probes.get(&url(&full(name))).map_or(&[][..], Vec::as_slice);
                let asked = probes.iter().filter(|(_, asked)| match depth {
                    "connect" => *asked == Depth::Connect,
                    "sample" => *asked == Depth::Sample,
                    "rehearse" => *asked == Depth::Rehearse,
                    "layers" => *asked >= Depth::Sample,
                    "anything" => true,
                    _ => panic!("no depth is called {depth}"),
                });
                within(asked.count(), count)
            }
            [name] => {
                let standing = match self.world.standing(name) {
                    Standing::Unprobed => "unprobed",
                    Standing::Live => "live",
                    Standing::Rejected => "rejected",
                };
                same(standing.to_owned())
            }
            _ => panic!("no expectation is called {line}"),
        }
    }
}

/// `3`, `3..5` (both included) or `3..`.
fn within(got: usize, wanted: &str) -> Result<(), String> {
    let number = |text: &str| text.parse::<usize>().unwrap_or_else(|_| panic!("{wanted} is no count"));
    let (least, most) = match wanted.split_once("..") {
        None => (number(wanted), number(wanted)),
        Some((least, "")) => (number(least), usize::MAX),
        Some((least, most)) => (number(least), number(most)),
    };
    if (least..=most).contains(&got) { Ok(()) } else { Err(format!("{got}")) }
}
