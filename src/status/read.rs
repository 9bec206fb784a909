//! The files a status is published in, and whether the process that wrote them still lives.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use rustix::time::{ClockId, clock_gettime};

use super::json::{Layout, to_string};
use super::{FILE_NAME, SCHEMA, ServiceState, Status};
use crate::confine::{self, outside};
use crate::file;
use crate::process;
use crate::publish::{Durability, publish};

/// A service renews its status in the runtime directory at least so often, whether or not there is news.
pub const RENEWED: Duration = Duration::from_secs(120);

/// And its copy in the state directory.
pub const KEPT: Duration = Duration::from_secs(1800);

/// By so much a status may be late on a host that hardly gets to anything; a shorter one would make a status of every
/// `docker build` a false alarm.
const LATE: Duration = Duration::from_secs(120);

/// Why no status could be shown.
#[derive(Debug)]
pub struct ReadError {
    /// The file that would have been the best.
    pub path: PathBuf,
    /// Why it could not be used.
    pub cause: Unusable,
}

/// Why a status file cannot be used.
#[derive(Debug)]
pub enum Unusable {
    /// It cannot be read; `NotFound` when the service never ran.
    Io(io::Error),
    /// It was written by a version whose shape we do not know.
    Schema(u32),
    /// It is not a status.
    Shape(serde_json::Error),
}

impl Status {
    /// Publishes this in `dir`: the runtime directory, and for later the state directory.
    ///
    /// # Errors
    ///
    /// Whatever the file system says; what was published before still stands.
    pub fn write(&self, dir: &Path) -> io::Result<()> {
        publish(dir, FILE_NAME, to_string(self, Layout::Line).as_bytes(), Durability::Cached)
    }

    /// The same where `dir` is another than the one that this thread was left to write in, by the same name, or is
    /// missing.
    ///
    /// # Errors
    ///
    /// As [`Self::write`].
    pub fn write_afresh(&self, dir: &Path) -> io::Result<()> {
        let (directory, line) = (dir.to_owned(), to_string(self, Layout::Line));
        outside::afresh(move || {
            std::fs::create_dir_all(&directory)?;
            if let Err(why) = confine::to(&[&directory]) {
                tracing::debug!("the thread that writes the status is not confined: {why}");
            }
            publish(&directory, FILE_NAME, line.as_bytes(), Durability::Cached)
        })?
    }

    /// The last published status, with `service.state` made `stopped` when the process that wrote it is gone, and
    /// `service.silent_ms` set when it is there and no longer at work.
    ///
    /// The state directory's copy is for the time after systemd has removed the runtime directory.
    ///
    /// # Errors
    ///
    /// Neither file can be used; told of the runtime directory's, unless there is none.
    pub fn read(runtime_dir: &Path, state_dir: &Path) -> Result<Self, ReadError> {
        let (mut status, renewed) = match read_file(runtime_dir) {
            Ok(status) => (status, RENEWED),
            Err(first) => match read_file(state_dir) {
                // The other one may have been cleared away a moment ago.
                Ok(status) => (status, KEPT + RENEWED),
                Err(second) if first.is_absent() => return Err(second),
                Err(_) => return Err(first),
            },
        };
        let service = &mut status.service;
        if !service.pid.is_some_and(|pid| is_running(pid, service.pid_started)) {
            service.state = ServiceState::Stopped;
            // By now it may be the number of another process.
            (service.pid, service.pid_started) = (None, None);
        } else {
            service.silent_ms = overdue(service.awake_ms, awake_ms(), renewed);
        }
        Ok(status)
    }
}

/// For how long this host has been awake since it started, in milliseconds. A status is timed by this and not by the
/// time of day: it stands still while the host sleeps, and nobody sets it.
pub fn awake_ms() -> u64 {
    let awake = Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default();
    u64::try_from(awake.as_millis()).unwrap_or(u64::MAX)
}

