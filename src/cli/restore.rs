//! `restore`: the engine's file as it was, by hand.

use super::apply::{Uninterrupted, engine, patiently, recover, refused, remember_only, warn_of};
use super::exit::{Error, Exit};
use super::out::Out;
use super::{Global, note, pause, recorded};
use crate::applier::{self, root_state};
use crate::assembly::{self, DOCKER, ENGINE_FACT, SELECTION_FACT};
use crate::config::{self, Config, Enabled, Invalid};
use crate::engine::Generation;
use crate::engine::docker::{self, Docker};
use crate::mirror::MirrorUrl;
use crate::pause::{Before, Pause, PauseError, Until};
use crate::reason::{ChangeKind, WarningKind};
use crate::status::safe;
use crate::status::table::{Cell, Column, Table};
use crate::store::Switch;
use crate::text::detail::detail;
use crate::text::{Lang, cli as words, round as say, status};
use crate::timestamp::Timestamp;

/// Shows what can be restored.
///
/// # Errors
/// What is kept cannot be read.
pub async fn list(global: &Global, out: &mut Out) -> Result<Exit, Error> {
    let docker = found(global)?;
    let kept = docker.generations().await.map_err(|problem| refused(global, &problem))?;
    if kept.is_empty() {
        note(global, &say::nothing_kept(global.lang));
        return Ok(Exit::Ok);
    }
    out.print(&table(global.lang, &kept).render(out.size().0, out.color()))?;
    note(global, &say::how_to_restore(global.lang));
    Ok(Exit::Ok)
}

fn table(lang: Lang, kept: &[Generation]) -> Table {
    let column = |heading: String, right, leaves| Column { heading, right, leaves, most: None };
    let columns = vec![
        column(say::heading_number(lang), true, None),
        column(say::heading_kept_at(lang), false, Some(2)),
        column(say::heading_size(lang), true, Some(1)),
        column(say::heading_list(lang), false, None),
    ];
    let row = |kept: &Generation| {
        let list = match (&kept.mirrors, kept.size) {
            _ if kept.damaged => say::damaged(lang),
            (_, None) => say::no_file(lang),
            (None, Some(_)) => say::no_key(lang),
            (Some(list), Some(_)) if list.is_empty() => "[]".to_owned(),
            (Some(list), Some(_)) => list.join("  "),
        };
        let cells = [
            kept.number.to_string(),
            kept.kept_at.map(|at| Timestamp::from(at).clock()).unwrap_or_default(),
            kept.size.map(|size| size.to_string()).unwrap_or_default(),
            list,
        ];
        let safe = |text: String| text.chars().filter(|c| !c.is_control()).collect();
        cells.map(|text| Cell { text: safe(text), ..Cell::default() }).to_vec()
    };
    Table { columns, rows: kept.iter().map(row).collect() }
}

fn first_line(invalid: &Invalid, lang: Lang) -> String {
    safe::line(&invalid.diagnostics.first().map_or_else(String::new, |first| first.line(lang)))
}

/// The engine, even without mirrors.toml: then by what was recorded. One that is switched off has its way back, too: who
/// wants nothing written any more is who wants the old list.
fn found(global: &Global) -> Result<Docker, Error> {
    match config::load(&global.config) {
        Ok(config) if is_off(&config) => {
            let settings = assembly::docker_settings(&config.engines.docker);
            Ok(Docker::new(settings, &root_state(&global.state_dir)))
        }
        Ok(config) => engine(global, &config, false),
        Err(invalid) => {
            note(global, &say::by_the_record(global.lang, &first_line(&invalid, global.lang)));
            // Root takes no word for where to write, and how to reload, from what the service can write.
            let recorded: Option<docker::Settings> = match applier::memory(&global.state_dir) {
                Some(memory) => memory.rules.map(|rules| rules.engine),
                None => recorded::open(global).fact(ENGINE_FACT),
            };
            let settings =
                recorded.unwrap_or_else(|| assembly::docker_settings(&config::Engines::default().docker));
            Ok(Docker::new(settings, &root_state(&global.state_dir)))
        }
    }
}

fn is_off(config: &Config) -> bool {
    config.engines.docker.enabled == Enabled::No
}

/// Shows the diff of what [`restore`] would write.
///
/// # Errors
/// Why nothing could be put back.
pub async fn preview(global: &Global, to: u64, out: &mut Out) -> Result<Exit, Error> {
    let docker = found(global)?;
    if docker.has_nothing_to_restore().map_err(|problem| refused(global, &problem))? {
        return nothing(global, to, out);
    }
    is_kept(global, &docker, to).await?;
    let plan = docker.plan_restore(to).await.map_err(|problem| refused(global, &problem))?;
    if plan.writes() {
        out.print(&safe::lines(&plan.diff()))?;
    } else {
        note(global, &say::would_change_nothing(global.lang));
    }
    Ok(Exit::Ok)
}

