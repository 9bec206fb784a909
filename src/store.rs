//! What outlives the process: records, observations, switches and facts, in an embedded database.
//!
//! The database is `state.db` in the state directory, SQLite in WAL mode, so that the service and a command
//! can have it open together and `sqlite3 state.db` can look in at any time. The store knows no decisions:
//! a record is JSON to it.
//!
//! # It never fails outward
//!
//! The service lives without its memory. A database that is damaged, another program's or a newer version's
//! is set aside (`state.db.damaged-20261120T120000Z`, the last three are kept) and a new one begun; where
//! nothing can be written, everything goes on in memory, and [`Store::tidy`] brings it to disk when that is
//! possible again. A write that fails is remembered and not returned: [`Store::setback`] says what is wrong.
//!
//! # What it costs
//!
//! Everything blocks, for some ten microseconds a write and a hundred a transaction; nothing waits for the
//! disk but one write in several hundred, when SQLite copies the log into the file. So a round's writes
//! belong into one [`Store::batch`]. Another process can hold a write up for two seconds at most.

mod aside;
mod disk;
mod pulls;
mod row;
mod schema;
mod setback;
mod tidy;

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, Row, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::json;
use crate::mirror::MirrorUrl;
use crate::observation::Observation;
use crate::reason::{ChangeKind, ReasonKind};
use crate::room::Room;
use crate::timestamp::Timestamp;

use disk::{Opened, Place};
pub use setback::{Consequence, Setback, SetbackKind};

/// The database's name in the state directory.
pub const FILE: &str = "state.db";

/// How many observations are kept where there is only memory: enough for a look, within a megabyte.
const IN_MEMORY: u32 = 500;

/// Which mirror: the same URL may mirror two upstreams.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The registry that is mirrored.
    pub upstream: String,
    /// The mirror.
    pub url: MirrorUrl,
}

/// One change of an engine's list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// When it was verified.
    pub at: Timestamp,
    /// The engine's name.
    pub engine: String,
    /// The list before.
    pub from: Vec<String>,
    /// The list after.
    pub to: Vec<String>,
    /// The reason in English.
    pub why: String,
    /// The reason as a word.
    pub kind: ChangeKind,
    /// The mirror it was about, by name.
    pub subject: Option<String>,
    /// Why that mirror left, if one did.
    pub reason: Option<ReasonKind>,
}

/// How far the transaction of a batch has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Batch {
    None,
    Open,
    /// A write failed; the others go with it, because a round is kept whole or not at all.
    Failed,
}

/// The open database, or what stands in for it. For one thread at a time.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    connection: RefCell<Connection>,
    /// How long a write waits for another process.
    patience: Cell<Duration>,
    place: Cell<Place>,
    batch: Cell<Batch>,
    /// What had to be given up for good: told until the end of the process.
    given_up: RefCell<Option<Setback>>,
    /// What is wrong now: gone with the next write that succeeds.
    trouble: RefCell<Option<Setback>>,
    /// A write was lost since the last [`Store::make_good`].
    lacks: Cell<bool>,
    /// The latest time that the store was told, for the name of a database that has to be set aside.
    latest: Cell<Timestamp>,
    /// The last observation that [`Store::news`] has seen.
    seen: Cell<i64>,
}

impl Store {
    /// Opens `state.db` in `dir`, and makes both where they are missing (0644, 0755).
    ///
    /// Always gives a store that works; the setback says what had to be given up for it.
    pub fn open(dir: &Path, now: Timestamp) -> (Self, Option<Setback>) {
        let Opened { connection, place, setback } = disk::open(dir, now);
        let store = Self::around(dir, connection, place, now);
        store.given_up.replace(setback.clone());
        (store, setback)
    }

    /// From now on no write waits longer than this for another process that holds the database; what could not be
    /// written is lacking, and made good later. For whoever has only one thread.
    pub fn wait_no_longer_than(&self, patience: Duration) {
        self.patience.set(patience);
        // It fails for no connection that is open.
        let _ = self.connection.borrow().busy_timeout(patience);
    }

