//! The engine in the daemon's loop: looking at it, adopting what it lists, giving it a list.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, info, warn};

use super::edited::Edited;
use super::hand::{Hand, Wanted};
use super::step::{EngineView, Event, Proof};
use super::tell::News;
use super::{Daemon, Done, view};
use crate::assembly::{self, ADOPTED_FACT, DOCKER, ENGINE_FACT, SELECTION_FACT, TREATMENT_FACT};
use crate::engine::{Applied, Facts, Problem};
use crate::mirror::MirrorUrl;
use crate::ranking::select::Change;
use crate::reason::{ProblemKind, WarningKind};
use crate::store::Switch;
use crate::timestamp::Timestamp;

/// How often an engine that is well is asked what it lists. An edit of its file is seen at once; this is for what shows
/// nowhere else, as somebody else's reload. `status` says nothing older than that, for some 300 looks a day.
const LOOK_WELL: Duration = Duration::from_secs(300);
/// After so long it is asked by whoever is awake anyway: to wake up costs more than to look. The minute between the two is
/// the default `connect`, so that somebody is.
pub(super) const LOOK_EARLY: Duration = Duration::from_secs(240);
/// How often one that refuses its list is looked at again: as often as a selected mirror is asked by default, for what is
/// in the way is mostly mended by a person, who waits.
const LOOK_REFUSING: Duration = Duration::from_secs(60);
/// How often one whose file has somebody's edits, which its administrator may activate any moment: only the engine's own
/// answer shows that, and whoever has just done it looks whether the list is in place now.
const LOOK_WAITING: Duration = Duration::from_secs(10);
/// How often one that is away is looked for at first: a restart of dockerd takes some seconds.
const LOOK_AWAY: Duration = Duration::from_secs(2);
/// And how often one that has been away for five minutes and more, in between a tenth of the time that it has been: each
/// look wakes us, reads the names of all processes, and is written into the status.
const LOOK_GONE: Duration = Duration::from_secs(30);

/// When to look again at one that answered: why it is to have no list, and whether its file has edits that it does not
/// know yet.
pub(super) fn pause_there(refusal: Option<ProblemKind>, edited: bool) -> Duration {
    match refusal {
        Some(ProblemKind::PendingEdits) => LOOK_WAITING,
        Some(_) => LOOK_REFUSING,
        None if edited => LOOK_REFUSING,
        None => LOOK_WELL,
    }
}

/// When to look again for one that has been away for so long.
pub(super) fn pause_away(gone: Duration) -> Duration {
    (gone / 10).clamp(LOOK_AWAY, LOOK_GONE)
}

impl Daemon {
    pub(super) fn apply(&mut self, list: Vec<MirrorUrl>, change: Change) {
        let Some(hand) = self.docker.clone() else {
            // mirrors.toml leaves it out by now: nobody is to wait for the end of it.
            return self.step(Event::Applied { list, outcome: Err(ProblemKind::NotRunning) });
        };
        let name = |url: &MirrorUrl| match self.state.track(url) {
            Some(track) => track.mirror.name.clone(),
            None => url.to_string(),
        };
        // Whatever comes of it, the file is another one then.
        self.edited = Edited::default();
        self.applies += 1;
        let wanted = Wanted { names: list.iter().map(name).collect(), list: list.clone() };
        self.tasks.spawn_local(async move {
            let outcome = hand.apply(wanted).await;
            Done::Applied(list, change, outcome)
        });
    }

    pub(super) fn look(&mut self) {
        self.overhear();
        let now = Instant::now();
        let pause = self.away.map_or(LOOK_REFUSING, |since| pause_away(now.duration_since(since)));
        (self.looked_at, self.look_at) = (Some(now), now + pause);
        if self.docker.is_none() {
            // `auto` looks again: an engine may be installed later.
            self.docker = Hand::new(&self.config, &self.places, self.applier.as_ref());
        }
        let Some(hand) = self.docker.clone() else { return };
        if !self.looking {
            self.looking = true;
            self.looks_since = self.applies;
            self.tasks.spawn_local(async move { Done::Looked(Box::new(hand.look().await)) });
        }
    }

