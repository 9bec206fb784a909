//! Worlds as data: every file under `tests/scenarios` is one, played in virtual time with the real step function.
//!
//! ```toml
//! title = "what this world proves"
//! upstream = "serves 0.3"           # without it the upstream is not compared
//! list = ["a", "b"]                 # what an earlier run left in place; without it this is the first run
//!
//! [settings]                        # what differs from the defaults, by the keys of mirrors.toml
//! hold = "10m"
//!
//! [mirrors]                         # name = mood; the URL is https://NAME.example unless said otherwise
//! a = "serves 20"
//! b = { mood = "dead", url = "http://127.0.0.1:5000", upstream = "quay.io", enabled = false }
//!
//! [[then]]
//! set.a = "dead"                    # moods from now on
//! events = ["route"]                # what happens, in this order; see `events`
//! after = "3h"                      # then so much time goes by ...
//! within = "70s"                    # ... or as much as is needed until all is as expected, and no more
//! expect = ["list: b c", "a: rejected", "applies: 1", "asked a: rehearse 0..2"]
//! ```
//!
//! The daemon asks the mirrors as its schedule wants it. Where what counts is the choice and not the schedule, it asks
//! nobody, and the steps say who is asked, when, and how far:
//!
//! ```toml
//! [[then]]
//! set.a = "shows stalled; 8MiB/s"
//! after = "10m"                     # two hours unless said otherwise
//! round = "sample"                  # how far; first failures are checked again as the daemon does it
//! only = ["a"]                      # everybody who takes part and does not rest, unless said otherwise
//! image = "busybox"                 # the first of the policy's unless said otherwise
//! repeat = 3                        # so many such rounds; only the last is held against the expectations
//! expect = ["list: a b", "a: live 1", "c: rejected (stalled)", "why: faster a", "contends: b"]
//! ```
//!
//! Moods, with speeds in megabytes per second: `serves N`, `serves N noise 0.1`, `serves N starved 2s`, `wavers N M`,
//! `costs N`, `old N`, `allows N IMAGE …`, `dead`, `hangs`, `stalls`, `stalls late`, `limits`, `limits 5m`, `nested`, `errors`,
//! `flaps 5m N`, `fails KIND`, `starved 2s`; or `shows` and the words of what is seen: a speed (`4MiB/s`), the time to
//! a layer's first byte, a failure's kind, `digest=WORD`, `created=AGE`, `sent_to=HOST`, a quirk, `refuses=IMAGE`,
//! `locks=IMAGE` (401), `retry_after=TIME`, where `stalled; 4MiB/s` is once this and then that for ever. What is shown costs no budget.
//!
//! Expectations: `list`, `listed`, `unlisted`, `applies` (how many lists were written), `why` (the last of them),
//! `network`, `contends`; `NAME:` and its standing, its verdict with its place or its reasons, or what these say;
//! `asked NAME: DEPTH COUNT`; `worst NAME: KEY COUNT`, the most that any minute, day or two days since the world began
//! had of what a key of the budget limits. `everybody` is all of them, a count is `3`, `3..5` or `3..`.
//!
//! What was asked and applied is counted from the step's beginning; what the first round asks, which begins with the
//! world, is not in any step. Every world is held against the laws, too: no mirror is asked more than its budget has,
//! the engine is not reloaded more often than it may be, nothing is written while the service is paused or the network
//! down, and after a round what was selected is selected again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mirrorwatch::daemon::step::{EngineView, Event, Past, Settings, State};
use mirrorwatch::image::Image;
use mirrorwatch::mirror::{Mirror, MirrorUrl};
use mirrorwatch::observation::Depth;
use mirrorwatch::ranking::record::Record;
use serde::Deserialize;

use super::budget;
use super::mood::{Mood, time};
use super::world::{UPSTREAM, World, mirror, settings, url};