/// How old what was written at `written` is, in milliseconds, if it is to be renewed so often and has not been for too
/// long. A version that did not say when it wrote promised nothing.
fn overdue(written: Option<u64>, now: u64, renewed: Duration) -> Option<u64> {
    let age = now.saturating_sub(written?);
    (Duration::from_millis(age) > renewed + LATE).then_some(age)
}

fn read_file(dir: &Path) -> Result<Status, ReadError> {
    #[derive(serde::Deserialize)]
    struct Version {
        schema: u32,
    }
    let path = dir.join(FILE_NAME);
    let failed = |cause| ReadError { path: path.clone(), cause };
    let file = file::read(&path).map_err(|error| failed(Unusable::Io(error)))?;
    let bytes = file.bytes().ok_or_else(|| failed(Unusable::Io(io::ErrorKind::NotFound.into())))?;
    // The number first: a later shape would otherwise be called broken.
    let version: Version = serde_json::from_slice(bytes).map_err(|error| failed(Unusable::Shape(error)))?;
    if version.schema != SCHEMA {
        return Err(failed(Unusable::Schema(version.schema)));
    }
    serde_json::from_slice(bytes).map_err(|error| failed(Unusable::Shape(error)))
}

/// Whether the process `pid` that began at `begun` still runs.
fn is_running(pid: u32, begun: Option<u64>) -> bool {
    let Some(id) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
    match test_kill_process(id) {
        // It is there, and another user's.
        Ok(()) | Err(Errno::PERM) => {}
        Err(_) => return false,
    }
    if process::has_ended(pid) {
        return false;
    }
    match (begun, process::started(pid)) {
        (Some(begun), Some(started)) => begun == started,
        // /proc may hide other users' processes (hidepid); then the pid has to do.
        (Some(_), None) => true,
        (None, _) => process::name(pid).is_some_and(|name| name == "mirrorwatch"),
    }
}

impl ReadError {
    /// There is no such file: the service never ran here.
    pub fn is_absent(&self) -> bool {
        matches!(&self.cause, Unusable::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }

    /// Only somebody with more rights can read it.
    pub fn not_permitted(&self) -> bool {
        matches!(&self.cause, Unusable::Io(error) if error.kind() == io::ErrorKind::PermissionDenied)
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        match &self.cause {
            Unusable::Io(error) => error.fmt(f),
            Unusable::Schema(schema) => write!(f, "schema {schema} is not {SCHEMA}"),
            Unusable::Shape(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.cause {
            Unusable::Io(error) => Some(error),
            Unusable::Schema(_) => None,
            Unusable::Shape(error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_is_known_by_its_pid_and_its_start() {
        let own = std::process::id();
        assert!(is_running(own, process::started(own)));
        assert!(
            !is_running(own, process::started(own).map(|ticks| ticks - 1)),
            "another process with our pid"
        );
        // The test's own program is not called mirrorwatch.
        assert!(!is_running(own, None));
        assert!(!is_running(0, None) && !is_running(u32::MAX, None));
    }

    #[test]
    fn a_status_is_overdue_when_twice_the_time_has_passed_in_which_it_is_renewed() {
        for (written, now, age) in [
            (Some(1_000_000), 1_240_000, None),
            (Some(1_000_000), 1_240_001, Some(240_001)),
            // Of another start of this host, as after a restored snapshot; and of an older version.
            (Some(1_000_000), 60_000, None),
            (None, 1_000_000_000, None),
        ] {
            assert_eq!(overdue(written, now, RENEWED), age, "{written:?} at {now}");
        }
    }

    #[test]
    fn a_process_that_ended_does_not_run() {
        let mut child = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
        let (pid, begun) = (child.id(), process::started(child.id()));
        assert!(begun.is_some() && is_running(pid, begun));
        child.kill().unwrap();
        let options = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
        let id = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        rustix::process::waitid(rustix::process::WaitId::Pid(id), options).unwrap();
        assert!(!is_running(pid, begun), "nobody has taken note of its end yet");
        child.wait().unwrap();
        assert!(!is_running(pid, begun));
    }
}
