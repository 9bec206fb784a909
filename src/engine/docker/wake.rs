//! Under systemd's socket activation a connection starts a dockerd that somebody has stopped, or is stopping.

use std::path::Path;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::discover::{self, Process};
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

/// Whether nobody listens at this socket any more, as far as can be seen at once, and without starting anybody.
pub(super) fn is_left_over(socket: &Path) -> bool {
    // A link leads to another program's, as Podman's is, which may be systemd's too.
    if socket.is_symlink() {
        return false;
    }
    match names(socket) {
        Some(names) => discover::is_listened_at(&names, SYSTEMD) == Some(false) && Process::all().is_empty(),
        // No socket of systemd's: to ask there starts nobody.
        None => refuses(socket).unwrap_or(false),
    }
}

/// Whether the kernel refuses a connection there; nobody who listens is waited for.
fn refuses(socket: &Path) -> rustix::io::Result<bool> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let client = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    Ok(connect(&client, &SocketAddrUnix::new(socket)?) == Err(Errno::CONNREFUSED))
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

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use rustix::net::{Shutdown, shutdown};

    use super::*;

    #[test]
    fn a_socket_that_nobody_listens_at_is_told_from_one_that_is_only_busy() {
        let place = tempfile::tempdir().unwrap();
        let socket = place.path().join("docker.sock");
        let is_listened_at = || discover::is_listened_at(&[&socket], std::process::id());
        let listener = UnixListener::bind(&socket).unwrap();
        assert!(!is_left_over(&socket) && is_listened_at() == Some(true));
        // Nobody is accepted, and in the end nobody is let in.
        let clients: Vec<_> = std::iter::from_fn(|| {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let client = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
            connect(&client, &SocketAddrUnix::new(&socket).unwrap()).is_ok().then_some(client)
        })
        .collect();
        assert!(!clients.is_empty() && !is_left_over(&socket));
        // Closing would not do: a child that another test starts at this moment holds it open until it executes.
        shutdown(&listener, Shutdown::Both).unwrap();
        assert!(is_left_over(&socket));
        let never = place.path().join("never.sock");
        assert_eq!(discover::is_listened_at(&[&never], std::process::id()), Some(false));
        let link = place.path().join("link");
        std::os::unix::fs::symlink(&socket, &link).unwrap();
        assert!(!is_left_over(&link), "whose it is cannot be told");
        std::fs::remove_file(&socket).unwrap();
        assert!(!is_left_over(&socket), "there is none");
        assert_eq!(discover::is_listened_at(&[&socket], 0), None, "nobody can tell");
    }
}
