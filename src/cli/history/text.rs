//! The history for people: a line for each thing that happened, and one for many that were alike.

use std::collections::HashMap;

use anstyle::{AnsiColor, Style};

use super::{History, Outcome, Seen};
use crate::observation::Depth;
use crate::status::Switch;
use crate::status::safe::line as safe;
use crate::status::table::{Cell, Column, Table};
use crate::status::text::{speed, switch_why};
use crate::text::detail::detail;
use crate::text::{Lang, history as say, reason as phrase, status as words};
use crate::timestamp::Timestamp;

const BAD: Style = AnsiColor::Red.on_default();
const NEWS: Style = Style::new().bold();
const PLAIN: Style = Style::new();

/// How a history is shown.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// In which language.
    pub lang: Lang,
    /// How wide the terminal is; `None` when there is none, and so no limit.
    pub width: Option<usize>,
    /// Whether colour is added.
    pub color: bool,
    /// What shares a line.
    pub gather: Gather,
}

/// Which probes of a mirror share a line, where one after the other of the same depth ended alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gather {
    /// Those of every depth: a day of a whole list has thousands.
    All,
    /// Those that only connect: of one mirror, every figure is worth a line.
    Connects,
}

/// Probes that were alike: all of them held against the mirror, or none.
struct Run<'a> {
    first: &'a Seen,
    last: Timestamp,
    count: u32,
    speeds: Mean,
    first_bytes: Mean,
}

/// Of those that were measured.
#[derive(Default)]
struct Mean {
    sum: f64,
    count: u32,
}

impl Mean {
    fn add(&mut self, value: Option<f64>) {
        self.sum += value.unwrap_or(0.0);
        self.count += u32::from(value.is_some());
    }

    fn value(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / f64::from(self.count))
    }
}

/// The whole history, a line break at its end; `name_of` knows what people call the mirror at a URL.
pub fn render(history: &History, name_of: impl Fn(&str) -> String, terms: Terms) -> String {
    let Terms { lang, width, color, gather } = terms;
    let mut rows: Vec<(Timestamp, Vec<Cell>)> =
        runs(&history.observations, gather).iter().map(|run| (run.first.at, row_of_run(run, lang))).collect();
    rows.extend(history.switches.iter().map(|switch| (switch.at, row_of_switch(switch, &name_of, lang))));
    if rows.is_empty() {
        return say::nothing_recorded(lang) + "\n";
    }
    // The sort is stable: what began at the same moment stays as it was recorded.
    rows.sort_by_key(|(at, _)| *at);
    let column = |heading, right, leaves, most| Column { heading, right, leaves, most };
    let table = Table {
        columns: vec![
            column(say::head_time(lang), false, None, None),
            column(say::head_until(lang), false, Some(3), None),
            column(say::head_count(lang), true, Some(2), None),
            column(say::head_mirror(lang), false, None, Some(24)),
            column(say::head_what(lang), false, Some(4), None),
            column(say::head_first(lang), true, Some(0), None),
            column(say::head_speed(lang), true, Some(1), None),
            column(say::head_outcome(lang), false, None, None),
        ],
        rows: rows.into_iter().map(|(_, row)| row).collect(),
    };
    table.render(width, color)
}

/// Probes of one mirror and depth in a row that ended alike, in the order in which the first of each began.
fn runs(observations: &[Seen], gather: Gather) -> Vec<Run<'_>> {
    let mut runs: Vec<Run<'_>> = Vec::new();
    let mut open: HashMap<(&str, &str, Depth), usize> = HashMap::new();
    for seen in observations {
        let of = (&*seen.upstream, &*seen.url, seen.depth);
        let gathers = gather == Gather::All || seen.depth == Depth::Connect;
        let alike = |run: &&mut Run<'_>| {
            gathers
                && run.first.outcome == seen.outcome
                && run.first.detail == seen.detail
                && run.first.forgiven == seen.forgiven
        };
        let run = match open.get(&of).and_then(|index| runs.get_mut(*index)).filter(alike) {
            Some(run) => run,
            None => {
                open.insert(of, runs.len());
                runs.push(Run {
                    first: seen,
                    last: seen.at,
                    count: 0,
                    speeds: Mean::default(),
                    first_bytes: Mean::default(),
                });
                runs.last_mut().expect("it was just pushed")
            }
        };
        run.last = seen.at;
        run.count += 1;
        run.speeds.add(seen.bytes_per_second);
        run.first_bytes.add(seen.stages_ms.layer);
    }
    runs
}

fn row_of_run(run: &Run<'_>, lang: Lang) -> Vec<Cell> {
    let seen = run.first;
    let (outcome, style) = match seen.outcome {
        Outcome::Served => (say::served(lang), PLAIN),
        Outcome::Failed(kind) => {
            let what = phrase::reason(lang, kind.into());
            let text = match seen.stage {
                Some(stage) => say::outcome(lang, what, &say::stage(lang, stage)),
                None => what.to_owned(),
            };
            let detail = safe(&detail(lang, &seen.detail));
            let text = if detail.is_empty() { text } else { say::with_detail(lang, &text, &detail) };
            if seen.forgiven { (say::forgiven(lang, &text), PLAIN) } else { (text, BAD) }
        }
    };
    let cell = |text: String| Cell { text, style };
    let several = run.count > 1;
    vec![
        cell(run.first.at.clock()),
        cell(if several { until(run.first.at, run.last) } else { String::new() }),
        cell(if several { format!("×{}", run.count) } else { String::new() }),
        cell(safe(seen.name.as_deref().unwrap_or(&seen.url))),
        cell(say::depth(lang, seen.depth)),
        cell(run.first_bytes.value().map(|ms| format!("{ms:.0} ms")).unwrap_or_default()),
        cell(run.speeds.value().map(speed_of).unwrap_or_default()),
        cell(outcome),
    ]
}

fn row_of_switch(switch: &Switch, name_of: &impl Fn(&str) -> String, lang: Lang) -> Vec<Cell> {
    let cell = |text: String| Cell { text, style: NEWS };
    let names = |urls: &[String]| {
        let names: Vec<String> = urls.iter().map(|url| safe(&name_of(url))).collect();
        if names.is_empty() { words::nobody(lang) } else { names.join(", ") }
    };
    let why = switch_why(switch, crate::mirror::DOCKER_HUB, lang);
    vec![
        cell(switch.at.clock()),
        Cell::default(),
        Cell::default(),
        cell(safe(&switch.engine)),
        cell(say::switch(lang)),
        Cell::default(),
        Cell::default(),
        cell(match switch.from == switch.to {
            true => say::unswitched(lang, &names(&switch.to), &why),
            false => say::switched(lang, &names(&switch.from), &names(&switch.to), &why),
        }),
    ]
}

/// The end of a run: a clock alone where it is the day of its beginning.
fn until(first: Timestamp, last: Timestamp) -> String {
    let (first, last) = (first.clock(), last.clock());
    match (first.split_once(' '), last.split_once(' ')) {
        (Some((day, _)), Some((same, time))) if day == same => time.to_owned(),
        _ => last,
    }
}

/// Bytes per second, as a speed that was measured and not counted.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, which is what is wanted"
)]
pub fn speed_of(bytes: f64) -> String {
    speed(bytes.round() as u64)
}
