//! The status for people: what is well or not in the first line, then every mirror, then the engines.

use std::fmt::Write;
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use super::health::Trouble;
use super::safe::line as safe;
use super::table::paint;
use super::{
    Engine, EngineState, Mirror, Network, Notice, NoticeKind, ServiceState, Status, Switch, Warning,
};
use crate::reason::{ChangeKind, NetworkKind, ReasonKind};
use crate::text::detail::detail;
use crate::text::engine::Advice;
use crate::text::{Lang, engine as advise, reason as phrase, status as say};
use crate::timestamp::Timestamp;

mod mirrors;

use mirrors::is_off;
pub use mirrors::{mirrors, speed};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const UNSURE: Style = AnsiColor::Yellow.on_default();
const FAINT: Style = Style::new().dimmed();
const PLAIN: Style = Style::new();

/// How a status is shown.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// In which language.
    pub lang: Lang,
    /// How wide the terminal is; `None` when there is none, and so no limit.
    pub width: Option<usize>,
    /// Whether colour is added; everything is said without it too.
    pub color: bool,
    /// Whether mirrors that are switched off are shown, and not only counted.
    pub all: bool,
    /// Whether the marks are explained.
    pub legend: bool,
    /// What ages are counted from.
    pub now: Timestamp,
    /// Over what time the figures were gathered.
    pub span: Span,
    /// Whether our own network works, where that is known.
    pub network: Option<Network>,
}

/// Over what time figures were gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// By a service, over hours and days.
    Days,
    /// By one round just now: ages and the last day have nothing to say.
    Round,
}

/// The whole status, a line break at its end.
pub fn render(status: &Status, view: &View) -> String {
    render_with(status, &[], view)
}

