//! Requests as a prober might make them that was taken over, and what must hold whatever it sends.

use std::cell::Cell;
use std::collections::{HashSet, VecDeque};
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use mirrorwatch::applier::{
    Candidate, Decision, FORMAT, Known, Memory, Named, RELOADS_PER_HOUR, Request, Rules, decide, turn,
};
use mirrorwatch::engine::docker::edit::{Document, KEY};
use mirrorwatch::engine::docker::{Reload, Settings};
use mirrorwatch::mirror::MirrorUrl;
use mirrorwatch::reason::ProblemKind;
use mirrorwatch::timestamp::Timestamp;

/// A daemon.json with what a prober would love to set.
const FILE: &str =
    "{\n \"hosts\": [\"fd://\"], \"registry-mirrors\": [],\n\t\"runtimes\": {\"a\": {\"path\": \"b\"}}\n}\n";

const HOUR: Duration = Duration::from_secs(3600);

/// Numbers that differ from seed to seed and nothing else.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap() % limit.max(1)
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// What may be asked for, and what may not.
const NAMES: [&str; 12] = [
    "DaoCloud",
    "own",
    "南京大学",
    "last",
    "adopted.example",
    "https://own",
    "off",
    "ghcr",
    "known.example",
    "https://evil.example",
    "",
    "DaoCloud\u{0}",
];

/// Pieces that are put into a request.
const PIECES: [&str; 18] = [
    "\"",
    "\\u0000",
    "\\",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "null",
    "-1",
    "1e999",
    "18446744073709551616",
    "\"list\":[\"own\"],",
    "\"registry-mirrors\":[\"https://evil.example\"],",
    "\"hosts\":[\"tcp://0.0.0.0\"],",
    "\"https://evil.example\"",
    "\u{feff}",
];

fn rules() -> Rules {
    let candidate = |name: &str, url: &str, takes_part| Candidate {
        name: name.to_owned(),
        url: url.parse().unwrap(),
        takes_part,
    };
    Rules {
        max: 3,
        mirrors: vec![
            candidate("DaoCloud", "https://docker.m.daocloud.io", true),
            // Of another registry behind the same address.
            candidate("own-quay", "https://mirror.example:8443", false),
            candidate("own", "https://mirror.example:8443", true),
            candidate("南京大学", "https://docker.nju.edu.cn", true),
            candidate("last", "http://10.0.0.7:5000", true),
            candidate("off", "https://off.example", false),
            candidate("ghcr", "https://ghcr.nju.edu.cn", false),
        ],
        enabled: Some(true),
        engine: Settings {
            config_file: "/etc/docker/daemon.json".into(),
            socket: "/var/run/docker.sock".into(),
            reload: Reload::Auto,
            unit: "docker.service".to_owned(),
            pid_file: "/var/run/docker.pid".into(),
            keep: Vec::new(),
            with_pending: false,
        },
    }
}

/// What stood in the engine's file. The host of the second is another's name; the last is switched off in mirrors.toml,
/// and that goes first.
fn adopted() -> Vec<MirrorUrl> {
    ["https://adopted.example", "https://own", "https://off.example"].map(|url| url.parse().unwrap()).into()
}

/// What the prober takes a name for.
fn url_of(name: &str) -> String {
    let (rules, adopted) = (rules(), adopted());
    let of_rules =
        rules.mirrors.iter().find(|mirror| mirror.name == name).map(|mirror| mirror.url.to_string());
    let of_adopted = || adopted.iter().map(MirrorUrl::to_string).find(|url| url.ends_with(name));
    of_rules.or_else(of_adopted).unwrap_or_else(|| name.to_owned())
}

/// These names as a request has them.
pub(crate) fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<Named> {
    names.into_iter().map(|name| Named { name: name.to_owned(), url: url_of(name) }).collect()
}

/// What one request comes to that is the first.
pub(crate) fn decided_bytes(bytes: &[u8]) -> Decision {
    let (rules, adopted) = (rules(), adopted());
    decide(bytes, &Known { rules: &rules, adopted: &adopted, answered: None, paused: false })
}

/// The same of a JSON value.
pub(crate) fn decided(request: &serde_json::Value) -> Decision {
    decided_bytes(request.to_string().as_bytes())
}

/// Counts of what came of the frames.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) frames: u64,
    pub(crate) refused: u64,
    pub(crate) looks: u64,
    pub(crate) applied: u64,
    pub(crate) reloads: u64,
    pub(crate) over_the_limit: u64,
}

/// An applier without a disk, before an engine that takes everything.
pub(crate) struct Boundary {
    dice: Dice,
    rules: Rules,
    adopted: Vec<MirrorUrl>,
    may_be_written: HashSet<MirrorUrl>,
    memory: Memory,
    engine: Vec<MirrorUrl>,
    now: Timestamp,
    reloads: VecDeque<Timestamp>,
    rendered: HashSet<Vec<MirrorUrl>>,
    pub(crate) tally: Tally,
}

impl Boundary {
    pub(crate) fn new(seed: u64) -> Self {
        let rules = rules();
        let adopted = adopted();
        let allowed =
            rules.mirrors.iter().filter(|mirror| mirror.takes_part).map(|mirror| mirror.url.clone());
        let may_be_written = allowed.chain(adopted[..2].iter().cloned()).collect();
        Self {
            dice: Dice::new(seed),
            rules,
            adopted,
            may_be_written,
            memory: Memory::default(),
            engine: Vec::new(),
            now: Timestamp::from_millis(1_700_000_000_000),
            reloads: VecDeque::new(),
            rendered: HashSet::new(),
            tally: Tally::default(),
        }
    }