mod events;
mod expect;
mod setting;
mod table;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    title: String,
    upstream: Option<String>,
    list: Option<Vec<String>>,
    #[serde(default)]
    settings: BTreeMap<String, toml::Value>,
    mirrors: BTreeMap<String, Listed>,
    then: Vec<Then>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Listed {
    Usual(String),
    Unusual(Unusual),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unusual {
    mood: String,
    url: Option<MirrorUrl>,
    upstream: Option<String>,
    enabled: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Then {
    #[serde(default)]
    set: BTreeMap<String, String>,
    #[serde(default)]
    events: Vec<String>,
    after: Option<String>,
    round: Option<Depth>,
    only: Option<Vec<String>>,
    image: Option<Image>,
    repeat: Option<u32>,
    within: Option<String>,
    #[serde(default)]
    expect: Vec<String>,
}

struct Run {
    world: World,
    settings: Settings,
    candidates: Vec<Mirror>,
    applied_before: usize,
    wrong: Vec<String>,
}

#[test]
fn every_scenario_goes_as_it_says() {
    let files = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios"));
    assert!(files.len() >= 90, "the files are there: {}", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.display();
        let scenario: Scenario = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(scenario.then.iter().any(|then| !then.expect.is_empty()), "{name} expects something");
        wrong.extend(play(&scenario).into_iter().map(|what| format!("{name} ({}): {what}", scenario.title)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn play(scenario: &Scenario) -> Vec<String> {
    let mut run = Run::new(scenario);
    for (number, then) in scenario.then.iter().enumerate() {
        run.step(then);
        let missed: Vec<(&String, String)> =
            then.expect.iter().filter_map(|line| Some((line, run.check(line).err()?))).collect();
        run.wrong.extend(missed.into_iter().map(|(line, got)| format!("step {}: {line}: {got}", number + 1)));
    }
    run.wrong.extend(budget::excesses(&run.world, &run.settings.allowance));
    run.wrong
}

impl Run {
    fn new(scenario: &Scenario) -> Self {
        let mut settings = settings(scenario.upstream.is_some());
        for (key, value) in &scenario.settings {
            setting::change(&mut settings, key, value);
        }
        let candidates: Vec<Mirror> = scenario.mirrors.iter().map(|(name, said)| said.mirror(name)).collect();
        let mut world = World::with(&[], None);
        if scenario.then.iter().any(|then| then.round.is_some()) {
            (world.ignores_the_daemon, world.applying) = (true, Duration::ZERO);
        }
        for (mirror, said) in candidates.iter().zip(scenario.mirrors.values()) {
            world.is(&mirror.url, Mood::parse(said.mood()));
        }
        if let Some(mood) = &scenario.upstream {
            world.set(UPSTREAM, Mood::parse(mood));
        }
        let mut run = Self { world, settings, candidates, applied_before: 0, wrong: Vec::new() };
        if let Some(list) = &scenario.list {
            run.resume(list.iter().map(|name| run.url(name)).collect());
        }
        run.configure();
        run
    }

    /// With what an earlier run has left in the engine, and without its records.
    fn resume(&mut self, list: Vec<MirrorUrl>) {
        self.world.state = State::new(self.settings.clone(), Past::from(Some(list.clone())));
        let listed = self.world.state.wanted(&list);
        self.world.tell(Event::Engine(EngineView::Lists(listed)));
    }

    fn configure(&mut self) {
        let candidates = self.candidates.iter().map(|mirror| (mirror.clone(), Record::default())).collect();
        self.world.tell(Event::Configured { settings: Box::new(self.settings.clone()), candidates });
    }

    fn step(&mut self, then: &Then) {
        self.begin();
        for (name, mood) in &then.set {
            self.world.is(&self.url(name), Mood::parse(mood));
        }
        for event in &then.events {
            self.happen(event);
        }
        let usual = if then.round.is_some() { Duration::from_secs(7200) } else { Duration::ZERO };
        for turn in 0..then.repeat.unwrap_or(1) {
            if turn > 0 {
                self.begin();
            }
            self.world.run(then.after.as_deref().map_or(usual, time));
            if let Some(depth) = then.round {
                self.round(depth, then);
            }
            if self.world.ignores_the_daemon && !self.world.state.first_round {
                let again =
                    self.world.state.selection.as_ref().and_then(|selection| selection.change.clone());
                self.wrong
                    .extend(again.map(|change| format!("selected again, it changes: {}", change.why())));
            }
        }
        if let Some(within) = &then.within {
            self.wait(time(within), &then.expect);
        }
    }

    /// From here on it is counted what is asked and applied.
    fn begin(&mut self) {
        self.world.probes.clear();
        self.applied_before = self.world.applies.len();
    }

    fn round(&mut self, depth: Depth, then: &Then) {
        let image = then.image.as_ref().unwrap_or(&self.settings.policy.images[0]).clone();
        let candidates = self.candidates.iter().filter(|mirror| mirror.takes_part());
        let everybody = candidates.map(|mirror| (mirror.name.clone(), mirror.url.clone()));
        let everybody =
            everybody.chain(self.settings.upstream.iter().map(|url| ("upstream".to_owned(), url.clone())));
        let asked = everybody.filter(|(name, _)| then.only.as_ref().is_none_or(|only| only.contains(name)));
        for (_, url) in asked.collect::<Vec<_>>() {
            self.ask(&url, depth, &image);
        }
        self.world.tell(Event::Tick);
        self.world.run(Duration::ZERO);
    }

    /// One probe, and the re-checks that follow a first failure.
    fn ask(&mut self, url: &MirrorUrl, mut depth: Depth, image: &Image) {
        let mut at = self.world.now;
        let resting = self.world.state.track(url).is_none_or(|track| track.record.resting(at).is_some());
        if resting && depth != Depth::Connect {
            return;
        }
        loop {
            assert!(at < self.world.now + Duration::from_secs(60), "the re-checks of {url} do not end");
            let image = (depth != Depth::Connect).then_some(image);
            let (_, observation) = self.world.answer(url, at, depth, image);
            let state = &mut self.world.state;
            let Some(track) = state.tracks.get_mut(url).or(state.upstream.as_mut()) else { return };
            track.record.observe(&observation, &self.settings.policy);
            let Some(again) = track.record.rechecks(&self.settings.policy).next() else { return };
            (depth, at) = (again, at + self.settings.pace.confirm);
        }
    }

    fn wait(&mut self, longest: Duration, expect: &[String]) {
        let end = self.world.now + longest;
        // A tenth of a second is finer than anything that is waited for.
        while self.world.now < end && expect.iter().any(|line| self.check(line).is_err()) {
            self.world.run(Duration::from_millis(100));
        }
    }

    /// Where it is that a file calls so, also once it has another name.
    fn url(&self, name: &str) -> MirrorUrl {
        let named = self.candidates.iter().find(|mirror| mirror.name == name);
        let usual = || url(if name == "upstream" { UPSTREAM } else { name });
        named.map_or_else(usual, |mirror| mirror.url.clone())
    }
}

impl Listed {
    fn mood(&self) -> &str {
        match self {
            Self::Usual(mood) => mood,
            Self::Unusual(said) => &said.mood,
        }
    }

    fn mirror(&self, name: &str) -> Mirror {
        let usual = mirror(name);
        match self {
            Self::Usual(_) => usual,
            Self::Unusual(said) => Mirror {
                url: said.url.clone().unwrap_or(usual.url),
                upstream: said.upstream.clone().unwrap_or(usual.upstream),
                enabled: said.enabled.unwrap_or(usual.enabled),
                ..usual
            },
        }
    }
}
