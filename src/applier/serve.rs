//! One run of the applier: looks at the engine, does what was asked, publishes both, and ends.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tracing::{info, warn};

use super::decide::{self, Decision, Known, Refusal, Rules, decide};
use super::memory::{self, Memory};
use super::report::{self, Report};
use super::turn::turn;
use super::{Places, pace, request};
use crate::assembly::{self, DOCKER};
use crate::config;
use crate::engine::docker::{self, Docker};
use crate::engine::{Applied, Facts, Problem};
use crate::mirror::MirrorUrl;
use crate::pause::Pause;
use crate::process;
use crate::reason::ProblemKind;
use crate::room::Room;
use crate::timestamp::Timestamp;

/// Requests that come while one is done are done in the same run; the rest starts another one.
const MOST_REQUESTS: usize = 5;

/// Does what there is to do.
///
/// # Errors
/// English: nothing could be published. What the engine or the request is about goes into the report.
pub async fn serve(places: &Places) -> Result<(), String> {
    for directory in [&places.state, &places.reports] {
        std::fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    }
    // Before the lock: a command of root's waits for nobody's flood.
    tokio::time::sleep(pace::wait(&places.reports, assembly::now())).await;
    // By hand beside the unit: the second waits for the first, which ends soon.
    let _lock = memory::lock(&places.state).map_err(|error| error.to_string())?;
    let now = assembly::now();
    let memory = Memory::load(&places.state).unwrap_or_else(|error| {
        warn!("{error}: put aside; nothing is changed for an hour");
        Memory::begin_anew(&places.state, now)
    });
    let mut run = Run { places, memory, said: None };
    let mut bytes = request::read(&places.requests);
    for _ in 0..MOST_REQUESTS {
        run.once(&bytes).await?;
        // Whatever was asked meanwhile started nobody, since we were there.
        let again = request::read(&places.requests);
        if again == bytes {
            break;
        }
        bytes = again;
    }
    // What it remembers was written last, perhaps in there.
    Room::of(&places.state).set_aside();
    Ok(())
}

struct Run<'a> {
    places: &'a Places,
    memory: Memory,
    /// What was said last, so that it is said once.
    said: Option<String>,
}

