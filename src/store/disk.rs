//! The database file: found, checked, begun, set aside.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, MAIN_DB, OpenFlags};

use super::FILE;
use super::aside::{ENDINGS, beside, set_aside};
use super::schema::{self, Origin};
use super::setback::{Consequence, Setback, SetbackKind, unwritable};
use crate::confine::{self, outside};
use crate::timestamp::Timestamp;

/// How long another process may hold the database before opening it, or a write by hand, is given up: our own writes
/// take milliseconds, and on a slow disk some hundreds.
pub(super) const BUSY: Duration = Duration::from_secs(2);

/// Where the rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the file that had this device and inode when it was opened.
    Disk(Identity),
    /// Nowhere but here.
    Memory,
    /// In a file that is only read.
    ReadOnly,
}

/// Tells a file from another that took its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

/// A connection that works, and what had to be given up for it.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) place: Place,
    pub(super) setback: Option<Setback>,
}

/// Opens the database in `dir`, or sets it aside and begins another, or goes to memory.
pub(super) fn open(dir: &Path, now: Timestamp) -> Opened {
    let path = dir.join(FILE);
    if let Err(error) = make_directory(dir) {
        return in_memory(dir, Setback::of_io(&error, &path, Consequence::InMemory));
    }
    let _lock = lock(dir);
    let first = match connect(&path) {
        Ok((connection, place)) => return Opened { connection, place, setback: None },
        Err(setback) => setback,
    };
    if !first.kind.is_the_content() {
        return in_memory(dir, first);
    }
    let Ok(aside) = set_aside(&path, now) else {
        return in_memory(dir, first);
    };
    match connect(&path) {
        Ok((connection, place)) => {
            Opened { connection, place, setback: Some(first.with(Consequence::SetAside(aside))) }
        }
        Err(second) => in_memory(dir, second),
    }
}

/// The same for whoever may have lost the right to: `dir` may be another than the one that this thread was left to write
/// in, by the same name.
pub(super) fn open_afresh(dir: &Path, now: Timestamp) -> Opened {
    let directory = dir.to_owned();
    let opened = outside::afresh(move || {
        // What stands in the way of making it, the next step says.
        drop(make_directory(&directory));
        if let Err(why) = confine::to(&[&directory]) {
            tracing::debug!("the thread that opens the database is not confined: {why}");
        }
        open(&directory, now)
    });
    opened.unwrap_or_else(|_| open(dir, now))
}

/// Opens the database in `dir` to read, which works without any right but to read it, and changes nothing.
pub(super) fn open_read_only(dir: &Path) -> Result<Connection, Setback> {
    let (connection, _) = readable(&dir.join(FILE))?;
    Ok(connection)
}

/// Which file stands under `path` now.
pub(super) fn identity(path: &Path) -> io::Result<Identity> {
    let metadata = fs::metadata(path)?;
    Ok(Identity { device: metadata.dev(), inode: metadata.ino() })
}

/// Made readable for everyone, whatever the umask: `status` and `history` need no rights.
fn make_directory(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o755).create(dir)?;
    fs::set_permissions(dir, Permissions::from_mode(0o755))
}

/// One process at a time opens, begins or sets aside: otherwise the second would set aside what the first
/// has just begun, and SQLite does not wait for its turn while the journal's mode changes.
///
/// The lock is on the directory itself, so it leaves no file. A process that was stopped while it held the
/// lock must not stop the others, so we go on without it in the end.
fn lock(dir: &Path) -> Option<File> {
    const PAUSE: Duration = Duration::from_millis(10);
    let handle = File::open(dir).ok()?;
    for _ in 0..BUSY.as_millis() / PAUSE.as_millis() {
        match handle.try_lock() {
            Ok(()) => return Some(handle),
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            Err(TryLockError::Error(_)) => return None,
        }
    }
    None
}

