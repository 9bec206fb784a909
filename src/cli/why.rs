//! `mirrorwatch why`: what the last real pulls went through.

use std::time::Duration;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::exit::{Error, Exit};
use super::history::text::speed_of;
use super::out::Out;
use super::recorded::{store, unkept, unreadable};
use super::{Global, note};
use crate::mirror::MirrorUrl;
use crate::observation::Failure;
use crate::pull::{Seen, Sign};
use crate::status::json::{Layout, to_string};
use crate::status::safe::line as safe;
use crate::status::table::{Cell, Column, Table};
use crate::status::text::{length, moment, speed};
use crate::status::{NoticeKind, SCHEMA, ServiceState, Status};
use crate::store::Store;
use crate::text::detail::detail;
use crate::text::{reason as phrase, status as words, why as say};
use crate::timestamp::Timestamp;

/// One sign as JSON has it.
#[derive(Serialize)]
struct Shown<'a> {
    at: Timestamp,
    /// `left`, `silent`, `crawling`, `served`, `doubtful`, `absent`.
    seen: &'static str,
    url: Option<&'a MirrorUrl>,
    name: Option<&'a str>,
    failure: Option<&'a Failure>,
    quiet_ms: Option<u64>,
    bytes: Option<u64>,
    bytes_per_second: Option<f64>,
    detail: Option<&'a str>,
}

#[derive(Serialize)]
struct Answer<'a> {
    schema: u32,
    since: Timestamp,
    signs: Vec<Shown<'a>>,
}

/// Shows what was heard of real pulls, the oldest first.
///
/// # Errors
///
/// What was recorded cannot be read, or standard output takes no more.
pub fn why(
    global: &Global,
    since: Duration,
    json: bool,
    now: Timestamp,
    out: &mut Out,
) -> Result<Exit, Error> {
    let since = now - since;
    // A service that never ran has no database, which is one way of having heard nothing.
    let store = store(global)?;
    let signs = store.as_ref().map(|store| store.signs_since(since)).unwrap_or_default();
    if let Some(setback) = store.as_ref().and_then(Store::setback) {
        return Err(unreadable(global, &setback));
    }
    let status = Status::read(&global.runtime_dir, &global.state_dir).ok();
    if json {
        let signs = signs.iter().map(|sign| shown(sign, status.as_ref())).collect();
        out.print(&to_string(&Answer { schema: SCHEMA, since, signs }, Layout::Indented))?;
    } else if !signs.is_empty() {
        out.print(&table(&signs, status.as_ref(), global, now).render(out.size().0, out.color()))?;
    }
    for line in remarks(global, status.as_ref(), now) {
        note(global, &line);
    }
    // Where nobody ever listened, that is the reason, and to look further back is no use.
    if signs.is_empty() && status.is_some() {
        note(global, &say::nothing(global.lang, &length(global.lang, now.since(since))));
    }
    Ok(if signs.is_empty() { Exit::Failed } else { Exit::Ok })
}

/// What the reader should know of how complete this is.
fn remarks(global: &Global, status: Option<&Status>, now: Timestamp) -> Vec<String> {
    let lang = global.lang;
    let Some(status) = status else { return vec![say::never_ran(lang)] };
    let deaf = status.service.notices.iter().filter(|notice| notice.kind == NoticeKind::Deaf);
    let mut remarks: Vec<String> =
        deaf.map(|notice| say::deaf(lang, &safe(&detail(lang, &notice.detail)))).collect();
    remarks.extend(unkept(global, status));
    if status.service.state == ServiceState::Stopped {
        remarks.push(say::stopped(lang, &length(lang, now.since(status.generated_at))));
    }
    if let Some(silent) = status.service.silent_ms {
        remarks.push(words::silent(lang, &length(lang, Duration::from_millis(silent))));
    }
    remarks
}

