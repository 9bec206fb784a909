//! `mirrorwatch status`.

use std::path::Path;
use std::time::Duration;

use unicode_width::UnicodeWidthStr;

use super::Global;
use super::args::{CONFIG, PROGRAM};
use super::exit::{Error, Exit};
use super::out::Out;
use crate::applier::root_state;
use crate::assembly::{self, now};
use crate::config::{self, Diagnostic, Problem, Severity};
use crate::pause::Pause;
use crate::status::health::Trouble;
use crate::status::json::{Layout, to_string};
use crate::status::text::{Span, View, render_with};
use crate::status::{EnginePause, ServiceState, Status};
use crate::text::detail::detail;
use crate::text::{Lang, advice, cli as say, status as words};
use crate::timestamp::Timestamp;

/// How often `--watch` looks.
const EVERY: Duration = Duration::from_secs(1);

/// Alternate screen, no cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// Shows the status once.
///
/// # Errors
///
/// There is none, or it cannot be read.
pub fn once(global: &Global, json: bool, all: bool, now: Timestamp, out: &mut Out) -> Result<Exit, Error> {
    let status = read(global, now)?;
    let text = if json { to_string(&status, Layout::Indented) } else { text(&status, global, all, now, out) };
    out.print(&text)?;
    Ok(exit(&status))
}

/// Shows it every second until Ctrl-C; as JSON a line whenever it changed.
///
/// # Errors
///
/// There is none at the beginning, or it cannot be read.
pub fn watch(global: &Global, json: bool, all: bool, out: &mut Out) -> Result<Exit, Error> {
    let mut last = read(global, now())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Error::failed(say::signals(global.lang, &detail(global.lang, &error.to_string())))
    })?;
    // First, for whoever ends us in between would be left with the other screen.
    let mut signals = runtime.block_on(async { Signals::new(global) })?;
    let screen = !json && out.is_terminal();
    if screen {
        out.print(ENTER)?;
    }
    let mut shown = None;
    let result = runtime.block_on(async {
        while !out.is_closed() {
            // A moment without a file, as while the service restarts, leaves the last one standing.
            if let Ok(status) = read(global, now()) {
                last = status;
            }
            if json && shown.as_ref() != Some(&last) {
                out.print(&to_string(&last, Layout::Line))?;
                shown = Some(last.clone());
            } else if !json {
                out.print(&frame(&last, global, all, screen, out))?;
            }
            if tokio::time::timeout(EVERY, signals.next()).await.is_ok() {
                break;
            }
        }
        Ok(Exit::Ok)
    });
    if screen {
        out.print(LEAVE)?;
    }
    result
}

/// What ends a watch: Ctrl-C, and the terminal or a supervisor going away.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

impl Signals {
    fn new(global: &Global) -> Result<Self, Error> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| {
            signal(kind).map_err(|error| {
                Error::failed(say::signals(global.lang, &detail(global.lang, &error.to_string())))
            })
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}

/// One picture: on a screen drawn over the one before, and no longer than it; else behind it.
fn frame(status: &Status, global: &Global, all: bool, screen: bool, out: &Out) -> String {
    let text = text(status, global, all, now(), out);
    if !screen {
        return text + "\n";
    }
    let (columns, rows) = out.size();
    let (columns, rows) = (columns.unwrap_or(80).max(1), rows.unwrap_or(24).max(2));
    let mut left = rows - 1;
    let mut frame = String::from("\x1b[H");
    let lines: Vec<&str> = text.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        // A line that the terminal breaks takes several rows. Colour counts as nothing.
        let takes = anstream::adapter::strip_str(line).to_string().width().div_ceil(columns).max(1);
        if takes > left || (takes == left && index + 1 < lines.len()) {
            frame.push_str(&words::more_lines(global.lang, lines.len() - index));
            frame.push_str("\x1b[K\n");
            break;
        }
        left -= takes;
        frame.push_str(line);
        frame.push_str("\x1b[K\n");
    }
    frame + "\x1b[J"
}

fn view(global: &Global, all: bool, now: Timestamp, out: &Out) -> View {
    let (lang, color) = (global.lang, out.color());
    let legend = all || global.verbose > 0;
    View { lang, width: out.size().0, color, all, legend, now, span: Span::Days, network: None }
}

/// The text form, with the pause that waits for a service that is not there.
fn text(status: &Status, global: &Global, all: bool, now: Timestamp, out: &Out) -> String {
    let paused = match status.service.state {
        ServiceState::Stopped => waiting(global).of_service(now),
        ServiceState::Starting | ServiceState::Running | ServiceState::Paused => None,
    };
    let told = told(status, global);
    let more: Vec<Trouble<'_>> =
        paused.iter().map(|pause| Trouble::Paused { engine: None, until: pause.until }).collect();
    advice::to(global.own, &render_with(&told, &more, &view(global, all, now, out))).into_owned()
}

/// The status with what is said of mirrors.toml in the reader's language, where the file still is what it was.
fn told(status: &Status, global: &Global) -> Status {
    let mut status = status.clone();
    if global.lang == Lang::En {
        return status;
    }
    let diagnostics = match config::load(&global.config) {
        Ok(config) => assembly::bad_authorities(&config).into_iter().chain(config.warnings).collect(),
        Err(invalid) => invalid.diagnostics,
    };
    let notices = status.service.notices.iter_mut().map(|notice| &mut notice.detail);
    for said in status.service.config.error.iter_mut().chain(notices) {
        if let Some(same) = diagnostics.iter().find(|diagnostic| diagnostic.one_line() == *said) {
            *said = same.line(global.lang);
        }
    }
    status
}

