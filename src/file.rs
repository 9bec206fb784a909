//! Atomic replacement of a small file that belongs to somebody else: the one shared tool of the edges.
//!
//! The pattern is temp file in the same directory → write → owner, attributes, mode → fsync → compare with
//! what was read → rename → fsync of the directory. Whoever reads the path sees the old bytes or the new
//! ones, never half of either, whatever instant the power fails at. Nothing is ever truncated in place.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Gid, IFlags, OFlags, Uid, XattrFlags};
use rustix::io::Errno;
use tempfile::NamedTempFile;

/// More is no configuration file; reading stops here.
pub const MAX_BYTES: u64 = 16 << 20;

/// What a temporary file of ours is called: this, six random characters, [`TEMP_SUFFIX`].
const TEMP_PREFIX: &str = ".mirrorwatch-";
const TEMP_SUFFIX: &str = ".tmp";

/// A temp file older than this was left by a process that died: a replacement takes milliseconds.
const TEMP_AGE: Duration = Duration::from_secs(3600);

/// Where the kernel keeps a file's access control list.
const ACL: &[u8] = b"system.posix_acl_access";

/// The mode of a file that was not there before: engines' configuration and status are world-readable.
const NEW_MODE: u32 = 0o644;

/// A file as it was at one moment, so that a later change by somebody else can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    bytes: Option<Vec<u8>>,
    identity: Option<Identity>,
}

/// Which file it was. The change time is left out: a `chmod` alone is no reason to start again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    size: u64,
}

impl Snapshot {
    /// What the file held; `None` when there was no file.
    pub fn bytes(&self) -> Option<&[u8]> {
        self.bytes.as_deref()
    }
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            size: metadata.size(),
        }
    }
}

/// Why a file was not replaced or removed. Unless `replaced` is set, it is exactly as it was.
#[derive(Debug)]
pub struct ReplaceError {
    /// The path as it was given.
    pub path: PathBuf,
    /// What stands in the way.
    pub obstacle: Obstacle,
    /// Set when the new bytes are in place and only their durability is in doubt.
    pub replaced: bool,
    source: Option<io::Error>,
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
            Self::ReadOnly => "the file system is read-only; see findmnt -T on the path",
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

/// Reads `path` through symbolic links. No file there is a snapshot too.
///
/// # Errors
/// What the system says, a link that leads nowhere, something that is not a regular file, or more than
/// [`MAX_BYTES`].
pub fn read(path: &Path) -> io::Result<Snapshot> {
    // Without NONBLOCK a pipe planted at the path would hold us for ever.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("O_NONBLOCK is a small number");
    let mut file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return match fs::symlink_metadata(path) {
                Ok(_) => Err(io::Error::new(io::ErrorKind::NotFound, "a symbolic link that leads nowhere")),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    Ok(Snapshot { bytes: None, identity: None })
                }
                Err(error) => Err(error),
            };
        }
        Err(error) => return Err(error),
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    (&mut file).take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than any configuration file"));
    }
    // After the bytes: a write in between changes them and the identity is compared together with them.
    let identity = Identity::of(&file.metadata()?);
    Ok(Snapshot { bytes: Some(bytes), identity: Some(identity) })
}

/// Replaces the content of `path` in one step, or creates it with mode 0644.
///
/// Mode, owner and extended attributes (ACL and SELinux label among them) stay; through a symbolic link its
/// target is replaced and the link stays. With `expected`, nothing is written if the file is no longer what
/// was read.
///
/// # Errors
/// See [`Obstacle`]; no temporary file stays behind.
pub fn replace(path: &Path, bytes: &[u8], expected: Option<&Snapshot>) -> Result<(), ReplaceError> {
    let target = resolve(path)?;
    let old = inspect(path, &target)?;
    let directory = directory_of(&target);
    let temp = tempfile::Builder::new()
        .prefix(TEMP_PREFIX)
        .suffix(TEMP_SUFFIX)
        .tempfile_in(directory)
        .map_err(|error| refused(path, &target, error))?;
    fill(&temp, bytes, old.as_ref(), &target).map_err(|error| refused(path, &target, error))?;
    sweep(directory, temp.as_file());
    unchanged(path, expected)?;
    let moved = match expected {
        // Nobody may have created it in the last microseconds either.
        Some(Snapshot { bytes: None, .. }) => temp.persist_noclobber(&target),
        Some(_) | None => temp.persist(&target),
    };
    // Dropping the error drops the temporary file with it.
    moved.map_err(|error| refused(path, &target, error.error))?;
    sync(directory).map_err(|error| ReplaceError { replaced: true, ..refused(path, &target, error) })
}

