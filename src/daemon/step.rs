//! What the daemon does next: `(State, Event, now) → actions`, with no clock, no randomness and no I/O.
//!
//! The loop in [`crate::daemon`] turns the world into [`Event`]s and performs the [`Action`]s; everything
//! that can be decided is decided here, so that "the leader died while the engine was away" is a few lines
//! of test and not a rig. `evidence` takes in what was seen, [`super::schedule`] says who is asked next, and `list`
//! what the engine is given.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::image::Image;
use crate::mirror::{Mirror, MirrorUrl};
use crate::observation::{Depth, Observation};
use crate::pull::Sign;
use crate::ranking::Policy;
use crate::ranking::record::{Record, Standing};
use crate::ranking::select::{Change, Selection};
use crate::reason::ProblemKind;
use crate::timestamp::Timestamp;

use super::network::{Network, Proved};
use super::schedule::{self, Allowance, Circumstances, Due, Pace, Together};

mod configured;
mod evidence;
mod list;
mod track;

pub use track::Track;

/// What does not change between two edits of mirrors.toml.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How mirrors are judged and chosen.
    pub policy: Policy,
    /// How often they are asked.
    pub pace: Pace,
    /// How much they may be asked.
    pub allowance: Allowance,
    /// Entries that stand first in the engine's list whatever we select.
    pub keep: Vec<MirrorUrl>,
    /// The upstream's own URL, where it is compared.
    pub upstream: Option<MirrorUrl>,
    /// Differs from host to host, so that a fleet does not ask at the same moment.
    pub seed: u64,
}

/// What is remembered of earlier runs beside the records of the candidates.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// The list that was chosen last, if there was one.
    pub list: Option<Vec<MirrorUrl>>,
    /// The upstream and its record.
    pub upstream: Option<(MirrorUrl, Record)>,
    /// What is known of anybody else, candidates or not.
    pub others: BTreeMap<MirrorUrl, Record>,
    /// How the engine was treated.
    pub treatment: Treatment,
}

impl From<Option<Vec<MirrorUrl>>> for Past {
    fn from(list: Option<Vec<MirrorUrl>>) -> Self {
        Self { list, ..Self::default() }
    }
}

/// How the engine was treated lately: what its budget, `hold` and giving way go by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Treatment {
    /// When it was reloaded in the last 24 hours.
    pub reloads: Vec<Timestamp>,
    /// When the list last changed only to be faster.
    pub last_faster: Option<Timestamp>,
    /// When its list was put right in the last hour, after somebody else had changed it.
    pub contests: Vec<Timestamp>,
}

/// What the engine was last seen to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineView {
    /// Not asked yet.
    Unknown,
    /// It runs with this list.
    Lists(Vec<String>),
    /// It cannot be given a list, and why.
    Problem(ProblemKind),
}

