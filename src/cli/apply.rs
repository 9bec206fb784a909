//! `apply`: the engine's list, by hand.

mod change;
mod paste;

use serde::Serialize;

use super::exit::{Error, Exit};
use super::judge::{self, Judgement, Question};
use super::out::Out;
use super::{Global, color_of_stderr, confine, note, recorded, view};
use crate::applier::{self, Memory, Rules, root_state};
use crate::assembly::{self, DOCKER, ENGINE_FACT, SELECTION_FACT};
use crate::config::{Config, Enabled};
use crate::engine::docker::Docker;
use crate::engine::{Applied, Facts, Problem, Recovery, Settled, Warning};
use crate::mirror::MirrorUrl;
use crate::pause::Pause;
use crate::reason::{ChangeKind, ProblemKind, WarningKind};
use crate::status::json::{Layout, to_string};
use crate::status::text::View;
use crate::status::{self, SCHEMA};
use crate::store::{Store, Switch};
use crate::text::detail::detail;
use crate::text::engine::Beside;
use crate::text::{engine as phrase, round as say};

pub(super) use change::{Uninterrupted, patiently};

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
    /// What to paste, with `--dry-run` where the engine is a part of an application; else null.
    paste: Option<paste::Paste>,
    mirrors: Vec<status::Mirror>,
}

/// What was asked for beside the round itself.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
    /// Reload although that activates edits of others.
    pub with_pending: bool,
}

/// One round, select, write, reload, verify.
///
/// # Errors
/// Why the engine does not have the selection; file and engine are as they were.
pub async fn apply(global: &Global, asked: Asked, json: bool, out: &mut Out) -> Result<Exit, Error> {
    let Asked { dry_run, with_pending } = asked;
    let config = judge::load(global, &global.config)?;
    let docker = engine(global, &config, with_pending)?;
    if let Some(app) = paste::app(global, &docker, dry_run).await? {
        return paste::paste(global, &config, (&docker, app), json, out).await;
    }
    if !dry_run {
        recover(global, &docker).await?;
    }
    let store = recorded::open(global);
    remember_only(global, dry_run);
    let facts = docker.facts().await.map_err(|problem| refused(global, &problem))?;
    let judgement = round(global, &config, &store, Some(&facts)).await?;
    let list = &judgement.selection.list;
    let as_it_is =
        Untouched { file: facts.file.display().to_string(), list: facts.mirrors.clone(), dry_run, json };
    if judgement.network_down {
        return as_it_is.left(global, Why::NetworkDown, &judgement, out);
    }
    let plan = docker.plan(list).await.map_err(|problem| refused(global, &problem))?;
    if is_nothing_live(&judgement) {
        warn(global, &facts, false);
        return as_it_is.left(global, Why::NothingLive, &judgement, out);
    }
    warn(global, &facts, plan.change);
    if dry_run {
        let report = Report {
            schema: SCHEMA,
            in_place: None,
            changed: plan.change,
            engine: DOCKER,
            file: plan.file.display().to_string(),
            list: plan.mirrors.clone(),
            diff: Some(plan.diff()),
            paste: None,
            mirrors: judgement.shown(),
        };
        return dry(global, &report, json, out);
    }
    let _uninterrupted = Uninterrupted::begin(global)?;
    let applied = patiently(global, &docker, docker.apply(list)).await?;
    remember(global, &config, &store, &judgement, &facts, &applied);
    let report = Report {
        schema: SCHEMA,
        in_place: Some(applied.verified),
        changed: applied.changed,
        engine: DOCKER,
        file: facts.file.display().to_string(),
        list: applied.mirrors.clone(),
        diff: None,
        paste: None,
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
        out.tell(&format!("\n{line}\n"))?;
    }
    if Pause::read(&root_state(&global.state_dir)).is_ok_and(|pause| pause.engines.contains_key(DOCKER)) {
        note(global, &say::still_paused(global.lang));
    }
    Ok(if applied.verified { Exit::Ok } else { Exit::Failed })
}

/// From here on this thread writes nothing but what is remembered. The engine's file is written by one that talks to
/// nobody but the engine.
pub(super) fn remember_only(global: &Global, dry_run: bool) {
    let root = root_state(&global.state_dir);
    if root != global.state_dir && !dry_run {
        // What stands in the way of making it, whoever writes there says.
        drop(std::fs::create_dir_all(&root));
    }
    confine(global, &[&global.state_dir, &root]);
}

