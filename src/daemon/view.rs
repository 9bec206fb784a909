//! What the daemon knows, as the status that is published.

use crate::assembly::DOCKER;
use crate::config::Diagnostic;
use crate::engine::Problem;
use crate::mirror::DOCKER_HUB;
use crate::observation::Depth;
use crate::ranking::record::{Record, Standing};
use crate::ranking::select::Entry;
use crate::ranking::verdict::{Reason, Verdict};
use crate::reason::{ProblemKind, ReasonKind};
use crate::status::read::awake_ms;
use crate::status::{
    self, Engine, EnginePause, EngineState, Network, Notice, NoticeKind, SCHEMA, Service, ServiceState,
    Status, Warning,
};
use crate::store::{Setback, Switch};
use crate::timestamp::Timestamp;

use super::Daemon;
use super::network::Outage;
use super::step::EngineView;

/// So many switches are shown; the history has them all.
const SWITCHES: usize = 10;

impl Daemon {
    /// Everything that `status` shows, from the very values that are applied.
    pub(super) fn status(&self, now: Timestamp) -> Status {
        Status {
            schema: SCHEMA,
            generated_at: now,
            service: self.service(now),
            upstream: self.upstream(),
            engines: self.engine(now).into_iter().collect(),
            mirrors: self.mirrors(now),
            switches: self.store.switches(SWITCHES).into_iter().map(switch).collect(),
        }
    }

    fn service(&self, now: Timestamp) -> Service {
        let outage = self.state.network.outage();
        let paused = self.pause.service.filter(|until| until.holds(now));
        let of_config =
            |warning: &Diagnostic| Notice { kind: NoticeKind::Config, detail: warning.one_line() };
        let of_store = |setback: Setback| Notice { kind: NoticeKind::Setback, detail: setback.to_string() };
        let notices = self.config.warnings.iter().map(of_config).chain(self.store.setback().map(of_store));
        let of_pause = |error: &String| Notice { kind: NoticeKind::Pause, detail: error.clone() };
        let notices = notices.chain(self.pause_error.iter().map(of_pause));
        let deaf = self.not_heard().into_iter().map(|detail| Notice { kind: NoticeKind::Deaf, detail });
        let notices = notices.chain(deaf);
        let pid = std::process::id();
        Service {
            state: match paused {
                _ if self.ended => ServiceState::Stopped,
                Some(_) => ServiceState::Paused,
                None if self.state.first_round => ServiceState::Starting,
                None => ServiceState::Running,
            },
            pid: Some(pid).filter(|_| !self.ended),
            pid_started: self.pid_started.filter(|_| !self.ended),
            awake_ms: Some(awake_ms()),
            silent_ms: None,
            since: Some(self.since),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            network: Some(if outage.is_some() { Network::Down } else { Network::Up }),
            network_reason: outage.map(Outage::reason),
            network_kind: outage.map(|outage| outage.kind),
            network_detail: outage.map(|outage| outage.detail.clone()),
            config: status::Config {
                path: self.places.config.display().to_string(),
                valid: self.config_error.is_none(),
                error: self.config_error.clone(),
            },
            paused_until: paused.and_then(|until| until.until),
            notices: notices.collect(),
        }
    }

    fn upstream(&self) -> status::Upstream {
        let record = self.state.yardstick().map(|track| &track.record);
        status::Upstream {
            name: DOCKER_HUB.to_owned(),
            answers: record.and_then(|record| match record.standing() {
                Standing::Unprobed => None,
                Standing::Live => Some(true),
                Standing::Rejected => Some(false),
            }),
            predicted_seconds: record
                .and_then(|record| {
                    crate::ranking::score::predicted_seconds(record, &self.state.settings.policy)
                })
                .map(rounded),
        }
    }

    fn engine(&self, now: Timestamp) -> Option<Engine> {
        let configured = &self.config.engines.docker;
        if self.docker.is_none() {
            return (configured.enabled != crate::config::Enabled::No).then(|| Engine {
                name: DOCKER.to_owned(),
                version: None,
                file: configured.config_file.display().to_string(),
                state: EngineState::Absent,
                mirrors: None,
                verified_at: None,
                problem: None,
                problem_kind: None,
                paused: None,
                warnings: Vec::new(),
            });
        }
        let facts = self.facts.as_ref();
        // While a list is being applied nobody has given way.
        let is_left = !self.state.in_place() && self.state.applying.is_none();
        let contested = self.state.contested(now) && is_left;
        // A list that was rewritten while it was applied was not taken either; why is what matters.
        let problem = self.problem.clone().filter(|last| !contested || last.kind != ProblemKind::NotTaken);
        let problem = problem.or_else(|| {
            let file = configured.config_file.display();
            let detail = format!("{file}: another program rewrites the list again and again");
            contested.then_some(Problem { kind: ProblemKind::Contested, detail })
        });
        let problem = problem.or_else(|| {
            let waits = self.state.owned && is_left && self.state.spares_reloads(now);
            let detail = format!("reloaded {} times in 24 hours", self.state.reloads_of_a_day(now));
            waits.then_some(Problem { kind: ProblemKind::ReloadsSpent, detail })
        });
        let running = !matches!(self.state.engine, EngineView::Problem(kind) if kind.is_down());
        let file = facts.map_or(&configured.config_file, |facts| &facts.file);
        let pause = self.pause.engines.get(DOCKER).copied().filter(|until| until.holds(now));
        Some(Engine {
            name: DOCKER.to_owned(),
            version: facts.map(|facts| facts.version.clone()),
            file: file.display().to_string(),
            state: self.engine_state(problem.as_ref()),
            mirrors: facts.filter(|_| running).map(|facts| facts.mirrors.clone()),
            verified_at: self.verified_at,
            problem: problem.as_ref().map(ToString::to_string),
            problem_kind: problem.as_ref().map(|problem| problem.kind),
            paused: pause.map(|until| EnginePause { until: until.until }),
            warnings: facts.map_or_else(Vec::new, |facts| {
                let warning = |warning: &crate::engine::Warning| Warning {
                    kind: warning.kind,
                    detail: warning.detail.clone(),
                };
                facts.warnings.iter().chain(&self.list_edited()).map(warning).collect()
            }),
        })
    }

