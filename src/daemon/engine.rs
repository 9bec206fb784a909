//! The engine in the daemon's loop: looking at it, adopting what it lists, giving it a list.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, info, warn};

use super::step::{EngineView, Event, Proof};
use super::tell::News;
use super::{Daemon, Done, view};
use crate::assembly::{self, ADOPTED_FACT, DOCKER, ENGINE_FACT, SELECTION_FACT};
use crate::engine::{Applied, Facts, Problem};
use crate::mirror::MirrorUrl;
use crate::ranking::select::Change;
use crate::reason::ProblemKind;
use crate::store::Switch;

/// How often an engine that is well is asked what it lists; an edit of its file is seen at once.
const LOOK_WELL: Duration = Duration::from_secs(300);
/// How often one that refuses its list is looked at again.
const LOOK_REFUSING: Duration = Duration::from_secs(60);
/// How often one that is away is looked for; the look is one failed connect to a socket.
const LOOK_AWAY: Duration = Duration::from_secs(2);

impl Daemon {
    pub(super) fn apply(&mut self, list: Vec<MirrorUrl>, change: Change) {
        let Some(docker) = self.docker.clone() else { return };
        self.tasks.spawn_local(async move {
            let outcome = docker.apply(&list).await;
            Done::Applied(list, change, outcome)
        });
    }

    pub(super) fn look(&mut self) {
        self.overhear();
        self.look_at = Instant::now() + LOOK_REFUSING;
        let Some(docker) = self.docker.clone() else {
            // `auto` looks again: an engine may be installed later.
            self.docker = assembly::docker(&self.config, &self.places.state).map(Rc::new);
            return;
        };
        if !self.looking {
            self.looking = true;
            self.tasks.spawn_local(async move { Done::Looked(Box::new(docker.facts().await)) });
        }
    }

    pub(super) fn looked(&mut self, facts: Result<Facts, Problem>) {
        self.looking = false;
        match facts {
            Ok(facts) => {
                let pause = if facts.refusal.is_some() { LOOK_REFUSING } else { LOOK_WELL };
                self.look_at = Instant::now() + pause;
                if self.problem.as_ref().is_some_and(|problem| problem.kind == ProblemKind::NotRunning) {
                    info!(version = %facts.version, "the engine is there");
                    self.problem = None;
                }
                self.adopt(&facts);
                let listed = facts.mirrors.clone();
                let refusal = facts.refusal.clone();
                let told = self.facts.as_ref().and_then(|facts| facts.refusal.clone());
                self.facts = Some(facts);
                self.watch();
                self.configured();
                match refusal {
                    Some(problem) => {
                        if told.as_ref() != Some(&problem) {
                            warn!("{problem}");
                        }
                        let kind = problem.kind;
                        self.problem = Some(problem);
                        self.step(Event::Engine(EngineView::Problem(kind)));
                    }
                    None => {
                        if told.is_some() {
                            self.problem = None;
                        }
                        self.verified_at = Some(assembly::now());
                        self.step(Event::Engine(EngineView::Lists(listed)));
                    }
                }
            }
            Err(problem) => {
                let away = matches!(problem.kind, ProblemKind::NotRunning | ProblemKind::NoAnswer);
                self.look_at = Instant::now() + if away { LOOK_AWAY } else { LOOK_REFUSING };
                let kind = problem.kind;
                if self.problem.as_ref().map(|known| known.kind) != Some(kind) {
                    warn!("{problem}");
                }
                self.problem = Some(problem);
                self.step(Event::Engine(EngineView::Problem(kind)));
            }
        }
    }

    /// What the engine lists and nobody knows becomes a candidate, so that it is judged and not lost.
    pub(super) fn adopt(&mut self, facts: &Facts) {
        let listed = facts.listed.as_ref().unwrap_or(&facts.mirrors);
        let strangers = assembly::strangers(&self.config, &self.adopted, &self.ours(), listed);
        if !strangers.is_empty() {
            info!(mirrors = ?strangers.iter().map(MirrorUrl::as_str).collect::<Vec<_>>(), "adopted from the engine's list");
            self.adopted.extend(strangers);
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
        let outcome = match outcome {
            Ok(applied) => {
                if applied.changed {
                    let why = change.why();
                    info!(list = ?applied.mirrors, %why, "switched");
                    let from = self.facts.as_ref().map(|facts| facts.mirrors.clone()).unwrap_or_default();
                    let switch = Switch {
                        at: now,
                        engine: DOCKER.to_owned(),
                        from,
                        to: applied.mirrors.clone(),
                        why,
                        kind: change.kind,
                        subject: change.subject.clone(),
                        reason: change.reason,
                    };
                    self.store.add_switch(&switch);
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
                self.store.set_fact(SELECTION_FACT, &list);
                let settings = assembly::docker_settings(&self.config.engines.docker);
                self.store.set_fact(ENGINE_FACT, &settings);
                Ok(if applied.verified { Proof::Listed } else { Proof::Awaited })
            }
            Err(problem) => {
                if self.problem.as_ref() != Some(&problem) {
                    error!("{problem}");
                }
                let kind = problem.kind;
                self.problem = Some(problem);
                self.look_at = Instant::now() + LOOK_AWAY;
                Err(kind)
            }
        };
        self.step(Event::Applied { list, outcome });
        self.publish();
        self.keep_status();
    }
}
