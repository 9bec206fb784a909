//! The last step of a replacement: two names change places, and what came out is looked at.
//!
//! A comparison before a rename leaves some microseconds in which another program's edit would be lost. An
//! exchange loses nothing: whatever stood at the path is then at the name of our temporary file, and if it is
//! not what was read, it goes back. A file system without exchange (some network and FUSE ones) gets a rename.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, RenameFlags, renameat_with};
use rustix::io::Errno;
use tempfile::NamedTempFile;

use super::error::{Obstacle, ReplaceError, obstructed, refused};
use super::{Snapshot, directory_of, read, sync};

/// How often our file may meet yet another edit on its way out. Each turn takes microseconds.
const TURNS: usize = 64;

/// The file that was taken out of its place. Dropped, it goes away for good.
#[derive(Debug, Default)]
pub struct Displaced {
    /// `None` where there was no file, or where the file system cannot exchange.
    taken: Option<Taken>,
}

#[derive(Debug)]
struct Taken {
    /// Where it is now.
    name: PathBuf,
    /// Where it was.
    target: PathBuf,
    /// As it was then.
    was: Snapshot,
    /// The file that took its place.
    ours: File,
}

impl Displaced {
    /// Whether somebody has written into the file since it was taken out, through a handle from before.
    pub fn written_since(&self) -> bool {
        self.taken.as_ref().is_some_and(|taken| read(&taken.name).is_ok_and(|now| now != taken.was))
    }

    /// Puts it back in its place, and removes the one that took it, unless somebody else has replaced that.
    ///
    /// # Errors
    /// What the system says. The file is then kept where the error says.
    pub fn give_back(mut self) -> io::Result<()> {
        let Some(taken) = self.taken.take() else { return Ok(()) };
        give_back(&taken.name, &taken.target, taken.ours.into())
            .map_err(|error| kept_at(&taken.name, &error))?;
        sync(directory_of(&taken.target))
    }
}

impl Drop for Displaced {
    fn drop(&mut self) {
        if let Some(taken) = self.taken.take() {
            // One that cannot be removed is swept by a later replacement.
            drop(fs::remove_file(taken.name));
        }
    }
}

/// Exchanges `temp` and `target`, and undoes it if what came out is not what was read.
pub(super) fn swap(
    path: &Path,
    target: &Path,
    temp: NamedTempFile,
    expected: &Snapshot,
) -> Result<Displaced, ReplaceError> {
    match renameat_with(CWD, temp.path(), CWD, target, RenameFlags::EXCHANGE) {
        Ok(()) => {}
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            temp.persist(target).map_err(|error| refused(path, target, error.error))?;
            return Ok(Displaced::default());
        }
        // Somebody has removed it.
        Err(Errno::NOENT) if directory_of(target).is_dir() => return Err(obstructed(path, Obstacle::Raced)),
        Err(error) => return Err(refused(path, target, error.into())),
    }
    // From here on the name is that of somebody else's file, and must not go away by itself.
    let (ours, name) = temp.keep().map_err(|error| refused(path, target, error.error))?;
    if read(&name).is_ok_and(|out| out == *expected) {
        let taken = Taken { name, target: target.to_owned(), was: expected.clone(), ours };
        return Ok(Displaced { taken: Some(taken) });
    }
    match give_back(&name, target, ours.into()) {
        Ok(()) => Err(obstructed(path, Obstacle::Raced)),
        Err(error) => {
            let error = kept_at(&name, &error);
            Err(ReplaceError { replaced: true, ..refused(path, target, error) })
        }
    }
}

/// Moves `target` to the place of `name`, and back if it is not what was read.
pub(super) fn take_out(
    path: &Path,
    target: &Path,
    name: NamedTempFile,
    expected: &Snapshot,
) -> Result<(), ReplaceError> {
    let failed = |error: io::Error| refused(path, target, error);
    let name = name.into_temp_path();
    fs::rename(target, &name).map_err(failed)?;
    if read(&name).is_ok_and(|out| out == *expected) {
        return name.close().map_err(failed);
    }
    let name = name.keep().map_err(|error| failed(error.error))?;
    let moved = match renameat_with(CWD, &name, CWD, target, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS) => rustix::fs::rename(&name, target),
        moved => moved,
    };
    match moved {
        Ok(()) => {}
        // Somebody has written it anew meanwhile, over what we hold.
        Err(Errno::EXIST) => drop(fs::remove_file(&name)),
        Err(error) => return Err(failed(kept_at(&name, &error.into()))),
    }
    Err(obstructed(path, Obstacle::Raced))
}

