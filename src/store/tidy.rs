//! How history is thinned: whole for two days, then what matters, then nothing.

use std::time::Duration;

use rusqlite::{Connection, params};

use super::row;
use crate::timestamp::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// So long observations are kept.
const KEPT: Duration = DAY.saturating_mul(30);

/// So long every one of them.
const WHOLE: Duration = DAY.saturating_mul(2);

/// Removes observations older than 30 days. Of those older than 48 hours it keeps, for each mirror and depth,
/// the first of every hour and every one whose outcome differs from the one before it: when a mirror
/// failed and when it was back is never thinned away. Doing it again changes nothing.
pub(super) fn tidy(connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM observations WHERE at < ?1", [row::time(now - KEPT)])?;
    connection.execute(
        "DELETE FROM observations WHERE id IN (
             SELECT id FROM (
                 SELECT id, outcome, substr(at, 1, 13) AS hour,
                        lag(outcome) OVER earlier AS outcome_before,
                        lag(substr(at, 1, 13)) OVER earlier AS hour_before
                 FROM observations WHERE at < ?1
                 WINDOW earlier AS (PARTITION BY upstream, url, depth ORDER BY at, id))
             WHERE outcome = outcome_before AND hour = hour_before)",
        params![row::time(now - WHOLE)],
    )?;
    Ok(())
}