    pub(super) fn looked(&mut self, facts: Result<Facts, Problem>) {
        self.looking = false;
        if facts.is_ok() && self.looks_since != self.applies {
            // It was asked before a list was given to it, and answers after: who has just left the list would be taken
            // for somebody else's, and come back.
            self.look_at = Instant::now();
            return;
        }
        match facts {
            Ok(mut facts) => {
                self.take_over();
                // Judged by other images for one look, mirrors would change places, and back with the next.
                let known = || self.facts.as_ref()?.images.clone();
                facts.images = facts.images.or_else(known);
                let refusal = facts.refusal.clone().or_else(|| self.still_waits(&facts));
                // dockerd remembers 256 events, and a busy one forgets within minutes that it has taken an edit.
                let edited = facts.warnings.iter().any(|warning| warning.kind == WarningKind::PendingEdits);
                self.away = None;
                let pause = pause_there(refusal.as_ref().map(|problem| problem.kind), edited);
                self.look_at = Instant::now() + pause;
                // What kept us from seeing it is over; what kept it from taking a list is another matter.
                if std::mem::take(&mut self.unseen) {
                    info!(version = %facts.version, "the engine is there");
                    self.problem = None;
                }
                let known = self.adopted.clone();
                self.adopt(&facts);
                if refusal.is_none() && self.adopted == known && self.is_known(&facts) {
                    // Of some 300 looks a day nearly all: to decide, to write and to show the same once more costs more than
                    // the look itself.
                    self.facts = Some(facts);
                    self.listen();
                    self.pulled();
                    self.verified_at = Some(assembly::now());
                    self.publish_if_old();
                    return self.look_for_edits();
                }
                let docker = assembly::docker(&self.config, &self.places.root_state());
                self.had_program = docker.is_some_and(|docker| docker.has_program());
                let listed = facts.mirrors.clone();
                let told = self.facts.as_ref().and_then(|facts| facts.refusal.clone());
                self.facts = Some(facts);
                self.watch();
                self.configured();
                self.listen();
                self.pulled();
                match refusal {
                    Some(problem) => {
                        if told.as_ref() != Some(&problem) && self.problem.as_ref() != Some(&problem) {
                            warn!("{problem}");
                        }
                        let kind = problem.kind;
                        self.problem = Some(problem);
                        self.step(Event::Engine(EngineView::Problem(kind)));
                    }
                    None => {
                        let waited = self
                            .problem
                            .as_ref()
                            .is_some_and(|known| known.kind == ProblemKind::PendingEdits);
                        if told.is_some() || waited {
                            self.problem = None;
                        }
                        self.verified_at = Some(assembly::now());
                        self.step(Event::Engine(EngineView::Lists(listed)));
                        if self.state.in_place() && self.state.applying.is_none() {
                            // What kept a list from the engine keeps none from it now: somebody else gave it, or nobody
                            // wants another any more.
                            self.problem = None;
                        }
                    }
                }
            }
            Err(problem) => {
                let kind = problem.kind;
                let away = kind.is_down() || kind == ProblemKind::NoAnswer;
                let now = Instant::now();
                let pause = if away {
                    pause_away(now.duration_since(*self.away.get_or_insert(now)))
                } else {
                    LOOK_REFUSING
                };
                self.look_at = now + pause;
                if away {
                    self.stop_listening();
                }
                self.unseen = true;
                if kind == ProblemKind::NotRunning && self.is_gone() {
                    // Nobody can start what is not there any more. What it was is kept: an upgrade may bring it back.
                    info!("the engine is not installed any more");
                    (self.docker, self.problem) = (None, None);
                } else {
                    if self.problem.as_ref().map(|known| known.kind) != Some(kind) {
                        warn!("{problem}");
                    }
                    self.problem = Some(problem);
                }
                self.step(Event::Engine(EngineView::Problem(kind)));
            }
        }
        self.look_for_edits();
    }

    /// Whether the engine is not installed any more, and not only stopped: its program was found while it ran.
    fn is_gone(&self) -> bool {
        self.had_program && Hand::new(&self.config, &self.places, self.applier.as_ref()).is_none()
    }

    /// Whether a look at an engine without a problem has shown what is known already, and has been acted upon.
    fn is_known(&self, facts: &Facts) -> bool {
        let listed = EngineView::Lists(facts.mirrors.clone());
        self.problem.is_none()
            && self.facts.as_ref() == Some(facts)
            && self.state.has_seen(&listed)
            // What could not be set up or written is tried again with each look.
            && self.asks_as.as_ref() == Some(&assembly::probe_settings(&self.config, Some(facts)))
            && !(self.store.is_failing() || self.store.lacks_writes())
    }

