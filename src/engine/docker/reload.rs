//! Asking dockerd to read its file again, without a restart ever.
//!
//! A SIGHUP that comes before dockerd has set its trap ends dockerd, and one that goes to a pid that has been
//! given to somebody else ends somebody else. So the way is settled before anything is written, and a
//! signal goes through a pidfd to a process that was seen to be this dockerd and to serve its API.

use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::discover::Process;
use crate::confine::outside;
use crate::engine::Problem;
use crate::reason::ProblemKind;

/// `systemctl reload` waits for a unit that is still activating, and a command may do what it likes.
const DEADLINE: Duration = Duration::from_secs(30);

/// To read what is in a pipe already.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Of what a command says, its last line is told.
const MOST_SAID: usize = 8 << 10;

/// How a reload is asked for, as it was configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reload {
    /// systemd's way where systemd runs this dockerd, a signal otherwise.
    Auto,
    /// `systemctl reload UNIT`.
    Systemd,
    /// SIGHUP to the dockerd behind the socket.
    Signal,
    /// Not at all: somebody else sees to it.
    None,
    /// A program and its arguments.
    Command(Vec<String>),
}

/// How it will be asked for, settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By systemd; where that fails, by signal to the process, if there is one to fall back to.
    Systemd(String, Option<Process>),
    /// The same by the systemd of the user whose dockerd it is.
    UsersSystemd(String, Option<Process>),
    Signal(Process),
    Command(Vec<String>),
    Nobody,
}

/// A way that a unit is reloaded.
type ByUnit = fn(String, Option<Process>) -> Way;

/// Whose systemd is to be asked: a rootless dockerd's unit has the same name, and another systemd.
fn by(process: &Process) -> ByUnit {
    if process.is_of_a_user() { Way::UsersSystemd } else { Way::Systemd }
}

impl Reload {
    /// Settles the way.
    ///
    /// # Errors
    /// A signal is wanted and the process was not found, or the command is empty.
    pub(super) fn way(&self, unit: &str, process: Option<&Process>) -> Result<Way, Problem> {
        let unknown = || {
            let detail = "dockerd: cannot be reloaded: its process was not found, neither by the socket nor by the pid file";
            Problem::new(ProblemKind::ReloadFailed, detail)
        };
        match self {
            Self::Auto => {
                let process = process.ok_or_else(unknown)?;
                let by_systemd = Path::new("/run/systemd/system").is_dir();
                if by_systemd && process.unit().as_deref() == Some(unit) {
                    Ok(by(process)(unit.to_owned(), Some(process.clone())))
                } else {
                    Ok(Way::Signal(process.clone()))
                }
            }
            Self::Systemd => Ok(process.map_or(Way::Systemd as ByUnit, by)(unit.to_owned(), None)),
            Self::Signal => process.cloned().map(Way::Signal).ok_or_else(unknown),
            Self::None => Ok(Way::Nobody),
            Self::Command(command) if command.is_empty() => {
                Err(Problem::new(ProblemKind::ReloadFailed, "reload: the command is empty"))
            }
            Self::Command(command) => Ok(Way::Command(command.clone())),
        }
    }
}

impl Way {
    /// Asks once. That the engine was asked is no proof that it took the change.
    ///
    /// # Errors
    /// [`ProblemKind::ReloadFailed`] with what the system or the program said.
    pub(super) async fn ask(&self) -> Result<(), Problem> {
        match self {
            Self::Systemd(unit, fallback) | Self::UsersSystemd(unit, fallback) => {
                let whose = if matches!(self, Self::Systemd(..)) { "--system" } else { "--user" };
                let systemctl = ["systemctl", whose, "--no-ask-password", "reload", unit].map(str::to_owned);
                match (run(&systemctl).await, fallback) {
                    (Err(problem), Some(process)) => {
                        tracing::debug!(%problem, "systemd does not reload it; sending the signal ourselves");
                        signal(process)
                    }
                    (result, Some(_) | None) => result,
                }
            }
            Self::Signal(process) => signal(process),
            Self::Command(command) => run(command).await,
            Self::Nobody => Ok(()),
        }
    }
}

/// Sends SIGHUP through a pidfd. The process is checked after it was opened, so that between check and
/// signal the pid cannot come to mean another.
fn signal(process: &Process) -> Result<(), Problem> {
    let failed = |cause: &str| {
        let detail = format!("dockerd (pid {}): cannot be sent SIGHUP: {cause}", process.pid());
        Problem::new(ProblemKind::ReloadFailed, detail)
    };
    let pid = Pid::from_raw(process.pid()).ok_or_else(|| failed("no such process"))?;
    let opened = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
        Ok(descriptor) => Some(descriptor),
        // Before Linux 5.3 there is none; the check below still stands right before the signal.
        Err(Errno::NOSYS) => None,
        Err(error) => return Err(failed(&error.to_string())),
    };
    if !process.lives() {
        return Err(failed("it is not the process any more that it was"));
    }
    let sent = match opened {
        Some(descriptor) => rustix::process::pidfd_send_signal(descriptor, Signal::HUP),
        None => rustix::process::kill_process(pid, Signal::HUP),
    };
    sent.map_err(|error| failed(&error.to_string()))
}

