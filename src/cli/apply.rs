//! `apply` and `restore`: the engine's list, by hand.

use serde::Serialize;

use super::exit::{Error, Exit};
use super::judge::{self, Judgement, Question};
use super::out::Out;
use super::{Global, note, view};
use crate::assembly::{self, DOCKER, ENGINE_FACT, SELECTION_FACT};
use crate::config::{self, Config, Enabled};
use crate::engine::docker::Docker;
use crate::engine::{Applied, Facts, Problem};
use crate::mirror::MirrorUrl;
use crate::pause::{Pause, Until};
use crate::reason::{ChangeKind, ProblemKind, WarningKind};
use crate::status::json::{Layout, to_string};
use crate::status::{self, SCHEMA};
use crate::store::{Store, Switch};
use crate::text::{engine as phrase, round as say};

#[derive(Serialize)]
struct Report {
    schema: u32,
    /// Whether the engine has the selection now; null with `--dry-run`.
    in_place: Option<bool>,
    /// Whether the file was written or the engine reloaded; with `--dry-run`, whether it would be.
    changed: bool,
    engine: &'static str,
    file: String,
    list: Vec<String>,
    diff: Option<String>,
    mirrors: Vec<status::Mirror>,
}

/// One round, select, write, reload, verify.
///
/// # Errors
/// Why the engine does not have the selection; file and engine are as they were.
pub async fn apply(global: &Global, dry_run: bool, json: bool, out: &mut Out) -> Result<Exit, Error> {
    let config = judge::load(global, &global.config)?;
    let docker = engine(global, &config)?;
    let (store, _) = Store::open(&global.state_dir, assembly::now());
    let facts = docker.facts().await.map_err(|problem| refused(global, &problem))?;
    let adopted = adopted(&config, &store, &facts);
    let judgement = {
        let question = Question {
            mirrors: assembly::candidates(&config, &adopted),
            depth: crate::observation::Depth::Rehearse,
            images: Vec::new(),
            facts: Some(&facts),
            current: current(&config, &facts),
        };
        judge::judge(global, &config, &store, question).await?
    };
    let list = &judgement.selection.list;
    if judgement.network_down {
        // Whatever the list is, it stays.
        if dry_run {
            note(global, &say::nothing_changed(global.lang));
            return Ok(Exit::Ok);
        }
        return Err(
            Error::failed(say::nothing_changed(global.lang)).with_hint(say::check_network(global.lang))
        );
    }
    let plan = docker.plan(list).await.map_err(|problem| refused(global, &problem))?;
    warn(global, &facts, plan.change);
    if !judgement.some_live() && !list.is_empty() {
        // Without the upstream an empty list would be no better.
        table(global, &judgement.shown(), out)?;
        return Err(Error::failed(say::nothing_live(global.lang)).with_hint(say::add_one(global.lang)));
    }
    if dry_run {
        let report = Report {
            schema: SCHEMA,
            in_place: None,
            changed: plan.change,
            engine: DOCKER,
            file: plan.file.display().to_string(),
            list: plan.mirrors.clone(),
            diff: Some(plan.diff()),
            mirrors: judgement.shown(),
        };
        return dry(global, &report, json, out);
    }
    let applied = docker.apply(list).await.map_err(|problem| refused(global, &problem))?;
    remember(&config, &store, &judgement, &facts, &applied);
    let report = Report {
        schema: SCHEMA,
        in_place: Some(applied.verified),
        changed: applied.changed,
        engine: DOCKER,
        file: facts.file.display().to_string(),
        list: applied.mirrors.clone(),
        diff: None,
        mirrors: judgement.shown(),
    };
    if json {
        out.print(&to_string(&report, Layout::Indented))?;
    } else {
        table(global, &report.mirrors, out)?;
        let lang = global.lang;
        let shown = if report.list.is_empty() { say::no_mirror(lang) } else { report.list.join("  ") };
        let line = match (applied.changed, applied.verified) {
            (true, true) => say::in_place(lang, &shown),
            (false, _) => say::unchanged(lang, &shown),
            (true, false) => say::written_not_verified(lang, &shown),
        };
        out.print(&format!("\n{line}\n"))?;
    }
    if Pause::read(&global.state_dir).is_ok_and(|pause| pause.engines.contains_key(DOCKER)) {
        note(global, &say::still_paused(global.lang));
    }
    Ok(if applied.verified { Exit::Ok } else { Exit::Failed })
}

fn dry(global: &Global, report: &Report, json: bool, out: &mut Out) -> Result<Exit, Error> {
    if json {
        out.print(&to_string(report, Layout::Indented))?;
        return Ok(Exit::Ok);
    }
    match &report.diff {
        Some(diff) if !diff.is_empty() => out.print(diff)?,
        Some(_) | None if report.changed => note(global, &say::would_reload(global.lang)),
        Some(_) | None => note(global, &say::would_change_nothing(global.lang)),
    }
    Ok(Exit::Ok)
}

/// Mirrors that are switched off have nothing to do with this round.
fn table(global: &Global, mirrors: &[status::Mirror], out: &mut Out) -> Result<(), Error> {
    let off = |mirror: &status::Mirror| {
        mirror.reasons.iter().any(|why| why.kind == crate::reason::ReasonKind::Disabled)
    };
    let rows: Vec<&status::Mirror> = mirrors.iter().filter(|mirror| !off(mirror)).collect();
    out.print(&status::text::mirrors(&rows, &view(global, out)))
}