    /// Opens `state.db` in `dir` to read, which takes no right but to read it and changes nothing there.
    ///
    /// # Errors
    ///
    /// There is no database yet, or none that can be read as it stands; nothing is set aside.
    pub fn open_read_only(dir: &Path) -> Result<Self, Setback> {
        let connection = disk::open_read_only(dir)?;
        Ok(Self::around(dir, connection, Place::ReadOnly, Timestamp::default()))
    }

    fn around(dir: &Path, connection: Connection, place: Place, now: Timestamp) -> Self {
        let store = Self {
            dir: dir.to_owned(),
            connection: RefCell::new(connection),
            patience: Cell::new(disk::BUSY),
            place: Cell::new(place),
            batch: Cell::new(Batch::None),
            given_up: RefCell::new(None),
            trouble: RefCell::new(None),
            lacks: Cell::new(false),
            latest: Cell::new(now),
            seen: Cell::new(0),
        };
        store.skip_news();
        store
    }

    /// What is wrong with the store: the last write failed, or something had to be given up.
    pub fn setback(&self) -> Option<Setback> {
        self.trouble.borrow().clone().or_else(|| self.given_up.borrow().clone())
    }

    /// Whether writes were lost, and others succeed again: then what is not to be lost is to be written anew.
    pub fn lacks_writes(&self) -> bool {
        self.lacks.get() && self.trouble.borrow().is_none()
    }

    /// What was lost is about to be written anew.
    pub fn make_good(&self) {
        self.lacks.set(false);
    }

    /// Whether the last write failed.
    pub fn is_failing(&self) -> bool {
        self.trouble.borrow().is_some()
    }

