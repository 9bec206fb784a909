//! What the daemon does next: `(State, Event, now) → actions`, with no clock, no randomness and no I/O.
//!
//! The loop in [`crate::daemon`] turns the world into [`Event`]s and performs the [`Action`]s; everything
//! that can be decided is decided here, so that "the leader died while the engine was away" is a few lines
//! of test and not a rig.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::image::Image;
use crate::mirror::{Mirror, MirrorUrl};
use crate::observation::{Depth, Observation};
use crate::ranking::Policy;
use crate::ranking::record::{Record, Standing};
use crate::ranking::select::{Candidate, Change, Current, Selection, Upstream, select};
use crate::reason::{ChangeKind, ProblemKind};
use crate::timestamp::Timestamp;

use super::network::Network;
use super::schedule::{self, Allowance, Pace};

/// What does not change between two edits of mirrors.toml.
#[derive(Clone, Debug)]
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

/// One mirror, or the upstream, in the daemon's eyes.
#[derive(Clone, Debug)]
pub struct Track {
    /// Who.
    pub mirror: Mirror,
    /// What is remembered.
    pub record: Record,
    /// The depth of the probe under way.
    pub in_flight: Option<Depth>,
    /// Counts probes: rotates layers and offsets.
    pub turn: u64,
    /// Counts rehearsals: rotates images, which the many connects between them must not skip.
    pub rehearsals: u64,
    /// When it last proved that packets travel.
    pub last_good: Option<Timestamp>,
    /// Asked to connect at once, to tell its failure from ours.
    pub control: bool,
    /// Worth a rehearsal soon: its next one may change the list.
    pub deciding: bool,
    /// The image by which it would be acquitted.
    pub ask_for: Option<Image>,
    /// Asked by an event to be looked at now.
    pub fresh: bool,
    /// When its last probe ended, recorded or not.
    pub last_asked: Option<Timestamp>,
}

impl Track {
    /// A mirror with what is remembered of it.
    pub fn new(mirror: Mirror, record: Record) -> Self {
        Self {
            mirror,
            record,
            in_flight: None,
            turn: 0,
            rehearsals: 0,
            last_good: None,
            control: false,
            deciding: false,
            ask_for: None,
            fresh: false,
            last_asked: None,
        }
    }
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
    /// The yardstick.
    pub upstream: Option<Track>,
    /// The list that the engine was last given, without `keep`.
    pub list: Vec<MirrorUrl>,
    /// What was decided last; what is printed.
    pub selection: Option<Selection>,
    /// When the list last changed only to be faster.
    pub last_faster: Option<Timestamp>,
    /// No record, and not every candidate was rehearsed yet.
    pub first_round: bool,
    /// The list is provisional: the decision that follows the first round revises it once.
    provisional: bool,
    /// Whether our own network works.
    pub network: Network,
    /// No write until then; `None` inside means until `resume`.
    pub paused: Option<Option<Timestamp>>,
    /// The engine as last seen.
    pub engine: EngineView,
    /// The list in the engine is ours: we applied one, in this run or an earlier one.
    pub owned: bool,
    /// An apply is under way.
    pub applying: Option<Change>,
    /// The next try after an apply failed, and how many failed in a row.
    retry: Option<(Timestamp, u32)>,
    /// When the engine's list was put right after somebody else had changed it.
    contests: Vec<Timestamp>,
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
    /// Somebody else, a round by hand, asked a mirror: it counts for the record and the budget.
    Overheard {
        /// Whom it asked.
        url: MirrorUrl,
        /// What it saw.
        observation: Box<Observation>,
    },
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
    /// `pause` or `resume`.
    Paused(Option<Option<Timestamp>>),
    /// Time went by.
    Tick,
}

/// How sure it is that the engine has a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Its own API lists it.
    Listed,
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
}

/// So often in [`CONTEST_MEMORY`] a list that somebody else changed is put right.
const CONTESTS: usize = 3;
const CONTEST_MEMORY: Duration = Duration::from_secs(3600);

/// A failed apply that wrote nothing is tried again after this; doubling up to [`RETRY_CAP`].
const RETRY: Duration = Duration::from_secs(30);
/// An engine that refuses its list for hours is asked once an hour.
const RETRY_CAP: Duration = Duration::from_secs(3600);

impl State {
    /// A daemon that knows nothing yet; `list` is what the last run had chosen, if there was one.
    pub fn new(settings: Settings, list: Option<Vec<MirrorUrl>>) -> Self {
        Self {
            settings,
            tracks: BTreeMap::new(),
            upstream: None,
            first_round: list.is_none(),
            provisional: list.is_none(),
            owned: list.is_some(),
            list: list.unwrap_or_default(),
            selection: None,
            last_faster: None,
            network: Network::default(),
            paused: None,
            engine: EngineView::Unknown,
            applying: None,
            retry: None,
            contests: Vec::new(),
            taken_at: Timestamp::default(),
        }
    }