/// What stood there before: keeps the selection, the switch, and what an older run would need to restore.
fn remember(config: &Config, store: &Store, judgement: &Judgement, facts: &Facts, applied: &Applied) {
    store.set_fact(SELECTION_FACT, &judgement.selection.list);
    store.set_fact(ENGINE_FACT, &assembly::docker_settings(&config.engines.docker));
    if applied.changed {
        let now = assembly::now();
        store.add_switch(&Switch {
            at: now,
            engine: DOCKER.to_owned(),
            from: facts.mirrors.clone(),
            to: applied.mirrors.clone(),
            why: "applied by hand".to_owned(),
            kind: ChangeKind::ByHand,
            subject: None,
            reason: None,
        });
    }
}

/// Puts back what was there, and leaves the engine in peace from then on.
///
/// # Errors
/// Why it could not be put back; file and engine are as they were.
pub async fn restore(global: &Global, dry_run: bool, out: &mut Out) -> Result<Exit, Error> {
    let (store, _) = Store::open(&global.state_dir, assembly::now());
    let docker = match config::load(&global.config) {
        Ok(config) => engine(global, &config)?,
        Err(invalid) => {
            // What was there can be put back without mirrors.toml: by what was recorded.
            note(global, &say::by_the_record(global.lang, &invalid.to_string()));
            let settings = store
                .fact(ENGINE_FACT)
                .unwrap_or_else(|| assembly::docker_settings(&config::Engines::default().docker));
            Docker::new(settings, &global.state_dir)
        }
    };
    if dry_run {
        let plan = docker.plan_restore().await.map_err(|problem| refused(global, &problem))?;
        if plan.writes() {
            out.print(&plan.diff())?;
        } else {
            note(global, &say::would_change_nothing(global.lang));
        }
        return Ok(Exit::Ok);
    }
    let now = assembly::now();
    // First the pause, so that a running service does not undo what follows.
    let before = Pause::read(&global.state_dir).unwrap_or_default();
    let mut pause = before.clone();
    pause.engines.insert(DOCKER.to_owned(), Until { until: None });
    pause.write(&global.state_dir).map_err(|error| {
        let exit = if error.not_permitted() { Exit::NotPermitted } else { Exit::Failed };
        Error::new(exit, error.to_string())
    })?;
    let from = docker.facts().await.map(|facts| facts.mirrors).unwrap_or_default();
    let applied = match docker.restore().await {
        Ok(applied) => applied,
        Err(problem) => {
            // Nothing was restored, so nothing is to be left in peace.
            let _ = before.write(&global.state_dir);
            return Err(refused(global, &problem));
        }
    };
    if applied.changed {
        store.add_switch(&Switch {
            at: now,
            engine: DOCKER.to_owned(),
            from,
            to: applied.mirrors.clone(),
            why: "restored by hand".to_owned(),
            kind: ChangeKind::Restored,
            subject: None,
            reason: None,
        });
    }
    store.set_fact(SELECTION_FACT, &Option::<Vec<MirrorUrl>>::None);
    let line = if applied.changed { say::restored(global.lang) } else { say::was_as_before(global.lang) };
    out.print(&format!("{line}\n"))?;
    Ok(Exit::Ok)
}

fn engine(global: &Global, config: &Config) -> Result<Docker, Error> {
    let found = assembly::docker(config, &global.state_dir);
    found.ok_or_else(|| match config.engines.docker.enabled {
        Enabled::No => Error::failed(say::engine_disabled(global.lang)),
        Enabled::Yes | Enabled::Auto => {
            Error::failed(say::no_engine(global.lang)).with_hint(say::name_the_engine(global.lang))
        }
    })
}

fn adopted(config: &Config, store: &Store, facts: &Facts) -> Vec<MirrorUrl> {
    let mut adopted: Vec<MirrorUrl> = store.fact(assembly::ADOPTED_FACT).unwrap_or_default();
    let listed = facts.listed.as_ref().unwrap_or(&facts.mirrors);
    let ours: Vec<MirrorUrl> = store.fact(SELECTION_FACT).unwrap_or_default();
    let strangers = assembly::strangers(config, &adopted, &ours, listed);
    if !strangers.is_empty() {
        adopted.extend(strangers);
        store.set_fact(assembly::ADOPTED_FACT, &adopted);
    }
    adopted
}

/// The engine's list now, without what is kept whatever we choose.
fn current(config: &Config, facts: &Facts) -> Vec<MirrorUrl> {
    let listed = facts.mirrors.iter().filter_map(|entry| entry.parse::<MirrorUrl>().ok());
    listed.filter(|url| !config.engines.docker.keep.contains(url)).collect()
}

/// Said before anything is done; edits of somebody else matter only where something will be reloaded.
fn warn(global: &Global, facts: &Facts, change: bool) {
    for warning in &facts.warnings {
        if warning.kind == WarningKind::PendingEdits && !change {
            continue;
        }
        let advice = phrase::warning(global.lang, warning.kind);
        note(global, &say::warning(global.lang, advice.what, &warning.detail, advice.why, advice.mend));
    }
}

/// A problem of the engine as an error: what, and what to do about it.
fn refused(global: &Global, problem: &Problem) -> Error {
    let exit = if problem.kind == ProblemKind::NotPermitted { Exit::NotPermitted } else { Exit::Failed };
    let advice = phrase::once(global.lang, problem.kind);
    let said = Error::new(exit, say::problem(global.lang, &problem.to_string(), advice.what, advice.why));
    // Not permitted: the command to type instead says more than any advice.
    if exit == Exit::NotPermitted { said } else { said.with_hint(advice.mend) }
}
