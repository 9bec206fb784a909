//! The pause file: how a person at the keyboard tells the service to keep its hands off.
//!
//! `pause.json`: `{"service": {"until": "2026-11-20T14:00:00Z"}, "engines": {"docker": {"until": null}}}`.
//! `until: null` is a pause without an end; a missing file, `service: null` and no engines is none at all. It lies
//! where whoever writes the engine's file keeps what it relies on, so that it outlives a restart of the service and of
//! the host: for root in `/var/lib/mirrorwatch-apply`, which the service cannot write, for others in the state directory.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::file;
use crate::publish::{Durability, publish};
use crate::room::{self, Room};
use crate::timestamp::Timestamp;

/// The file's name.
pub const FILE_NAME: &str = "pause.json";

/// Who is paused, and for how long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// The service as a whole: it goes on probing and writes nothing. What `pause` sets.
    #[serde(default)]
    pub service: Option<Until>,
    /// Single engines, by name. What `restore` sets.
    #[serde(default)]
    pub engines: BTreeMap<String, Until>,
}

/// The end of a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Until {
    /// When it ends by itself; `None` lasts until `resume`.
    pub until: Option<Timestamp>,
}

/// The pause file is there and cannot be understood or read.
#[derive(Debug)]
pub struct PauseError {
    /// Which file.
    pub path: PathBuf,
    /// Why.
    pub cause: io::Error,
}

/// The pause file as it is before it is replaced for a while.
#[derive(Debug)]
pub enum Before {
    /// It says this.
    Understood(Pause),
    /// It has these bytes, and makes no sense.
    Not(Vec<u8>, PauseError),
}

impl Until {
    /// Whether the pause still holds at `now`.
    pub fn holds(self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl Pause {
    /// What a file stands for that cannot be understood, where nothing is known of before: whoever wrote it wanted
    /// something to stop.
    pub fn of_broken_file() -> Self {
        Self { service: Some(Until { until: None }), engines: BTreeMap::new() }
    }

    /// What the file says; nothing paused when there is none.
    ///
    /// # Errors
    ///
    /// The file is there, and is unreadable or not a pause file.
    pub fn read(state_dir: &Path) -> Result<Self, PauseError> {
        let path = state_dir.join(FILE_NAME);
        let snapshot = match file::read(&path) {
            Ok(snapshot) => snapshot,
            Err(cause) => return Err(PauseError { path, cause }),
        };
        let Some(bytes) = snapshot.bytes() else { return Ok(Self::default()) };
        serde_json::from_slice(bytes).map_err(|error| PauseError { path, cause: error.into() })
    }

    /// Makes the file say this, and its directory where there is none yet; removes it when nothing is paused.
    ///
    /// # Errors
    ///
    /// The file cannot be written or removed; it then says what it said before.
    pub fn write(&self, state_dir: &Path) -> Result<(), PauseError> {
        let failed = |cause| PauseError { path: state_dir.join(FILE_NAME), cause };
        if self.service.is_none() && self.engines.is_empty() {
            return match std::fs::remove_file(state_dir.join(FILE_NAME)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
                Ok(()) | Err(_) => Ok(()),
            };
        }
        let mut bytes = serde_json::to_vec(self).expect("names, times and nulls are always JSON");
        bytes.push(b'\n');
        put(state_dir, &bytes)
    }

    /// The pause of the service that holds at `now`.
    pub fn of_service(&self, now: Timestamp) -> Option<Until> {
        self.service.filter(|pause| pause.holds(now))
    }

    /// The pause of this one engine that holds at `now`; that of the service is not looked at.
    pub fn of_engine(&self, engine: &str, now: Timestamp) -> Option<Until> {
        self.engines.get(engine).copied().filter(|pause| pause.holds(now))
    }
}

impl Before {
    /// What the file is.
    ///
    /// # Errors
    ///
    /// It is there and cannot be read.
    pub fn read(state_dir: &Path) -> Result<Self, PauseError> {
        let path = state_dir.join(FILE_NAME);
        match Pause::read(state_dir) {
            Ok(pause) => Ok(Self::Understood(pause)),
            Err(error) => match file::read(&path) {
                Ok(snapshot) => Ok(Self::Not(snapshot.bytes().unwrap_or_default().to_vec(), error)),
                Err(cause) => Err(PauseError { path, cause }),
            },
        }
    }

    /// Makes the file again what it was.
    ///
    /// # Errors
    ///
    /// As [`Pause::write`].
    pub fn put_back(&self, state_dir: &Path) -> Result<(), PauseError> {
        match self {
            Self::Understood(pause) => pause.write(state_dir),
            Self::Not(bytes, _) => put(state_dir, bytes),
        }
    }
}

fn put(state_dir: &Path, bytes: &[u8]) -> Result<(), PauseError> {
    std::fs::create_dir_all(state_dir).map_err(|cause| PauseError { path: state_dir.to_owned(), cause })?;
    // A pause is how somebody makes it stop, and what a restore begins with.
    let write = || publish(state_dir, FILE_NAME, bytes, Durability::Flushed);
    let failed = |error| PauseError { path: state_dir.join(FILE_NAME), cause: bare(error) };
    Room::of(state_dir).with(write, room::is_full).map_err(failed)
}

/// The error without the name of the temporary file, which nobody has ever heard of. The crate that puts it there
/// leaves nothing of the system's own error but its kind.
fn bare(error: io::Error) -> io::Error {
    if error.raw_os_error().is_some() { error } else { error.kind().into() }
}

impl PauseError {
    /// Whether only somebody with more rights could do it.
    pub fn not_permitted(&self) -> bool {
        self.cause.kind() == io::ErrorKind::PermissionDenied
    }
}

impl fmt::Display for PauseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.cause)
    }
}