impl Run<'_> {
    async fn once(&mut self, bytes: &Result<Option<Vec<u8>>, String>) -> Result<(), String> {
        let rules = self.rules();
        let docker = rules.as_ref().and_then(|rules| self.engine(rules));
        let Some((rules, docker)) = rules.zip(docker) else {
            let detail = format!("{}: there is no Docker that it speaks of", self.places.config.display());
            let problem = Problem::new(ProblemKind::NotRunning, detail);
            let asked = bytes
                .as_ref()
                .ok()
                .and_then(Option::as_deref)
                .and_then(|bytes| decide::understood(bytes).ok());
            let number = asked.as_ref().map(|asked| asked.number);
            let outcome = asked.and_then(|asked| asked.list).map(|_| Err(problem.clone()));
            return self.publish(Err(problem), None, number, outcome);
        };
        match docker.recover().await {
            Ok(_) => {}
            Err(problem) if problem.kind == ProblemKind::Locked => {}
            Err(problem) => warn!("{problem}"),
        }
        let mut facts = docker.facts().await.map_err(|problem| unless_hidden(&rules, problem));
        if let Ok(facts) = &facts {
            self.adopt(&rules, facts);
        }
        let (answered, outcome) = match self.decision(bytes, &rules) {
            Decision::Look(number) => (number, None),
            Decision::Refuse(number, refusal) => {
                self.say(format!("the request is not followed: {refusal}"));
                (number, Some(Err(refused(&refusal))))
            }
            Decision::Apply(number, list) => {
                let outcome = self.apply(&docker, &list).await;
                facts = docker.facts().await.map_err(|problem| unless_hidden(&rules, problem));
                (Some(number), Some(outcome))
            }
        };
        // Only of an engine that is there: with socket activation the question would start one.
        let pulled = if facts.is_ok() { docker.last_pull(assembly::now()).await } else { None };
        self.publish(facts, pulled, answered, outcome)
    }

    /// What mirrors.toml allows; an invalid one leaves the last valid one in force.
    fn rules(&mut self) -> Option<Rules> {
        match config::load(&self.places.config) {
            Ok(config) => self.memory.rules = Some(Rules::new(&config)),
            Err(invalid) => self.say(format!("{invalid}; the last valid configuration stays in force")),
        }
        self.memory.rules.clone()
    }

    fn engine(&self, rules: &Rules) -> Option<Docker> {
        let docker = Docker::new(rules.engine.clone(), &self.places.state);
        rules.enabled.unwrap_or_else(|| docker.installed()).then_some(docker)
    }

    /// What stands in the engine's file that neither mirrors.toml nor we know is the user's own.
    fn adopt(&mut self, rules: &Rules, facts: &Facts) {
        let listed = facts.listed.as_ref().unwrap_or(&facts.mirrors);
        let given = assembly::given(facts);
        let known = |url: &MirrorUrl| {
            rules.mirrors.iter().any(|mirror| mirror.url == *url)
                || [&rules.engine.keep, &given, &self.memory.adopted].iter().any(|list| list.contains(url))
        };
        let strangers = assembly::strangers(listed, known);
        let taken = assembly::adopt(&mut self.memory.adopted, strangers, listed);
        if !taken.is_empty() {
            info!(mirrors = ?taken.iter().map(MirrorUrl::as_str).collect::<Vec<_>>(), "adopted from the engine's list");
        }
    }

    fn decision(&mut self, bytes: &Result<Option<Vec<u8>>, String>, rules: &Rules) -> Decision {
        let bytes = match bytes {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Decision::Look(None),
            Err(why) => {
                self.say(why.clone());
                return Decision::Look(None);
            }
        };
        let now = assembly::now();
        let paused = Pause::read(&self.places.state).map_or_else(
            |error| {
                // Whoever wrote it wanted something to stop.
                self.say(error.to_string());
                true
            },
            |pause| pause.of_service(now).or_else(|| pause.of_engine(DOCKER, now)).is_some(),
        );
        let known = Known { rules, adopted: &self.memory.adopted, answered: self.memory.answered, paused };
        decide(bytes, &known)
    }

    async fn apply(&mut self, docker: &Docker, list: &[MirrorUrl]) -> Result<Applied, Problem> {
        let plan = docker.plan(list).await?;
        let changes = plan.change.then_some(plan.file.as_path());
        let keep = |memory: &Memory| save(memory, &self.places.state);
        let applied = turn(&mut self.memory, assembly::now(), changes, keep, docker.apply(list)).await?;
        if applied.changed {
            info!(list = ?applied.mirrors, verified = applied.verified, "applied");
        }
        Ok(applied)
    }

    fn publish(
        &mut self,
        facts: Result<Facts, Problem>,
        pulled: Option<Timestamp>,
        answered: Option<u64>,
        outcome: Option<Result<Applied, Problem>>,
    ) -> Result<(), String> {
        if let Some(Err(problem)) = &outcome {
            self.say(problem.to_string());
        }
        self.memory.answered = answered.or(self.memory.answered);
        if let Err(error) = self.save() {
            self.say(error);
        }
        let (facts, problem) = match facts {
            Ok(facts) => (Some(facts), None),
            Err(problem) => (None, Some(problem)),
        };
        let file = facts.as_ref().map(|facts| facts.file.clone());
        let file = file.or_else(|| Some(self.memory.rules.as_ref()?.engine.config_file.clone()));
        let now = assembly::now();
        let report = Report {
            format: request::FORMAT,
            at: now.as_millis(),
            facts,
            problem,
            running: docker::running(),
            file_changed: file.and_then(|file| report::changed(&file)),
            pulled: pulled.map(Timestamp::as_millis),
            adopted: self.memory.adopted.clone(),
            reloads_left: self.memory.reloads_left(now),
            answered,
            outcome,
        };
        let prober = std::fs::metadata(&self.places.requests).ok().map(|directory| directory.gid());
        report.write(&self.places.reports, prober).map_err(|error| error.to_string())
    }

    fn save(&self) -> Result<(), String> {
        save(&self.memory, &self.places.state)
    }

    fn say(&mut self, what: String) {
        if self.said.as_ref() != Some(&what) {
            warn!("{what}");
            self.said = Some(what);
        }
    }
}

/// The memory is written only when it changed: an hourly look wears no disk.
fn save(memory: &Memory, directory: &Path) -> Result<(), String> {
    if Memory::load(directory).is_ok_and(|saved| saved == *memory) {
        return Ok(());
    }
    memory.save(directory).map_err(|error| error.to_string())
}

/// "It does not run" is also what an engine comes to whose process is hidden from us: then nobody here can tell. One that
/// is stopped leaves no socket, unless systemd has it.
fn unless_hidden(rules: &Rules, problem: Problem) -> Problem {
    let hidden = process::name(1).is_none() && rules.engine.socket.exists();
    if hidden { of_hidden(problem) } else { problem }
}

fn of_hidden(problem: Problem) -> Problem {
    if problem.kind != ProblemKind::NotRunning {
        return problem;
    }
    let why = "/proc: hidepid hides dockerd from mirrorwatch-apply.service; hint: if it runs, give that unit the group of the mount's gid= (SupplementaryGroups=)";
    Problem::new(problem.kind, format!("{why}; {problem}"))
}

fn refused(refusal: &Refusal) -> Problem {
    let kind = match refusal {
        // It is read again, and asked again.
        Refusal::Another(_) => ProblemKind::Raced,
        Refusal::NotUnderstood(_)
        | Refusal::Unknown(_)
        | Refusal::TooMany(_)
        | Refusal::Twice(_)
        | Refusal::Paused => ProblemKind::Applier,
    };
    Problem::new(kind, format!("mirrorwatch-apply: the request is not followed: {refusal}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_docker_that_cannot_be_seen_it_is_said_that_it_is_hidden() {
        let said = |kind| of_hidden(Problem::new(kind, "/run/docker.sock: dockerd does not run")).detail;
        let hidden = said(ProblemKind::NotRunning);
        assert!(hidden.starts_with("/proc: hidepid") && hidden.ends_with("does not run"), "{hidden}");
        assert_eq!(said(ProblemKind::NoAnswer), "/run/docker.sock: dockerd does not run");
    }
}
