//! Room on the disk of a state directory that is set aside while there is some, for the few bytes that must be written
//! when there is none: what stood in an engine's file, and what is about to be done to it.
//!
//! Without it a full disk would keep a dead mirror in the list, since nothing is replaced that could not be put back.
//! Small files rather than a large one, because a file system runs out of files as well as of bytes; and all are given up
//! at once, since whatever filled the disk goes on.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

/// Its name in the state directory.
const NAME: &str = "room";

/// A change keeps two files of the size of daemon.json, which has mostly less than 4 KiB, and removes as many as soon as
/// ten are kept: so this is enough for one of 64 KiB, and for any number of changes of a usual one.
const PIECES: u64 = 16;

/// Bytes of one piece.
const PIECE: u64 = 16 << 10;

/// The room in one state directory.
#[derive(Clone, Debug)]
pub struct Room {
    directory: PathBuf,
}

impl Room {
    /// Nothing is touched yet.
    pub fn of(state_dir: &Path) -> Self {
        Self { directory: state_dir.join(NAME) }
    }

    /// Sets aside what is missing, as far as the disk has it. Best effort: without it a full disk is only met sooner.
    pub fn set_aside(&self) {
        drop(DirBuilder::new().mode(0o700).create(&self.directory));
        let missing = (0..PIECES).map(|number| self.piece(number)).filter(|piece| !is_whole(piece));
        for piece in missing {
            if allocate(&piece).is_err() {
                drop(fs::remove_file(piece));
                return;
            }
        }
    }

    /// Writes, and where the disk is full once more in the room that was set aside.
    ///
    /// # Errors
    /// What `write` says.
    pub fn with<T, E>(&self, write: impl Fn() -> Result<T, E>, is_full: impl Fn(&E) -> bool) -> Result<T, E> {
        match write() {
            Err(error) if is_full(&error) && self.give_up() => write(),
            done => done,
        }
    }

    /// The disk, where it has not even as much left as is set aside: xfs never gives away the last blocks.
    pub fn full_disk(&self) -> Option<&Path> {
        let disk = statvfs(self.directory.parent()?).ok()?;
        // As df counts: of what a file system has for root or for itself alone, it does not say how much is left to us.
        let no_byte = disk.f_bavail.saturating_mul(disk.f_frsize) < PIECES * PIECE;
        // Some do not count their files and say that they could have none.
        let no_file = disk.f_files > 0 && disk.f_favail == 0;
        (no_byte || no_file).then_some(self.directory.parent()?)
    }

    /// Whether it was given up, and the disk has nothing else: what is free then is for those few bytes alone.
    pub fn is_given_up(&self) -> bool {
        self.directory.is_dir() && !is_whole(&self.piece(0)) && self.full_disk().is_some()
    }

    /// Whether there was any.
    fn give_up(&self) -> bool {
        let given = (0..PIECES).filter(|number| fs::remove_file(self.piece(*number)).is_ok()).count();
        given > 0
    }

    fn piece(&self, number: u64) -> PathBuf {
        self.directory.join(number.to_string())
    }
}

/// Whether an error of the system means that the disk, or what one may have of it, is full.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// A power cut may have left it shorter than it was made.
fn is_whole(piece: &Path) -> bool {
    fs::symlink_metadata(piece).is_ok_and(|metadata| metadata.is_file() && metadata.blocks() * 512 >= PIECE)
}

fn allocate(piece: &Path) -> io::Result<()> {
    // What is there is too small to be of use.
    drop(fs::remove_file(piece));
    Ok(fallocate(File::create_new(piece)?, FallocateFlags::empty(), 0, PIECE)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(room: &Room) -> usize {
        fs::read_dir(&room.directory).map_or(0, Iterator::count)
    }

    #[test]
    fn it_is_given_up_for_one_more_try_and_set_aside_again_as_far_as_it_goes() {
        let place = tempfile::tempdir().unwrap();
        let room = Room::of(place.path());
        room.set_aside();
        assert_eq!(pieces(&room), 16);
        assert!(!room.is_given_up());
        // Empty, as a power cut may leave it.
        File::options().write(true).open(room.piece(7)).unwrap().set_len(0).unwrap();
        room.set_aside();
        assert!(is_whole(&room.piece(7)));

        let needs_all = || if pieces(&room) == 0 { Ok("written") } else { Err("full") };
        assert_eq!(room.with(needs_all, |_| false), Err("full"), "only for a full disk");
        assert_eq!(room.with(needs_all, |_| true), Ok("written"));
        assert_eq!(pieces(&room), 0);
        assert_eq!(
            room.with(|| Err::<(), _>("full"), |_| true),
            Err("full"),
            "and there is nothing more to give"
        );
    }

    #[test]
    fn a_directory_that_is_not_there_has_no_room_and_is_not_made() {
        let place = tempfile::tempdir().unwrap();
        let room = Room::of(&place.path().join("none"));
        room.set_aside();
        assert!(!room.give_up() && room.full_disk().is_none() && !place.path().join("none").exists());
    }
}