    /// Takes one event and says what is to be done.
    pub fn step(&mut self, event: Event, now: Timestamp) -> Vec<Action> {
        let mut actions = Vec::new();
        self.taken_at = now;
        match event {
            Event::Configured { settings, candidates } => self.configure(*settings, candidates),
            Event::Observed { url, observation } => self.observed(&url, &observation, now, &mut actions),
            Event::Overheard { url, observation } => self.record(&url, &observation, &mut actions),
            Event::Engine(view) => self.engine_seen(view),
            Event::Applied { list, outcome } => self.applied(list, outcome, now),
            Event::Listed(list) => {
                // By hand always acts, and settles what was contested.
                self.contests.clear();
                self.engine = EngineView::Lists(self.wanted(&list));
                self.list = list;
                self.owned = true;
            }
            Event::Paused(paused) => self.paused = paused,
            Event::Tick => {}
        }
        if let Some(Some(until)) = self.paused
            && until <= now
        {
            self.paused = None;
        }
        self.decide(now, &mut actions);
        self.probe(now, &mut actions);
        actions
    }

    fn configure(&mut self, settings: Settings, candidates: Vec<(Mirror, Record)>) {
        let mut old = std::mem::take(&mut self.tracks);
        for (mirror, record) in candidates {
            let mut track = old.remove(&mirror.url).unwrap_or_else(|| Track::new(mirror.clone(), record));
            track.mirror = mirror;
            self.tracks.insert(track.mirror.url.clone(), track);
        }
        let upstream = self.upstream.take();
        self.upstream = settings.upstream.clone().map(|url| match upstream {
            Some(track) if track.mirror.url == url => track,
            Some(_) | None => Track::new(upstream_mirror(url), Record::default()),
        });
        self.settings = settings;
        self.retry = None;
        self.network.forget_suspects();
    }

    fn observed(
        &mut self,
        url: &MirrorUrl,
        observation: &Observation,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        // A mirror that was removed while it was asked.
        let Some(track) = self.track_mut(url) else { return };
        track.in_flight = None;
        track.control = false;
        track.fresh = false;
        track.last_asked = Some(now);
        if super::network::proves_network(observation) {
            track.last_good = Some(now);
            let was_down = self.network.is_down();
            for (suspect, observation) in self.network.cleared() {
                self.record(&suspect, &observation, actions);
            }
            if was_down {
                self.look_again();
            }
            self.record(url, observation, actions);
        } else if self.network.is_down() {
            // Nothing is recorded against anybody.
        } else if self.somebody_else_answers(url, observation.at) {
            self.record(url, observation, actions);
        } else {
            self.network.suspect(url.clone(), observation.clone());
            self.ask_others(url);
        }
        let waiting = self.all_tracks().any(|track| track.control);
        self.network.conclude(waiting, now);
    }

    fn record(&mut self, url: &MirrorUrl, observation: &Observation, actions: &mut Vec<Action>) {
        let policy = self.settings.policy.clone();
        if let Some(track) = self.track_mut(url) {
            track.record.observe(observation, &policy);
            actions.push(Action::Save(url.clone()));
        }
    }

    /// Whether another mirror proved, since shortly before `since`, that packets travel.
    fn somebody_else_answers(&self, url: &MirrorUrl, since: Timestamp) -> bool {
        let earliest = since - self.settings.pace.confirm;
        self.all_tracks()
            .any(|other| other.mirror.url != *url && other.last_good.is_some_and(|at| at >= earliest))
    }

    /// Lets a few others connect at once: the selected, the upstream, then the live, then anybody.
    fn ask_others(&mut self, suspect: &MirrorUrl) {
        /// So many that one is likely to answer, so few that nobody minds.
        const ENOUGH: usize = 8;
        let list = self.list.clone();
        let mut others: Vec<(u8, MirrorUrl)> = self
            .all_tracks()
            .filter(|track| track.mirror.takes_part() && track.mirror.url != *suspect)
            .map(|track| {
                let rank = if list.contains(&track.mirror.url) {
                    0
                } else if self.settings.upstream.as_ref() == Some(&track.mirror.url) {
                    1
                } else if track.record.standing() == Standing::Live {
                    2
                } else {
                    3
                };
                (rank, track.mirror.url.clone())
            })
            .collect();
        others.sort();
        for (_, url) in others.into_iter().take(ENOUGH) {
            let suspected = self.network.suspects(&url);
            if let Some(track) = self.track_mut(&url)
                && !suspected
            {
                track.control = true;
            }
        }
    }