    /// Makes every write in `act` one transaction: all of them are kept, or none.
    pub fn batch<T>(&self, act: impl FnOnce(&Self) -> T) -> T {
        /// Ends the transaction even when `act` panics.
        struct Transaction<'a> {
            store: &'a Store,
            whole: bool,
        }
        impl Drop for Transaction<'_> {
            fn drop(&mut self) {
                self.store.end_batch(self.whole);
            }
        }
        if self.batch.get() != Batch::None {
            return act(self);
        }
        self.write(|connection| execute(connection, "BEGIN IMMEDIATE"));
        self.batch.set(if self.trouble.borrow().is_some() { Batch::Failed } else { Batch::Open });
        let mut transaction = Transaction { store: self, whole: false };
        let value = act(self);
        transaction.whole = true;
        value
    }

    fn end_batch(&self, whole: bool) {
        let commit = whole && self.batch.replace(Batch::None) == Batch::Open;
        self.batch.set(Batch::None);
        let open = !self.connection.borrow().is_autocommit();
        if commit && open {
            self.settle(|connection| execute(connection, "COMMIT"));
        }
        // A failed commit leaves the transaction open, and then no later one could begin.
        let connection = self.connection.borrow();
        if !connection.is_autocommit() {
            let _ = connection.execute_batch("ROLLBACK");
        }
    }

    /// Every mirror's record, as JSON.
    pub fn records(&self) -> Vec<(Key, String)> {
        self.read("SELECT upstream, url, json FROM records ORDER BY upstream, url", &[], row::record)
    }

    /// Keeps a mirror's record, as JSON, in place of the one before.
    pub fn save_record(&self, key: &Key, json: &str, now: Timestamp) {
        self.latest.set(now);
        self.write(|connection| {
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO records (upstream, url, saved_at, json) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![key.upstream, key.url.as_str(), row::time(now), json])?;
            Ok(())
        });
    }

    /// Keeps an observation, for 30 days, thinned with age.
    pub fn log(&self, key: &Key, observation: &Observation) {
        self.latest.set(self.latest.get().max(observation.at));
        self.write(|connection| {
            row::insert_observation(connection, key, observation)?;
            if self.place.get() == Place::Memory {
                connection
                    .prepare_cached("DELETE FROM observations WHERE id <= ?1 - ?2")?
                    .execute(params![connection.last_insert_rowid(), IN_MEMORY])?;
            }
            Ok(())
        });
    }

    /// Marks the observation that began then as forgiven.
    pub fn forgive(&self, key: &Key, at: Timestamp) {
        self.write(|connection| row::forgive(connection, key, at));
    }

    /// The observations of one mirror, or of all, since then, the oldest first.
    pub fn observations(&self, key: Option<&Key>, since: Timestamp) -> Vec<(Key, Observation)> {
        self.read(
            "SELECT at, upstream, url, bytes_per_second, json FROM observations
             WHERE at >= ?1 AND (?2 IS NULL OR (upstream = ?2 AND url = ?3)) ORDER BY at, id",
            params![row::time(since), key.map(|key| &key.upstream), key.map(|key| key.url.as_str())],
            row::observation,
        )
    }

    /// Everybody who was asked within the time that observations are kept, candidate or not.
    pub fn asked(&self) -> Vec<Key> {
        self.read("SELECT DISTINCT upstream, url FROM observations", &[], row::key)
    }

    /// The observations that other processes, a probe by hand, have logged since the last call or since the
    /// store was opened: they count against the budget too.
    pub fn news(&self) -> Vec<(Key, Observation)> {
        // What cannot be told now is told the next time, and so is what comes while this is read.
        let Some(last) = self.last() else { return Vec::new() };
        let before = self.seen.replace(last);
        self.read(
            "SELECT at, upstream, url, bytes_per_second, json FROM observations
             WHERE id > ?1 AND id <= ?2 AND process <> ?3 ORDER BY id",
            params![before, last, std::process::id()],
            row::observation,
        )
    }

    fn skip_news(&self) {
        // Nothing is told until it is known what came before: it would be the past of all that ever ran here.
        self.seen.set(self.last().unwrap_or(i64::MAX));
    }

    /// The number of the last observation; `None` if it cannot be read, and whoever reads next sees why.
    fn last(&self) -> Option<i64> {
        let connection = self.connection.borrow();
        let mut last = connection.prepare_cached("SELECT coalesce(max(id), 0) FROM observations").ok()?;
        last.query_row([], |row| row.get(0)).ok()
    }

    /// Keeps a switch, for ever.
    pub fn add_switch(&self, switch: &Switch) {
        self.latest.set(self.latest.get().max(switch.at));
        self.write(|connection| row::insert_switch(connection, switch));
    }

    /// The last switches, at most `limit`, the latest first.
    pub fn switches(&self, limit: usize) -> Vec<Switch> {
        // Not bound: SQLite plans a statement anew whenever another limit may be.
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read(&format!("SELECT * FROM switches ORDER BY id DESC LIMIT {limit}"), &[], row::switch)
    }

    /// What is kept under this name; `None` also where it has another shape than is asked for.
    pub fn fact<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let json = |row: &Row<'_>| row.get(0).ok();
        let json: Vec<String> = self.read("SELECT json FROM facts WHERE name = ?1", params![name], json);
        serde_json::from_str(json.first()?).ok()
    }

    /// Keeps a value under this name. `None` and other values that JSON has as `null` remove it.
    pub fn set_fact<T: Serialize>(&self, name: &str, value: &T) {
        let json = match json::to_string(value) {
            Ok(json) => json,
            Err(error) => {
                let path = self.dir.join(FILE);
                let detail = format!("{name}: {error}");
                let unusable = Setback::new(SetbackKind::Unusable, &path, detail, Consequence::NotSaved);
                self.trouble.replace(Some(unusable));
                return;
            }
        };
        self.write(|connection| {
            if json == "null" {
                connection.prepare_cached("DELETE FROM facts WHERE name = ?1")?.execute([name])?;
            } else {
                connection
                    .prepare_cached("INSERT OR REPLACE INTO facts (name, json) VALUES (?1, ?2)")?
                    .execute([name, &json])?;
            }
            Ok(())
        });
    }

    /// Removes what is too old, thins what is old, and leaves memory for the disk if it can. Meant for once
    /// or twice a day; with a month of 66 mirrors it costs a tenth of a second.
    pub fn tidy(&self, now: Timestamp) {
        self.latest.set(now);
        if self.place.get() == Place::Memory {
            self.leave_memory();
        }
        self.batch(|store| store.write(|connection| tidy::tidy(connection, now)));
    }

    /// Forgets who has been no candidate for 30 days: every record is read at each look at the engine.
    pub fn forget_all_but(&self, candidates: &[Key], now: Timestamp) {
        self.latest.set(now);
        self.batch(|store| store.write(|connection| tidy::forget_all_but(connection, candidates, now)));
    }

    /// Every row that `sql` finds and `of` understands; none when it cannot be read, which is remembered.
    fn read<T>(
        &self,
        sql: &str,
        values: &[&dyn rusqlite::ToSql],
        of: impl Fn(&Row<'_>) -> Option<T>,
    ) -> Vec<T> {
        let all = |connection: &Connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map(values, |row| Ok(of(row)))?;
            rows.filter_map(Result::transpose).collect::<rusqlite::Result<Vec<T>>>()
        };
        let found = all(&self.connection.borrow());
        found.unwrap_or_else(|error| {
            self.suffer(&error, Consequence::NotRead);
            Vec::new()
        })
    }

    fn write(&self, act: impl FnOnce(&Connection) -> rusqlite::Result<()>) {
        match self.batch.get() {
            Batch::None => self.follow_the_file(),
            Batch::Open => return self.settle(act),
            Batch::Failed => return,
        }
        // Beside the engine's old files: what is left of a full disk is for them, and history can wait.
        if matches!(self.place.get(), Place::Disk(_)) && Room::of(&self.dir).is_given_up() {
            let full = Setback::new(SetbackKind::Full, &self.dir.join(FILE), "", Consequence::NotSaved);
            self.lacks.set(true);
            self.trouble.replace(Some(full));
        } else {
            self.settle(act);
        }
    }

    fn settle(&self, act: impl FnOnce(&Connection) -> rusqlite::Result<()>) {
        let result = act(&self.connection.borrow());
        match result {
            Ok(()) => {
                self.trouble.replace(None);
            }
            Err(error) => {
                if self.batch.get() == Batch::Open {
                    self.batch.set(Batch::Failed);
                }
                self.suffer(&error, Consequence::NotSaved);
            }
        }
    }

    /// Remembers what went wrong; a database that proves damaged while it is open is set aside at once.
    fn suffer(&self, error: &rusqlite::Error, consequence: Consequence) {
        if consequence == Consequence::NotSaved {
            self.lacks.set(true);
        }
        let setback = Setback::of(error, &self.dir.join(FILE), consequence);
        let replace = setback.kind == SetbackKind::Damaged && matches!(self.place.get(), Place::Disk(_));
        self.trouble.replace(Some(setback));
        if replace {
            self.begin_anew();
        }
    }

    /// Somebody who removes or replaces the file (`rm`, a restored backup, another process that set it aside)
    /// means it: without this we would go on writing into a file that has no name any more.
    fn follow_the_file(&self) {
        let Place::Disk(opened) = self.place.get() else { return };
        let path = self.dir.join(FILE);
        if disk::identity(&path).is_ok_and(|now| now == opened) {
            return;
        }
        self.begin_anew();
        let replaced = Setback::new(SetbackKind::Replaced, &path, "", Consequence::BegunAnew);
        self.given_up.borrow_mut().get_or_insert(replaced);
    }

    fn begin_anew(&self) {
        self.lacks.set(true);
        // The old connection has to go before its file does.
        let placeholder = Connection::open_in_memory();
        if let Ok(placeholder) = placeholder {
            self.connection.replace(placeholder);
        }
        let Opened { connection, place, setback } = disk::open_afresh(&self.dir, self.latest.get());
        self.connection.replace(connection);
        self.wait_no_longer_than(self.patience.get());
        self.place.set(place);
        self.given_up.replace(setback);
        self.skip_news();
    }

    fn leave_memory(&self) {
        let Opened { connection, place, setback } = disk::open_afresh(&self.dir, self.latest.get());
        if place != Place::Memory && disk::write_back(&self.connection.borrow(), &self.dir.join(FILE)).is_ok()
        {
            self.connection.replace(connection);
            self.wait_no_longer_than(self.patience.get());
            self.place.set(place);
            self.given_up.replace(setback);
            self.skip_news();
        }
    }
}

/// A statement that is made again and again, and gives nothing.
fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}