/// Asks everybody and judges.
async fn round(
    global: &Global,
    config: &Config,
    store: &Store,
    facts: Option<&Facts>,
) -> Result<Judgement, Error> {
    let adopted = match facts {
        Some(facts) => adopted(global, config, store, facts),
        None => adopted_before(global, store),
    };
    let question = Question {
        mirrors: assembly::candidates(config, &adopted),
        depth: crate::observation::Depth::Rehearse,
        images: Vec::new(),
        facts,
        current: facts.map(|facts| current(config, facts)).unwrap_or_default(),
    };
    judge::judge(global, config, store, question).await
}

/// Without the upstream an empty list would be no better.
fn is_nothing_live(judgement: &Judgement) -> bool {
    !judgement.some_live() && !judgement.selection.list.is_empty()
}

/// Why a list stays, whatever it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    NetworkDown,
    NothingLive,
}

/// A list that stays.
struct Untouched {
    file: String,
    list: Vec<String>,
    dry_run: bool,
    json: bool,
}

impl Untouched {
    /// Says that it stays, and why. To whoever asked only what would be done, that is an answer like another.
    fn left(self, global: &Global, why: Why, judgement: &Judgement, out: &mut Out) -> Result<Exit, Error> {
        let Self { file, list, dry_run, json } = self;
        let lang = global.lang;
        let (what, hint) = match why {
            Why::NetworkDown => (say::nothing_changed(lang), say::check_network(lang)),
            Why::NothingLive => (say::nothing_live(lang), say::add_one(lang)),
        };
        let mirrors = judgement.shown();
        if json {
            let report = Report {
                schema: SCHEMA,
                in_place: (!dry_run).then_some(false),
                changed: false,
                engine: DOCKER,
                file,
                list,
                diff: dry_run.then(String::new),
                paste: None,
                mirrors,
            };
            out.print(&to_string(&report, Layout::Indented))?;
        } else if why == Why::NothingLive {
            if dry_run {
                // What it has on standard output is a diff.
                let view = View { color: color_of_stderr(global), ..view(global, out) };
                note(global, rows(&mirrors, &view).trim_end());
            } else {
                table(global, &mirrors, out)?;
            }
        }
        if dry_run {
            note(global, &what);
            return Ok(Exit::Ok);
        }
        Err(Error::failed(what).with_hint(hint))
    }
}

fn dry(global: &Global, report: &Report, json: bool, out: &mut Out) -> Result<Exit, Error> {
    if json {
        out.print(&to_string(report, Layout::Indented))?;
        return Ok(Exit::Ok);
    }
    match &report.diff {
        Some(diff) if !diff.is_empty() => out.print(&status::safe::lines(diff))?,
        Some(_) | None if report.changed => note(global, &say::would_reload(global.lang)),
        Some(_) | None => note(global, &say::would_change_nothing(global.lang)),
    }
    Ok(Exit::Ok)
}

fn table(global: &Global, mirrors: &[status::Mirror], out: &mut Out) -> Result<(), Error> {
    let rows = rows(mirrors, &view(global, out));
    out.print(&rows)
}

/// Mirrors that are switched off have nothing to do with this round.
fn rows(mirrors: &[status::Mirror], view: &View) -> String {
    let off = |mirror: &status::Mirror| {
        mirror.reasons.iter().any(|why| why.kind == crate::reason::ReasonKind::Disabled)
    };
    let rows: Vec<&status::Mirror> = mirrors.iter().filter(|mirror| !off(mirror)).collect();
    status::text::mirrors(&rows, view)
}

/// What stood there before: keeps the selection, the switch, and what an older run would need to restore.
fn remember(
    global: &Global,
    config: &Config,
    store: &Store,
    judgement: &Judgement,
    facts: &Facts,
    applied: &Applied,
) {
    let switch = applied.changed.then(|| Switch {
        at: assembly::now(),
        engine: DOCKER.to_owned(),
        from: facts.mirrors.clone(),
        to: applied.mirrors.clone(),
        why: "applied by hand".to_owned(),
        kind: ChangeKind::ByHand,
        subject: None,
        reason: None,
    });
    // Together, or somebody who ends this in between would leave a list that nobody is known to have chosen.
    store.batch(|store| {
        store.set_fact(SELECTION_FACT, &judgement.selection.list);
        store.set_fact(ENGINE_FACT, &assembly::docker_settings(&config.engines.docker));
        if let Some(switch) = &switch {
            store.add_switch(switch);
        }
    });
    let root = root_state(&global.state_dir);
    if root != global.state_dir {
        // A `restore` goes by the defaults where it finds nothing.
        drop(Memory::update(&root, |memory| memory.rules = Some(Rules::new(config))));
    }
}

