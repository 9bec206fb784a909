//! Worlds as data: many rounds, many mirrors. Every file in `tests/scenarios` is one world.
//!
//! ```toml
//! title = "what this world proves"
//! list = ["A", "B"]         # what stands at the start; without it there is none, and the first is provisional
//!
//! [policy]                  # what differs from the defaults
//! max = 2
//!
//! [[mirror]]                # in any order; the URL is https://NAME unless said otherwise
//! name = "A"
//!
//! [[round]]
//! after = "2h"              # since the round before; two hours unless said otherwise
//! depth = "rehearse"        # or "sample", "connect"
//! only = ["A"]              # every mirror that is enabled and not at rest unless said otherwise
//! image = "busybox"         # the first of the policy's unless said otherwise
//! sees.A = "4MiB/s 100ms"   # what is seen of it from now on; "stalled; 4MiB/s" is once this and then that
//! repeat = 3                # so many such rounds; only the last is held against the expectations
//! expect = ["list: A B", "A: live 1", "C: rejected (stalled)", "change: faster A", "contends: B"]
//! ```
//!
//! What is seen is words: a speed, a time to a layer's first byte, a failure's kind, `digest=WORD`,
//! `created=AGE` (at the time of the probe), `sent_to=HOST`, a quirk, `refuses=IMAGE`, `retry_after=TIME`.
//! `upstream` is a mirror that is only the yardstick. First failures are checked again as the daemon does it.
//! After every round the selection is applied and selected again, which must change nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mirrorwatch::image::{Digest, Image};
use mirrorwatch::mirror::{DOCKER_HUB, Mirror, MirrorUrl};
use mirrorwatch::observation::{Depth, Failure, ImageStore, Observation, Outcome, Quirk, Stage};
use mirrorwatch::ranking::Policy;
use mirrorwatch::ranking::record::{Record, Standing};
use mirrorwatch::ranking::select::{Candidate, Current, Selection, Upstream, select};
use mirrorwatch::ranking::verdict::Verdict;
use mirrorwatch::reason::FailureKind;
use mirrorwatch::timestamp::Timestamp;
use serde::Deserialize;

