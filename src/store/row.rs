//! Rows of the tables ⇄ values.
//!
//! A row that cannot be understood is `None` and passed over: it is not worth losing the others for.

use std::time::{Duration, UNIX_EPOCH};

use rusqlite::{Connection, Row, params};
use serde_json::Value;

use super::{Key, Switch};
use crate::json;
use crate::observation::Observation;
use crate::reason::{ChangeKind, ReasonKind};
use crate::timestamp::Timestamp;

/// The last millisecond that RFC 3339 has a form for.
const LAST: u64 = 253_402_300_799_999;

/// RFC 3339 with milliseconds: sorts as text in the order of time, and SQLite's date functions read it.
pub(super) fn time(at: Timestamp) -> String {
    let shown = UNIX_EPOCH + Duration::from_millis(at.as_millis().min(LAST));
    humantime::format_rfc3339_millis(shown).to_string()
}

fn get<T: rusqlite::types::FromSql>(row: &Row<'_>, column: &str) -> Option<T> {
    row.get(column).ok()
}

fn moment(row: &Row<'_>, column: &str) -> Option<Timestamp> {
    get::<String>(row, column)?.parse().ok()
}

pub(super) fn key(row: &Row<'_>) -> Option<Key> {
    let url = get::<String>(row, "url")?.parse().ok()?;
    Some(Key { upstream: get(row, "upstream")?, url })
}

pub(super) fn record(row: &Row<'_>) -> Option<(Key, String)> {
    Some((key(row)?, get(row, "json")?))
}

pub(super) fn observation(row: &Row<'_>) -> Option<(Key, Observation)> {
    let mut observation: Observation = serde_json::from_str(&get::<String>(row, "json")?).ok()?;
    // Timestamps in JSON have no milliseconds, and a printed number may lose its last digit.
    observation.at = moment(row, "at")?;
    observation.bytes_per_second = get(row, "bytes_per_second")?;
    Some((key(row)?, observation))
}

pub(super) fn insert_observation(
    connection: &Connection,
    key: &Key,
    observation: &Observation,
) -> rusqlite::Result<()> {
    let failure = observation.failure();
    let mut insert = connection.prepare_cached(
        "INSERT INTO observations (at, upstream, url, depth, image, outcome, stage, detail, first_byte_ms,
                                   bytes_per_second, requests, refusals, bytes, process, json)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )?;
    insert.execute(params![
        time(observation.at),
        key.upstream,
        key.url.as_str(),
        word(&observation.depth),
        observation.image.as_ref().map(ToString::to_string),
        failure.map_or("served", |failure| failure.kind.as_str()),
        failure.map(|failure| word(&failure.stage)),
        failure.map(|failure| &*failure.detail).filter(|detail| !detail.is_empty()),
        observation.stages.layer.map(|time| time.as_secs_f64() * 1000.0),
        observation.bytes_per_second,
        observation.spent.requests,
        observation.spent.refusals,
        i64::try_from(observation.spent.bytes).unwrap_or(i64::MAX),
        std::process::id(),
        sparse(observation),
    ])?;
    Ok(())
}

/// By text, because this SQLite has no functions for JSON; a quote within a text would have a backslash before it.
pub(super) fn forgive(connection: &Connection, key: &Key, at: Timestamp) -> rusqlite::Result<()> {
    let mut update = connection.prepare_cached(
        "UPDATE observations SET json = substr(json, 1, length(json) - 1) || ',\"forgiven\":true}'
         WHERE at = ?1 AND upstream = ?2 AND url = ?3 AND instr(json, ',\"forgiven\":true') = 0",
    )?;
    update.execute(params![time(at), key.upstream, key.url.as_str()])?;
    Ok(())
}

/// The public word of a value that serialises as one.
fn word(value: &impl serde::Serialize) -> Option<String> {
    serde_json::to_value(value).ok()?.as_str().map(str::to_owned)
}

/// The observation as JSON without its nulls: most of a connect's members are unknown, and it is by far
/// the most frequent row.
fn sparse(observation: &Observation) -> Option<String> {
    let mut value = serde_json::to_value(observation).ok()?;
    let members = value.as_object_mut()?;
    members.retain(|_, member| !member.is_null());
    if let Some(Value::Object(stages)) = members.get_mut("stages") {
        stages.retain(|_, stage| !stage.is_null());
    }
    json::to_string(&value).ok()
}

pub(super) fn switch(row: &Row<'_>) -> Option<Switch> {
    let list = |column| serde_json::from_str(&get::<String>(row, column)?).ok();
    let kind: String = get(row, "kind")?;
    let reason: Option<String> = get(row, "reason")?;
    Some(Switch {
        at: moment(row, "at")?,
        engine: get(row, "engine")?,
        from: list("list_before")?,
        to: list("list_after")?,
        why: get(row, "why")?,
        kind: *ChangeKind::ALL.iter().find(|known| known.as_str() == kind)?,
        subject: get(row, "subject")?,
        reason: reason.and_then(|word| ReasonKind::ALL.iter().find(|known| known.as_str() == word)).copied(),
    })
}

pub(super) fn insert_switch(connection: &Connection, switch: &Switch) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO switches (at, engine, kind, subject, reason, why, list_before, list_after)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    let list = |mirrors: &[String]| Value::from(mirrors).to_string();
    insert.execute(params![
        time(switch.at),
        switch.engine,
        switch.kind.as_str(),
        switch.subject,
        switch.reason.map(ReasonKind::as_str),
        switch.why,
        list(&switch.from),
        list(&switch.to),
    ])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_sort_as_text_in_the_order_of_time() {
        let millis = [0, 1, 999, 1000, 1_795_176_000_123, LAST];
        let texts: Vec<String> = millis.iter().map(|at| time(Timestamp::from_millis(*at))).collect();
        assert!(texts.is_sorted(), "{texts:?}");
        for (at, text) in millis.into_iter().zip(&texts) {
            assert_eq!(text.parse(), Ok(Timestamp::from_millis(at)));
        }
    }

    #[test]
    fn a_time_beyond_the_year_9999_is_written_as_its_end() {
        assert_eq!(time(Timestamp::from_millis(u64::MAX)), "9999-12-31T23:59:59.999Z");
    }
}