/// Settles what an earlier process was doing when it died, and says so.
pub(super) async fn recover(global: &Global, docker: &Docker) -> Result<(), Error> {
    let settled = match docker.recover().await {
        Ok(settled) => settled,
        // It is being done right now, by somebody who lives.
        Err(problem) if problem.kind == ProblemKind::Locked => return Ok(()),
        Err(problem) => return Err(refused(global, &problem)),
    };
    for Recovery { file, what } in settled {
        let file = file.display().to_string();
        let said = match what {
            Settled::Committed => say::settled_committed(global.lang, &file),
            Settled::PutBack => say::settled_put_back(global.lang, &file),
            Settled::LeftAlone => say::settled_left_alone(global.lang, &file),
            Settled::NotUnderstood => say::settled_not_understood(global.lang, &file),
        };
        note(global, &said);
    }
    Ok(())
}

pub(super) fn engine(global: &Global, config: &Config, with_pending: bool) -> Result<Docker, Error> {
    let mut config = config.clone();
    config.engines.docker.with_pending |= with_pending;
    let found = assembly::docker(&config, &root_state(&global.state_dir));
    found.ok_or_else(|| match config.engines.docker.enabled {
        Enabled::No => Error::failed(say::engine_disabled(global.lang))
            .with_hint(say::enable_the_engine(global.lang, &global.config.display().to_string())),
        Enabled::Yes | Enabled::Auto => {
            Error::failed(say::no_engine(global.lang)).with_hint(say::name_the_engine(global.lang))
        }
    })
}

/// What stood in the engine's file and mirrors.toml does not know: by the record that nobody but root can write, where
/// there is one.
pub(super) fn adopted_before(global: &Global, store: &Store) -> Vec<MirrorUrl> {
    match applier::memory(&global.state_dir) {
        Some(memory) => memory.adopted,
        None => store.fact(assembly::ADOPTED_FACT).unwrap_or_default(),
    }
}

fn adopted(global: &Global, config: &Config, store: &Store, facts: &Facts) -> Vec<MirrorUrl> {
    let mut adopted = adopted_before(global, store);
    let listed = facts.listed.as_ref().unwrap_or(&facts.mirrors);
    let mut ours: Vec<MirrorUrl> = store.fact(SELECTION_FACT).unwrap_or_default();
    ours.extend(assembly::given(facts));
    let strangers = assembly::strangers(listed, |url| assembly::is_known(config, &adopted, &ours, url));
    if !assembly::adopt(&mut adopted, strangers, listed).is_empty() {
        let root = root_state(&global.state_dir);
        if root == global.state_dir {
            store.set_fact(assembly::ADOPTED_FACT, &adopted);
        } else {
            // Where nothing can be kept, the next apply finds them again.
            drop(Memory::update(&root, |memory| memory.adopted.clone_from(&adopted)));
        }
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
        warn_of(global, warning);
    }
}

pub(super) fn warn_of(global: &Global, warning: &Warning) {
    let advice = phrase::warning_once(global.lang, warning.kind);
    note(
        global,
        &say::warning(
            global.lang,
            advice.what,
            &detail(global.lang, &warning.detail),
            advice.why,
            advice.mend,
        ),
    );
}

/// A problem of the engine as an error: what, and what to do about it.
pub(super) fn refused(global: &Global, problem: &Problem) -> Error {
    let exit = if problem.kind == ProblemKind::NotPermitted { Exit::NotPermitted } else { Exit::Failed };
    let lang = global.lang;
    let advice = phrase::once(lang, problem.kind);
    // A detail that knows what to do knows it of this very case.
    let (said, beside, mend) = match problem.detail.split_once("; hint: ") {
        Some((said, hint)) => (said, phrase::beside(problem.kind).min(Beside::Why), detail(lang, hint)),
        None => (&*problem.detail, phrase::beside(problem.kind), advice.mend.to_owned()),
    };
    let said = detail(lang, said);
    let said = Error::new(
        exit,
        match beside {
            Beside::WhatAndWhy => say::problem(lang, &said, advice.what, advice.why),
            Beside::Why => say::problem_and_why(lang, &said, advice.why),
            Beside::Nothing => said,
        },
    );
    // Not permitted: the command to type instead says more than any advice.
    if exit == Exit::NotPermitted { said } else { said.with_hint(mend) }
}
