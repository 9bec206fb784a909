//! `mirrorwatch pause` and `resume`.

use std::io;
use std::time::Duration;

use super::exit::{Error, Exit};
use super::out::Out;
use super::{Global, note};
use crate::applier::root_state;
use crate::pause::{Pause, PauseError, Until};
use crate::reason::ProblemKind;
use crate::status::text::{self, moment};
use crate::status::{Engine, Service, ServiceState, Status};
use crate::text::cli as say;
use crate::text::detail::detail;
use crate::timestamp::Timestamp;

/// Tells the service to write nothing, for `length` or until `resume`. Pauses of single engines stay.
///
/// # Errors
///
/// The pause file cannot be written.
pub fn pause(
    global: &Global,
    length: Option<Duration>,
    now: Timestamp,
    out: &mut Out,
) -> Result<Exit, Error> {
    let mut pause = read(global)?;
    let until = length.map(|length| now + length);
    pause.service = Some(Until { until });
    pause.write(&root_state(&global.state_dir)).map_err(|error| failed(global, &error))?;
    let lang = global.lang;
    let what = match service(global) {
        Some(Service { silent_ms: None, .. }) => say::goes_on(lang),
        Some(_) => say::is_silent(lang),
        None => say::is_not_running(lang),
    };
    let answer = match length.zip(until) {
        None => say::paused(lang, &what),
        Some((length, at)) => say::paused_for(lang, &text::length(lang, length), &moment(at, now), &what),
    };
    out.tell(&(answer + "\n"))?;
    Ok(Exit::Ok)
}

/// Ends every pause, those of single engines too: who resumes wants the service back at work. One that gave way to another
/// program was not paused, and is not told of this; what has it write is named.
///
/// # Errors
///
/// The pause file cannot be removed.
pub fn resume(global: &Global, out: &mut Out) -> Result<Exit, Error> {
    let before = read(global)?;
    Pause::default().write(&root_state(&global.state_dir)).map_err(|error| failed(global, &error))?;
    let engines: Vec<&str> = before.engines.keys().map(String::as_str).collect();
    let answer = match (before.service, engines.as_slice(), service(global)) {
        (None, [], _) if gave_way(global) => say::gave_way(global.lang),
        (None, [], _) => say::was_not_paused(global.lang),
        (.., None) => say::resumed_stopped(global.lang),
        (.., Some(Service { silent_ms: Some(_), .. })) => say::resumed_silent(global.lang),
        (_, [], _) => say::resumed(global.lang),
        (_, engines, _) => say::resumed_engines(global.lang, &crate::status::safe::line(&engines.join(", "))),
    };
    out.tell(&(answer + "\n"))?;
    Ok(Exit::Ok)
}

/// The service, if there is one.
fn service(global: &Global) -> Option<Service> {
    let status = Status::read(&global.runtime_dir, &global.state_dir).ok()?;
    Some(status.service).filter(|service| service.state != ServiceState::Stopped)
}

/// Whether the service has stopped writing by itself, because another program keeps rewriting the list.
fn gave_way(global: &Global) -> bool {
    let Ok(status) = Status::read(&global.runtime_dir, &global.state_dir) else { return false };
    let contested = |engine: &Engine| engine.problem_kind == Some(ProblemKind::Contested);
    status.service.state != ServiceState::Stopped && status.engines.iter().any(contested)
}

/// What is paused already. A file that makes no sense is about to be replaced.
fn read(global: &Global) -> Result<Pause, Error> {
    match Pause::read(&root_state(&global.state_dir)) {
        Ok(pause) => Ok(pause),
        Err(error)
            if error.cause.kind() == io::ErrorKind::InvalidData
                || error.cause.kind() == io::ErrorKind::UnexpectedEof =>
        {
            note(global, &say::broken_pause(global.lang, &detail(global.lang, &error.to_string())));
            Ok(Pause::of_broken_file())
        }
        Err(error) => Err(failed(global, &error)),
    }
}

/// Why the pause could not be read or written.
pub(super) fn failed(global: &Global, error: &PauseError) -> Error {
    let exit = if error.not_permitted() { Exit::NotPermitted } else { Exit::Failed };
    Error::new(exit, detail(global.lang, &error.to_string()))
}
