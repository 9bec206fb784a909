//! What is kept of an engine's file outside its directory: the first bytes for ever, the last ten that we
//! replaced, what is being done right now, and the lock that makes appliers queue.
//!
//! | file | is |
//! | --- | --- |
//! | `NAME.first`, `NAME.absent` | the bytes, or that there was no file, before we first wrote |
//! | `NAME.gen.N`, `NAME.gen.N.absent` | the same before our write number N |
//! | `NAME.before`, `NAME.before.absent` | the same before the write that is under way |
//! | `NAME.intent` | a write that is under way, or was when we died |
//! | `NAME.accepted` | the last write that the engine proved to have taken |
//! | `NAME.reading` | the file as the engine was last seen to have read it, where somebody else had edited it |

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::pending::Reading;
use crate::engine::{Problem, Warning};
use crate::file::{self, Obstacle, Snapshot};
use crate::reason::{ProblemKind, WarningKind};
use crate::room::Room;

/// So many generations are kept besides the first.
const GENERATIONS: usize = 10;

/// The form of an intent; one of another form is not understood and touches nothing.
const SCHEMA: u32 = 1;

/// The directory of one kind of engine; files in it are named after the path they are of.
#[derive(Clone, Debug)]
pub(super) struct Backups {
    directory: PathBuf,
    room: Room,
}

/// What stood there at one time; `None`: there was no file.
pub(super) type Bytes = Option<Vec<u8>>;

/// A write that is under way: written down before the file is touched, taken back or committed afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Intent {
    schema: u32,
    /// What is written.
    pub(super) file: PathBuf,
    /// Under which number its bytes from before are kept.
    pub(super) generation: u64,
    /// It was this write that kept the first bytes.
    first: bool,
    /// Digests of the bytes before, after, and while the list is being taken back; `None`: no file.
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
    pub(super) interim: Option<String>,
    /// The list that the engine is to have, and the one that it had.
    pub(super) wanted: Vec<String>,
    pub(super) was: Vec<String>,
    /// The write failed, and is being undone.
    pub(super) undoing: bool,
    /// The values that a reload takes from the new file, for telling later edits from it.
    pub(super) keys: BTreeMap<String, serde_json::Value>,
}

/// What [`Backups::begin`] has to be told.
pub(super) struct Draft<'a> {
    pub(super) file: &'a Path,
    pub(super) before: &'a Snapshot,
    pub(super) after: Option<&'a [u8]>,
    pub(super) interim: Option<&'a [u8]>,
    pub(super) wanted: &'a [String],
    pub(super) was: &'a [String],
    pub(super) keys: BTreeMap<String, serde_json::Value>,
}

/// One entry of what can be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// 0 is the first.
    pub(super) number: u64,
    /// When it was kept.
    pub(super) at: Option<SystemTime>,
    /// An error: there is something, and it cannot be read.
    pub(super) bytes: Result<Bytes, Problem>,
}

/// Held while something is applied; released when dropped, or by the kernel when we die.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    room: Room,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Whatever came of it, the next one may need the room, and perhaps there is some again.
        self.room.set_aside();
        // Closing alone would leave it to a child that another thread has forked and not yet executed.
        drop(self.file.unlock());
    }
}