fn shown<'a>(sign: &'a Sign, status: Option<&'a Status>) -> Shown<'a> {
    let seen = match &sign.seen {
        Seen::Left { .. } => "left",
        Seen::Silent { .. } => "silent",
        Seen::Crawling { .. } => "crawling",
        Seen::Served { .. } => "served",
        Seen::Doubtful { .. } => "doubtful",
        Seen::Absent { .. } => "absent",
    };
    let url = sign.seen.url();
    let mut shown = Shown {
        at: sign.at,
        seen,
        url,
        name: url.zip(status).map(|(url, status)| status.name_of(url.as_str())),
        failure: None,
        quiet_ms: None,
        bytes: None,
        bytes_per_second: None,
        detail: None,
    };
    match &sign.seen {
        Seen::Left { failure, .. } => shown.failure = Some(failure),
        Seen::Silent { quiet_ms, .. } => shown.quiet_ms = Some(*quiet_ms),
        Seen::Crawling { bytes_per_second, .. } => shown.bytes_per_second = Some(*bytes_per_second),
        Seen::Served { bytes, bytes_per_second, .. } => {
            (shown.bytes, shown.bytes_per_second) = (Some(*bytes), *bytes_per_second);
        }
        Seen::Doubtful { detail } | Seen::Absent { detail } => shown.detail = Some(detail),
    }
    shown
}

fn table(signs: &[Sign], status: Option<&Status>, global: &Global, now: Timestamp) -> Table {
    let lang = global.lang;
    let column = |heading, right, leaves, most| Column { heading, right, leaves, most };
    Table {
        columns: vec![
            column(say::head_when(lang), false, None, None),
            column(say::head_mirror(lang), false, None, Some(24)),
            column(say::head_bytes(lang), true, Some(0), None),
            column(say::head_speed(lang), true, Some(1), None),
            column(say::head_what(lang), false, None, None),
        ],
        rows: signs.iter().map(|sign| row(sign, status, global, now)).collect(),
    }
}

fn row(sign: &Sign, status: Option<&Status>, global: &Global, now: Timestamp) -> Vec<Cell> {
    let lang = global.lang;
    let plain = |text: String| Cell { text, style: Style::new() };
    let name = sign.seen.url().map_or_else(
        || "-".to_owned(),
        |url| safe(status.map_or(url.as_str(), |status| status.name_of(url.as_str()))),
    );
    let (what, color) = match &sign.seen {
        Seen::Left { failure, .. } => {
            let why = phrase::reason(lang, failure.kind.into());
            let detail = safe(&detail(lang, &failure.detail));
            let why = if detail.is_empty() { why.to_owned() } else { words::with_detail(lang, why, &detail) };
            (say::left(lang, &why), Some(AnsiColor::Red))
        }
        Seen::Silent { quiet_ms, may_rest: true, .. } => {
            (say::may_rest(lang, quiet_ms / 1000), Some(AnsiColor::Yellow))
        }
        Seen::Silent { quiet_ms, may_rest: false, .. } => {
            (say::silent(lang, quiet_ms / 1000), Some(AnsiColor::Red))
        }
        Seen::Crawling { .. } => (say::crawling(lang), Some(AnsiColor::Red)),
        Seen::Served { .. } => (say::served(lang), Some(AnsiColor::Green)),
        Seen::Doubtful { detail } => (say::doubtful(lang, &safe(detail)), Some(AnsiColor::Yellow)),
        Seen::Absent { detail } => (say::absent(lang, &safe(detail)), None),
    };
    let (bytes, pace) = match &sign.seen {
        Seen::Served { bytes, bytes_per_second, .. } => (Some(*bytes), *bytes_per_second),
        Seen::Crawling { bytes_per_second, .. } => (None, Some(*bytes_per_second)),
        Seen::Left { .. } | Seen::Silent { .. } | Seen::Doubtful { .. } | Seen::Absent { .. } => (None, None),
    };
    vec![
        plain(moment(sign.at, now)),
        plain(name),
        plain(bytes.map_or_else(String::new, amount)),
        plain(pace.map_or_else(String::new, speed_of)),
        Cell { text: what, style: color.map_or_else(Style::new, AnsiColor::on_default) },
    ]
}

/// In the units of a speed.
fn amount(bytes: u64) -> String {
    speed(bytes).trim_end_matches("/s").to_owned()
}