    /// After an outage: what is selected is looked at afresh.
    fn look_again(&mut self) {
        for url in self.list.clone() {
            if let Some(track) = self.tracks.get_mut(&url) {
                track.fresh = true;
            }
        }
    }

    fn engine_seen(&mut self, view: EngineView) {
        let was_away =
            matches!(self.engine, EngineView::Problem(ProblemKind::NotRunning | ProblemKind::NoAnswer));
        if let EngineView::Lists(listed) = &view {
            if was_away {
                self.retry = None;
            }
            if !self.owned && self.list.is_empty() {
                // What stood there before us is the list to improve on, and to keep when nothing is better.
                self.list = listed.iter().filter_map(|entry| entry.parse().ok()).collect();
                self.list.retain(|url| !self.settings.keep.contains(url));
            }
        }
        // Between the write and the proof the engine's list is neither here nor there.
        if self.applying.is_none() {
            self.engine = view;
        }
    }

    fn applied(&mut self, list: Vec<MirrorUrl>, outcome: Result<Proof, ProblemKind>, now: Timestamp) {
        let change = self.applying.take();
        match outcome {
            Ok(proof) => {
                if change.is_some_and(|change| change.faster) {
                    self.last_faster = Some(now);
                }
                self.retry = match proof {
                    Proof::Listed => {
                        self.engine = EngineView::Lists(self.wanted(&list));
                        None
                    }
                    // The next look at the engine shows it; asking again before would only be noise.
                    Proof::Awaited => Some((now + RETRY_CAP, 0)),
                };
                self.list = list;
                self.owned = true;
            }
            Err(kind) => {
                let failed = self.retry.map_or(1, |(_, failed)| failed.saturating_add(1));
                let pause = RETRY.saturating_mul(1 << (failed - 1).min(10)).min(RETRY_CAP);
                // An engine that is away comes back with an event, and a race is over at once.
                let pause = match kind {
                    ProblemKind::Raced | ProblemKind::Locked => Duration::from_secs(1),
                    ProblemKind::NotRunning
                    | ProblemKind::NoAnswer
                    | ProblemKind::NotPermitted
                    | ProblemKind::BrokenFile
                    | ProblemKind::Unreadable
                    | ProblemKind::Unwritable
                    | ProblemKind::FlagConflict
                    | ProblemKind::AuthorizationPlugins
                    | ProblemKind::ReloadBug
                    | ProblemKind::FlagsReset
                    | ProblemKind::Overridden
                    | ProblemKind::ValidationFailed
                    | ProblemKind::ReloadFailed
                    | ProblemKind::NotTaken
                    | ProblemKind::RollbackFailed
                    | ProblemKind::Contested => pause,
                };
                self.retry = Some((now + pause, failed));
                self.engine = EngineView::Problem(kind);
            }
        }
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

    fn decide(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let selection = self.select(now);
        if self.first_round && !self.tracks.is_empty() && !self.network.is_down() && !self.round_is_open() {
            self.first_round = false;
        }
        self.act(selection, actions, now);
        self.mark_deciding();
    }

    fn select(&self, now: Timestamp) -> Selection {
        let candidates: Vec<Candidate<'_>> = self
            .tracks
            .values()
            .map(|track| Candidate { mirror: &track.mirror, record: &track.record })
            .collect();
        let upstream =
            self.upstream.as_ref().map_or(Upstream::NotCompared, |track| Upstream::Record(&track.record));
        let current =
            Current { list: &self.list, last_faster: self.last_faster, provisional: self.provisional };
        select(now, &self.settings.policy, &candidates, upstream, &current)
    }

    fn act(&mut self, selection: Selection, actions: &mut Vec<Action>, now: Timestamp) {
        let wanted = selection.list.clone();
        let change = selection.change.clone();
        let somebody_lives = selection.entries.iter().any(|entry| entry.selected.is_some());
        self.selection = Some(selection);
        if self.network.is_down() || self.paused.is_some() || self.applying.is_some() {
            return;
        }
        // A list that waits for somebody else's reload has not failed: another one may follow it at once.
        if self.retry.is_some_and(|(at, failed)| at > now && (failed > 0 || change.is_none())) {
            return;
        }
        // A member without a record, as after the database was lost, is rehearsed before it is judged.
        if self.list.iter().filter_map(|url| self.tracks.get(url)).any(is_unjudged) {
            return;
        }
        // While the first round is open a short list would be filled one by one: wait until it is full.
        if self.first_round && wanted.len() < self.settings.policy.max {
            return;
        }
        let differs = match &self.engine {
            EngineView::Unknown | EngineView::Problem(ProblemKind::NotRunning) => return,
            // What is not ours is left alone until there is something better.
            EngineView::Lists(listed) => self.owned && *listed != self.wanted(&wanted),
            // Some problems pass: a file is mended, a lock is released.
            EngineView::Problem(_) => self.retry.is_some(),
        };
        let first = !self.first_round && !self.owned && somebody_lives;
        // Whatever comes of it, this was the one decision that is free of `hold` and `rounds`.
        self.provisional = self.first_round;
        if !differs && change.is_none() && !first {
            return;
        }
        let kind = if self.owned { ChangeKind::EngineDiffered } else { ChangeKind::First };
        if change.is_none() && self.owned && matches!(self.engine, EngineView::Lists(_)) {
            if self.contested(now) {
                return;
            }
            self.contests.push(now);
        }
        let change = change.unwrap_or(Change {
            kind,
            subject: None,
            reason: None,
            detail: String::new(),
            faster: false,
        });
        self.applying = Some(change.clone());
        actions.push(Action::Apply { list: wanted, change });
    }

    /// Whether somebody who takes part has not been rehearsed yet.
    fn round_is_open(&self) -> bool {
        self.all_tracks().any(is_unjudged)
    }

    /// Marks the mirrors whose next rehearsals may change the list, and what they should be asked for.
    fn mark_deciding(&mut self) {
        let Some(selection) = &self.selection else { return };
        for entry in &selection.entries {
            if let Some(track) = self.tracks.get_mut(&entry.url) {
                let rises = track.record.standing() == Standing::Rejected && track.record.rising() > 0;
                track.deciding = entry.contends || rises;
                track.ask_for.clone_from(&entry.ask_for);
            }
        }
    }

    fn probe(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let urls: Vec<MirrorUrl> = self.all_tracks().map(|track| track.mirror.url.clone()).collect();
        for url in urls {
            let Some(task) = self.due(&url, now).filter(|due| due.at <= now) else { continue };
            let Some(track) = self.track_mut(&url) else { continue };
            track.in_flight = Some(task.depth);
            track.turn += 1;
            track.rehearsals += u64::from(task.depth == Depth::Rehearse);
            let turn = track.turn;
            actions.push(Action::Probe { url, depth: task.depth, image: task.image, turn });
        }
    }

    fn due(&self, url: &MirrorUrl, now: Timestamp) -> Option<schedule::Due> {
        if self.network.suspects(url) {
            // Its last failure awaits a verdict; asking again would change nothing.
            return None;
        }
        let is_upstream = self.settings.upstream.as_ref() == Some(url);
        let track = self.track(url)?;
        let selected = self.list.contains(url);
        schedule::due(&self.settings, track, selected, is_upstream, self.network.is_down(), now)
    }

    /// Whether another program keeps rewriting the list: then we stop doing the same.
    pub fn contested(&self, now: Timestamp) -> bool {
        let lately = self.contests.iter().filter(|at| now.since(**at) < CONTEST_MEMORY);
        lately.count() >= CONTESTS
    }

    /// When the next probe, retry or end of a pause is due: in the past when it fell due since the last event.
    pub fn next_wake(&self) -> Option<Timestamp> {
        let now = self.taken_at;
        let probes = self.all_tracks().filter_map(|track| self.due(&track.mirror.url, now)).map(|due| due.at);
        let retry = self.retry.map(|(at, _)| at).filter(|_| self.applying.is_none());
        let resume = self.paused.flatten();
        probes.chain(retry).chain(resume).filter(|at| *at > now).min()
    }

    /// When this mirror is asked next; `None` while it is being asked or never.
    pub fn next_probe(&self, url: &MirrorUrl, now: Timestamp) -> Option<Timestamp> {
        self.due(url, now).map(|due| due.at)
    }

    fn all_tracks(&self) -> impl Iterator<Item = &Track> {
        self.tracks.values().chain(&self.upstream)
    }

    /// A mirror or the upstream by its URL.
    pub fn track(&self, url: &MirrorUrl) -> Option<&Track> {
        self.tracks.get(url).or_else(|| self.upstream.as_ref().filter(|track| track.mirror.url == *url))
    }

    fn track_mut(&mut self, url: &MirrorUrl) -> Option<&mut Track> {
        match self.tracks.get_mut(url) {
            Some(track) => Some(track),
            None => self.upstream.as_mut().filter(|track| track.mirror.url == *url),
        }
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
    Mirror {
        name: url.host().to_owned(),
        url,
        upstream: crate::mirror::DOCKER_HUB.to_owned(),
        group: None,
        enabled: true,
        note: None,
    }
}
