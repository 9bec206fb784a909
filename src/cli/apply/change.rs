//! A change of the engine that is under way: nothing interrupts it, and whoever waits for it knows for what.

use std::ffi::OsString;
use std::io;
use std::pin::pin;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

use super::refused;
use crate::cli::exit::{Error, quoted};
use crate::cli::{Global, note};
use crate::engine::docker::Docker;
use crate::engine::{Applied, Problem};
use crate::reason::ProblemKind;
use crate::status;
use crate::text::detail::detail;
use crate::text::{cli as words, round as say};

/// After so long somebody at a terminal begins to wonder; a list is mostly in place within a tenth of a second.
const PATIENCE: Duration = Duration::from_secs(3);

/// From its making on SIGINT, SIGTERM and SIGHUP do not end the process: half-way through, the file would be
/// written and unproven. What follows takes seconds at most.
pub(in crate::cli) struct Uninterrupted {
    _signals: [Signal; 3],
}

impl Uninterrupted {
    pub(in crate::cli) fn begin(global: &Global) -> Result<Self, Error> {
        let failed = |error: io::Error| {
            Error::failed(words::signals(global.lang, &detail(global.lang, &error.to_string())))
        };
        let heard = |kind| signal(kind).map_err(failed);
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hang_up] = kinds.map(heard);
        Ok(Self { _signals: [interrupt?, terminate?, hang_up?] })
    }
}

/// Waits for a change of the engine to its end, and says for what where that is long: a reload command may do as it likes.
///
/// # Errors
/// Why it was not made, with the command that failed where it was one of the administrator's own.
pub(in crate::cli) async fn patiently(
    global: &Global,
    docker: &Docker,
    change: impl Future<Output = Result<Applied, Problem>>,
) -> Result<Applied, Error> {
    let lang = global.lang;
    let command = docker.reload_command().map(|command| {
        let words: Vec<OsString> = command.iter().map(OsString::from).collect();
        status::safe::line(&quoted(&words)).to_string()
    });
    let mut change = pin!(change);
    let done = match timeout(PATIENCE, &mut change).await {
        Ok(done) => done,
        Err(_) => {
            note(
                global,
                &command
                    .as_ref()
                    .map_or(say::waiting_for_engine(lang), |command| say::waiting_for_command(lang, command)),
            );
            change.await
        }
    };
    done.map_err(|problem| match (refused(global, &problem), command) {
        (said, Some(command)) if problem.kind == ProblemKind::ReloadFailed => {
            said.with_hint(say::try_reload(lang, &command))
        }
        (said, _) => said,
    })
}
