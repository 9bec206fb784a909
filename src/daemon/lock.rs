//! One service for one state directory.

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::{Places, StartError};
use crate::publish;

/// [`is_running`] holds the lock while it looks, for microseconds; another service holds it for good.
const LOOKS: u32 = 5;
/// Between two tries.
const LOOK: Duration = Duration::from_millis(20);

/// Its name.
const LOCK: &str = "run.lock";

/// Makes the directories and takes the lock, in the runtime directory where the state directory takes no file: the
/// service lives without its memory, and what is wrong with the disk, the store says.
pub(super) fn of_service(places: &Places) -> Result<File, StartError> {
    let made = |directory: &Path| {
        let made = std::fs::create_dir_all(directory);
        made.map_err(|error| StartError::Directory(directory.to_owned(), error))
    };
    made(&places.runtime)?;
    match made(&places.state).and_then(|()| lock(&places.state)) {
        Err(StartError::Directory(_, error)) if takes_no_file(&error) => lock(&places.runtime),
        lock => lock,
    }
}

/// Whether a service runs with this state directory.
pub fn is_running(state: &Path) -> bool {
    // Not made where it is missing: root's would then be in the way of the service's own user.
    match File::open(state.join(LOCK)) {
        Ok(file) => flock(&file, FlockOperation::NonBlockingLockShared).is_err(),
        // Another user's service, for all that we may know.
        Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
    }
}

fn owner(metadata: &io::Result<Metadata>) -> Option<u32> {
    metadata.as_ref().ok().map(MetadataExt::uid)
}

/// Whether a file system is read-only, or full: nobody's rights would help.
fn takes_no_file(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), ReadOnlyFilesystem | StorageFull | QuotaExceeded)
}

/// The lock goes with the process, however it ends.
fn lock(directory: &Path) -> Result<File, StartError> {
    let path = directory.join(LOCK);
    // Whoever can read a file can lock it for ever, so nobody else may from its first moment on.
    let open = |new: bool| OpenOptions::new().append(true).create_new(new).mode(0o600).open(&path);
    let is_theirs = |file: &File| owner(&file.metadata()) == owner(&std::fs::metadata(directory));
    let allow = |file: &File, mode: u32| {
        let _ = file.set_permissions(Permissions::from_mode(mode));
    };
    let file = match open(true) {
        Ok(file) => {
            // What root leaves behind in the directory of the service's own user is that user's, and where it cannot be
            // given away, that user must be able to lock it all the same.
            let _ = publish::give(&file, directory);
            if !is_theirs(&file) {
                allow(&file, 0o644);
            }
            Ok(file)
        }
        // One that is there can be locked all the same, also another user's.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let file = open(false).or_else(|_| File::open(&path));
            file.inspect(|file| {
                if is_theirs(file) {
                    allow(file, 0o600);
                }
            })
        }
        Err(error) => Err(error),
    };
    let file = file.map_err(|error| StartError::Directory(path.clone(), error))?;
    for _ in 0..LOOKS {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(LOOK),
            Err(error) => return Err(StartError::Directory(path, error.into())),
        }
    }
    Err(StartError::Running(path))
}