/// The same with `more` that is not well, which the service that wrote the status could not know.
pub fn render_with(status: &Status, more: &[Trouble<'_>], view: &View) -> String {
    let view = &View { network: status.service.network, ..*view };
    let mut out = String::new();
    let mut troubles = status.health();
    troubles.extend_from_slice(more);
    first_lines(&mut out, status, &troubles, view);
    out.push('\n');
    let shown: Vec<&Mirror> = status.mirrors.iter().filter(|mirror| view.all || !is_off(mirror)).collect();
    let folded = status.mirrors.len() - shown.len();
    if status.mirrors.is_empty() {
        out.push_str(&say::no_mirrors(view.lang));
        out.push('\n');
    } else {
        out.push_str(&mirrors(&shown, view));
    }
    match folded {
        0 => {}
        1 => faint_line(&mut out, &say::folded_one(view.lang), view),
        _ => faint_line(&mut out, &say::folded(view.lang, folded), view),
    }
    out.push('\n');
    for engine in &status.engines {
        engine_lines(&mut out, status, engine, view);
    }
    for Notice { kind, detail } in &status.service.notices {
        let what = match kind {
            NoticeKind::Config => say::config_notice(view.lang),
            NoticeKind::Setback => say::setback(view.lang),
            NoticeKind::Pause => say::broken_pause(view.lang),
            NoticeKind::Deaf => say::deaf(view.lang),
        };
        warning_line(&mut out, &with_detail(view.lang, what, Some(detail)), view);
    }
    service_line(&mut out, status, view);
    out
}

fn first_lines(out: &mut String, status: &Status, troubles: &[Trouble<'_>], view: &View) {
    let lang = view.lang;
    let (sentence, style) = match status.service.state {
        ServiceState::Stopped => {
            (say::stopped(lang, &length(lang, view.now.since(status.generated_at))), BAD)
        }
        ServiceState::Starting if troubles.iter().all(is_only_waiting) => (say::starting(lang), UNSURE),
        ServiceState::Starting | ServiceState::Running | ServiceState::Paused => match troubles {
            [] => (well(status, view), GOOD),
            [one] => (say::not_well_one(lang, &trouble_text(one, status, view)), trouble_style(one)),
            many => (say::not_well_many(lang, many.len()), BAD),
        },
    };
    paint(out, &sentence, style.bold(), view.color);
    out.push('\n');
    match (status.service.state, troubles) {
        (ServiceState::Stopped, all) => {
            advice(out, &say::do_start(lang));
            list_troubles(out, all, status, view);
        }
        (ServiceState::Starting, all) if all.iter().all(is_only_waiting) => {}
        (ServiceState::Starting | ServiceState::Running | ServiceState::Paused, [one]) => {
            why_it_matters(out, one, status, view);
            advice(out, &what_to_do(one, status, view));
        }
        (ServiceState::Starting | ServiceState::Running | ServiceState::Paused, many) => {
            list_troubles(out, many, status, view);
        }
    }
}

fn list_troubles(out: &mut String, troubles: &[Trouble<'_>], status: &Status, view: &View) {
    for trouble in troubles {
        paint(out, "! ", trouble_style(trouble).bold(), view.color);
        out.push_str(&trouble_text(trouble, status, view));
        out.push('\n');
        why_it_matters(out, trouble, status, view);
        advice(out, &what_to_do(trouble, status, view));
    }
}

fn advice(out: &mut String, what: &str) {
    out.push_str("  → ");
    out.push_str(what);
    out.push('\n');
}

/// What else a person should know before doing anything: for an engine it says what was done, and what not.
fn why_it_matters(out: &mut String, trouble: &Trouble<'_>, status: &Status, view: &View) {
    if let Trouble::EngineWithout(engine) = trouble
        && let Some(found) = found(engine, status, view)
    {
        writeln!(out, "  {}", found.why).expect("a String takes everything");
    }
}

/// What is known to be wrong with an engine. Who is not there, or paused, comes back to nothing later.
fn found(engine: &Engine, status: &Status, view: &View) -> Option<Advice> {
    let service = &status.service;
    let at_work = match service.state {
        ServiceState::Starting | ServiceState::Running => {
            engine.paused.is_none() && service.silent_ms.is_none()
        }
        ServiceState::Paused | ServiceState::Stopped => false,
    };
    let advice = if at_work { advise::problem } else { advise::idle };
    engine.problem_kind.map(|kind| advice(view.lang, kind))
}

/// Whether this is what a start looks like, and not a trouble yet.
fn is_only_waiting(trouble: &Trouble<'_>) -> bool {
    matches!(trouble, Trouble::EngineWithout(engine) if engine.state == EngineState::Pending && engine.problem.is_none())
}

fn trouble_style(trouble: &Trouble<'_>) -> Style {
    match trouble {
        Trouble::Paused { .. } => UNSURE,
        Trouble::Silent { .. }
        | Trouble::NetworkDown { .. }
        | Trouble::NothingLive
        | Trouble::NoEngine
        | Trouble::EngineWithout(_)
        | Trouble::ConfigInvalid { .. } => BAD,
    }
}

fn well(status: &Status, view: &View) -> String {
    let names: Vec<String> = status.selected().iter().map(|mirror| safe(&mirror.name)).collect();
    let list = names.join(&say::then(view.lang));
    match (names.as_slice(), status.engines.is_empty()) {
        ([], _) => say::well_direct(view.lang, &safe(&status.upstream.name)),
        (_, true) => say::well_idle(view.lang, &list),
        ([_], false) => say::well_one(view.lang, &list),
        (_, false) => say::well(view.lang, &list),
    }
}

fn trouble_text(trouble: &Trouble<'_>, status: &Status, view: &View) -> String {
    let lang = view.lang;
    let upstream = safe(&status.upstream.name);
    match trouble {
        Trouble::Silent { time } => say::silent(lang, &length(lang, *time)),
        Trouble::NetworkDown { reason, kind, detail } => {
            let (what, more) = match kind {
                None => (say::network_down(lang), reason),
                Some(NetworkKind::Silence) => (say::network_down(lang), detail),
                Some(NetworkKind::Names) => (say::names_down(lang), detail),
                Some(NetworkKind::Clock) => (say::clock_wrong(lang), detail),
                Some(NetworkKind::Portal) => (say::behind_portal(lang), detail),
                Some(NetworkKind::Busy) => (say::host_busy(lang), detail),
            };
            with_detail(lang, what, *more)
        }
        Trouble::NothingLive if status.upstream.answers.is_none() => {
            say::nothing_live_unasked(lang, &upstream)
        }
        Trouble::NothingLive => say::nothing_live(lang, &upstream),
        Trouble::NoEngine => {
            let names: Vec<String> = status.engines.iter().map(|engine| safe(&engine.name)).collect();
            say::no_engine(lang, &names.join(", "))
        }
        Trouble::EngineWithout(engine) => engine_trouble(engine, view),
        Trouble::ConfigInvalid { error } => {
            let error = error.map(safe).unwrap_or_default();
            match status.service.state {
                ServiceState::Stopped => say::config_invalid_stopped(lang, &error),
                ServiceState::Starting | ServiceState::Running | ServiceState::Paused => {
                    say::config_invalid(lang, &error)
                }
            }
        }
        Trouble::Paused { engine, until } => {
            let end = match until {
                None => say::until_resume(lang),
                Some(at) => say::until(lang, &moment(*at, view.now), &length(lang, at.since(view.now))),
            };
            match engine {
                None if status.service.state == ServiceState::Stopped => say::paused_stopped(lang, &end),
                None => say::paused(lang, &end),
                Some(engine) => say::engine_paused(lang, &safe(engine), &end),
            }
        }
    }
}

fn engine_trouble(engine: &Engine, view: &View) -> String {
    let lang = view.lang;
    let state = match engine.state {
        EngineState::InPlace | EngineState::Pending => say::engine_waits(lang),
        EngineState::Refused => say::engine_refused(lang),
        EngineState::RolledBack => say::engine_rolled_back(lang),
        EngineState::Absent => say::engine_absent(lang),
    };
    let what = match engine.problem_kind {
        Some(kind) => advise::problem(lang, kind).what.to_owned(),
        None => say::engine_without(lang, &safe(&engine.name), &state),
    };
    with_detail(lang, what, engine.problem.as_deref())
}

fn with_detail(lang: Lang, text: String, said: Option<&str>) -> String {
    match said {
        None | Some("") => text,
        Some(said) => match detail(lang, said) {
            none if none.is_empty() => text,
            detail => say::with_detail(lang, &text, &safe(&detail)),
        },
    }
}

fn what_to_do(trouble: &Trouble<'_>, status: &Status, view: &View) -> String {
    let lang = view.lang;
    let config = safe(&status.service.config.path);
    match trouble {
        Trouble::Silent { .. } => say::do_wake(lang),
        Trouble::NetworkDown { kind, .. } => match kind {
            None | Some(NetworkKind::Silence) => say::do_network(lang),
            Some(NetworkKind::Names) => say::do_names(lang),
            Some(NetworkKind::Clock) => say::do_clock(lang),
            Some(NetworkKind::Portal) => say::do_portal(lang),
            Some(NetworkKind::Busy) => say::do_busy(lang),
        },
        Trouble::NothingLive => say::do_nothing_live(lang),
        Trouble::NoEngine => say::do_no_engine(lang, &config),
        Trouble::EngineWithout(engine) => {
            found(engine, status, view).map_or_else(|| say::do_logs(lang), |found| found.mend.to_owned())
        }
        Trouble::ConfigInvalid { .. } => say::do_check(lang, &config),
        Trouble::Paused { .. } => say::do_resume(lang),
    }
}

fn engine_lines(out: &mut String, status: &Status, engine: &Engine, view: &View) {
    let lang = view.lang;
    let (state, style) = match (engine.state, engine.verified_at) {
        (EngineState::InPlace, Some(at)) => {
            (say::engine_in_place(lang, &length(lang, view.now.since(at))), GOOD)
        }
        (EngineState::InPlace, None) => (say::engine_in_place_unverified(lang), GOOD),
        (EngineState::Pending, _) => (say::engine_waits(lang), UNSURE),
        (EngineState::Refused, _) => (say::engine_refused(lang), BAD),
        (EngineState::RolledBack, _) => (say::engine_rolled_back(lang), BAD),
        (EngineState::Absent, _) => (say::engine_absent(lang), FAINT),
    };
    let version = engine.version.as_deref().map(|version| format!(" {}", safe(version))).unwrap_or_default();
    write!(out, "{}{version}  ", safe(&engine.name)).expect("a String takes everything");
    paint(out, &state, style, view.color);
    writeln!(out, "  {}", safe(&engine.file)).expect("a String takes everything");
    if let Some(list) = &engine.mirrors {
        let list: Vec<String> = list.iter().map(|url| safe(url)).collect();
        let text =
            if list.is_empty() { say::engine_empty(lang) } else { say::engine_list(lang, &list.join(" ")) };
        writeln!(out, "  {text}").expect("a String takes everything");
    }
    if let Some(switch) = status.switches.iter().find(|switch| switch.engine == engine.name) {
        writeln!(out, "  {}", switch_text(status, switch, view)).expect("a String takes everything");
    }
    for Warning { kind, detail } in &engine.warnings {
        let found = advise::warning(lang, *kind);
        let what = with_detail(lang, found.what.to_owned(), Some(detail));
        warning_line(out, &say::because(lang, &what, found.why), view);
        advice(out, found.mend);
    }
}

/// When, why, and what became of the list.
fn switch_text(status: &Status, switch: &Switch, view: &View) -> String {
    let lang = view.lang;
    let names = |urls: &[String]| {
        let names: Vec<String> = urls.iter().map(|url| safe(status.name_of(url))).collect();
        if names.is_empty() { say::nobody(lang) } else { names.join(", ") }
    };
    let why = switch_why(switch, &status.upstream.name, lang);
    let text = say::last_switch(lang, &safe(&switch.engine), &length(lang, view.now.since(switch.at)), &why);
    if switch.from == switch.to {
        format!("{text} [{}]", say::same_list(lang, &names(&switch.to)))
    } else {
        format!("{text} [{} → {}]", names(&switch.from), names(&switch.to))
    }
}

/// Why a list changed, in a fragment.
pub fn switch_why(switch: &Switch, upstream: &str, lang: Lang) -> String {
    let Some(kind) = switch.kind else { return safe(&switch.why) };
    let subject = switch.subject.as_deref().map_or_else(|| say::some_member(lang), safe);
    if kind == ChangeKind::MemberRemoved && switch.reason == Some(ReasonKind::NotSelected) {
        return say::no_place(lang, &subject);
    }
    let reason = switch.reason.map_or("-", |reason| phrase::reason(lang, reason));
    say::change(lang, kind, &subject, reason, &safe(upstream))
}

fn warning_line(out: &mut String, what: &str, view: &View) {
    paint(out, &say::warning(view.lang, what), UNSURE, view.color);
    out.push('\n');
}

fn service_line(out: &mut String, status: &Status, view: &View) {
    let lang = view.lang;
    let service = &status.service;
    let mut facts = Vec::new();
    if let (ServiceState::Running | ServiceState::Paused, Some(since)) = (service.state, service.since) {
        facts.push(say::running_for(lang, &length(lang, view.now.since(since))));
    }
    facts.push(match service.network {
        Some(Network::Up) => say::network_up(lang),
        Some(Network::Down) => say::network_is_down(lang),
        None => say::network_unknown(lang),
    });
    facts.push(safe(&service.config.path));
    facts.push(say::as_of(lang, &length(lang, view.now.since(status.generated_at))));
    faint_line(out, &say::service(lang, &safe(&service.version), &facts.join(&say::and(lang))), view);
}

fn faint_line(out: &mut String, text: &str, view: &View) {
    paint(out, text, FAINT, view.color);
    out.push('\n');
}

/// A time of today as its hour and minute, another with its date; UTC.
pub fn moment(at: Timestamp, now: Timestamp) -> String {
    let (text, today) = (at.to_string(), now.to_string());
    // `2026-11-20T12:00:00Z`
    match (text.get(..10), text.get(11..16)) {
        (date, Some(clock)) if date == today.get(..10) => format!("{clock} UTC"),
        (Some(date), Some(clock)) => format!("{date} {clock} UTC"),
        _ => text,
    }
}

/// As mirrors.toml has them.
#[expect(clippy::cast_precision_loss, reason = "one digit behind the point is shown")]
pub fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// One number and one unit: in a table ages are for a glance.
pub fn age(lang: Lang, age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..60 => say::seconds(lang, seconds),
        60..3600 => say::minutes(lang, seconds / 60),
        3600..172_800 => say::hours(lang, seconds / 3600),
        172_800.. => say::days(lang, seconds / 86_400),
    }
}

/// How long something lasts: two units at most, rounded, because it is to be planned by.
pub fn length(lang: Lang, length: Duration) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let exact = length.as_secs() + u64::from(length.subsec_millis() >= 500);
    let smallest = match exact {
        0..HOUR => 1,
        HOUR..DAY => MINUTE,
        DAY.. => HOUR,
    };
    let seconds = (exact + smallest / 2) / smallest * smallest;
    let unit = |unit: u64, above: u64| if unit < smallest { 0 } else { seconds % above / unit };
    let parts = [
        (unit(DAY, u64::MAX), say::days as fn(Lang, u64) -> String),
        (unit(HOUR, DAY), say::hours),
        (unit(MINUTE, HOUR), say::minutes),
        (unit(1, MINUTE), say::seconds),
    ];
    let said: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, say)| say(lang, *count)).collect();
    if said.is_empty() { say::seconds(lang, 0) } else { said.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_has_two_units_at_most_and_is_rounded() {
        for (seconds, shown) in [
            (0, "0 s"),
            (59, "59 s"),
            (90, "1 min 30 s"),
            (3599, "59 min 59 s"),
            (7197, "2 h"),
            (5400, "1 h 30 min"),
            (86_399, "1 d"),
            (86_400 + 86_399, "2 d"),
            (129_600, "1 d 12 h"),
            (3_155_760_000, "36525 d"),
        ] {
            assert_eq!(length(Lang::En, Duration::from_secs(seconds)), shown);
        }
        assert_eq!(length(Lang::En, Duration::from_millis(7_199_400)), "2 h");
        assert_eq!(length(Lang::En, Duration::from_millis(3_599_600)), "1 h");
        assert_eq!(length(Lang::Zh, Duration::from_secs(5400)), "1 小时 30 分钟");
    }
}