/// The SHA-256 of a file's bytes, in hexadecimal; `None` for no file.
pub(super) fn digest(bytes: Option<&[u8]>) -> Option<String> {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes?);
    Some(digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Intent {
    /// Whether these bytes are ones that this write put there.
    pub(super) fn wrote(&self, bytes: Option<&[u8]>) -> bool {
        let digest = digest(bytes);
        digest == self.after || (self.interim.is_some() && digest == self.interim)
    }
}

impl Backups {
    pub(super) fn new(directory: PathBuf, room: Room) -> Self {
        Self { directory, room }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
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
            Ok(()) => {
                // Nobody else writes here now: these are of who was killed, and on a full disk all the room there is.
                for left in file::left_behind(&path) {
                    drop(fs::remove_file(left));
                }
                Ok(Lock { file: lock, room: self.room.clone() })
            }
            Err(TryLockError::WouldBlock) => {
                let detail = format!("{}: another mirrorwatch is applying right now", path.display());
                Err(Problem::new(ProblemKind::Locked, detail))
            }
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// A word about a full disk.
    pub(super) fn full_disk(&self) -> Option<Warning> {
        let disk = self.room.full_disk()?;
        Some(Warning::new(WarningKind::StateFull, disk.display().to_string()))
    }

    /// What stood there before we first wrote; `None` when we never did.
    pub(super) fn pristine(&self, of: &Path) -> Result<Option<Bytes>, Problem> {
        self.read(&self.named(of, "first"), &self.named(of, "absent"))
    }

    /// What stood there before our write number `number`, 0 being the first; `None` when that is not kept.
    pub(super) fn generation(&self, of: &Path, number: u64) -> Result<Option<Bytes>, Problem> {
        if number == 0 {
            return self.pristine(of);
        }
        let path = self.generation_path(of, number);
        self.read(&path, &with_absent(&path))
    }

    fn read(&self, path: &Path, absent: &Path) -> Result<Option<Bytes>, Problem> {
        if absent.exists() {
            return Ok(Some(None));
        }
        let snapshot = file::read(path).map_err(|error| unusable(path, &error))?;
        Ok(snapshot.bytes().map(|bytes| Some(bytes.to_vec())))
    }

    /// What stood there before this write; `None` when that is gone.
    pub(super) fn before(&self, intent: &Intent) -> Result<Option<Bytes>, Problem> {
        let path = self.named(&intent.file, "before");
        // Who died in the middle of a commit has given it its number already.
        let kept =
            [self.read(&path, &with_absent(&path))?, self.generation(&intent.file, intent.generation)?];
        Ok(kept.into_iter().flatten().find(|bytes| digest(bytes.as_deref()) == intent.before))
    }

    /// Where the bytes from before a write that is under way are.
    pub(super) fn before_path(&self, of: &Path) -> PathBuf {
        self.named(of, "before")
    }

    /// Everything that can be restored, the first in front and then from old to new.
    pub(super) fn kept(&self, of: &Path) -> Result<Vec<Kept>, Problem> {
        match fs::read_dir(&self.directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(unusable(&self.directory, &error));
            }
            Ok(_) | Err(_) => {}
        }
        let mut kept = Vec::new();
        for number in std::iter::once(0).chain(self.numbers(of)) {
            // One that is lost is no reason to keep the others back.
            let Some(bytes) = self.generation(of, number).transpose() else { continue };
            let path = self.generation_path(of, number);
            let absent = if number == 0 { self.named(of, "absent") } else { with_absent(&path) };
            let place = if matches!(bytes, Ok(None)) { absent } else { path };
            let at = fs::metadata(place).and_then(|metadata| metadata.modified()).ok();
            kept.push(Kept { number, at, bytes });
        }
        Ok(kept)
    }

    /// Whether nothing is kept of any file.
    pub(super) fn is_empty(&self) -> Result<bool, Problem> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            Err(error) => return Err(unusable(&self.directory, &error)),
        };
        let kept =
            |name: &str| name.ends_with(".first") || name.ends_with(".absent") || name.contains(".gen.");
        Ok(!entries.flatten().any(|entry| entry.file_name().to_str().is_none_or(kept)))
    }

    /// The numbers of all generations, ascending.
    fn numbers(&self, of: &Path) -> Vec<u64> {
        let prefix = self.named(of, "gen.");
        let prefix = prefix.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let mut numbers: Vec<u64> = entries
            .filter_map(|entry| {
                let name = entry.file_name();
                let number = name.to_str()?.strip_prefix(&prefix)?;
                number.strip_suffix(".absent").unwrap_or(number).parse().ok()
            })
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// Keeps what is about to be replaced and writes down, durably, what is about to be done.
    pub(super) fn begin(&self, draft: Draft<'_>) -> Result<Intent, Problem> {
        let of = draft.file;
        let first = self.pristine(of)?.is_none();
        let generation = self.numbers(of).last().map_or(1, |last| last + 1);
        // It gets its number when it is committed: one that came to nothing leaves none behind.
        let path = self.named(of, "before");
        self.forget(&path);
        match draft.before.bytes() {
            Some(bytes) => self.write(&path, bytes)?,
            None => self.write(&with_absent(&path), b"")?,
        }
        let intent = Intent {
            schema: SCHEMA,
            file: of.to_owned(),
            generation,
            first,
            before: digest(draft.before.bytes()),
            after: digest(draft.after),
            interim: digest(draft.interim),
            wanted: draft.wanted.to_vec(),
            was: draft.was.to_vec(),
            undoing: false,
            keys: draft.keys,
        };
        self.put(&intent)?;
        if first {
            // Under the intent, which whoever comes after a crash takes back together with them: without it they would
            // be taken for what stood there before the first write, whenever that comes.
            let kept = match draft.before.bytes() {
                Some(bytes) => self.write(&self.named(of, "first"), bytes),
                None => self.write(&self.named(of, "absent"), b""),
            };
            if let Err(problem) = kept {
                if let Err(worse) = self.abandon(&intent) {
                    tracing::warn!(problem = %worse, "the intent of a write that came to nothing stays");
                }
                return Err(problem);
            }
        }
        Ok(intent)
    }

    fn put(&self, intent: &Intent) -> Result<(), Problem> {
        let path = self.named(&intent.file, "intent");
        let json = serde_json::to_vec(intent).map_err(|error| unusable(&path, &error.into()))?;
        self.write(&path, &json)
    }

    /// Writes down that the write is being undone.
    pub(super) fn undoing(&self, intent: &Intent) -> Result<(), Problem> {
        self.put(&Intent { undoing: true, ..intent.clone() })
    }

    /// The engine has proved it. Durable when this returns.
    pub(super) fn commit(&self, intent: &Intent) -> Result<(), Problem> {
        let (before, number) =
            (self.named(&intent.file, "before"), self.generation_path(&intent.file, intent.generation));
        for (from, to) in [(before.clone(), number.clone()), (with_absent(&before), with_absent(&number))] {
            match fs::rename(&from, &to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unusable(&from, &error)),
                Ok(()) | Err(_) => {}
            }
        }
        let (from, to) = (self.named(&intent.file, "intent"), self.named(&intent.file, "accepted"));
        fs::rename(&from, &to).map_err(|error| unusable(&from, &error))?;
        let numbers = self.numbers(&intent.file);
        for old in &numbers[..numbers.len().saturating_sub(GENERATIONS)] {
            self.forget(&self.generation_path(&intent.file, *old));
        }
        self.sync()
    }

    /// Nothing of it is left: neither it nor what it kept is of use.
    pub(super) fn abandon(&self, intent: &Intent) -> Result<(), Problem> {
        if intent.first {
            for suffix in ["first", "absent"] {
                let path = self.named(&intent.file, suffix);
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(unusable(&path, &error));
                    }
                    Ok(()) | Err(_) => {}
                }
            }
            self.sync()?;
        }
        // Then the intent, durably; what else it kept is nobody's from here on, and harmless if it stays.
        self.close(intent)?;
        self.forget(&self.generation_path(&intent.file, intent.generation));
        self.forget(&self.named(&intent.file, "before"));
        Ok(())
    }

    /// Somebody else has written since: it is over.
    pub(super) fn close(&self, intent: &Intent) -> Result<(), Problem> {
        let path = self.named(&intent.file, "intent");
        fs::remove_file(&path).map_err(|error| unusable(&path, &error))?;
        self.sync()
    }

    /// The intents that nobody has closed. Needs no lock; under the lock they are those of the dead.
    pub(super) fn intents(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|it| it == "intent"))
            .collect()
    }

    /// Reads one of [`Self::intents`].
    ///
    /// # Errors
    /// It cannot be understood; it is then not known what it was about.
    pub(super) fn intent(&self, path: &Path) -> Result<Intent, Problem> {
        let damaged = |cause: String| {
            let detail = format!("{}: is damaged and put aside: {cause}", path.display());
            Problem::new(ProblemKind::Unreadable, detail)
        };
        // No file that we wrote, and none tomorrow; whatever else the system says may be over then.
        let lasting = [io::ErrorKind::FileTooLarge, io::ErrorKind::InvalidInput, io::ErrorKind::NotFound];
        let snapshot = file::read(path).map_err(|error| {
            if lasting.contains(&error.kind()) { damaged(error.to_string()) } else { unusable(path, &error) }
        })?;
        let intent: Intent = serde_json::from_slice(snapshot.bytes().unwrap_or_default())
            .map_err(|error| damaged(error.to_string()))?;
        match intent.schema {
            SCHEMA if self.named(&intent.file, "intent") == path => Ok(intent),
            SCHEMA => Err(damaged("it is of another file".to_owned())),
            other => Err(damaged(format!("schema {other} is of another version"))),
        }
    }

    /// Puts an intent aside that cannot be understood.
    pub(super) fn put_aside(&self, path: &Path) -> Result<(), Problem> {
        fs::rename(path, path.with_extension("damaged")).map_err(|error| unusable(path, &error))?;
        self.sync()
    }

    /// Our last proven write; `None` when there was none.
    pub(super) fn accepted(&self, of: &Path) -> Option<Intent> {
        let bytes = file::read(&self.named(of, "accepted")).ok()?;
        serde_json::from_slice(bytes.bytes()?).ok()
    }

    /// What [`Self::remember`] was told last.
    pub(super) fn reading(&self, of: &Path) -> Option<Reading> {
        let bytes = file::read(&self.named(of, "reading")).ok()?;
        serde_json::from_slice(bytes.bytes()?).ok()
    }

    /// Remembers that the engine has read the file, if there is a place of ours for it already: whoever only looks makes
    /// none, and as root leaves no file in another user's. Where it cannot be written nothing is lost but the memory.
    /// Needs no lock.
    pub(super) fn remember(&self, reading: &Reading) {
        let ours = fs::metadata(&self.directory)
            .is_ok_and(|place| place.uid() == rustix::process::geteuid().as_raw());
        let json = serde_json::to_vec(reading).unwrap_or_default();
        if ours {
            drop(file::replace(&self.named(reading.file(), "reading"), &json, None));
        }
    }

    /// Where the bytes of a generation are, 0 being the first.
    pub(super) fn generation_path(&self, of: &Path, number: u64) -> PathBuf {
        if number == 0 { self.named(of, "first") } else { self.named(of, &format!("gen.{number}")) }
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), Problem> {
        let write = || file::replace(path, bytes, None);
        self.room
            .with(write, |error| error.obstacle == Obstacle::Full)
            .map_err(|error| Problem::new(ProblemKind::Unwritable, error.to_string()))
    }

    fn forget(&self, generation: &Path) {
        // One that stays is only one too many.
        drop(fs::remove_file(generation));
        drop(fs::remove_file(with_absent(generation)));
    }

    fn sync(&self) -> Result<(), Problem> {
        let synced = File::open(&self.directory).and_then(|directory| directory.sync_all());
        synced.map_err(|error| unusable(&self.directory, &error))
    }

    /// `/etc/docker/daemon.json` is kept as `%etc%docker%daemon.json.first`.
    fn named(&self, of: &Path, suffix: &str) -> PathBuf {
        let flat = of.display().to_string().replace('%', "%%").replace('/', "%");
        self.directory.join(format!("{flat}.{suffix}"))
    }
}