/// Everything the daemon knows.
#[derive(Clone, Debug)]
pub struct State {
    /// From mirrors.toml.
    pub settings: Settings,
    /// The candidates by URL.
    pub tracks: BTreeMap<MirrorUrl, Track>,
    /// The upstream, unless it is a candidate too and asked as such.
    pub upstream: Option<Track>,
    /// The list that the engine was last given, without `keep`.
    pub list: Vec<MirrorUrl>,
    /// What was decided last; what is printed.
    pub selection: Option<Selection>,
    /// How the engine was treated; kept over restarts.
    pub treatment: Treatment,
    /// No record, and not every candidate was rehearsed yet.
    pub first_round: bool,
    /// The list is provisional: the decision that follows the first round revises it once.
    provisional: bool,
    /// Whether our own network works.
    pub network: Network,
    /// No write until then; `None` inside means until `resume`. It is kept when it is over: the clock that says so may be
    /// set back.
    paused: Option<Option<Timestamp>>,
    /// The engine as last seen.
    pub engine: EngineView,
    /// The list in the engine is ours: we applied one, in this run or an earlier one.
    pub owned: bool,
    /// What the engine was given in this run, `keep` of then included.
    given: Option<Vec<String>>,
    /// A list that differs is a person's doing, until it was seen to be ours, or is put right.
    by_hand: bool,
    /// An apply is under way.
    pub applying: Option<Change>,
    /// The next try after an apply failed, and how many failed in a row.
    retry: Option<(Timestamp, u32)>,
    /// The last look at the engine showed why it would take no list.
    refused: bool,
    /// Those that were candidates not long ago: what they have cost is a part of the day's total.
    gone: BTreeMap<MirrorUrl, Record>,
    /// What is remembered of an upstream that is not asked now.
    upstream_before: Option<(MirrorUrl, Record)>,
    /// When this run began, if it went on with the list of the last one.
    resumed: Option<Timestamp>,
    /// When everybody was last looked at because the ground had shifted.
    shifted: Option<Timestamp>,
    /// When that is made up for, because it had shifted shortly before.
    settles: Option<Timestamp>,
    /// When an outage of our own network last ended.
    outage_ended: Option<Timestamp>,
    /// When a pull last failed at a mirror that was not named, and the list was looked at for it.
    doubted: Option<Timestamp>,
    /// What all mirrors have cost, as of the last event.
    together: Together,
    /// When the next probe is due, as of the last event.
    next_due: Option<Timestamp>,
    /// When the last event was taken.
    taken_at: Timestamp,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// mirrors.toml was read: at the start and after every valid edit.
    Configured {
        /// The new settings.
        settings: Box<Settings>,
        /// All candidates, adopted ones included, with what is remembered of those that are new.
        candidates: Vec<(Mirror, Record)>,
    },
    /// A probe ended.
    Observed {
        /// Whom it asked; the upstream's URL for the upstream.
        url: MirrorUrl,
        /// What it saw.
        observation: Box<Observation>,
    },
    /// Somebody else, rounds by hand, asked a mirror: it counts for the record and the budget.
    Overheard {
        /// Whom they asked.
        url: MirrorUrl,
        /// What they saw, perhaps minutes ago, in its order.
        observations: Vec<Observation>,
    },
    /// A real pull showed something.
    Heard(Sign),
    /// The ground shifted: what is under way may fail for it, and what was measured may not hold.
    Shifted(Shift),
    /// The engine was looked at.
    Engine(EngineView),
    /// An apply ended: the list is in place, or why not.
    Applied {
        /// The list that was to be applied.
        list: Vec<MirrorUrl>,
        /// How well it went, or the problem.
        outcome: Result<Proof, ProblemKind>,
    },
    /// Somebody applied this list by hand.
    Listed(Vec<MirrorUrl>),
    /// Somebody gave the engine a list, or its old one back, by hand; which one, the next look shows.
    SwitchedByHand,
    /// `pause` or `resume`.
    Paused(Option<Option<Timestamp>>),
    /// Time went by.
    Tick,
}

/// What shifts the ground under all probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shift {
    /// This host's address or its route to the world is another.
    Route,
    /// This host slept.
    Woke,
    /// Everybody is asked through another proxy from now on, or other authorities are trusted.
    Manner,
}

/// How sure it is that the engine has a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Its own API lists it.
    Listed,
    /// Its own API listed it before anything was done, and so nothing was.
    Already,
    /// It is written, and somebody else will see to the reload.
    Awaited,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Ask one mirror.
    Probe {
        /// Whom.
        url: MirrorUrl,
        /// How far.
        depth: Depth,
        /// What for; `None` at depth connect.
        image: Option<Image>,
        /// Rotates layers and offsets.
        turn: u64,
    },
    /// Bring the engine's list to this.
    Apply {
        /// The ordered list, without `keep`.
        list: Vec<MirrorUrl>,
        /// Why.
        change: Change,
    },
    /// This mirror's record changed.
    Save(MirrorUrl),
    /// What this mirror's probe saw that began then is not held against it.
    Forgive(MirrorUrl, Timestamp),
}

impl Action {
    /// Whether it follows from nothing but the time.
    pub fn is_routine(&self) -> bool {
        matches!(self, Self::Save(_) | Self::Forgive(..) | Self::Probe { .. })
    }

    /// Whether it is a part of somebody's budget.
    pub fn costs_requests(&self) -> bool {
        matches!(self, Self::Probe { depth: Depth::Sample | Depth::Rehearse, .. })
    }
}

/// A clock that is corrected by less needs no attention: every pause is longer.
const SET_BACK: Duration = Duration::from_secs(60);

