//! What is kept of an engine's file outside its directory: the first bytes for ever, the last for a rollback
//! that fails, and the lock that makes appliers queue.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::engine::Problem;
use crate::file::{self, Snapshot};
use crate::reason::ProblemKind;

/// The directory of one kind of engine; files in it are named after the path they are of.
#[derive(Clone, Debug)]
pub(super) struct Backups {
    directory: PathBuf,
}

/// What stood there before we first wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pristine {
    /// `None`: there was no file.
    pub(super) bytes: Option<Vec<u8>>,
}

/// Held while something is applied; released when dropped, or by the kernel when we die.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone would leave it to a child that another thread has forked and not yet executed.
        drop(self.file.unlock());
    }
}

impl Backups {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Takes the lock.
    ///
    /// # Errors
    /// [`ProblemKind::Locked`] when another mirrorwatch has it; [`ProblemKind::Unwritable`] or
    /// [`ProblemKind::NotPermitted`] when the state directory cannot be used.
    pub(super) fn lock(&self) -> Result<Lock, Problem> {
        let path = self.directory.join("lock");
        let failed = |error: io::Error| unusable(&path, &error);
        // Its files may hold a proxy's password, as daemon.json may.
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory).map_err(failed)?;
        let mut options = OpenOptions::new();
        let lock = options.write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Lock { file: lock }),
            Err(TryLockError::WouldBlock) => {
                let detail = format!("{}: another mirrorwatch is applying right now", path.display());
                Err(Problem::new(ProblemKind::Locked, detail))
            }
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// What stood there before we first wrote; `None` when we never did.
    pub(super) fn pristine(&self, of: &Path) -> Result<Option<Pristine>, Problem> {
        if self.named(of, "absent").exists() {
            return Ok(Some(Pristine { bytes: None }));
        }
        let path = self.named(of, "first");
        let snapshot = file::read(&path).map_err(|error| unusable(&path, &error))?;
        Ok(snapshot.bytes().map(|bytes| Pristine { bytes: Some(bytes.to_vec()) }))
    }

    /// Keeps what is about to be replaced: once as the first, always as the last.
    pub(super) fn keep(&self, of: &Path, snapshot: &Snapshot) -> Result<(), Problem> {
        let write = |suffix: &str, bytes: &[u8]| {
            let path = self.named(of, suffix);
            file::replace(&path, bytes, None)
                .map_err(|error| Problem::new(ProblemKind::Unwritable, error.to_string()))
        };
        if self.pristine(of)?.is_none() {
            match snapshot.bytes() {
                Some(bytes) => write("first", bytes)?,
                None => write("absent", b"")?,
            }
        }
        match snapshot.bytes() {
            Some(bytes) => write("last", bytes),
            None => {
                // What an earlier apply left there would be the wrong bytes to point at.
                drop(fs::remove_file(self.last(of)));
                Ok(())
            }
        }
    }

    /// Where the bytes are that were replaced last.
    pub(super) fn last(&self, of: &Path) -> PathBuf {
        self.named(of, "last")
    }

    /// `/etc/docker/daemon.json` is kept as `%etc%docker%daemon.json.first`.
    fn named(&self, of: &Path, suffix: &str) -> PathBuf {
        let flat = of.display().to_string().replace('%', "%%").replace('/', "%");
        self.directory.join(format!("{flat}.{suffix}"))
    }
}

fn unusable(path: &Path, error: &io::Error) -> Problem {
    let denied = error.kind() == io::ErrorKind::PermissionDenied;
    let kind = if denied { ProblemKind::NotPermitted } else { ProblemKind::Unwritable };
    Problem::new(kind, format!("{}: cannot be used: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_are_kept_for_ever_and_the_last_are_replaced() {
        let place = tempfile::tempdir().unwrap();
        let backups = Backups::new(place.path().join("engines/docker"));
        let _lock = backups.lock().unwrap();
        let of = place.path().join("daemon.json");
        assert_eq!(backups.pristine(&of).unwrap(), None);
        for bytes in [b"one", b"two"] {
            file::replace(&of, bytes, None).unwrap();
            backups.keep(&of, &file::read(&of).unwrap()).unwrap();
        }
        assert_eq!(backups.pristine(&of).unwrap(), Some(Pristine { bytes: Some(b"one".to_vec()) }));
        assert_eq!(file::read(&backups.last(&of)).unwrap().bytes(), Some(&b"two"[..]));
    }

    #[test]
    fn that_there_was_no_file_is_kept_for_ever_too() {
        let place = tempfile::tempdir().unwrap();
        let backups = Backups::new(place.path().to_owned());
        let of = place.path().join("daemon.json");
        backups.keep(&of, &file::read(&of).unwrap()).unwrap();
        file::replace(&of, b"{}", None).unwrap();
        backups.keep(&of, &file::read(&of).unwrap()).unwrap();
        assert_eq!(backups.pristine(&of).unwrap(), Some(Pristine { bytes: None }));
    }

    #[test]
    fn two_files_never_share_a_backup() {
        let backups = Backups::new(PathBuf::from("/state"));
        let names: Vec<_> =
            ["/a/b", "/a%b", "/a/%b"].map(|of| backups.named(Path::new(of), "first")).to_vec();
        assert_eq!(names[0], Path::new("/state/%a%b.first"));
        assert!(names[0] != names[1] && names[1] != names[2] && names[0] != names[2]);
    }

    #[test]
    fn a_second_applier_is_told_that_the_lock_is_held() {
        let place = tempfile::tempdir().unwrap();
        let backups = Backups::new(place.path().to_owned());
        let held = backups.lock().unwrap();
        assert_eq!(backups.lock().unwrap_err().kind, ProblemKind::Locked);
        drop(held);
        assert!(backups.lock().is_ok());
    }
}