    /// The problem that a list waits for somebody's edits, as long as they wait.
    fn still_waits(&self, facts: &Facts) -> Option<Problem> {
        let known = self.problem.as_ref().filter(|problem| problem.kind == ProblemKind::PendingEdits)?;
        let waits = facts.warnings.iter().any(|warning| warning.kind == WarningKind::PendingEdits);
        (waits && !self.config.engines.docker.with_pending).then(|| known.clone())
    }

    /// What the engine lists and nobody knows becomes a candidate, so that it is judged and not lost.
    pub(super) fn adopt(&mut self, facts: &Facts) {
        if let Some(adopted) = self.docker.as_ref().and_then(Hand::adopted) {
            // The applier has seen to it: only what it knows itself can it be asked for.
            self.adopted = adopted;
            return;
        }
        let listed = facts.listed.as_ref().unwrap_or(&facts.mirrors);
        let ours = [self.ours(), assembly::given(facts)].concat();
        let known = |url: &MirrorUrl| assembly::is_known(&self.config, &self.adopted, &ours, url);
        let strangers = assembly::strangers(listed, known);
        let taken = assembly::adopt(&mut self.adopted, strangers, listed);
        if !taken.is_empty() {
            info!(mirrors = ?taken.iter().map(MirrorUrl::as_str).collect::<Vec<_>>(), "adopted from the engine's list");
            self.store.set_fact(ADOPTED_FACT, &self.adopted);
        }
    }

    /// What stands in the engine's list because we put it there.
    pub(super) fn ours(&self) -> Vec<MirrorUrl> {
        if self.state.owned { self.state.list.clone() } else { Vec::new() }
    }

    pub(super) fn applied(
        &mut self,
        list: Vec<MirrorUrl>,
        change: &Change,
        outcome: Result<Applied, Problem>,
    ) {
        let now = assembly::now();
        self.applies += 1;
        let outcome = match outcome {
            Ok(applied) => {
                let switch = applied.changed.then(|| self.switch(&applied, change, now));
                let settings = assembly::docker_settings(&self.config.engines.docker);
                // Together, or a crash between them would leave a switch that the next run does not go on from.
                self.store.batch(|store| {
                    if let Some(switch) = &switch {
                        store.add_switch(switch);
                    }
                    store.set_fact(SELECTION_FACT, &list);
                    store.set_fact(ENGINE_FACT, &settings);
                });
                self.wrote_list(&list);
                if let Some(switch) = switch {
                    info!(list = ?switch.to, why = %switch.why, "switched");
                    if self.store.is_failing() {
                        self.unkept.push(switch.clone());
                    }
                    self.tell(News::Switch(view::switch(switch)));
                }
                if applied.verified {
                    if let Some(facts) = &mut self.facts {
                        facts.mirrors.clone_from(&applied.mirrors);
                    }
                    self.verified_at = Some(now);
                } else {
                    self.look_at = Instant::now() + LOOK_AWAY;
                }
                self.problem = None;
                Ok(match (applied.verified, applied.changed) {
                    (true, true) => Proof::Listed,
                    (true, false) => Proof::Already,
                    (false, _) => Proof::Awaited,
                })
            }
            Err(problem) => {
                if self.problem.as_ref() != Some(&problem) {
                    error!("{problem}");
                }
                let kind = problem.kind;
                self.problem = Some(problem);
                self.unseen = false;
                self.look_at = Instant::now() + LOOK_AWAY;
                Err(kind)
            }
        };
        self.step(Event::Applied { list, outcome });
        self.store.set_fact(TREATMENT_FACT, &self.state.treatment);
        self.publish();
        self.keep_status();
    }

    /// The change that was made, for the history.
    fn switch(&self, applied: &Applied, change: &Change, at: Timestamp) -> Switch {
        Switch {
            at,
            engine: DOCKER.to_owned(),
            from: self.facts.as_ref().map(|facts| facts.mirrors.clone()).unwrap_or_default(),
            to: applied.mirrors.clone(),
            why: change.why(),
            kind: change.kind,
            subject: change.subject.clone(),
            reason: change.reason,
        }
    }
}