    fn engine_state(&self, problem: Option<&Problem>) -> EngineState {
        use crate::engine::State;
        match problem {
            None if self.state.in_place() => EngineState::InPlace,
            None => EngineState::Pending,
            Some(problem) => match problem.state() {
                State::Pending => EngineState::Pending,
                State::Refused => EngineState::Refused,
                State::RolledBack => EngineState::RolledBack,
            },
        }
    }

    fn mirrors(&self, now: Timestamp) -> Vec<status::Mirror> {
        let Some(selection) = &self.state.selection else { return Vec::new() };
        let known = selection.entries.iter().filter_map(|entry| Some((entry, self.state.track(&entry.url)?)));
        known
            .map(|(entry, track)| {
                let mut shown = mirror(entry, &track.record, now);
                let stretched = self.state.is_over_budget(&entry.url, now);
                if entry.verdict == Verdict::Live && stretched {
                    let detail = String::new();
                    shown.reasons.push(Reason { kind: ReasonKind::OverBudget, detail, since: None });
                }
                shown.next_probe = self.state.next_probe(&entry.url, now);
                shown
            })
            .collect()
    }
}

/// One mirror as it is printed: its place and verdict, and what is remembered of it.
pub fn mirror(entry: &Entry, record: &Record, now: Timestamp) -> status::Mirror {
    status::Mirror {
        name: entry.name.clone(),
        url: entry.url.clone(),
        upstream: entry.upstream.clone(),
        verdict: entry.verdict,
        selected: entry.selected,
        reasons: entry.reasons.clone(),
        predicted_seconds: entry.predicted_seconds.map(rounded),
        success: success(entry, record),
        bytes_per_second: record.bytes_per_second().map(whole),
        first_byte_ms: record.first_byte().and_then(|time| u64::try_from(time.as_millis()).ok()),
        coverage: entry.coverage,
        stages_ms: record.stages().into(),
        last_probe: record.last_probe(now),
        next_probe: None,
        address: record.address(),
        layer_host: record.layer_host().map(str::to_owned),
        budget: record.spent(now),
        spark: record.day(now),
    }
}

/// One line for `systemctl status`.
pub(super) fn one_line(status: &Status) -> String {
    let selected: Vec<&str> = status.selected().into_iter().map(|mirror| &*mirror.name).collect();
    let live = status.mirrors.iter().filter(|mirror| mirror.verdict == Verdict::Live).count();
    let engine = status.engines.first().map_or("no engine", |engine| match engine.state {
        EngineState::InPlace => "in place",
        EngineState::Pending => "pending",
        EngineState::Refused => "refused",
        EngineState::RolledBack => "rolled back",
        EngineState::Absent => "no engine",
    });
    let list = if selected.is_empty() { "no mirror".to_owned() } else { selected.join(" > ") };
    format!("{list} ({engine}); {live} of {} mirrors live", status.mirrors.len())
}

/// A switch as it is printed.
pub fn switch(switch: Switch) -> status::Switch {
    status::Switch {
        at: switch.at,
        engine: switch.engine,
        from: switch.from,
        to: switch.to,
        why: switch.why,
        kind: Some(switch.kind),
        subject: switch.subject,
        reason: switch.reason,
    }
}

/// Before anything was served there is nothing to predict with, and the good will that a record begins with is
/// no figure to show. Nor is there of images that are too small to tell a speed by, and who serves those is no failure.
fn success(entry: &Entry, record: &Record) -> Option<f64> {
    match entry.predicted_seconds {
        Some(_) => entry.success.map(rounded),
        None => record.last(Depth::Rehearse).filter(|_| record.standing() != Standing::Live).map(|_| 0.0),
    }
}

/// To a thousandth: more is noise, and makes every status differ from the last.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, which is what is wanted"
)]
fn whole(value: f64) -> u64 {
    value.round() as u64
}