async fn is_kept(global: &Global, docker: &Docker, to: u64) -> Result<(), Error> {
    let kept = docker.generations().await.map_err(|problem| refused(global, &problem))?;
    let numbers: Vec<u64> = kept.iter().map(|kept| kept.number).collect();
    if to > 0 && !numbers.contains(&to) {
        let message = match &numbers[..] {
            [] => say::nothing_kept(global.lang),
            numbers => say::not_kept(global.lang, to, &ranges(global.lang, numbers)),
        };
        return Err(Error::failed(message).with_hint(say::see_kept(global.lang)));
    }
    Ok(())
}

/// Ascending numbers, such as `0, 5 to 14`.
fn ranges(lang: Lang, numbers: &[u64]) -> String {
    let runs = numbers.chunk_by(|one, next| one + 1 == *next);
    let shown = runs.map(|run| match run {
        [first, .., last] => say::range(lang, *first, *last),
        run => run.iter().map(u64::to_string).collect(),
    });
    shown.collect::<Vec<_>>().join(&status::and(lang))
}

/// There is no way back, and none is needed.
fn nothing(global: &Global, to: u64, out: &mut Out) -> Result<Exit, Error> {
    if to > 0 {
        return Err(Error::failed(say::nothing_kept(global.lang)));
    }
    out.print(&format!("{}\n", say::nothing_kept(global.lang)))?;
    Ok(Exit::Ok)
}

/// Puts back what was there, and leaves the engine in peace from then on, unless `pause` is false.
///
/// # Errors
/// Why it could not be put back; file and engine are as they were.
pub async fn restore(global: &Global, to: u64, pause: bool, out: &mut Out) -> Result<Exit, Error> {
    let store = recorded::open(global);
    let docker = found(global)?;
    remember_only(global, false);
    recover(global, &docker).await?;
    if docker.has_nothing_to_restore_now().map_err(|problem| refused(global, &problem))? {
        return nothing(global, to, out);
    }
    is_kept(global, &docker, to).await?;
    let now = assembly::now();
    let _uninterrupted = Uninterrupted::begin(global)?;
    // First the pause, so that a running service does not undo what follows.
    let before = if pause { Some(leave_alone(global)?) } else { None };
    let facts = docker.facts().await.ok();
    let warnings = facts.iter().flat_map(|facts| &facts.warnings);
    // Whoever restores is the administrator, and is told what the reload activates besides.
    for warning in warnings.filter(|warning| warning.kind == WarningKind::PendingEdits) {
        warn_of(global, warning);
    }
    let from = facts.map(|facts| facts.mirrors).unwrap_or_default();
    let applied = match patiently(global, &docker, docker.restore(to)).await {
        Ok(applied) => applied,
        Err(failed) => {
            // Nothing was restored, so nothing is to be left in peace.
            if let Some(Err(error)) = before.map(|before| before.put_back(&root_state(&global.state_dir))) {
                note(global, &detail(global.lang, &error.to_string()));
            }
            return Err(failed);
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
    recorded::tell_of_loss(global, &store);
    let lang = global.lang;
    let shown = if applied.mirrors.is_empty() { say::no_mirror(lang) } else { applied.mirrors.join("  ") };
    let line = match (applied.changed, to) {
        (false, 0) => say::was_as_before(lang),
        (false, _) => say::unchanged(lang, &shown),
        (true, 0) => say::restored(lang),
        (true, number) => say::restored_to(lang, number, &shown),
    };
    out.tell(&format!("{line}\n"))?;
    if let Some(before) = before {
        if let Before::Not(_, error) = before {
            note(global, &words::broken_pause(lang, &detail(lang, &error.to_string())));
        }
        let off = config::load(&global.config).is_ok_and(|config| is_off(&config));
        let line = if off { say::left_alone_and_off(lang) } else { say::left_alone(lang) };
        out.tell(&format!("{line}\n"))?;
    }
    Ok(Exit::Ok)
}

/// Pauses the service for the engine, and gives what there was before.
fn leave_alone(global: &Global) -> Result<Before, Error> {
    let failed = |error: PauseError| pause::failed(global, &error);
    let state = root_state(&global.state_dir);
    let before = Before::read(&state).map_err(failed)?;
    let mut paused = match &before {
        Before::Understood(pause) => pause.clone(),
        Before::Not(..) => Pause::default(),
    };
    paused.engines.insert(DOCKER.to_owned(), Until { until: None });
    paused.write(&state).map_err(failed)?;
    Ok(before)
}
