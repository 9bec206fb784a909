//! `apply` where the engine is a part of an application: nothing is written, and `--dry-run` says what to paste, and
//! where.

use serde::Serialize;

use super::{Report, Untouched, Why, is_nothing_live, refused, remember_only, round};
use crate::assembly::DOCKER;
use crate::cli::exit::{Error, Exit};
use crate::cli::out::Out;
use crate::cli::{Global, note, recorded};
use crate::config::Config;
use crate::engine::docker::Docker;
use crate::engine::{App, Facts};
use crate::status::SCHEMA;
use crate::status::json::{Layout, to_string};
use crate::text::detail::detail;
use crate::text::{Lang, round as say};

/// For programs.
#[derive(Serialize)]
pub(super) struct Paste {
    app: &'static str,
    /// Where in the application, in English.
    settings: String,
    text: String,
    /// Whether the text is the whole configuration; otherwise it is to be taken over into what stands there.
    whole: bool,
}

/// The engine, if it is a part of an application; nothing is left to be done then but to print.
///
/// # Errors
/// It is, and something would have to be written.
pub(super) async fn app(global: &Global, docker: &Docker, dry_run: bool) -> Result<Option<App>, Error> {
    // That nobody answers is told by whoever asks for more.
    let Ok(Some(app)) = docker.app().await else { return Ok(None) };
    if dry_run { Ok(Some(app)) } else { Err(refused(global, &app.refusal())) }
}

/// One round, select, and what to paste.
///
/// # Errors
/// No probe could be made.
pub(super) async fn paste(
    global: &Global,
    config: &Config,
    (docker, app): (&Docker, App),
    json: bool,
    out: &mut Out,
) -> Result<Exit, Error> {
    let store = recorded::open(global);
    remember_only(global, true);
    let facts = docker.facts().await.inspect_err(|problem| {
        note(global, &say::not_asked(global.lang, &detail(global.lang, &problem.to_string())));
    });
    let facts: Option<Facts> = facts.ok();
    let judgement = round(global, config, &store, facts.as_ref()).await?;
    let why = match judgement.network_down {
        true => Some(Why::NetworkDown),
        false => is_nothing_live(&judgement).then_some(Why::NothingLive),
    };
    if let Some(why) = why {
        let list = facts.map(|facts| facts.mirrors).unwrap_or_default();
        let as_it_is = Untouched { file: app.paste(&list).file, list, dry_run: true, json };
        return as_it_is.left(global, why, &judgement, out);
    }
    let list = docker.list(&judgement.selection.list);
    let changed = facts.is_none_or(|facts| facts.mirrors != list);
    let paste = app.paste(&list);
    if json {
        let report = Report {
            schema: SCHEMA,
            in_place: None,
            changed,
            engine: DOCKER,
            file: paste.file,
            list,
            diff: None,
            paste: Some(Paste {
                app: app.name(),
                settings: page(Lang::En, app),
                text: paste.text,
                whole: paste.whole,
            }),
            mirrors: judgement.shown(),
        };
        out.print(&to_string(&report, Layout::Indented))?;
        return Ok(Exit::Ok);
    }
    if !changed {
        note(global, &say::would_change_nothing(global.lang));
        return Ok(Exit::Ok);
    }
    out.print(&format!("{}\n", paste.text.trim_end()))?;
    let page = page(global.lang, app);
    let how = if paste.whole { say::paste_whole } else { say::paste_member };
    note(global, &how(global.lang, app.name(), &page, &paste.file));
    Ok(Exit::Ok)
}

/// Where in the application its engine is configured.
fn page(lang: Lang, app: App) -> String {
    match app {
        App::DockerDesktop | App::DockerDesktopOnWindows => say::paste_page_of_desktop(lang),
        App::OrbStack => say::paste_page_of_orbstack(lang),
    }
}