/// Exchanges until what comes out is what was put in before: anything else is newer, and goes back.
///
/// The files are held open and not only known by number: a number is given anew as soon as its file is gone.
fn give_back(name: &Path, target: &Path, ours: OwnedFd) -> io::Result<()> {
    let hold = || rustix::fs::open(name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
    let (mut put_in, mut holding) = (ours, hold()?);
    for _ in 0..TURNS {
        match renameat_with(CWD, name, CWD, target, RenameFlags::EXCHANGE) {
            Ok(()) => {}
            // Somebody has removed what we put there, and with it what came before.
            Err(Errno::NOENT) => return fs::remove_file(name),
            Err(error) => return Err(error.into()),
        }
        let out = hold()?;
        if same_file(&out, &put_in)? {
            return fs::remove_file(name);
        }
        (put_in, holding) = (holding, out);
    }
    Err(io::Error::new(io::ErrorKind::ResourceBusy, "somebody else replaces it without a pause"))
}

fn same_file(one: &OwnedFd, other: &OwnedFd) -> io::Result<bool> {
    let (one, other) = (rustix::fs::fstat(one)?, rustix::fs::fstat(other)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

fn kept_at(name: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{error}; what stood there is kept as {}", name.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place {
        directory: tempfile::TempDir,
        path: PathBuf,
    }

    fn place() -> Place {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        super::super::replace(&path, b"one", None).unwrap();
        Place { directory, path }
    }

    impl Place {
        fn temp(&self, bytes: &[u8]) -> NamedTempFile {
            let temp = super::super::temporary(self.directory.path()).unwrap();
            fs::copy(self.write("source", bytes), temp.path()).unwrap();
            fs::remove_file(self.directory.path().join("source")).unwrap();
            temp
        }

        /// As another program does it: written beside, and renamed.
        fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
            let path = self.directory.path().join(name);
            super::super::replace(&path, bytes, None).unwrap();
            path
        }

        fn left(&self) -> (Vec<u8>, usize) {
            (fs::read(&self.path).unwrap(), fs::read_dir(self.directory.path()).unwrap().count())
        }
    }

    #[test]
    fn an_edit_between_the_comparison_and_the_exchange_is_put_back() {
        let place = place();
        let expected = read(&place.path).unwrap();
        let temp = place.temp(b"ours");
        place.write("a", b"theirs");
        let error = swap(&place.path, &place.path, temp, &expected).unwrap_err();
        assert_eq!((error.obstacle, error.replaced), (Obstacle::Raced, false));
        assert_eq!(place.left(), (b"theirs".to_vec(), 1));
    }

    #[test]
    fn an_edit_over_our_file_stays_and_so_does_the_last_of_two() {
        for (edits, left) in [(&["second"][..], "second"), (&["second", "third"][..], "third")] {
            let place = place();
            let expected = read(&place.path).unwrap();
            let displaced = swap(&place.path, &place.path, place.temp(b"ours"), &expected).unwrap();
            for edit in edits {
                place.write("a", edit.as_bytes());
            }
            displaced.give_back().unwrap();
            assert_eq!(place.left(), (left.as_bytes().to_vec(), 1));
        }
    }

    #[test]
    fn a_write_through_a_handle_from_before_is_seen_and_goes_back_to_its_place() {
        use std::io::Write;
        let place = place();
        let mut theirs = File::options().write(true).open(&place.path).unwrap();
        let expected = read(&place.path).unwrap();
        let displaced = swap(&place.path, &place.path, place.temp(b"ours"), &expected).unwrap();
        assert!(!displaced.written_since());
        theirs.write_all(b"two").unwrap();
        assert!(displaced.written_since());
        displaced.give_back().unwrap();
        assert_eq!(place.left(), (b"two".to_vec(), 1));
    }

    #[test]
    fn a_file_that_is_gone_is_not_made_again() {
        let place = place();
        let expected = read(&place.path).unwrap();
        let temp = place.temp(b"ours");
        fs::remove_file(&place.path).unwrap();
        assert_eq!(swap(&place.path, &place.path, temp, &expected).unwrap_err().obstacle, Obstacle::Raced);
        assert!(!place.path.exists());
    }

    #[test]
    fn an_edit_right_before_the_removal_is_put_back() {
        let place = place();
        let expected = read(&place.path).unwrap();
        place.write("a", b"theirs");
        let name = super::super::temporary(place.directory.path()).unwrap();
        let error = take_out(&place.path, &place.path, name, &expected).unwrap_err();
        assert_eq!(error.obstacle, Obstacle::Raced);
        assert_eq!(place.left(), (b"theirs".to_vec(), 1));
        let name = super::super::temporary(place.directory.path()).unwrap();
        take_out(&place.path, &place.path, name, &read(&place.path).unwrap()).unwrap();
        assert_eq!(fs::read_dir(place.directory.path()).unwrap().count(), 0);
    }
}
