//! Small files of our own that other processes read: replaced whole, readable by everyone.
//!
//! Next to [`crate::file`], which edits other people's files and so keeps their mode, owner and attributes and
//! looks out for edits between: here nobody else writes, and the last writer is right.

use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use crate::file::{self, nameless};

/// Whether the bytes must outlive a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Flushed to the disk, and the directory too.
    Flushed,
    /// Left to the kernel: for what is written anew all the time, or lies in memory anyway.
    Cached,
}

/// Replaces `dir/name` with `bytes`, mode 0644, so that a reader sees the old or the new and never half of it.
///
/// The file belongs to whom the directory belongs: what root publishes in the service's directory stays the service's.
///
/// # Errors
///
/// Whatever the file system says; the old file is then still there, and nothing else is left behind.
pub fn publish(dir: &Path, name: &str, bytes: &[u8], durability: Durability) -> io::Result<()> {
    put(dir, name, bytes, durability, None)
}

/// The same, mode 0640: for us and the members of one group, of which we must be one.
///
/// # Errors
///
/// As [`publish`]; and the group is not ours to give.
pub fn publish_to(
    group: u32,
    dir: &Path,
    name: &str,
    bytes: &[u8],
    durability: Durability,
) -> io::Result<()> {
    put(dir, name, bytes, durability, Some(group))
}

/// Gives a file to whom its directory belongs to. It must be one that was just made: in another user's directory any
/// other may be a link to whatever that user would like to have.
///
/// # Errors
/// What the system says, but for who may not: only root can give a file away, and anybody else has made one of his own,
/// which is as readable.
pub fn give(file: &File, dir: &Path) -> io::Result<()> {
    let (owner, ours) = (std::fs::metadata(dir)?, file.metadata()?);
    if (owner.uid(), owner.gid()) == (ours.uid(), ours.gid()) {
        return Ok(());
    }
    match fchown(file, Some(owner.uid()), Some(owner.gid())) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        result => result,
    }
}

fn put(dir: &Path, name: &str, bytes: &[u8], durability: Durability, group: Option<u32>) -> io::Result<()> {
    let mut temp = tempfile::Builder::new()
        .prefix(file::TEMP_PREFIX)
        .suffix(file::TEMP_SUFFIX)
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(dir)
        .map_err(nameless)?;
    temp.write_all(bytes).map_err(nameless)?;
    give(temp.as_file(), dir)?;
    if group.is_some() {
        fchown(temp.as_file(), None, group)?;
    }
    // Set afterwards, because the umask would have cut it.
    let mode = if group.is_some() { 0o640 } else { 0o644 };
    temp.as_file().set_permissions(Permissions::from_mode(mode))?;
    match durability {
        Durability::Flushed => {
            file::sweep(dir, temp.as_file());
            temp.as_file().sync_all()?;
            temp.persist(dir.join(name))?;
            std::fs::File::open(dir)?.sync_all()
        }
        Durability::Cached => temp.persist(dir.join(name)).map(drop).map_err(Into::into),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_replaced_whole_and_everyone_may_read_it() {
        let dir = tempfile::tempdir().unwrap();
        for (bytes, durability) in [("one", Durability::Cached), ("two", Durability::Flushed)] {
            publish(dir.path(), "x.json", bytes.as_bytes(), durability).unwrap();
            assert_eq!(std::fs::read_to_string(dir.path().join("x.json")).unwrap(), bytes);
        }
        let metadata = dir.path().join("x.json").metadata().unwrap();
        assert_eq!(metadata.mode() & 0o777, 0o644);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "a temporary file was left behind");
    }

    #[test]
    fn what_a_killed_process_has_left_is_swept_and_what_another_is_just_writing_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) =
            (dir.path().join(".mirrorwatch-aB3dEf.tmp"), dir.path().join(".mirrorwatch-gH1jKl.tmp"));
        for path in [&old, &new] {
            file::replace(path, b"half", None).unwrap();
        }
        let file = std::fs::File::options().write(true).open(&old).unwrap();
        let now = file.metadata().unwrap().modified().unwrap();
        file.set_modified(now - std::time::Duration::from_secs(2 * 3600)).unwrap();
        publish(dir.path(), "x.json", b"one", Durability::Flushed).unwrap();
        assert!(!old.exists() && new.exists());
    }

    #[test]
    fn a_reader_holds_the_old_file_while_the_new_one_takes_its_name() {
        let dir = tempfile::tempdir().unwrap();
        publish(dir.path(), "x.json", b"old", Durability::Cached).unwrap();
        let open = std::fs::File::open(dir.path().join("x.json")).unwrap();
        publish(dir.path(), "x.json", b"new", Durability::Cached).unwrap();
        assert_eq!(std::io::read_to_string(open).unwrap(), "old");
    }

    #[test]
    fn what_goes_wrong_is_said_in_the_same_words_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let said =
            || publish(&dir.path().join("none"), "x.json", b"", Durability::Cached).unwrap_err().to_string();
        assert_eq!(said(), "No such file or directory (os error 2)");
    }
}