/// Removes `path`, if it is still what was read.
///
/// # Errors
/// See [`Obstacle`].
pub fn remove(path: &Path, expected: Option<&Snapshot>) -> Result<(), ReplaceError> {
    unchanged(path, expected)?;
    fs::remove_file(path).map_err(|error| refused(path, path, error))?;
    sync(directory_of(path)).map_err(|error| ReplaceError { replaced: true, ..refused(path, path, error) })
}

fn unchanged(path: &Path, expected: Option<&Snapshot>) -> Result<(), ReplaceError> {
    let Some(expected) = expected else { return Ok(()) };
    let now = read(path).map_err(|error| refused(path, path, error))?;
    if now == *expected { Ok(()) } else { Err(obstructed(path, Obstacle::Raced)) }
}

/// Where the bytes really are: the last target of a chain of links.
fn resolve(path: &Path) -> Result<PathBuf, ReplaceError> {
    match fs::canonicalize(path) {
        Ok(target) => Ok(target),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::symlink_metadata(path) {
            Ok(_) => Err(obstructed(path, Obstacle::DanglingLink)),
            Err(_) => Ok(path.to_owned()),
        },
        Err(error) => Err(refused(path, path, error)),
    }
}

fn inspect(path: &Path, target: &Path) -> Result<Option<Metadata>, ReplaceError> {
    match fs::symlink_metadata(target) {
        Ok(metadata) if !metadata.is_file() => Err(obstructed(path, Obstacle::NotAFile)),
        Ok(metadata) if metadata.nlink() > 1 => Err(obstructed(path, Obstacle::HardLinked)),
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(refused(path, target, error)),
    }
}

/// The parent; a bare file name lives in the working directory.
fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Gives the temporary file its bytes and the looks of the file it will replace, durably.
fn fill(temp: &NamedTempFile, bytes: &[u8], old: Option<&Metadata>, target: &Path) -> io::Result<()> {
    let mut file = temp.as_file();
    file.write_all(bytes)?;
    if let Some(old) = old {
        let own = file.metadata()?;
        if (own.uid(), own.gid()) != (old.uid(), old.gid()) {
            rustix::fs::fchown(file, Some(Uid::from_raw(old.uid())), Some(Gid::from_raw(old.gid())))?;
        }
        copy_attributes(&File::open(target)?, file)?;
    }
    // Last, because a change of owner clears mode bits.
    let mode = old.map_or(NEW_MODE, |old| old.mode() & 0o7777);
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}

