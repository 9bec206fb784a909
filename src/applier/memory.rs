//! What the applier remembers from one run to the next, where nobody but root can write.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::decide::Rules;
use crate::file;
use crate::mirror::MirrorUrl;
use crate::publish::{Durability, publish};
use crate::room::{self, Room};
use crate::timestamp::Timestamp;

/// So often in an hour the engine's list is changed, whatever is asked. It is more than a day has by default, so that
/// heads that die one after the other can be replaced, and far less than would harm the engine: a thousand reloads
/// cost dockerd some megabytes.
pub const RELOADS_PER_HOUR: usize = 20;

const HOUR: Duration = Duration::from_secs(3600);

/// Its name in the applier's state directory.
const FILE: &str = "applier.json";

/// What is locked, beside it.
const LOCK: &str = "lock";

/// What outlives the process.
///
/// What a later version keeps there besides is left out and no error: after a downgrade the rest still holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// URLs that stood in the engine's file and that mirrors.toml did not know.
    pub adopted: Vec<MirrorUrl>,
    /// When the list was changed in the last hour, in milliseconds since 1970.
    reloads: Vec<u64>,
    /// The request that was answered last.
    pub answered: Option<u64>,
    /// What the last valid mirrors.toml allowed.
    pub rules: Option<Rules>,
}

impl Memory {
    /// What was saved in this directory; nothing where there is nothing.
    ///
    /// # Errors
    /// What is there cannot be read or understood. Going on without it would forget how often the engine was reloaded.
    pub fn load(directory: &Path) -> io::Result<Self> {
        let path = directory.join(FILE);
        let named = |error: &dyn std::fmt::Display| io::Error::other(format!("{}: {error}", path.display()));
        let snapshot = file::read(&path).map_err(|error| named(&error))?;
        match snapshot.bytes() {
            Some(bytes) => serde_json::from_slice(bytes).map_err(|error| named(&error)),
            None => Ok(Self::default()),
        }
    }

    /// Puts aside what could not be understood, and begins anew with the hour's changes spent: a counter that is
    /// lost is no licence.
    pub fn begin_anew(directory: &Path, now: Timestamp) -> Self {
        let path = directory.join(FILE);
        // One that stays in its place is replaced with the next save.
        drop(std::fs::rename(&path, path.with_extension("json.damaged")));
        Self { reloads: vec![now.as_millis(); RELOADS_PER_HOUR], ..Self::default() }
    }

    /// Keeps it, durably.
    ///
    /// # Errors
    /// What the file system says.
    pub fn save(&self, directory: &Path) -> io::Result<()> {
        let json = serde_json::to_vec(self).map_err(io::Error::other)?;
        let write = || publish(directory, FILE, &json, Durability::Flushed);
        Room::of(directory)
            .with(write, room::is_full)
            .map_err(|error| io::Error::other(format!("{}: {error}", directory.join(FILE).display())))
    }

    /// Changes what is saved, while no other process of ours does the same; as [`super::serve()`] does not.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn update(directory: &Path, change: impl FnOnce(&mut Self)) -> io::Result<()> {
        let _lock = lock(directory)?;
        let mut memory = Self::load(directory)?;
        change(&mut memory);
        memory.save(directory)
    }

    /// How many changes are left at this moment.
    pub fn reloads_left(&self, now: Timestamp) -> usize {
        RELOADS_PER_HOUR.saturating_sub(self.lately(now).count())
    }

    /// Takes one of them, if there is one left.
    pub fn take_reload(&mut self, now: Timestamp) -> bool {
        if self.reloads_left(now) == 0 {
            return false;
        }
        self.reloads = self.lately(now).collect();
        self.reloads.push(now.as_millis());
        true
    }

    /// One that lies ahead counts too, for an hour at most: the clock was set back.
    fn lately(&self, now: Timestamp) -> impl Iterator<Item = u64> {
        let counts = move |at: &u64| {
            let at = Timestamp::from_millis(*at);
            now.since(at) < HOUR && at.since(now) < HOUR
        };
        self.reloads.iter().copied().filter(counts)
    }
}

/// Waits until no other process of ours reads and changes what is kept here.
///
/// The lock is a file that nobody else may open: a lock on anything that others can read, they can hold for ever.
///
/// # Errors
/// What the file system says.
pub(super) fn lock(directory: &Path) -> io::Result<File> {
    let path = directory.join(LOCK);
    let open = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
    // On a file system that has become read-only, what the engine is can still be told.
    let open = open.or_else(|error| File::open(&path).map_err(|_| error));
    let locked = open.and_then(|file| file.lock().map(|()| file));
    locked.map_err(|error| io::Error::new(error.kind(), format!("{}: lock: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_changes_of_an_hour_are_counted_whatever_the_clock_does() {
        let mut memory = Memory::default();
        let start = Timestamp::from_millis(1_000_000_000_000);
        for _ in 0..RELOADS_PER_HOUR {
            assert!(memory.take_reload(start));
        }
        assert!(!memory.take_reload(start + HOUR - Duration::from_millis(1)));
        assert!(!memory.take_reload(start - Duration::from_secs(60)), "set back");
        assert!(memory.take_reload(start + HOUR));
        assert_eq!(memory.reloads_left(start + HOUR), RELOADS_PER_HOUR - 1);
    }

    #[test]
    fn nobody_else_may_open_the_lock_and_so_hold_it() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        let held = lock(place.path()).unwrap();
        assert_eq!(held.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_another_version_wrote_there_besides_is_no_damage() {
        let place = tempfile::tempdir().unwrap();
        let json =
            br#"{"adopted": ["https://a.example"], "reloads": [], "answered": 7, "rules": null, "later": 1}"#;
        publish(place.path(), FILE, json, Durability::Cached).unwrap();
        let memory = Memory::load(place.path()).unwrap();
        assert_eq!((memory.adopted.len(), memory.answered), (1, Some(7)));
    }

    #[test]
    fn it_is_read_as_it_was_saved_and_damage_is_said() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(Memory::load(place.path()).unwrap(), Memory::default());
        let mut memory = Memory { answered: Some(7), ..Memory::default() };
        memory.adopted.push("https://a.example".parse().unwrap());
        memory.take_reload(Timestamp::from_millis(5));
        memory.save(place.path()).unwrap();
        assert_eq!(Memory::load(place.path()).unwrap(), memory);
        publish(place.path(), FILE, b"{", Durability::Cached).unwrap();
        assert!(Memory::load(place.path()).unwrap_err().to_string().contains(FILE));
        let now = Timestamp::from_millis(9_000_000);
        assert_eq!(Memory::begin_anew(place.path(), now).reloads_left(now), 0);
        assert_eq!(Memory::load(place.path()).unwrap(), Memory::default(), "it is out of the way");
    }
}
