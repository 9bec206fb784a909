//! Atomic replacement of a small file that belongs to somebody else: the one shared tool of the edges.
//!
//! The pattern is temp file in the same directory → write → owner, attributes, mode → fsync → compare with
//! what was read → exchange the two names → compare what came out → fsync of the directory. Whoever reads the
//! path sees the old bytes or the new ones, never half of either, whatever instant the power fails at. Nothing
//! is ever truncated in place, and an edit of somebody else is put back even if it came between the
//! comparison and the exchange.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;
use tempfile::NamedTempFile;

mod error;
mod exchange;
mod looks;

pub use error::{Obstacle, ReplaceError};
pub use exchange::Displaced;

use error::{obstructed, refused};

/// More is no configuration file; reading stops here.
pub const MAX_BYTES: u64 = 16 << 20;

/// What a temporary file of ours is called: this, six random characters, [`TEMP_SUFFIX`].
pub(crate) const TEMP_PREFIX: &str = ".mirrorwatch-";
pub(crate) const TEMP_SUFFIX: &str = ".tmp";

/// A temp file older than this was left by a process that died: a replacement takes milliseconds.
const TEMP_AGE: Duration = Duration::from_secs(3600);

/// A file as it was at one moment, so that a later change by somebody else can be told; by default, none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    match expected {
        Some(expected) => displace(path, bytes, expected).map(drop),
        None => {
            let (target, temp) = prepare(path, bytes)?;
            temp.persist(&target).map_err(|error| refused(path, &target, error.error))?;
            durable(path, &target)
        }
    }
}

/// As [`replace`], and keeps the file that was there until the result is dropped: a program that had it open
/// may still write into it, and then it can go back to its place.
///
/// # Errors
/// As [`replace`].
pub fn displace(path: &Path, bytes: &[u8], expected: &Snapshot) -> Result<Displaced, ReplaceError> {
    let (target, temp) = prepare(path, bytes)?;
    unchanged(path, expected)?;
    let displaced = if expected.bytes.is_some() {
        exchange::swap(path, &target, temp, expected)?
    } else {
        // Nobody may have created it in the last microseconds either. Dropping the error drops the file.
        temp.persist_noclobber(&target).map_err(|error| refused(path, &target, error.error))?;
        Displaced::default()
    };
    durable(path, &target)?;
    Ok(displaced)
}

/// Removes `path`, if it is still what was read; through a symbolic link its target.
///
/// # Errors
/// See [`Obstacle`].
pub fn remove(path: &Path, expected: &Snapshot) -> Result<(), ReplaceError> {
    unchanged(path, expected)?;
    let target = resolve(path)?;
    let name = temporary(directory_of(&target)).map_err(|error| refused(path, &target, error))?;
    exchange::take_out(path, &target, name, expected)?;
    durable(path, &target)
}

/// The temporary files of ours beside `path`, whatever their age: what a process left that was killed. Not to
/// be asked while another process of ours may be writing there.
pub fn left_behind(path: &Path) -> Vec<PathBuf> {
    let target = resolve(path).unwrap_or_else(|_| path.to_owned());
    let Ok(entries) = fs::read_dir(directory_of(&target)) else { return Vec::new() };
    let ours = entries.flatten().filter(|entry| is_temp(&entry.file_name()));
    ours.map(|entry| entry.path())
        .filter(|path| path.symlink_metadata().is_ok_and(|it| it.is_file()))
        .collect()
}

/// Gives a file of [`left_behind`] the place of `path`.
///
/// # Errors
/// What the system says; then nothing was moved.
pub fn bring_back(left: &Path, path: &Path) -> io::Result<()> {
    let target = resolve(path).map_err(io::Error::other)?;
    fs::rename(left, &target)?;
    sync(directory_of(&target))
}

/// The directory that a replacement of `path` writes to; where that is missing, the nearest that is there.
pub fn home(path: &Path) -> PathBuf {
    let target = resolve(path).unwrap_or_else(|_| path.to_owned());
    let mut homes =
        target.ancestors().skip(1).map(|home| if home == Path::new("") { Path::new(".") } else { home });
    homes.find(|home| home.is_dir()).unwrap_or(Path::new(".")).to_owned()
}

/// The target and a durable temporary file beside it with the new bytes and the looks of the old file.
fn prepare(path: &Path, bytes: &[u8]) -> Result<(PathBuf, NamedTempFile), ReplaceError> {
    let target = resolve(path)?;
    let old = inspect(path, &target)?;
    let directory = directory_of(&target);
    let temp = temporary(directory).map_err(|error| refused(path, &target, error))?;
    looks::fill(&temp, bytes, old.as_ref(), &target).map_err(|error| refused(path, &target, error))?;
    sweep(directory, temp.as_file());
    Ok((target, temp))
}

fn temporary(directory: &Path) -> io::Result<NamedTempFile> {
    let made = tempfile::Builder::new().prefix(TEMP_PREFIX).suffix(TEMP_SUFFIX).tempfile_in(directory);
    made.map_err(nameless)
}

/// The error of a temporary file without the name that differs each time: whoever says a thing once must know it again.
pub fn nameless(error: io::Error) -> io::Error {
    match error.to_string().split_once(" at path ") {
        Some((cause, _)) => io::Error::new(error.kind(), cause),
        None => error,
    }
}

fn durable(path: &Path, target: &Path) -> Result<(), ReplaceError> {
    sync(directory_of(target))
        .map_err(|error| ReplaceError { replaced: true, ..refused(path, target, error) })
}

fn unchanged(path: &Path, expected: &Snapshot) -> Result<(), ReplaceError> {
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

/// Removes temporary files that a process of ours left when it was killed.
///
/// Their age is told by the file system's own clock: the modification time of `fresh`, just written.
pub(crate) fn sweep(directory: &Path, fresh: &File) {
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

#[cfg(test)]
mod tests {
    use super::*;

    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use looks::ACL;
    use rustix::fs::XattrFlags;
    use rustix::io::Errno;

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
            assert_eq!(remove(&path, &stale).unwrap_err().obstacle, Obstacle::Raced);
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
