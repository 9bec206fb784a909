//! `run`: the service in the foreground.

use super::exit::{Error, Exit};
use super::{Global, judge, log};
use crate::applier;
use crate::daemon::{self, Places, StartError};
use crate::text::detail::detail;
use crate::text::round as say;

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// Why the service did not start.
pub async fn run(global: &Global, unprivileged: bool) -> Result<Exit, Error> {
    log::to_stderr(global);
    // What mirrorwatch starts needs no more rights than it has. A kernel without this has had none to offer either.
    let _ = rustix::thread::set_no_new_privs(true);
    let places = Places {
        config: global.config.clone(),
        state: global.state_dir.clone(),
        runtime: global.runtime_dir.clone(),
        unprivileged,
        // The unit of one that is unprivileged leaves it less than this would.
        confined: !unprivileged,
    };
    let said = |error: &dyn std::fmt::Display| detail(global.lang, &error.to_string());
    match daemon::run(places).await {
        Ok(()) => Ok(Exit::Ok),
        Err(StartError::Config(invalid)) => Err(judge::invalid_config(global, &global.config, &invalid)),
        Err(StartError::Directory(path, error)) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Err(Error::new(Exit::NotPermitted, said(&format!("{}: {error}", path.display()))))
        }
        Err(error @ StartError::Running(_)) => {
            Err(Error::failed(said(&error)).with_hint(say::see_the_other(global.lang)))
        }
        Err(StartError::Prober(error)) => Err(Error::failed(error.text(global.lang))),
        Err(
            error @ (StartError::Directory(..)
            | StartError::Removed(..)
            | StartError::Signals(_)
            | StartError::Died(_)),
        ) => Err(Error::failed(said(&error))),
    }
}

/// One run of the process that writes.
///
/// # Errors
/// Nobody could be told what the engine is.
pub async fn apply_request(global: &Global) -> Result<Exit, Error> {
    log::to_stderr(global);
    let places = applier::Places::new(&global.config, &global.state_dir, &global.runtime_dir);
    applier::serve(&places).await.map(|()| Exit::Ok).map_err(Error::failed)
}
