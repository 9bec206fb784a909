//! How history is thinned: whole for two days, then an hour at a time, then a quarter of a day, then nothing. And who is
//! forgotten.

use std::collections::BTreeSet;
use std::time::Duration;

use rusqlite::{Connection, params};

use super::{Key, pulls, row};
use crate::timestamp::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// So long observations are kept.
const KEPT: Duration = DAY.saturating_mul(30);

/// So long every one of them: who asks why it went wrong asks within two days.
const WHOLE: Duration = DAY.saturating_mul(2);

/// So long one an hour, which tells a week's busy hours from its quiet ones; then one in six hours, which still tells
/// day from night. With the default schedule 66 mirrors come to some 20 MB after 30 days; one an hour all the time
/// would be 38.
const HOURLY: Duration = DAY.saturating_mul(7);

/// No more than so many, a kilobyte each, however many mirrors there are and however often they come and go.
const MOST: u32 = 100_000;

/// No more records than these of who is no candidate any more, two kilobytes each, of a tool that brings a new one every
/// minute.
const FORMER: usize = 1_000;

/// Removes what was seen more than 30 days ago, and thins observations older than two.
///
/// Of each mirror and depth it keeps the first of every hour, after a week the first of every quarter of a day, and
/// every one whose outcome differs from the one before it: when a mirror failed and when it was back is never
/// thinned away. Doing it again changes nothing.
pub(super) fn tidy(connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    let now = believed(connection, "SELECT max(at) FROM observations", now)?;
    connection.execute("DELETE FROM observations WHERE at < ?1", [row::time(now - KEPT)])?;
    thin(connection, now - WHOLE, "substr(at, 1, 13)")?;
    thin(connection, now - HOURLY, "substr(at, 1, 11) || substr(at, 12, 2) / 6")?;
    connection.execute(
        "DELETE FROM observations WHERE at < (SELECT at FROM observations ORDER BY at DESC LIMIT 1 OFFSET ?1)",
        [MOST - 1],
    )?;
    pulls::tidy(connection, now)
}

/// Removes the records of who is no candidate and was last asked 30 days ago; whoever comes back earlier goes on where it
/// was.
pub(super) fn forget_all_but(
    connection: &Connection,
    candidates: &[Key],
    now: Timestamp,
) -> rusqlite::Result<()> {
    let candidates: BTreeSet<(&str, &str)> =
        candidates.iter().map(|key| (&*key.upstream, key.url.as_str())).collect();
    let mut latest =
        connection.prepare("SELECT upstream, url, saved_at FROM records ORDER BY saved_at DESC")?;
    let all = latest.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let all: Vec<(String, String, String)> = all.collect::<rusqlite::Result<_>>()?;
    let former = all.iter().filter(|(upstream, url, _)| !candidates.contains(&(&**upstream, &**url)));
    let oldest = row::time(believed(connection, "SELECT max(saved_at) FROM records", now)? - KEPT);
    let mut delete = connection.prepare("DELETE FROM records WHERE upstream = ?1 AND url = ?2")?;
    for (rank, (upstream, url, saved_at)) in former.enumerate() {
        if rank >= FORMER || *saved_at < oldest {
            delete.execute([upstream, url])?;
        }
    }
    Ok(())
}

/// The time as far as what was written last bears it out: a clock that is months ahead when the host starts is set right
/// soon, and until then must not cost a month of history. Who was really off for so long forgets at the next turn.
fn believed(connection: &Connection, latest: &str, now: Timestamp) -> rusqlite::Result<Timestamp> {
    let latest: Option<String> = connection.query_row(latest, [], |row| row.get(0))?;
    let latest: Option<Timestamp> = latest.and_then(|latest| latest.parse().ok());
    Ok(latest.map_or(now, |latest| now.min(latest + DAY)))
}

/// Of those before `then` keeps, for each mirror and depth, the first of every `span`, an expression in SQL.
fn thin(connection: &Connection, then: Timestamp, span: &str) -> rusqlite::Result<()> {
    connection.execute(
        &format!(
            "DELETE FROM observations WHERE id IN (
                 SELECT id FROM (
                     SELECT id, outcome, {span} AS span,
                            lag(outcome) OVER earlier AS outcome_before,
                            lag({span}) OVER earlier AS span_before
                     FROM observations WHERE at < ?1
                     WINDOW earlier AS (PARTITION BY upstream, url, depth ORDER BY at, id))
                 WHERE outcome = outcome_before AND span = span_before)"
        ),
        params![row::time(then)],
    )?;
    Ok(())
}