impl State {
    /// A daemon that has seen nothing yet.
    pub fn new(settings: Settings, past: impl Into<Past>) -> Self {
        let Past { list, upstream, others, treatment } = past.into();
        Self {
            settings,
            tracks: BTreeMap::new(),
            upstream: None,
            first_round: list.is_none(),
            provisional: list.is_none(),
            owned: list.is_some(),
            given: None,
            list: list.unwrap_or_default(),
            selection: None,
            treatment,
            network: Network::default(),
            paused: None,
            engine: EngineView::Unknown,
            by_hand: false,
            applying: None,
            retry: None,
            refused: false,
            gone: others,
            upstream_before: upstream,
            resumed: None,
            shifted: None,
            settles: None,
            outage_ended: None,
            doubted: None,
            together: Together::default(),
            next_due: None,
            taken_at: Timestamp::default(),
        }
    }

    /// Takes one event and says what is to be done.
    pub fn step(&mut self, event: Event, now: Timestamp) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.taken_at == Timestamp::default() && self.owned {
            self.resumed = Some(now);
        }
        if self.taken_at.since(now) > SET_BACK {
            self.clock_was_set_back();
        }
        // One more connect that was served changes no decision, unless another's failure waits for such a witness or
        // the time has come for one.
        let has_come = |at: Timestamp| self.taken_at < at && at <= now;
        let times = self.retry.map(|(at, _)| at).into_iter().chain(self.paused.flatten()).chain(self.settles);
        let awaited = self.network.suspicions().next().is_some() || times.into_iter().any(has_come);
        self.taken_at = now;
        let connected = matches!(event, Event::Observed { .. }) && self.is_routine(&event) && !awaited;
        match event {
            Event::Configured { settings, candidates } => {
                self.configure(*settings, candidates);
                // The last witness may be gone.
                self.conclude(now, &mut actions);
            }
            Event::Observed { url, observation } => self.observed(&url, &observation, now, &mut actions),
            Event::Overheard { url, observations } => self.overheard(&url, &observations, now, &mut actions),
            Event::Heard(sign) => self.heard(&sign, &mut actions),
            Event::Shifted(shift) => self.ground_shifted(shift, now, &mut actions),
            Event::Engine(view) => self.engine_seen(view),
            Event::Applied { list, outcome } => self.applied(list, outcome, now, &mut actions),
            Event::Listed(list) => {
                self.settle();
                self.engine = EngineView::Lists(self.wanted(&list));
                self.engine_took(list, now, &mut actions);
            }
            Event::SwitchedByHand => self.settle(),
            Event::Paused(paused) => {
                // Whoever resumes wants the service back at work, whatever became of the list meanwhile.
                if self.paused.is_some() && paused.is_none() {
                    self.settle();
                }
                self.paused = paused;
            }
            Event::Tick => {}
        }
        self.settle_ground(now);
        if connected && self.is_connecting() {
            // What is due next is told by the last of those that are made together.
            return actions;
        }
        self.dismiss_late_controls(now, &mut actions);
        if !connected {
            self.decide(now, &mut actions);
        }
        self.together = self.count_together(now);
        self.probe(now, &mut actions);
        actions
    }

    /// A person has had a hand in it: what was contested is settled, and what differs now is no other program's doing.
    fn settle(&mut self) {
        self.treatment.contests.clear();
        self.by_hand = true;
    }

    /// What lies ahead of the clock would not come to pass for as long as the clock was set back.
    fn clock_was_set_back(&mut self) {
        (self.retry, self.resumed, self.outage_ended) = (None, None, None);
        (self.shifted, self.settles) = (None, None);
        self.treatment.contests.clear();
        for track in self.tracks.values_mut().chain(&mut self.upstream) {
            (track.last_asked, track.proved) = (None, Proved::default());
        }
    }

    /// Whether nothing is to be written, as of the last event.
    pub fn is_paused(&self) -> bool {
        self.paused.is_some_and(|until| until.is_none_or(|until| self.taken_at < until))
    }

    /// What the engine should list: `keep`, then the selection, each once.
    pub fn wanted(&self, list: &[MirrorUrl]) -> Vec<String> {
        let mut wanted: Vec<String> = Vec::new();
        for url in self.settings.keep.iter().chain(list) {
            if !wanted.iter().any(|entry| entry == url.as_str()) {
                wanted.push(url.as_str().to_owned());
            }
        }
        wanted
    }

    /// Whether the engine has what was last decided.
    pub fn in_place(&self) -> bool {
        let decided = self.selection.as_ref().map_or(&self.list, |selection| &selection.list);
        matches!(&self.engine, EngineView::Lists(listed) if *listed == self.wanted(decided))
    }

    fn probe(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let next = |track: &Track| Some((track.mirror.url.clone(), self.due(&track.mirror.url, now, None)?));
        let mut next: Vec<(MirrorUrl, Due)> = self.all_tracks().filter_map(next).collect();
        self.next_due = next.iter().map(|(_, due)| due.at).min();
        if self.next_due.is_none_or(|at| at > now) {
            return;
        }
        let soon = now + self.settings.pace.connect;
        let later = next.extract_if(.., |(_, due)| due.at > soon).map(|(_, due)| due.at);
        self.next_due = later.min();
        // Two rehearsals at a time would share the line on which they are measured.
        let rehearses = |track: &Track| track.in_flight == Some(Depth::Rehearse);
        let mut rehearsed = self.all_tracks().any(rehearses)
            || next.iter().any(|(_, due)| due.at <= now && due.depth == Depth::Rehearse);
        for (url, due) in next {
            let most = if rehearsed { Depth::Sample } else { Depth::Rehearse };
            let company = self.is_asked_as_usual(&url).then_some(most);
            // What might come early may have to wait for its budget, and must not keep back what is due.
            let mut tasks = [company, None].into_iter().filter_map(|company| self.due(&url, now, company));
            let Some(task) = tasks.find(|due| due.at <= now) else {
                self.next_due = self.next_due.into_iter().chain([due.at]).min();
                continue;
            };
            rehearsed |= task.depth == Depth::Rehearse;
            let images = task.image.as_ref().map_or_else(Vec::new, |_| self.settings.policy.images.clone());
            let Some(track) = self.track_mut(&url) else { continue };
            if let Some(image) = &task.image {
                track.record.ask_for(image, now, &images);
            }
            let most = schedule::most(task.depth);
            if let Some(most) = most {
                track.record.begin(now, most);
                actions.push(Action::Save(url.clone()));
            }
            track.in_flight = Some(task.depth);
            track.turn += 1;
            track.samples += u64::from(task.depth >= Depth::Sample);
            track.rehearsals += u64::from(task.meant == Depth::Rehearse);
            let turn = track.turn;
            // Those that start together must fit into the total together.
            let bytes = most.map_or(0, |most| most.bytes);
            self.together.bytes = self.together.bytes.saturating_add(bytes);
            actions.push(Action::Probe { url, depth: task.depth, image: task.image, turn });
        }
    }

    /// No re-check, nor a knock at everybody's door.
    fn is_asked_as_usual(&self, url: &MirrorUrl) -> bool {
        let is_well = self.track(url).is_some_and(|track| track.record.failing().is_none());
        is_well && !self.network.suspects(url) && !self.network.is_down()
    }

    /// Whether what happens, unless it has consequences, changes nothing but when a mirror was last connected to.
    pub fn is_routine(&self, event: &Event) -> bool {
        let Event::Observed { url, observation } = event else { return matches!(event, Event::Tick) };
        let served = observation.depth == Depth::Connect && observation.failure().is_none();
        let known = self.track(url).is_some_and(|track| {
            track.in_flight != Some(Depth::Sample) && track.leads_to(&observation.addresses)
        });
        served && known && self.is_asked_as_usual(url)
    }

    /// Whether somebody is being connected to, and nobody asked farther.
    fn is_connecting(&self) -> bool {
        let mut asked = self.all_tracks().filter_map(|track| track.in_flight).peekable();
        asked.peek().is_some() && asked.all(|depth| depth == Depth::Connect)
    }

    /// Whether somebody is being asked.
    pub fn is_asking(&self) -> bool {
        self.all_tracks().any(|track| track.in_flight.is_some())
    }

    fn due(&self, url: &MirrorUrl, now: Timestamp, company: Option<Depth>) -> Option<Due> {
        if self.network.suspects(url) {
            // Its last failure awaits a verdict; asking again would change nothing.
            return None;
        }
        schedule::due(self.track(url)?, &Circumstances { company, ..self.around(url, now) })
    }

    /// Whether a list that is only faster could be given to the engine, as far as is known.
    fn may_write(&self, now: Timestamp) -> bool {
        !self.is_paused()
            && !matches!(self.engine, EngineView::Problem(_))
            && !self.contested(now)
            && !self.spares_reloads(now)
    }

    fn around(&self, url: &MirrorUrl, now: Timestamp) -> Circumstances<'_> {
        let upstream = self.upstream.as_ref().filter(|track| track.mirror.url == *url);
        let is_upstream = upstream.is_some();
        // Where no mirror stands in the list, the upstream is what every pull goes to, as long as it answers.
        let answers = upstream.is_some_and(|track| track.record.standing() == Standing::Live);
        Circumstances {
            settings: &self.settings,
            selected: self.list.contains(url) || answers && self.list.is_empty(),
            is_upstream,
            outage: self.network.outage(),
            may_write: self.may_write(now),
            resumed: self.resumed,
            together: self.together,
            company: None,
            now,
        }
    }

    fn count_together(&self, now: Timestamp) -> Together {
        let counted = |url: &MirrorUrl| schedule::counted(&self.settings, url, now);
        let spent = self.all_tracks().map(|track| {
            let under_way = track.in_flight.and_then(schedule::most);
            let spent = track.record.spent(counted(&track.mirror.url)).bytes_today;
            spent.saturating_add(under_way.map_or(0, |most| most.bytes))
        });
        let before = self.gone.iter().chain(self.upstream_before.as_ref().map(|(url, record)| (url, record)));
        let spent = spent.chain(before.map(|(url, record)| record.spent(counted(url)).bytes_today));
        let live = |track: &&Track| track.record.standing() == Standing::Live && track.mirror.takes_part();
        Together { bytes: spent.fold(0, u64::saturating_add), whole: self.all_tracks().filter(live).count() }
    }

    /// When the next probe, retry or end of a pause is due: in the past when it fell due since the last event.
    pub fn next_wake(&self) -> Option<Timestamp> {
        let now = self.taken_at;
        let retry = self.retry.map(|(at, _)| at).filter(|_| self.applying.is_none());
        let resume = self.paused.flatten();
        self.next_due.into_iter().chain(retry).chain(resume).chain(self.settles).filter(|at| *at > now).min()
    }

    /// Whether the probes of this mirror are stretched, because its budget has no room for them.
    pub fn is_over_budget(&self, url: &MirrorUrl, now: Timestamp) -> bool {
        self.track(url).is_some_and(|track| schedule::is_over_budget(track, &self.around(url, now)))
    }

    /// When this mirror is asked next; `None` while it is being asked or never.
    pub fn next_probe(&self, url: &MirrorUrl, now: Timestamp) -> Option<Timestamp> {
        self.due(url, now, None).map(|due| due.at)
    }

    fn all_tracks(&self) -> impl Iterator<Item = &Track> {
        self.tracks.values().chain(&self.upstream)
    }

    /// A mirror or the upstream by its URL.
    pub fn track(&self, url: &MirrorUrl) -> Option<&Track> {
        // A candidate of the same URL takes no part.
        let upstream = self.upstream.as_ref().filter(|track| track.mirror.url == *url);
        upstream.or_else(|| self.tracks.get(url))
    }

    fn track_mut(&mut self, url: &MirrorUrl) -> Option<&mut Track> {
        match &mut self.upstream {
            Some(track) if track.mirror.url == *url => Some(track),
            Some(_) | None => self.tracks.get_mut(url),
        }
    }

    /// What the others are measured by, if anything.
    pub fn yardstick(&self) -> Option<&Track> {
        self.track(self.settings.upstream.as_ref()?)
    }
}

/// Whether this one takes part and has not been rehearsed yet.
fn is_unjudged(track: &Track) -> bool {
    track.mirror.takes_part()
        && track.record.standing() == Standing::Unprobed
        && track.record.last(Depth::Rehearse).is_none()
}

/// The upstream as a candidate that is measured and never chosen.
pub fn upstream_mirror(url: MirrorUrl) -> Mirror {
    Mirror::of_docker_hub(url.host().to_owned(), url)
}
