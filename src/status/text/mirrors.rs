//! The table of mirrors: one line each, a letter in front, the reason at the end.

use anstyle::Style;

use super::{BAD, FAINT, GOOD, PLAIN, Span, UNSURE, View, age, faint_line};
use crate::mirror::DOCKER_HUB;
use crate::reason::ReasonKind;
use crate::status::safe::line as safe;
use crate::status::spark::bars;
use crate::status::table::{Cell, Column, Table};
use crate::status::{Mirror, Network, Reason, Verdict};
use crate::text::detail::detail as told;
use crate::text::{reason as phrase, status as say};

/// One line a mirror, under headings. Also the answer of `probe`.
pub fn mirrors(mirrors: &[&Mirror], view: &View) -> String {
    let fastest = mirrors.iter().flat_map(|mirror| &mirror.spark).flatten().copied().max().unwrap_or(0);
    let lang = view.lang;
    let others = mirrors.iter().any(|mirror| mirror.upstream != DOCKER_HUB);
    let column = |heading, right, leaves, most| Column { heading, right, leaves, most };
    let day = |heading: String| if view.span == Span::Days { heading } else { String::new() };
    // On a narrow terminal a long name would push out a figure.
    let name = if view.width.is_some_and(|width| width < 100) { 18 } else { 24 };
    let table = Table {
        columns: vec![
            column(" ".to_owned(), false, None, None),
            column(say::head_mirror(lang), false, None, Some(name)),
            column(if view.legend { say::head_url(lang) } else { String::new() }, false, Some(0), Some(40)),
            column(if others { say::head_upstream(lang) } else { String::new() }, false, Some(7), Some(12)),
            column(say::head_pull(lang), true, None, None),
            column(say::head_speed(lang), true, Some(6), None),
            column(say::head_first(lang), true, Some(2), None),
            column(say::head_success(lang), true, Some(4), None),
            column(say::head_images(lang), true, Some(3), None),
            column(day(say::head_seen(lang)), true, Some(1), None),
            column(day(say::head_day(lang)), false, Some(5), None),
            column(say::head_why(lang), false, None, None),
        ],
        rows: mirrors.iter().map(|mirror| row(mirror, fastest, others, view)).collect(),
    };
    let mut out = table.render(view.width, view.color);
    if view.legend {
        faint_line(&mut out, &say::legend_marks(lang), view);
        let mut figures = say::legend_figures(lang);
        if view.span == Span::Days {
            figures.push_str(&say::legend_day(lang));
        }
        faint_line(&mut out, &figures, view);
    }
    out
}

fn row(mirror: &Mirror, fastest: u64, others: bool, view: &View) -> Vec<Cell> {
    let (mark, style) = mark(mirror);
    let name_style = if mirror.selected.is_some() { style.bold() } else { style };
    let figures = if is_off(mirror) { FAINT } else { PLAIN };
    let cell = |text: Option<String>| Cell { text: text.unwrap_or_else(|| "-".to_owned()), style: figures };
    let day = |cell: Cell| if view.span == Span::Days { cell } else { Cell::default() };
    vec![
        Cell { text: mark.to_string(), style: name_style },
        Cell { text: safe(&mirror.name), style: name_style },
        Cell { text: if view.legend { mirror.url.to_string() } else { String::new() }, style: figures },
        Cell { text: if others { safe(&mirror.upstream) } else { String::new() }, style: figures },
        cell(mirror.predicted_seconds.filter(|seconds| seconds.is_finite()).map(pull)),
        cell(mirror.bytes_per_second.map(speed)),
        cell(mirror.first_byte_ms.map(|ms| format!("{ms} ms"))),
        cell(mirror.success.map(|share| format!("{:.0}%", (share * 100.0).floor()))),
        cell(mirror.coverage.map(|coverage| format!("{}/{}", coverage.served, coverage.of))),
        day(cell(mirror.last_probe.map(|at| say::seen(view.lang, &age(view.lang, view.now.since(at)))))),
        day(cell(bars(&mirror.spark, fastest))),
        Cell {
            text: why(mirror, view),
            style: if mirror.verdict == Verdict::Rejected { FAINT } else { PLAIN },
        },
    ]
}

