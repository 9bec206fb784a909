//! The tables, and how an older database gets them.
//!
//! They are meant to be read with `sqlite3 state.db`: times are RFC 3339 in UTC, words are the public ones.
//! Nothing newer than SQLite 3.8 is used, so that the `sqlite3` of an old distribution reads them too.

use rusqlite::{Connection, TransactionBehavior};

/// Marks the file as ours (`file` and `PRAGMA application_id` show it): "mirw".
const APPLICATION_ID: i32 = 0x6d69_7277;

/// Step `n` brings a database from `user_version` n to n + 1. Steps are only ever added,
/// and a step only adds: who may not write reads an older database as it stands.
pub(super) const STEPS: &[&str] = &[
    "
    CREATE TABLE records (
        upstream TEXT NOT NULL,
        url      TEXT NOT NULL,
        saved_at TEXT NOT NULL,
        json     TEXT NOT NULL,
        PRIMARY KEY (upstream, url)
    );
    CREATE TABLE observations (
        id               INTEGER PRIMARY KEY,
        at               TEXT NOT NULL,
        upstream         TEXT NOT NULL,
        url              TEXT NOT NULL,
        depth            TEXT NOT NULL,
        image            TEXT,
        outcome          TEXT NOT NULL,
        stage            TEXT,
        detail           TEXT,
        first_byte_ms    REAL,
        bytes_per_second REAL,
        requests         INTEGER NOT NULL,
        refusals         INTEGER NOT NULL,
        bytes            INTEGER NOT NULL,
        process          INTEGER NOT NULL,
        json             TEXT NOT NULL
    );
    CREATE INDEX observations_by_time ON observations (at);
    CREATE TABLE switches (
        id          INTEGER PRIMARY KEY,
        at          TEXT NOT NULL,
        engine      TEXT NOT NULL,
        kind        TEXT NOT NULL,
        subject     TEXT,
        reason      TEXT,
        why         TEXT NOT NULL,
        list_before TEXT NOT NULL,
        list_after  TEXT NOT NULL
    );
    CREATE TABLE facts (
        name TEXT PRIMARY KEY,
        json TEXT NOT NULL
    );
",
    "
    CREATE TABLE pulls (
        id   INTEGER PRIMARY KEY,
        at   TEXT NOT NULL,
        seen TEXT NOT NULL,
        url  TEXT,
        json TEXT NOT NULL
    );
    CREATE INDEX pulls_by_time ON pulls (at);
",
];

/// What must be there for the store to work: its own columns, as it names them.
pub(super) const COLUMNS: &[&str] = &[
    "SELECT upstream, url, saved_at, json FROM records",
    "SELECT id, at, upstream, url, depth, image, outcome, stage, detail, first_byte_ms, bytes_per_second,
            requests, refusals, bytes, process, json FROM observations",
    "SELECT id, at, engine, kind, subject, reason, why, list_before, list_after FROM switches",
    "SELECT name, json FROM facts",
    "SELECT id, at, seen, url, json FROM pulls",
];

/// Whose database it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Nobody's yet.
    Empty,
    /// Ours, with so many of our steps done.
    Ours(usize),
    /// Ours, of a later version with another schema.
    Newer(i32),
    /// Another program's.
    Foreign,
}

pub(super) fn origin(connection: &Connection, steps: &[&str]) -> rusqlite::Result<Origin> {
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: i32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    if application == 0 && version == 0 && tables == 0 {
        return Ok(Origin::Empty);
    }
    if application != APPLICATION_ID {
        return Ok(Origin::Foreign);
    }
    Ok(match usize::try_from(version) {
        Ok(done @ 1..) if done <= steps.len() => Origin::Ours(done),
        Ok(1..) => Origin::Newer(version),
        Ok(0) | Err(_) => Origin::Foreign,
    })
}

/// Does the steps that are not yet done, all or none.
pub(super) fn migrate(connection: &mut Connection, steps: &[&str]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Read again under the lock: another process may have been faster.
    let done = match origin(&transaction, steps)? {
        Origin::Empty => 0,
        Origin::Ours(done) => done,
        Origin::Newer(_) | Origin::Foreign => return Ok(()),
    };
    for step in steps.iter().skip(done) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    let version = i32::try_from(steps.len()).expect("a list in the source has few steps");
    transaction.pragma_update(None, "user_version", version)?;
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_STEPS: &[&str] =
        &["CREATE TABLE a (x); INSERT INTO a VALUES (1)", "ALTER TABLE a ADD COLUMN y"];

    fn database() -> Connection {
        Connection::open_in_memory().unwrap()
    }

    #[test]
    fn an_older_database_gets_the_steps_it_lacks_and_keeps_its_rows() {
        let mut connection = database();
        migrate(&mut connection, &TWO_STEPS[..1]).unwrap();
        assert_eq!(origin(&connection, TWO_STEPS).unwrap(), Origin::Ours(1));
        migrate(&mut connection, TWO_STEPS).unwrap();
        assert_eq!(origin(&connection, TWO_STEPS).unwrap(), Origin::Ours(2));
        let row = connection.query_row("SELECT x, y FROM a", [], |row| Ok((row.get(0)?, row.get(1)?)));
        assert_eq!(row.unwrap(), (1, None::<i64>));
    }

    #[test]
    fn a_step_that_fails_leaves_the_database_as_it_was() {
        let mut connection = database();
        migrate(&mut connection, &TWO_STEPS[..1]).unwrap();
        let broken = &[TWO_STEPS[0], "CREATE TABLE b (x); CREATE TABLE a (x)"];
        assert!(migrate(&mut connection, broken).is_err());
        assert_eq!(origin(&connection, broken).unwrap(), Origin::Ours(1));
        assert!(connection.prepare("SELECT * FROM b").is_err());
    }

    #[test]
    fn newer_and_foreign_databases_are_told_apart_and_left_alone() {
        let mut connection = database();
        assert_eq!(origin(&connection, STEPS).unwrap(), Origin::Empty);
        migrate(&mut connection, TWO_STEPS).unwrap();
        assert_eq!(origin(&connection, &TWO_STEPS[..1]).unwrap(), Origin::Newer(2));
        migrate(&mut connection, &TWO_STEPS[..1]).unwrap();
        assert_eq!(origin(&connection, TWO_STEPS).unwrap(), Origin::Ours(2));

        let other = database();
        other.execute_batch("CREATE TABLE bookmarks (url)").unwrap();
        assert_eq!(origin(&other, STEPS).unwrap(), Origin::Foreign);
    }
}
