//! What a scenario can expect.

use mirrorwatch::mirror::MirrorUrl;
use mirrorwatch::observation::Depth;
use mirrorwatch::ranking::record::Standing;
use mirrorwatch::ranking::select::Entry;
use mirrorwatch::ranking::verdict::Verdict;

use super::Run;
use crate::step::budget::{self, Worst};
use crate::step::world::Apply;

impl Run {
    /// What is so instead, where this line is not.
    pub(super) fn check(&self, line: &str) -> Result<(), String> {
        let (what, wanted) =
            line.split_once(':').unwrap_or_else(|| panic!("no expectation is called {line}"));
        let wanted = wanted.trim_start();
        let listed = || self.list().iter().any(|name| name == wanted);
        match what.split_whitespace().collect::<Vec<_>>()[..] {
            ["list"] => holds(self.list().join(" ") == wanted, || self.list().join(" ")),
            ["listed"] => holds(listed(), || self.list().join(" ")),
            ["unlisted"] => holds(!listed(), || self.list().join(" ")),
            ["applies"] => {
                let applies = &self.world.applies[self.applied_before..];
                holds(is_in(applies.len(), wanted), || format!("{applies:?}"))
            }
            ["why"] => {
                let why = self.world.applies[self.applied_before..].last().map(why);
                let kind = why.as_ref().and_then(|why| why.split(' ').next());
                let same = why.as_deref() == Some(wanted) || kind == Some(wanted);
                holds(same, || why.unwrap_or_else(|| "nothing".to_owned()))
            }
            ["contends"] => {
                let contends = self.entries().filter(|entry| entry.contends).map(|entry| &*entry.name);
                let names = contends.collect::<Vec<_>>().join(" ");
                holds(names == wanted, || names)
            }
            ["network"] => {
                let outage = self.world.state.network.outage();
                let said =
                    outage.map_or_else(|| "up".to_owned(), |outage| format!("down, {}", outage.reason()));
                holds(said.contains(wanted), || said)
            }
            ["asked", name] => {
                let (depth, count) = wanted.split_once(' ').expect("a depth and a count");
                let asked = self.asked(name, depth);
                holds(is_in(asked, count), || asked.to_string())
            }
            ["worst", name] => {
                let (key, count) = wanted.split_once(' ').expect("a key of the budget and a count");
                let worst = self.worst(name, key);
                holds(is_in(worst, count), || worst.to_string())
            }
            [name] => {
                let facts = self.facts(name);
                holds(facts.iter().any(|fact| fact == wanted), || format!("{facts:?}"))
            }
            _ => panic!("no expectation is called {line}"),
        }
    }

    /// By the names of the file, as far as they stand in it.
    fn list(&self) -> Vec<String> {
        let name = |url: &MirrorUrl| {
            let named = self.candidates.iter().find(|mirror| mirror.url == *url);
            named.map_or_else(|| url.to_string(), |mirror| mirror.name.clone())
        };
        self.world.state.list.iter().map(name).collect()
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.world.state.selection.iter().flat_map(|selection| &selection.entries)
    }

    fn asked(&self, name: &str, depth: &str) -> usize {
        let one = (name != "everybody").then(|| self.url(name));
        let probes = self.world.probes.iter().filter(|(url, _)| one.as_ref().is_none_or(|one| one == *url));
        let asked = probes.flat_map(|(_, probes)| probes).filter(|(_, asked)| match depth {
            "connect" => *asked == Depth::Connect,
            "sample" => *asked == Depth::Sample,
            "rehearse" => *asked == Depth::Rehearse,
            "layers" => *asked >= Depth::Sample,
            "anything" => true,
            _ => panic!("no depth is called {depth}"),
        });
        asked.count()
    }

    /// The most that any minute, day or two days since the world began had of what this key of the budget limits.
    fn worst(&self, name: &str, key: &str) -> usize {
        let asked = match name {
            "everybody" => budget::all(&self.world),
            name => self.world.asked.get(&self.url(name)).cloned().unwrap_or_default(),
        };
        let Worst { minute, day, two_days } = Worst::of(&asked, &self.settings.allowance);
        let count = match key {
            "requests_per_minute" => u64::from(minute.requests),
            "requests_per_day" => u64::from(day.requests),
            "refusals_per_2_days" => u64::from(two_days.refusals),
            "mebibytes_per_day" => day.bytes >> 20,
            _ => panic!("no budget is called {key}"),
        };
        usize::try_from(count).unwrap()
    }

    /// All that is known of one mirror: its standing, its verdict with its place or its reasons, and what they say.
    fn facts(&self, name: &str) -> Vec<String> {
        let standing = self.world.state.track(&self.url(name)).map(|track| match track.record.standing() {
            Standing::Unprobed => "unprobed".to_owned(),
            Standing::Live => "live".to_owned(),
            Standing::Rejected => "rejected".to_owned(),
        });
        let entry = self.entries().find(|entry| entry.name == name);
        standing.into_iter().chain(entry.into_iter().flat_map(told)).collect()
    }
}

/// What is printed of a mirror.
fn told(entry: &Entry) -> Vec<String> {
    let reasons: Vec<&str> = entry.reasons.iter().map(|reason| reason.kind.as_str()).collect();
    let mut told = vec![match (entry.verdict, entry.selected) {
        (Verdict::Live, Some(place)) => format!("live {place}"),
        (Verdict::Live, None) => format!("live ({})", reasons.join(", ")),
        (Verdict::Rejected, None) => format!("rejected ({})", reasons.join(", ")),
        (Verdict::Rejected, Some(place)) => format!("rejected and yet selected {place}"),
    }];
    told.extend(entry.predicted_seconds.map(|seconds| format!("predicted {seconds:.2} s")));
    told.extend(entry.coverage.map(|coverage| format!("serves {} of {}", coverage.served, coverage.of)));
    let detailed = entry.reasons.iter().filter(|reason| !reason.detail.is_empty());
    told.extend(detailed.map(|reason| format!("{}: {}", reason.kind, reason.detail)));
    told.extend(entry.ask_for.as_ref().map(|image| format!("ask for {image}")));
    told
}

fn why(apply: &Apply) -> String {
    let subject = apply.change.subject.as_deref().map(|subject| format!(" {subject}"));
    format!("{}{}", apply.change.kind, subject.unwrap_or_default())
}

fn holds(so: bool, instead: impl FnOnce() -> String) -> Result<(), String> {
    if so { Ok(()) } else { Err(format!("it is {}", instead())) }
}

/// `3`, `3..5` (both included) or `3..`.
fn is_in(got: usize, wanted: &str) -> bool {
    let number = |text: &str| text.parse::<usize>().unwrap_or_else(|_| panic!("{wanted} is no count"));
    match wanted.split_once("..") {
        None => got == number(wanted),
        Some((least, "")) => got >= number(least),
        Some((least, most)) => (number(least)..=number(most)).contains(&got),
    }
}