    /// One frame that its own dice make.
    pub(crate) fn play(&mut self) {
        let frame = self.frame();
        self.take(&frame);
    }

    /// Takes one frame, and fails at the first thing that must not be.
    pub(crate) fn take(&mut self, frame: &[u8]) {
        self.now = self.now + Duration::from_millis(self.dice.next() % 40_000);
        self.tally.frames += 1;
        let paused = self.dice.below(50) == 0;
        let known =
            Known { rules: &self.rules, adopted: &self.adopted, answered: self.memory.answered, paused };
        match decide(frame, &known) {
            Decision::Look(number) => {
                self.tally.looks += 1;
                self.memory.answered = number.or(self.memory.answered);
            }
            Decision::Refuse(number, _) => {
                self.tally.refused += 1;
                self.memory.answered = number.or(self.memory.answered);
            }
            Decision::Apply(number, list) => {
                assert!(!paused, "written while paused");
                assert_ne!(self.memory.answered, Some(number), "done twice");
                self.check(&list, frame);
                self.tally.applied += 1;
                self.memory.answered = Some(number);
                self.apply(list);
            }
        }
    }

    fn check(&mut self, list: &[MirrorUrl], frame: &[u8]) {
        let shown = String::from_utf8_lossy(frame);
        assert!(list.len() <= self.rules.max, "{shown}");
        for (place, url) in list.iter().enumerate() {
            assert!(self.may_be_written.contains(url), "{url}: {shown}");
            assert!(!list[..place].contains(url), "{url} twice: {shown}");
        }
        if self.rendered.insert(list.to_vec()) {
            let list: Vec<String> = list.iter().map(ToString::to_string).collect();
            let document = Document::parse(Some(FILE.as_bytes())).unwrap();
            let after = document.with(&list);
            let mut after: serde_json::Value = serde_json::from_slice(&after).unwrap();
            let written = after.as_object_mut().unwrap().remove(KEY);
            let mut before: serde_json::Value = serde_json::from_str(FILE).unwrap();
            before.as_object_mut().unwrap().remove(KEY);
            assert_eq!(after, before, "another key: {shown}");
            assert_eq!(written, Some(list.into()), "{shown}");
        }
    }

    /// By the applier's own turns, on an engine that takes everything at once.
    fn apply(&mut self, list: Vec<MirrorUrl>) {
        let changes = (list != self.engine).then_some(Path::new("daemon.json"));
        let (kept, left) = (Cell::new(false), self.memory.reloads_left(self.now));
        let keep = |memory: &Memory| {
            assert_eq!(memory.reloads_left(self.now) + 1, left, "kept before it was taken");
            kept.set(true);
            Ok(())
        };
        let engine = &mut self.engine;
        let apply = async {
            assert_eq!(
                kept.get(),
                changes.is_some(),
                "a turn is kept before it is used, and nothing else is"
            );
            *engine = list;
            Ok(())
        };
        let done = ready(turn(&mut self.memory, self.now, changes, keep, apply));
        match done {
            Ok(()) if changes.is_none() => return,
            Ok(()) => {}
            Err(problem) => {
                assert_eq!((problem.kind, left), (ProblemKind::ReloadsSpent, 0), "{problem}");
                self.tally.over_the_limit += 1;
                return;
            }
        }
        self.tally.reloads += 1;
        self.reloads.push_back(self.now);
        while self.reloads.front().is_some_and(|at| self.now.since(*at) >= HOUR) {
            self.reloads.pop_front();
        }
        assert!(self.reloads.len() <= RELOADS_PER_HOUR, "more reloads than may be");
    }

    /// A valid request, and in most cases something done to it.
    fn frame(&mut self) -> Vec<u8> {
        let dice = &mut self.dice;
        let count = dice.below(5);
        let good = dice.below(3) == 0;
        let names = if good { &NAMES[..6] } else { &NAMES[..] };
        let request = Request {
            format: if dice.below(40) == 0 { 1 } else { FORMAT },
            number: dice.next() % 1_000_000,
            list: (dice.below(10) > 0).then(|| {
                let mut list: Vec<Named> = named((0..count).map(|_| dice.one_of(names)));
                if let (Some(first), 0) = (list.first_mut(), dice.below(20)) {
                    "https://evil.example".clone_into(&mut first.url);
                }
                list
            }),
        };
        let mut bytes = serde_json::to_vec(&request).unwrap();
        for _ in 0..if good { 0 } else { dice.below(4) } {
            mutate(&mut bytes, dice);
        }
        bytes
    }
}

/// What needs to wait for nobody.
fn ready<T>(work: impl Future<Output = T>) -> T {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => unreachable!("nobody is waited for"),
    }
}

fn mutate(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let at = dice.below(bytes.len() + 1);
    match dice.below(7) {
        0 => bytes.truncate(at),
        1 if at < bytes.len() => bytes[at] = u8::try_from(dice.below(256)).unwrap(),
        2 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
        3 => drop(bytes.splice(at..at, dice.one_of(&PIECES).bytes())),
        4 => {
            let end = at + dice.below(bytes.len() - at + 1);
            let again = bytes[at..end].to_vec();
            let to = dice.below(bytes.len() + 1);
            drop(bytes.splice(to..to, again));
        }
        5 => {
            let end = (at + dice.below(12)).min(bytes.len());
            drop(bytes.drain(at..end));
        }
        // Right behind the brace, where another key does most.
        _ if !bytes.is_empty() => drop(bytes.splice(1..1, dice.one_of(&PIECES).bytes())),
        _ => {}
    }
}