impl std::error::Error for PauseError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "a test writes what a person might have written")]

    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_176_000_000);

    #[test]
    fn what_is_written_is_read_and_nothing_paused_is_no_file() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Pause::read(dir.path()).unwrap(), Pause::default());
        let pause = Pause {
            service: Some(Until { until: Some(NOW) }),
            engines: BTreeMap::from([("docker".to_owned(), Until { until: None })]),
        };
        pause.write(dir.path()).unwrap();
        assert_eq!(
            std::fs::read_to_string(dir.path().join(FILE_NAME)).unwrap(),
            "{\"service\":{\"until\":\"2026-11-20T12:00:00Z\"},\"engines\":{\"docker\":{\"until\":null}}}\n"
        );
        assert_eq!(Pause::read(dir.path()).unwrap(), pause);
        Pause::default().write(dir.path()).unwrap();
        Pause::default().write(dir.path()).unwrap();
        assert!(!dir.path().join(FILE_NAME).exists());
    }

    #[test]
    fn the_directory_is_made_and_an_error_names_what_people_know() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("a/b");
        let pause = Pause { service: Some(Until { until: None }), ..Pause::default() };
        pause.write(&state).unwrap();
        assert_eq!(Pause::read(&state).unwrap(), pause);
        let gone = tempfile::NamedTempFile::new_in(dir.path().join("gone")).unwrap_err();
        assert!(gone.to_string().contains("gone/."));
        assert_eq!(bare(gone).to_string(), "entity not found");
    }

    #[test]
    fn a_pause_ends_at_its_end_and_one_without_an_end_does_not() {
        let ended = Pause { service: Some(Until { until: Some(NOW) }), ..Pause::default() };
        assert_eq!(ended.of_service(NOW), None);
        let before = NOW - Duration::from_secs(1);
        assert!(ended.of_service(before).is_some());
        let endless =
            Pause { engines: BTreeMap::from([("docker".into(), Until { until: None })]), ..Pause::default() };
        assert!(endless.of_engine("docker", NOW + Duration::from_secs(1_000_000_000)).is_some());
        assert_eq!(endless.of_engine("podman", NOW), None);
        assert_eq!(endless.of_service(NOW), None);
    }

    #[test]
    fn a_file_that_is_no_pause_file_is_said_to_be_none() {
        let dir = tempfile::tempdir().unwrap();
        for bad in ["", "{\"service\": {}}x", "{\"until\": null}", "7"] {
            std::fs::write(dir.path().join(FILE_NAME), bad).unwrap();
            let error = Pause::read(dir.path()).unwrap_err();
            assert!(
                error.to_string().starts_with(&dir.path().join(FILE_NAME).display().to_string()),
                "{error}"
            );
        }
    }
}