/// Copies extended attributes: ACLs and SELinux labels ride on them.
fn copy_attributes(from: &File, to: &File) -> io::Result<()> {
    let names = match attribute(|buffer| rustix::fs::flistxattr(from, buffer)) {
        Ok(names) => names,
        Err(Errno::NOTSUP) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        // These two are signatures of the content; copied to other bytes they would lock the file up.
        if name == b"security.ima" || name == b"security.evm" {
            continue;
        }
        let value = attribute(|buffer| rustix::fs::fgetxattr(from, name, buffer))?;
        let already = attribute(|buffer| rustix::fs::fgetxattr(to, name, buffer));
        if already.is_ok_and(|already| already == value) {
            continue;
        }
        match rustix::fs::fsetxattr(to, name, &value, XattrFlags::empty()) {
            Ok(()) | Err(Errno::NOTSUP) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // A directory's default ACL is given to every new file in it, and the old file may be without one.
    if !names.split(|byte| *byte == 0).any(|name| name == ACL) {
        match rustix::fs::fremovexattr(to, ACL) {
            Ok(()) | Err(Errno::NODATA | Errno::NOTSUP) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Calls an xattr function with a buffer that is large enough: 64 KiB is the kernel's own limit.
fn attribute(call: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<Vec<u8>> {
    let mut buffer = vec![0; 64 << 10];
    let length = call(&mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}

/// Removes temporary files that a process of ours left when it was killed.
///
/// Their age is told by the file system's own clock: the modification time of `fresh`, just written.
fn sweep(directory: &Path, fresh: &File) {
    let Ok(now) = fresh.metadata().and_then(|metadata| metadata.modified()) else { return };
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten().filter(|entry| is_temp(&entry.file_name())) {
        let Ok(metadata) = entry.metadata() else { continue };
        let age = metadata.modified().ok().and_then(|modified| now.duration_since(modified).ok());
        if metadata.is_file() && age.is_some_and(|age| age > TEMP_AGE) {
            // Somebody else may have swept it a moment ago; that is as good.
            drop(fs::remove_file(entry.path()));
        }
    }
}

fn is_temp(name: &OsStr) -> bool {
    name.to_str()
        .and_then(|name| name.strip_prefix(TEMP_PREFIX)?.strip_suffix(TEMP_SUFFIX))
        .is_some_and(|random| random.len() == 6 && random.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn obstructed(path: &Path, obstacle: Obstacle) -> ReplaceError {
    ReplaceError { path: path.to_owned(), obstacle, replaced: false, source: None }
}

/// Tells from the kind of an error, and where that is ambiguous from the file, what stands in the way.
///
/// The number itself would tell no more, and tempfile does not hand it on.
#[expect(clippy::wildcard_enum_match_arm, reason = "io::ErrorKind is an open set of the standard library")]
fn refused(path: &Path, target: &Path, error: io::Error) -> ReplaceError {
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

#[cfg(test)]
mod tests {
    use super::*;

    use std::os::unix::fs::symlink;

    struct Place {
        directory: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Self {
            Self { directory: tempfile::tempdir().unwrap() }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.directory.path().join(name)
        }

        fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
            replace(&self.path(name), bytes, None).unwrap();
            self.path(name)
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(self.directory.path()).unwrap();
            let mut names: Vec<_> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    #[test]
    fn a_new_file_is_readable_by_all_and_nothing_else_is_left() {
        let place = Place::new();
        let path = place.put("a", b"one");
        assert_eq!(read(&path).unwrap().bytes(), Some(&b"one"[..]));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o644);
        assert_eq!(place.names(), ["a"]);
    }

    #[test]
    fn mode_and_extended_attributes_stay() {
        let place = Place::new();
        let path = place.put("a", b"one");
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        rustix::fs::setxattr(&path, "user.note", b"kept", XattrFlags::empty()).unwrap();
        let inode = fs::metadata(&path).unwrap().ino();
        replace(&path, b"two", None).unwrap();
        let mut value = [0; 16];
        let length = rustix::fs::getxattr(&path, "user.note", &mut value).unwrap();
        assert_eq!(&value[..length], b"kept");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
        assert_ne!(fs::metadata(&path).unwrap().ino(), inode, "written in place");
    }

    #[test]
    fn a_default_acl_of_the_directory_is_not_given_to_a_file_without_one() {
        let place = Place::new();
        let path = place.put("a", b"one");
        // Version 2; user::rwx, user:33:rwx, group::r-x, mask::rwx, other::r-x: tag, permissions, id each.
        let entries: [(u16, u16, u32); 5] =
            [(1, 7, u32::MAX), (2, 7, 33), (4, 5, u32::MAX), (16, 7, u32::MAX), (32, 5, u32::MAX)];
        let entries = entries.iter().flat_map(|(tag, permissions, id)| {
            [&tag.to_le_bytes()[..], &permissions.to_le_bytes(), &id.to_le_bytes()].concat()
        });
        let acl: Vec<u8> = 2u32.to_le_bytes().into_iter().chain(entries).collect();
        let default = "system.posix_acl_default";
        rustix::fs::setxattr(place.directory.path(), default, &acl, XattrFlags::empty()).unwrap();
        replace(&path, b"two", None).unwrap();
        assert_eq!(rustix::fs::getxattr(&path, ACL, &mut [0; 256]), Err(Errno::NODATA));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o644);
    }

    #[test]
    fn the_target_of_a_link_is_replaced_and_the_link_stays() {
        let place = Place::new();
        let target = place.put("target", b"one");
        let (near, far) = (place.path("near"), place.path("far"));
        symlink("target", &near).unwrap();
        symlink(&near, &far).unwrap();
        let before = read(&far).unwrap();
        replace(&far, b"two", Some(&before)).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"two");
        assert!(near.is_symlink() && far.is_symlink());
    }

    #[test]
    fn nothing_is_written_over_an_edit_made_since_the_read() {
        let place = Place::new();
        let path = place.put("a", b"one");
        let before = read(&path).unwrap();
        place.put("a", b"two");
        // The same bytes in another file are an edit as well.
        for stale in [before, {
            place.put("b", b"two");
            read(&place.path("b")).unwrap()
        }] {
            let error = replace(&path, b"ours", Some(&stale)).unwrap_err();
            assert_eq!((error.obstacle, error.replaced), (Obstacle::Raced, false));
            assert_eq!(remove(&path, Some(&stale)).unwrap_err().obstacle, Obstacle::Raced);
        }
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(place.names(), ["a", "b"]);
    }

    #[test]
    fn a_file_that_appeared_since_the_read_is_left_alone() {
        let place = Place::new();
        let absent = read(&place.path("a")).unwrap();
        assert_eq!(absent.bytes(), None);
        place.put("a", b"theirs");
        assert_eq!(replace(&place.path("a"), b"ours", Some(&absent)).unwrap_err().obstacle, Obstacle::Raced);
        assert_eq!(fs::read(place.path("a")).unwrap(), b"theirs");
    }

    #[test]
    fn what_cannot_be_replaced_safely_is_refused_with_its_reason() {
        let place = Place::new();
        let path = place.put("a", b"one");
        fs::hard_link(&path, place.path("b")).unwrap();
        symlink("nowhere", place.path("dangling")).unwrap();
        fs::create_dir(place.path("directory")).unwrap();
        for (name, obstacle) in [
            ("a", Obstacle::HardLinked),
            ("dangling", Obstacle::DanglingLink),
            ("directory", Obstacle::NotAFile),
            ("none/a", Obstacle::NoDirectory),
            ("a/b", Obstacle::NoDirectory),
        ] {
            let error = replace(&place.path(name), b"two", None).unwrap_err();
            assert_eq!(error.obstacle, obstacle, "{name}");
            let said = error.to_string();
            assert!(said.starts_with(&place.path(name).display().to_string()), "{said}");
            assert!(said.contains("; hint: "), "{said}");
        }
        assert!(read(&place.path("dangling")).is_err() && read(&place.path("directory")).is_err());
        assert_eq!(fs::read(path).unwrap(), b"one");
        assert_eq!(place.names(), ["a", "b", "dangling", "directory"]);
    }

    #[test]
    fn a_pipe_at_the_path_does_not_hold_us() {
        let place = Place::new();
        let path = place.path("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
        assert!(read(&path).is_err());
    }

    #[test]
    fn only_old_temporary_files_of_ours_are_swept() {
        let place = Place::new();
        let now = fs::metadata(place.put("a", b"")).unwrap().modified().unwrap();
        let age = |name: &str, seconds: u64| {
            let file = File::options().write(true).create_new(true).open(place.path(name)).unwrap();
            file.set_modified(now - Duration::from_secs(seconds)).unwrap();
        };
        age(".mirrorwatch-abc123.tmp", 7200);
        age(".mirrorwatch-fresh1.tmp", 60);
        age(".mirrorwatch-somebody-elses.tmp", 7200);
        age(".mirrorwatch-notes", 7200);
        place.put("a", b"one");
        let left = [".mirrorwatch-fresh1.tmp", ".mirrorwatch-notes", ".mirrorwatch-somebody-elses.tmp", "a"];
        assert_eq!(place.names(), left);
    }
}