fn connect(path: &Path) -> Result<(Connection, Place), Setback> {
    let of = |error: rusqlite::Error| Setback::of(&error, path, Consequence::InMemory);
    let because = |kind, detail: &str| Setback::new(kind, path, detail, Consequence::InMemory);
    begin_file(path).map_err(|error| Setback::of_io(&error, path, Consequence::InMemory))?;
    let metadata = fs::metadata(path).map_err(|error| Setback::of_io(&error, path, Consequence::InMemory))?;
    expect_files(path, &metadata)?;
    let (path, no_link) = safe_from_links(path);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | no_link;
    let path = &path;
    let mut connection = Connection::open_with_flags(path, flags).map_err(of)?;
    set_up(&connection).map_err(of)?;
    let origin = schema::origin(&connection, schema::STEPS).map_err(of)?;
    if let Some(setback) = refusal(&origin, path) {
        return Err(setback);
    }
    if connection.is_readonly(MAIN_DB).map_err(of)? {
        return Err(because(unwritable(path), "read-only"));
    }
    expect_whole(&connection, path)?;
    // Readers never wait for the writer, and a crash costs nothing that was committed. A power cut may cost
    // the last moments, never the whole: that is worth not waiting for the disk at every probe.
    connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
        .and_then(|()| connection.pragma_update(None, "synchronous", "NORMAL"))
        .and_then(|()| schema::migrate(&mut connection, schema::STEPS))
        .map_err(of)?;
    // The pages can be sound and the damage be in the tables' names.
    for columns in schema::COLUMNS {
        connection.prepare(columns).map_err(|error| because(SetbackKind::Damaged, &error.to_string()))?;
    }
    Ok((connection, Place::Disk(Identity { device: metadata.dev(), inode: metadata.ino() })))
}

/// SQLite would wait for ever for somebody to write into a pipe, and cannot do without its files beside the database.
fn expect_files(path: &Path, metadata: &Metadata) -> Result<(), Setback> {
    // It follows no link there.
    let is_another =
        |ending: &&&str| fs::symlink_metadata(beside(path, ending)).is_ok_and(|found| !found.is_file());
    let detail = match ENDINGS.iter().find(is_another) {
        _ if !metadata.is_file() => "not a regular file".to_owned(),
        Some(ending) => format!("{FILE}{ending} is not a regular file"),
        None => return Ok(()),
    };
    Err(Setback::new(SetbackKind::Foreign, path, detail, Consequence::InMemory))
}

/// SQLite would make the file with the umask of whoever comes first; `-wal` and `-shm` take the file's mode.
fn begin_file(path: &Path) -> io::Result<()> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path);
    let file = match made {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(error),
    };
    file.set_permissions(Permissions::from_mode(0o644))?;
    // A command that root runs must leave nothing that the service's own user cannot write.
    let owner = path.parent().map(fs::metadata).transpose()?;
    if let Some(dir) = owner.filter(|dir| file.metadata().is_ok_and(|file| file.uid() != dir.uid())) {
        std::os::unix::fs::fchown(&file, Some(dir.uid()), Some(dir.gid()))?;
    }
    Ok(())
}

/// In another user's directory no link is followed: it could lead root to any file of root's.
fn safe_from_links(path: &Path) -> (PathBuf, OpenFlags) {
    let ours = rustix::process::geteuid().as_raw();
    let foreign = path.parent().and_then(|dir| fs::metadata(dir).ok()).is_some_and(|dir| dir.uid() != ours);
    let resolved = || Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?));
    match resolved().filter(|_| foreign) {
        Some(path) => (path, OpenFlags::SQLITE_OPEN_NOFOLLOW),
        None => (path.to_owned(), OpenFlags::empty()),
    }
}

/// The settings that every connection has.
fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    // 256 KiB of pages instead of 2 MiB: a round touches a dozen.
    connection.pragma_update(None, "cache_size", -256)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    // A backup that reads for a day keeps a day's writes beside the database; they do not stay there after it.
    connection.pragma_update_and_check(None, "journal_size_limit", 1 << 20, |_| Ok(()))?;
    connection.pragma_update(None, "trusted_schema", false)
}

/// Why a database of this origin is not for us; `None` when it is.
fn refusal(origin: &Origin, path: &Path) -> Option<Setback> {
    let because = |kind, detail: String| Some(Setback::new(kind, path, detail, Consequence::InMemory));
    match origin {
        Origin::Empty | Origin::Ours(_) => None,
        Origin::Newer(version) => {
            let ours = schema::STEPS.len();
            because(SetbackKind::Newer, format!("schema {version}, this one knows up to {ours}"))
        }
        Origin::Foreign => because(SetbackKind::Foreign, "another program's tables".to_owned()),
    }
}

/// Every page and every index is looked at once; later, damage would be found in the middle of a round, or
/// an index would hide rows without anybody's noticing.
fn expect_whole(connection: &Connection, path: &Path) -> Result<(), Setback> {
    let verdict = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0));
    let verdict = verdict.map_err(|error| Setback::of(&error, path, Consequence::InMemory))?;
    if verdict == "ok" {
        return Ok(());
    }
    let detail = verdict.lines().last().unwrap_or_default();
    Err(Setback::new(SetbackKind::Damaged, path, detail, Consequence::InMemory))
}