/// What the service would find when it is started. Of a file that we may not read we know nothing.
fn waiting(global: &Global) -> Pause {
    Pause::read(&root_state(&global.state_dir)).unwrap_or_else(|error| {
        if error.not_permitted() { Pause::default() } else { Pause::of_broken_file() }
    })
}

/// What a running service goes by, a moment after it was written. `None` is what it has published: the file makes no sense
/// to it either, may not be read by us, or another one lies where whoever has other rights than we looks for it.
fn in_force(global: &Global) -> Option<Pause> {
    let state = root_state(&global.state_dir);
    let pause = Pause::read(&state).ok()?;
    let elsewhere = state != global.state_dir && Pause::read(&global.state_dir).ok()? != Pause::default();
    (!elsewhere).then_some(pause)
}

/// The status, with what this pause makes of it.
fn tell_of(status: &mut Status, pause: &Pause, now: Timestamp) {
    let service = &mut status.service;
    let paused = pause.of_service(now);
    service.state = match (service.state, paused) {
        (ServiceState::Stopped, _) => ServiceState::Stopped,
        (ServiceState::Starting, None) => ServiceState::Starting,
        (_, Some(_)) => ServiceState::Paused,
        (ServiceState::Running | ServiceState::Paused, None) => ServiceState::Running,
    };
    service.paused_until = paused.and_then(|pause| pause.until);
    for engine in &mut status.engines {
        let paused = pause.of_engine(&engine.name, now);
        engine.paused = paused.map(|pause| EnginePause { until: pause.until });
    }
}

/// mirrors.toml as it stands now.
pub(super) enum Standing {
    Valid,
    /// The first mistake.
    Invalid(Diagnostic),
    /// It is not there, or not for us to read.
    Unknown,
}

pub(super) fn standing(global: &Global) -> Standing {
    let Err(invalid) = config::load(&global.config) else { return Standing::Valid };
    // Who only wants to see the status need not be allowed to read the configuration, nor have one.
    let missing = global.config.as_path() == Path::new(CONFIG);
    let unknown =
        |problem: &Problem| *problem == Problem::Forbidden || (missing && *problem == Problem::Missing);
    match invalid.diagnostics.iter().find(|diagnostic| !unknown(&diagnostic.problem)) {
        Some(first) => Standing::Invalid(first.clone()),
        None => Standing::Unknown,
    }
}

/// What was published, set right by what can be seen from here.
pub(super) fn read(global: &Global, now: Timestamp) -> Result<Status, Error> {
    let standing = standing(global);
    let mut status = published(global).map_err(|error| match (error.exit, &standing) {
        (Exit::NotRunning, Standing::Invalid(why)) => {
            let why = crate::status::safe::line(&why.line(global.lang));
            let message = say::not_running_invalid(global.lang, &why);
            Error::failed(message).with_hint(format!("{PROGRAM} check {}", global.config.display()))
        }
        _ => error,
    })?;
    let stopped = status.service.state == ServiceState::Stopped;
    let recorded = &mut status.service.config;
    match standing {
        Standing::Invalid(why) => {
            recorded.path = global.config.display().to_string();
            recorded.valid = false;
            recorded.error = Some(why.one_line());
        }
        // What a service that is gone found wrong has been mended since, or it would find it again.
        Standing::Valid if stopped => {
            let bad = config::load(&global.config).ok().and_then(|config| assembly::bad_authorities(&config));
            let bad = bad.filter(|found| found.severity == Severity::Error);
            recorded.valid = bad.is_none();
            recorded.error = bad.map(|found| found.one_line());
        }
        Standing::Valid | Standing::Unknown => {}
    }
    let pause = if stopped { Some(waiting(global)) } else { in_force(global) };
    if let Some(pause) = pause {
        tell_of(&mut status, &pause, now);
    }
    Ok(status)
}

fn published(global: &Global) -> Result<Status, Error> {
    Status::read(&global.runtime_dir, &global.state_dir).map_err(|error| {
        let lang = global.lang;
        // Without a file in the runtime directory nothing runs, whatever is wrong with the copy.
        let gone = !error.path.starts_with(&global.runtime_dir);
        let said = detail(lang, &error.to_string());
        if error.is_absent() {
            Error::new(Exit::NotRunning, say::not_running(lang)).with_hint(say::start_service(lang))
        } else if gone {
            let message = say::not_running_detail(lang, &said);
            Error::new(Exit::NotRunning, message).with_hint(say::start_service(lang))
        } else if error.not_permitted() {
            Error::new(Exit::NotPermitted, said)
        } else {
            Error::failed(said).with_hint(say::unusable_status(lang))
        }
    })
}

/// What the status comes to.
fn exit(status: &Status) -> Exit {
    if !status.service.config.valid {
        Exit::Failed
    } else if status.service.state == ServiceState::Stopped {
        Exit::NotRunning
    } else if status.health().is_empty() {
        Exit::Ok
    } else {
        Exit::Failed
    }
}
