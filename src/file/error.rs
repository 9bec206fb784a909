//! Why a file was left as it was, told so that a person knows what to do.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::IFlags;

use super::directory_of;

/// Why a file was not replaced or removed. Unless `replaced` is set, it is exactly as it was.
#[derive(Debug)]
pub struct ReplaceError {
    /// The path as it was given.
    pub path: PathBuf,
    /// What stands in the way.
    pub obstacle: Obstacle,
    /// Set when the new bytes are in place and only their durability is in doubt.
    pub replaced: bool,
    pub(super) source: Option<io::Error>,
}

/// What stands in the way of a replacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Somebody else wrote the file since it was read.
    Raced,
    /// It has more than one hard link; a rename would tear them apart.
    HardLinked,
    /// The file itself is a mount point, as a file bind-mounted into a container is.
    MountPoint,
    /// The file system is read-only.
    ReadOnly,
    /// `chattr +i` or `+a` on the file or its directory.
    Immutable,
    /// We may not write the directory, or not give the file its owner or attributes.
    NotPermitted,
    /// No space, or over quota.
    Full,
    /// The directory is not there.
    NoDirectory,
    /// A symbolic link that leads nowhere.
    DanglingLink,
    /// A directory, a device, a pipe.
    NotAFile,
    /// Anything else the system said.
    Other,
}

impl Obstacle {
    /// What to do about it, in English.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Raced => "another program edits this file at the same time; try again",
            Self::HardLinked => {
                "the file has several hard links; make it a file of its own: cp it aside and mv it back"
            }
            Self::MountPoint => "the file is mounted by itself, mount its directory instead",
            Self::ReadOnly => {
                "the file system is read-only, see findmnt -T on the path; or the service's ReadWritePaths leave it out"
            }
            Self::Immutable => "the file or its directory is immutable; see lsattr, mend with chattr -i",
            Self::NotPermitted => "run it as root, or give it the right to write this directory",
            Self::Full => "the disk is full or a quota is reached; see df -h on the path",
            Self::NoDirectory => "the directory is missing; create it",
            Self::DanglingLink => "the path is a symbolic link that leads nowhere; mend or remove the link",
            Self::NotAFile => "a regular file is wanted there",
            Self::Other => "see the system's log",
        }
    }
}

impl fmt::Display for ReplaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: cannot be replaced: ", self.path.display())?;
        match &self.source {
            Some(source) => write!(f, "{source}")?,
            None => f.write_str(match self.obstacle {
                Obstacle::Raced => "somebody else wrote it meanwhile",
                Obstacle::HardLinked => "it has several hard links",
                Obstacle::DanglingLink => "it is a symbolic link that leads nowhere",
                Obstacle::NotAFile => "it is not a regular file",
                Obstacle::MountPoint
                | Obstacle::ReadOnly
                | Obstacle::Immutable
                | Obstacle::NotPermitted
                | Obstacle::Full
                | Obstacle::NoDirectory
                | Obstacle::Other => "the system refused",
            })?,
        }
        write!(f, "; hint: {}", self.obstacle.hint())
    }
}

impl std::error::Error for ReplaceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

pub(super) fn obstructed(path: &Path, obstacle: Obstacle) -> ReplaceError {
    ReplaceError { path: path.to_owned(), obstacle, replaced: false, source: None }
}

/// Tells from the kind of an error, and where that is ambiguous from the file, what stands in the way.
///
/// The number itself would tell no more, and tempfile does not hand it on.
#[expect(clippy::wildcard_enum_match_arm, reason = "io::ErrorKind is an open set of the standard library")]
pub(super) fn refused(path: &Path, target: &Path, error: io::Error) -> ReplaceError {
    let obstacle = match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => Obstacle::ReadOnly,
        io::ErrorKind::ResourceBusy => Obstacle::MountPoint,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Obstacle::Full,
        io::ErrorKind::AlreadyExists => Obstacle::Raced,
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Obstacle::NoDirectory,
        io::ErrorKind::PermissionDenied => {
            let immutable = is_immutable(target) || is_immutable(directory_of(target));
            if immutable { Obstacle::Immutable } else { Obstacle::NotPermitted }
        }
        _ => Obstacle::Other,
    };
    ReplaceError { path: path.to_owned(), obstacle, replaced: false, source: Some(error) }
}

fn is_immutable(path: &Path) -> bool {
    File::open(path)
        .ok()
        .and_then(|file| rustix::fs::ioctl_getflags(file.as_fd()).ok())
        .is_some_and(|flags| flags.intersects(IFlags::IMMUTABLE | IFlags::APPEND))
}