/// A connection to read, and the URI that opened it.
fn readable(path: &Path) -> Result<(Connection, String), Setback> {
    match fs::metadata(path) {
        Ok(metadata) => {
            expect_files(path, &metadata).map_err(|setback| setback.with(Consequence::NotRead))?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Setback::new(SetbackKind::Missing, path, "", Consequence::NotRead));
        }
        Err(error) => return Err(Setback::of_io(&error, path, Consequence::NotRead)),
    }
    let attempt = |query: &str| {
        let uri = uri(path, query);
        let flags =
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&uri, flags)?;
        set_up(&connection)?;
        let origin = schema::origin(&connection, schema::STEPS)?;
        Ok((connection, uri, origin))
    };
    let (connection, uri, origin) = match attempt("mode=ro") {
        Ok(opened) => opened,
        // Without the right to make the shared index of the log, SQLite opens nothing; but a database that
        // was closed in order has no log, and then its file alone is the whole.
        Err(_) if !has_log(path) => attempt("mode=ro&immutable=1")
            .map_err(|error: rusqlite::Error| Setback::of(&error, path, Consequence::NotRead))?,
        Err(error) => return Err(Setback::of(&error, path, Consequence::NotRead)),
    };
    if let Some(setback) = refusal(&origin, path) {
        return Err(setback.with(Consequence::NotRead));
    }
    match origin {
        // An older one lacks what steps have added since, and has all else as it is: there the rows are none.
        Origin::Ours(_) => Ok((connection, uri)),
        Origin::Empty | Origin::Newer(_) | Origin::Foreign => {
            Err(Setback::new(SetbackKind::Missing, path, "", Consequence::NotRead))
        }
    }
}

fn has_log(path: &Path) -> bool {
    fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0)
}

/// `path` as SQLite's `file:` URI.
fn uri(path: &Path, query: &str) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("{uri}?{query}")
}

fn memory() -> Connection {
    const ENOUGH: &str = "only the allocator can fail here, and that ends the process";
    let mut connection = Connection::open_in_memory().expect(ENOUGH);
    set_up(&connection).expect(ENOUGH);
    schema::migrate(&mut connection, schema::STEPS).expect(ENOUGH);
    connection
}

/// A store without a file, which knows what the file has if it can at least be read.
fn in_memory(dir: &Path, setback: Setback) -> Opened {
    let connection = memory();
    if let Ok((_, uri)) = readable(&dir.join(FILE)) {
        // What cannot be read is not remembered; the setback says why.
        let _ = connection.execute("ATTACH ?1 AS disk", [uri]).and_then(|_| {
            let copied = connection.execute_batch(
                "INSERT INTO records SELECT * FROM disk.records;
                 INSERT INTO switches SELECT * FROM disk.switches;
                 INSERT INTO facts SELECT * FROM disk.facts",
            );
            connection.execute_batch("DETACH disk").and(copied)
        });
    }
    Opened { connection, place: Place::Memory, setback: Some(setback.with(Consequence::InMemory)) }
}

/// Brings what was learned in `memory` to the file at `path`.
pub(super) fn write_back(memory: &Connection, path: &Path) -> rusqlite::Result<()> {
    memory.execute("ATTACH ?1 AS disk", [uri(path, "mode=rw")])?;
    let copied = memory.execute_batch(
        "BEGIN IMMEDIATE;
         INSERT OR REPLACE INTO disk.records SELECT * FROM main.records;
         INSERT OR REPLACE INTO disk.facts SELECT * FROM main.facts;
         INSERT INTO disk.switches (at, engine, kind, subject, reason, why, list_before, list_after)
             SELECT at, engine, kind, subject, reason, why, list_before, list_after FROM main.switches
             WHERE (at, engine) NOT IN (SELECT at, engine FROM disk.switches) ORDER BY id;
         INSERT INTO disk.observations (at, upstream, url, depth, image, outcome, stage, detail, first_byte_ms,
                                        bytes_per_second, requests, refusals, bytes, process, json)
             SELECT at, upstream, url, depth, image, outcome, stage, detail, first_byte_ms,
                    bytes_per_second, requests, refusals, bytes, process, json FROM main.observations ORDER BY id;
         INSERT INTO disk.pulls (at, seen, url, json) SELECT at, seen, url, json FROM main.pulls ORDER BY id;
         COMMIT",
    );
    if copied.is_err() && !memory.is_autocommit() {
        memory.execute_batch("ROLLBACK")?;
    }
    memory.execute_batch("DETACH disk")?;
    copied
}
