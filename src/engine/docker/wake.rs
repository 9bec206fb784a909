//! Under systemd's socket activation a connection starts a dockerd that somebody has stopped, or is stopping.

use std::path::Path;

use super::discover::Process;
use super::reload;
use crate::engine::Problem;
use crate::reason::ProblemKind;

/// The process that holds a stopped dockerd's socket, where systemd runs the host.
const SYSTEMD: u32 = 1;

/// The names of this socket, if it is one that systemd may hold for a dockerd that does not run.
pub(super) fn names(socket: &Path) -> Option<[&'static Path; 2]> {
    let standard = [Path::new("/var/run/docker.sock"), Path::new("/run/docker.sock")];
    (standard.contains(&socket) && Path::new("/run/systemd/system").is_dir()).then_some(standard)
}

/// Whether a connection now reaches a dockerd, as far as can be seen at once, and does not start one.
pub(super) fn is_awake(socket: &Path) -> bool {
    names(socket).is_none_or(|names| {
        Process::all().iter().any(|dockerd| dockerd.listens_at(&names, SYSTEMD) == Some(true))
    })
}

/// To be asked before every connection, and not long before: dockerd may be stopped between any two.
///
/// # Errors
/// [`ProblemKind::NotRunning`]: it would start one, or nobody can tell.
pub(super) async fn refuse(socket: &Path) -> Result<(), Problem> {
    let Some(names) = names(socket) else { return Ok(()) };
    for dockerd in Process::all() {
        let listens = match dockerd.listens_at(&names, SYSTEMD) {
            Some(listens) => listens,
            // Without the right to look into it: its command line says whether it is the one, and systemd whether that
            // is just being stopped.
            None => dockerd.may_listen_at(&names) && !reload::is_stopping(&dockerd).await,
        };
        if listens {
            return Ok(());
        }
    }
    let detail = format!("{}: dockerd does not run, and asking here would start it", socket.display());
    Err(Problem::new(ProblemKind::NotRunning, detail))
}