/// The marker that there was no file.
fn with_absent(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".absent");
    name.into()
}

fn unusable(path: &Path, error: &io::Error) -> Problem {
    let denied = error.kind() == io::ErrorKind::PermissionDenied;
    let kind = if denied { ProblemKind::NotPermitted } else { ProblemKind::Unwritable };
    Problem::new(kind, format!("{}: cannot be used: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place {
        _directory: tempfile::TempDir,
        backups: Backups,
        of: PathBuf,
    }

    fn place() -> Place {
        let directory = tempfile::tempdir().unwrap();
        let backups = Backups::new(directory.path().join("engines/docker"), Room::of(directory.path()));
        drop(backups.lock().unwrap());
        let of = directory.path().join("daemon.json");
        Place { _directory: directory, backups, of }
    }

    impl Place {
        fn begin(&self, after: &[u8]) -> Intent {
            self.try_begin(after).unwrap()
        }

        fn try_begin(&self, after: &[u8]) -> Result<Intent, Problem> {
            let before = file::read(&self.of).unwrap();
            let draft = Draft {
                file: &self.of,
                before: &before,
                after: Some(after),
                interim: None,
                wanted: &[],
                was: &[],
                keys: BTreeMap::new(),
            };
            self.backups.begin(draft)
        }

        fn write(&self, after: &[u8]) {
            let intent = self.begin(after);
            file::replace(&self.of, after, None).unwrap();
            self.backups.commit(&intent).unwrap();
        }

        fn kept(&self) -> Vec<(u64, Bytes)> {
            self.backups
                .kept(&self.of)
                .unwrap()
                .into_iter()
                .map(|kept| (kept.number, kept.bytes.unwrap()))
                .collect()
        }
    }

    #[test]
    fn the_first_bytes_are_kept_for_ever_and_ten_generations() {
        let place = place();
        assert_eq!(place.kept(), []);
        file::replace(&place.of, b"0", None).unwrap();
        for write in 1..=12 {
            place.write(write.to_string().as_bytes());
        }
        let kept = place.kept();
        assert_eq!(kept[0], (0, Some(b"0".to_vec())));
        assert_eq!(kept.len(), 11);
        // Generation 3 is what stood there before the third write.
        assert_eq!(kept[1], (3, Some(b"2".to_vec())));
        assert_eq!(kept[10], (12, Some(b"11".to_vec())));
    }

    #[test]
    fn that_there_was_no_file_is_kept_too() {
        let place = place();
        place.write(b"{}");
        place.write(b"{ }");
        assert_eq!(place.kept(), [(0, None), (1, None), (2, Some(b"{}".to_vec()))]);
    }

    #[test]
    fn a_write_that_came_to_nothing_leaves_nothing_and_the_next_may_keep_the_first_bytes() {
        let place = place();
        file::replace(&place.of, b"theirs", None).unwrap();
        let intent = place.begin(b"ours");
        assert_eq!(place.kept(), [(0, Some(b"theirs".to_vec()))], "what is under way cannot be restored");
        place.backups.abandon(&intent).unwrap();
        assert_eq!((place.kept(), place.backups.intents()), (vec![], vec![]));
        file::replace(&place.of, b"theirs, edited", None).unwrap();
        place.write(b"ours");
        assert_eq!(place.kept()[0], (0, Some(b"theirs, edited".to_vec())));
    }

    #[test]
    fn first_bytes_of_a_write_that_never_began_are_not_kept() {
        let place = place();
        file::replace(&place.of, b"theirs", None).unwrap();
        // What stands in the way of the intent is what a full disk is.
        let intent = place.backups.named(&place.of, "intent");
        fs::create_dir(&intent).unwrap();
        assert!(place.try_begin(b"ours").is_err());
        fs::remove_dir(&intent).unwrap();
        file::replace(&place.of, b"theirs, a week later", None).unwrap();
        place.write(b"ours");
        assert_eq!(place.kept()[0], (0, Some(b"theirs, a week later".to_vec())));
    }

    #[test]
    fn a_write_whose_taking_back_is_cut_short_leaves_no_first_bytes_without_an_intent() {
        let place = place();
        file::replace(&place.of, b"theirs", None).unwrap();
        let begun = place.begin(b"ours");
        let intent = place.backups.named(&place.of, "intent");
        fs::remove_file(&intent).unwrap();
        fs::create_dir(&intent).unwrap();
        assert!(place.backups.abandon(&begun).is_err());
        assert_eq!(place.kept(), []);
    }

    #[test]
    fn an_intent_is_read_as_it_was_written_and_a_damaged_one_is_said_to_be_so() {
        let place = place();
        let intent = place.begin(b"ours");
        let path = place.backups.intents().pop().unwrap();
        assert_eq!(place.backups.intent(&path).unwrap(), intent);
        assert!(intent.wrote(Some(b"ours")) && !intent.wrote(Some(b"theirs")) && !intent.wrote(None));
        let good = fs::read_to_string(&path).unwrap();
        for bad in ["", "{}", &good[..good.len() - 1], &good.replace("\"schema\":1", "\"schema\":2")] {
            file::replace(&path, bad.as_bytes(), None).unwrap();
            assert_eq!(place.backups.intent(&path).unwrap_err().kind, ProblemKind::Unreadable, "{bad}");
        }
        place.backups.put_aside(&path).unwrap();
        assert!(place.backups.intents().is_empty() && path.with_extension("damaged").exists());
    }

    #[test]
    fn two_files_never_share_a_backup() {
        let backups = Backups::new(PathBuf::from("/state"), Room::of(Path::new("/state")));
        let names: Vec<_> =
            ["/a/b", "/a%b", "/a/%b"].map(|of| backups.named(Path::new(of), "first")).to_vec();
        assert_eq!(names[0], Path::new("/state/%a%b.first"));
        assert!(names[0] != names[1] && names[1] != names[2] && names[0] != names[2]);
    }

    #[test]
    fn a_second_applier_is_told_that_the_lock_is_held() {
        let place = place();
        let held = place.backups.lock().unwrap();
        assert_eq!(place.backups.lock().unwrap_err().kind, ProblemKind::Locked);
        drop(held);
        assert!(place.backups.lock().is_ok());
    }
}
