//! What can happen in a scenario.

use mirrorwatch::daemon::step::{EngineView, Event, Shift};
use mirrorwatch::mirror::Mirror;
use mirrorwatch::observation::{Failure, Stage};
use mirrorwatch::pull::{Seen, Sign};
use mirrorwatch::reason::ProblemKind;

use super::{Run, setting};
use crate::step::mood::{MB, Mood, kind, time};
use crate::step::world::{mirror, url};

impl Run {
    pub(super) fn happen(&mut self, event: &str) {
        let words: Vec<&str> = event.split_whitespace().collect();
        match words[..] {
            ["route"] => self.world.tell(Event::Shifted(Shift::Route)),
            ["manner"] => self.world.tell(Event::Shifted(Shift::Manner)),
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
                self.world.set(name, Mood::parse(&mood.join(" ")));
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
            ["disable", ref names @ ..] => {
                for name in names {
                    self.candidate(name).enabled = false;
                }
                self.configure();
            }
            ["enable", name] => {
                self.candidate(name).enabled = true;
                self.configure();
            }
            ["setting", key, value] => {
                let value = value.parse().map_or_else(|_| value.to_owned().into(), toml::Value::Integer);
                setting::change(&mut self.settings, key, &value);
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
            ["pull", name, "silent"] => {
                self.pull(Seen::Silent { url: url(name), quiet_ms: 10_000, may_rest: false })
            }
            ["pull", name, "rests"] => {
                self.pull(Seen::Silent { url: url(name), quiet_ms: 10_000, may_rest: true });
            }
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

    fn candidate(&mut self, name: &str) -> &mut Mirror {
        let found = self.candidates.iter_mut().find(|mirror| mirror.name == name);
        found.unwrap_or_else(|| panic!("no mirror is called {name}"))
    }

    fn pull(&mut self, seen: Seen) {
        let at = self.world.now;
        self.world.tell(Event::Heard(Sign { at, seen }));
    }
}