const UPSTREAM: &str = "upstream";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct World {
    title: String,
    list: Option<Vec<String>>,
    #[serde(default)]
    policy: PolicyChanges,
    mirror: Vec<Listed>,
    round: Vec<Round>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyChanges {
    max: Option<usize>,
    rounds: Option<u32>,
    store: Option<ImageStore>,
    images: Option<Vec<Image>>,
    compare_upstream: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    name: String,
    url: Option<String>,
    upstream: Option<String>,
    #[serde(default = "yes")]
    enabled: bool,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Round {
    after: Option<String>,
    depth: Option<Depth>,
    only: Option<Vec<String>>,
    image: Option<Image>,
    #[serde(default)]
    sees: BTreeMap<String, String>,
    /// Mirrors switched off, and on, from now on.
    #[serde(default)]
    disable: Vec<String>,
    /// The list may have so many places from now on.
    max: Option<usize>,
    repeat: Option<u32>,
    #[serde(default)]
    expect: Vec<String>,
}

struct Run {
    now: Timestamp,
    policy: Policy,
    mirrors: Vec<Mirror>,
    records: BTreeMap<String, Record>,
    /// What is seen of each mirror: first these, in turn, and the last for ever.
    seen: BTreeMap<String, Vec<String>>,
    list: Vec<MirrorUrl>,
    last_faster: Option<Timestamp>,
    provisional: bool,
}

impl Run {
    fn new(world: &World) -> Self {
        let mut policy = Policy { store: Some(ImageStore::Classic), ..Policy::default() };
        let changes = &world.policy;
        policy.max = changes.max.unwrap_or(policy.max);
        policy.rounds = changes.rounds.unwrap_or(policy.rounds);
        policy.store = changes.store.or(policy.store);
        policy.compare_upstream = changes.compare_upstream.unwrap_or(policy.compare_upstream);
        policy.images = changes.images.clone().unwrap_or(policy.images);
        let mirrors: Vec<Mirror> = world.mirror.iter().map(mirror).collect();
        let url = |name: &String| mirrors.iter().find(|mirror| mirror.name == *name).expect(name).url.clone();
        Self {
            now: "2026-11-20T12:00:00Z".parse().expect("a time"),
            policy,
            list: world.list.iter().flatten().map(url).collect(),
            mirrors,
            records: BTreeMap::new(),
            seen: BTreeMap::new(),
            last_faster: None,
            provisional: world.list.is_none(),
        }
    }

    /// What is different from this round on.
    fn begin(&mut self, round: &Round) {
        for (name, seen) in &round.sees {
            self.seen.insert(name.clone(), seen.split(';').map(|part| part.trim().to_owned()).collect());
        }
        for mirror in self.mirrors.iter_mut().filter(|mirror| round.disable.contains(&mirror.name)) {
            mirror.enabled = false;
        }
        self.policy.max = round.max.unwrap_or(self.policy.max);
    }

    fn round(&mut self, round: &Round) -> Selection {
        self.now = self.now + round.after.as_deref().map_or(Duration::from_secs(7200), duration);
        let depth = round.depth.unwrap_or(Depth::Rehearse);
        let names =
            self.mirrors.iter().filter(|mirror| mirror.takes_part()).map(|mirror| mirror.name.clone());
        let names: Vec<String> = names.chain([UPSTREAM.to_owned()]).collect();
        for name in names.iter().filter(|name| round.only.as_ref().is_none_or(|only| only.contains(name))) {
            self.probe(name, depth, round.image.as_ref());
        }
        let selection = self.select();
        self.apply(&selection);
        let again = self.select();
        assert_eq!((&again.list, &again.change), (&selection.list, &None), "selected again, it changes");
        // The first list is revised once, when everybody has answered.
        let unprobed = |mirror: &Mirror| {
            mirror.takes_part()
                && self.records.get(&mirror.name).is_none_or(|record| record.standing() == Standing::Unprobed)
        };
        self.provisional = self.provisional && self.mirrors.iter().any(unprobed);
        selection
    }

    /// One probe, and the re-checks that follow a first failure.
    fn probe(&mut self, name: &str, mut depth: Depth, image: Option<&Image>) {
        let image = image.unwrap_or(&self.policy.images[0]).clone();
        let record = self.records.entry(name.to_owned()).or_default();
        if record.resting(self.now).is_some() && depth != Depth::Connect {
            return;
        }
        let mut at = self.now;
        while let Some(seen) = self.seen.get_mut(name) {
            assert!(at < self.now + Duration::from_secs(60), "the re-checks of {name} do not end");
            let words = if seen.len() > 1 { seen.remove(0) } else { seen[0].clone() };
            record.observe(&observation(&words, at, depth, &image), &self.policy);
            let Some(again) = record.wants_recheck(&self.policy) else { break };
            (depth, at) = (again, at + Duration::from_secs(2));
        }
    }

    fn select(&self) -> Selection {
        let unknown = Record::default();
        let record = |name: &str| self.records.get(name).unwrap_or(&unknown);
        let candidates: Vec<Candidate<'_>> =
            self.mirrors.iter().map(|mirror| Candidate { mirror, record: record(&mirror.name) }).collect();
        let current =
            Current { list: &self.list, last_faster: self.last_faster, provisional: self.provisional };
        let upstream = match self.records.get(UPSTREAM) {
            Some(record) => Upstream::Record(record),
            None => Upstream::NotCompared,
        };
        select(self.now, &self.policy, &candidates, upstream, &current)
    }

    fn apply(&mut self, selection: &Selection) {
        self.list.clone_from(&selection.list);
        if selection.change.as_ref().is_some_and(|change| change.faster) {
            self.last_faster = Some(self.now);
        }
    }

    /// Everything that can be expected, one fact a line.
    fn facts(&self, selection: &Selection) -> Vec<String> {
        let listed = selection.list.iter();
        let members = listed.filter_map(|url| self.mirrors.iter().find(|mirror| mirror.url == *url));
        let names: Vec<&str> = members.map(|mirror| &*mirror.name).collect();
        let mut facts = vec![format!("list: {}", names.join(" ")).trim_end().to_owned()];
        facts.push(match &selection.change {
            None => "change: none".to_owned(),
            Some(change) => {
                let subject = change.subject.as_deref().map(|subject| format!(" {subject}"));
                format!("change: {}{}", change.kind, subject.unwrap_or_default())
            }
        });
        let contending: Vec<&str> =
            selection.entries.iter().filter(|entry| entry.contends).map(|entry| &*entry.name).collect();
        facts.push(format!("contends: {}", contending.join(" ")).trim_end().to_owned());
        for entry in &selection.entries {
            let reasons: Vec<&str> = entry.reasons.iter().map(|reason| reason.kind.as_str()).collect();
            let verdict = match (entry.verdict, entry.selected) {
                (Verdict::Live, Some(place)) => format!("live {place}"),
                (Verdict::Live, None) => format!("live ({})", reasons.join(", ")),
                (Verdict::Rejected, None) => format!("rejected ({})", reasons.join(", ")),
                (Verdict::Rejected, Some(place)) => format!("rejected and yet selected {place}"),
            };
            facts.push(format!("{}: {verdict}", entry.name));
            if let Some(coverage) = entry.coverage {
                facts.push(format!("{}: serves {} of {}", entry.name, coverage.served, coverage.of));
            }
            for reason in entry.reasons.iter().filter(|reason| !reason.detail.is_empty()) {
                facts.push(format!("{}: {}: {}", entry.name, reason.kind, reason.detail));
            }
            if let Some(image) = &entry.ask_for {
                facts.push(format!("{}: ask for {image}", entry.name));
            }
        }
        facts
    }
}

fn mirror(listed: &Listed) -> Mirror {
    let url = listed.url.clone().unwrap_or_else(|| format!("https://{}", listed.name));
    Mirror {
        name: listed.name.clone(),
        url: url.parse().expect("a mirror's URL"),
        upstream: listed.upstream.clone().unwrap_or_else(|| DOCKER_HUB.to_owned()),
        group: None,
        enabled: listed.enabled,
        note: None,
    }
}

fn duration(text: &str) -> Duration {
    humantime::parse_duration(text).expect("a duration")
}

fn observation(words: &str, at: Timestamp, depth: Depth, image: &Image) -> Observation {
    let mut seen = Observation::new(at, depth);
    for word in words.split_whitespace() {
        if let Some((key, value)) = word.split_once('=') {
            match key {
                "digest" => seen.digest = Some(Digest::of(value.as_bytes())),
                "created" => seen.created = Some(at - duration(value)),
                "sent_to" => drop(seen.sent_to.insert(value.to_owned())),
                "retry_after" => seen.retry_after = Some(duration(value)),
                "refuses" if value.parse::<Image>().as_ref() == Ok(image) => {
                    seen.outcome = failed(FailureKind::NotAllowed);
                }
                "refuses" => {}
                other => panic!("nothing is seen of {other:?}"),
            }
        } else if let Some(speed) = word.strip_suffix("MiB/s") {
            seen.bytes_per_second = Some(speed.parse::<f64>().expect("a speed") * 1024.0 * 1024.0);
        } else if let Some(speed) = word.strip_suffix("KiB/s") {
            seen.bytes_per_second = Some(speed.parse::<f64>().expect("a speed") * 1024.0);
        } else if let Some(kind) = FailureKind::ALL.iter().find(|kind| kind.as_str() == word) {
            seen.outcome = failed(*kind);
        } else if let Ok(quirk) = serde_json::from_value::<Quirk>(word.into()) {
            seen.quirks.insert(quirk);
        } else {
            seen.stages.layer = Some(duration(word));
        }
    }
    match depth {
        Depth::Connect => {
            // A connection sees no HTTP, so only failures of the connection itself.
            let connection = |failure: &Failure| failure.stage <= Stage::Tls;
            if !seen.failure().is_some_and(connection) {
                seen.outcome = Outcome::Served;
            }
        }
        Depth::Sample => seen.image = Some(image.clone()),
        Depth::Rehearse => {
            seen.image = Some(image.clone());
            seen.stages.ping = Some(Duration::from_millis(100));
            seen.stages.manifest = Some(Duration::from_millis(100));
        }
    }
    if depth != Depth::Connect && seen.bytes_per_second.is_some() {
        seen.stages.layer = seen.stages.layer.or(Some(Duration::from_millis(100)));
    }
    seen
}

fn failed(kind: FailureKind) -> Outcome {
    let word = kind.as_str();
    let stage = if word.starts_with("conn") || word.starts_with("tls") || word == "unreachable" {
        Stage::Connect
    } else if matches!(kind, FailureKind::Stalled | FailureKind::TooSlow | FailureKind::Corrupt) {
        Stage::Layer
    } else {
        Stage::Manifest
    };
    Outcome::Failed(Failure { kind, stage, detail: String::new() })
}

/// Says what was expected in vain.
fn run(path: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(path).expect("the file is readable");
    let world: World = toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut run = Run::new(&world);
    for (number, round) in world.round.iter().enumerate() {
        run.begin(round);
        let repeat = round.repeat.unwrap_or(1);
        for _ in 1..repeat {
            run.round(round);
        }
        let selection = run.round(round);
        let facts = run.facts(&selection);
        let missing: Vec<&String> = round.expect.iter().filter(|line| !facts.contains(line)).collect();
        if !missing.is_empty() {
            let seconds = selection
                .entries
                .iter()
                .filter_map(|entry| Some(format!("{} {:.2} s", entry.name, entry.predicted_seconds?)));
            return Err(format!(
                "{} ({}), round {}: expected {missing:#?}, got {facts:#?}, {:?}, {:?}",
                path.display(),
                world.title,
                number + 1,
                selection.change.as_ref().map(|change| change.why()),
                seconds.collect::<Vec<_>>(),
            ));
        }
    }
    Ok(())
}

#[test]
fn every_world_comes_out_as_it_says() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let entries = std::fs::read_dir(&directory).expect("the directory is readable");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    paths.sort();
    assert!(paths.len() >= 20, "the worlds are gone: {paths:?}");
    let wrong: Vec<String> = paths.iter().filter_map(|path| run(path).err()).collect();
    assert!(wrong.is_empty(), "{} of {} worlds:\n{}", wrong.len(), paths.len(), wrong.join("\n"));
}