/// The letter in front of a mirror.
fn mark(mirror: &Mirror) -> (char, Style) {
    match (mirror.verdict, mirror.selected) {
        (_, Some(1)) => ('*', GOOD),
        (_, Some(_)) => ('+', GOOD),
        (Verdict::Live, None) => ('-', PLAIN),
        (Verdict::Rejected, None) if is_off(mirror) => ('o', FAINT),
        (Verdict::Rejected, None) => match mirror.reasons.first().map(|reason| nature(reason.kind)) {
            Some(Nature::Silent) | None => ('?', UNSURE),
            Some(Nature::Wrong | Nature::Standing) => ('x', BAD),
        },
    }
}

pub(super) fn is_off(mirror: &Mirror) -> bool {
    mirror.selected.is_none() && mirror.reasons.iter().any(|reason| reason.kind == ReasonKind::Disabled)
}

/// What kind of reason a reason is.
enum Nature {
    /// The mirror said nothing at all, so far as we know.
    Silent,
    /// It said something wrong.
    Wrong,
    /// It may be well; this is its standing among the others, and how long it lasts says nothing.
    Standing,
}

fn nature(kind: ReasonKind) -> Nature {
    match kind {
        ReasonKind::NameNotResolved
        | ReasonKind::ConnectionRefused
        | ReasonKind::Unreachable
        | ReasonKind::ConnectTimeout
        | ReasonKind::NoAnswer
        | ReasonKind::Unprobed => Nature::Silent,
        ReasonKind::SuspiciousAddress
        | ReasonKind::TlsExpired
        | ReasonKind::TlsUntrusted
        | ReasonKind::TlsWrongHost
        | ReasonKind::TlsError
        | ReasonKind::ConnectionLost
        | ReasonKind::NotARegistry
        | ReasonKind::LoginRequired
        | ReasonKind::NotAllowed
        | ReasonKind::NotFound
        | ReasonKind::RateLimited
        | ReasonKind::ServerError
        | ReasonKind::Stalled
        | ReasonKind::TooSlow
        | ReasonKind::Corrupt
        | ReasonKind::Stale
        | ReasonKind::RedirectRefused
        | ReasonKind::AnswerTooLarge
        | ReasonKind::ProtocolError => Nature::Wrong,
        ReasonKind::SlowerThanUpstream
        | ReasonKind::SameBackend
        | ReasonKind::Unfit
        | ReasonKind::Disabled
        | ReasonKind::NotSelected
        | ReasonKind::OverBudget => Nature::Standing,
    }
}

/// The weightiest reason: what, for how long, more; and how many others there are.
fn why(mirror: &Mirror, view: &View) -> String {
    let Some((first, rest)) = mirror.reasons.split_first() else {
        // Nobody is rejected without a reason but by a round that only connected.
        return if mirror.verdict == Verdict::Rejected { say::connects(view.lang) } else { String::new() };
    };
    let Reason { kind, detail, since } = first;
    let mut text = match (kind, view.network) {
        (ReasonKind::Unprobed, Some(Network::Down)) => phrase::no_verdict(view.lang).to_owned(),
        _ => phrase::reason(view.lang, *kind).to_owned(),
    };
    let mut detail = safe(&told(view.lang, detail));
    match (nature(*kind), since) {
        (Nature::Silent | Nature::Wrong, Some(since))
            if view.span == Span::Days && *kind != ReasonKind::Unprobed =>
        {
            text = say::why_since(view.lang, &text, &age(view.lang, view.now.since(*since)));
        }
        (Nature::Standing, _) if *kind == ReasonKind::SameBackend && !detail.is_empty() => {
            text = say::why_backend(view.lang, &std::mem::take(&mut detail));
        }
        (Nature::Silent | Nature::Wrong | Nature::Standing, _) => {}
    }
    if !rest.is_empty() {
        text = say::why_and(view.lang, &text, rest.len());
    }
    if !detail.is_empty() {
        text = say::why_detail(view.lang, &text, &detail);
    }
    text
}

fn pull(seconds: f64) -> String {
    match seconds {
        ..100.0 => format!("{seconds:.1} s"),
        _ => format!("{seconds:.0} s"),
    }
}

/// Bytes per second with two digits or three.
#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
pub fn speed(bytes: u64) -> String {
    match bytes {
        ..1000 => format!("{bytes} B/s"),
        1000..1_000_000 => format!("{:.0} kB/s", bytes as f64 / 1e3),
        1_000_000.. => format!("{:.1} MB/s", bytes as f64 / 1e6),
    }
}