/// Whether systemd runs this dockerd and is stopping it, or has stopped it.
pub(super) async fn is_stopping(process: &Process) -> bool {
    let Some(unit) = process.unit() else { return false };
    let state = property(&unit, "ActiveState").await;
    // Who cannot ask does not know, and wakes nobody on a guess.
    state.is_none_or(|state| !matches!(state.trim(), "active" | "reloading" | "activating"))
}

/// The environment that systemd gives this dockerd, if systemd runs it. Files that it is read from are not in it.
pub(super) async fn environment(process: &Process) -> Vec<(String, String)> {
    let Some(unit) = process.unit() else { return Vec::new() };
    let said = property(&unit, "Environment").await.unwrap_or_default();
    super::outbound::assignments(&said)
}

async fn property(unit: &str, name: &str) -> Option<String> {
    let mut systemctl = Command::new("systemctl");
    systemctl.arg("show").arg(format!("--property={name}")).args(["--value", unit]);
    let output = timeout(DEADLINE, systemctl.stdin(Stdio::null()).kill_on_drop(true).output()).await;
    let output = output.ok()?.ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

async fn run(command: &[String]) -> Result<(), Problem> {
    let shown = command.join(" ");
    let failed = |detail: String| Problem::new(ProblemKind::ReloadFailed, detail);
    let mut child = Command::new(&command[0]);
    child
        .args(&command[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    match timeout(DEADLINE, ended(child)).await {
        Err(_) => Err(failed(format!("{shown}: did not end within {DEADLINE:?}"))),
        Ok(Err(error)) => Err(failed(format!("{shown}: {error}"))),
        Ok(Ok((status, _))) if status.success() => Ok(()),
        Ok(Ok((status, said))) => {
            let said = super::log::last_line(&said).unwrap_or_else(|| "said nothing".to_owned());
            Err(failed(match status.code() {
                Some(code) => format!("{shown}: exit status: {code}: {said}"),
                None => format!("{shown}: {status}: {said}"),
            }))
        }
    }
}

/// Runs it to its own end, which is not that of its standard error: what it leaves running may hold that open for ever.
/// Gives how it ended, and the last of what it said until then.
async fn ended(command: Command) -> io::Result<(ExitStatus, Vec<u8>)> {
    // What the administrator named may write where it likes.
    let mut child = outside::start(command)?;
    let mut stderr = child.stderr.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let (mut said, mut piece, mut open) = (Vec::new(), [0; 4 << 10], true);
    // A pipe that nobody empties would hold it up.
    let status = loop {
        tokio::select! {
            read = stderr.read(&mut piece), if open => open = keep(&mut said, &piece, read),
            status = child.wait() => break status?,
        }
    };
    let rest = async {
        while open {
            let read = stderr.read(&mut piece).await;
            open = keep(&mut said, &piece, read);
        }
    };
    // Its own last words are in the pipe already.
    drop(timeout(LAST_WORDS, rest).await);
    Ok((status, said))
}

/// Keeps what was read, and of all that the end; whether there may be more.
fn keep(said: &mut Vec<u8>, piece: &[u8], read: io::Result<usize>) -> bool {
    let Ok(count @ 1..) = read else { return false };
    said.extend_from_slice(&piece[..count]);
    said.drain(..said.len().saturating_sub(MOST_SAID));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, argument: &str) -> Result<(), Problem> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(&["sh", "-c", script, argument].map(str::to_owned)))
    }

    #[test]
    fn a_command_is_over_when_it_ends_whatever_it_leaves_behind() {
        let place = tempfile::tempdir().unwrap();
        let (there, start) = (place.path().display().to_string(), std::time::Instant::now());
        // What it leaves has its standard error open until the directory is gone.
        assert_eq!(shell("while [ -e $0 ]; do sleep 0.1; done &", &there), Ok(()));
        let problem = shell("while [ -e $0 ]; do sleep 0.1; done & echo no such unit >&2; exit 5", &there);
        assert!(problem.unwrap_err().detail.ends_with("exit status: 5: no such unit"));
        assert!(start.elapsed() < DEADLINE, "{:?}", start.elapsed());
    }

    #[test]
    fn a_command_that_says_more_than_a_pipe_holds_ends_and_its_last_word_is_told() {
        let script = "yes a lot of words | head -c 3000000 >&2; echo the reason >&2; exit 3";
        assert!(shell(script, "").unwrap_err().detail.ends_with("exit status: 3: the reason"));
    }
}
