//! The account of one mirror for people: the verdict and its reasons first, then every figure it comes from.

use std::fmt::Write;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr;

use super::Account;
use crate::cli::history::{Outcome, Seen};
use crate::config::{Off, Position};
use crate::image::Image;
use crate::mirror::Scheme;
use crate::observation::{Stage, Stages};
use crate::ranking::record::Standing;
use crate::ranking::score::{Lead, Parts};
use crate::reason::ReasonKind;
use crate::status::Verdict;
use crate::status::safe::line as safe;
use crate::status::spark::bars;
use crate::status::table::paint;
use crate::status::text::{age, length, mebibytes, moment, speed, switch_why};
use crate::text::detail::detail;
use crate::text::{Lang, history as say, reason as phrase, status as words};
use crate::timestamp::Timestamp;

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const HEADING: Style = Style::new().bold();

/// The whole account, a line break at its end.
pub fn render(account: &Account, lang: Lang, color: bool, now: Timestamp) -> String {
    let mut page = Page { out: String::new(), account, lang, color, now };
    page.head();
    page.why();
    page.figure();
    page.stages();
    page.images();
    page.budget();
    page.probes();
    page.failures();
    page.switches();
    page.out
}

/// What is being written, and what of.
struct Page<'a> {
    out: String,
    account: &'a Account,
    lang: Lang,
    color: bool,
    now: Timestamp,
}

impl Page<'_> {
    fn line(&mut self, text: &str) {
        writeln!(self.out, "  {text}").expect("a String takes everything");
    }

    fn section(&mut self, heading: &str) {
        self.out.push('\n');
        paint(&mut self.out, heading, HEADING, self.color);
        self.out.push('\n');
    }

    /// Lines whose parts line up: what, a figure that stands to the right, and more.
    fn rows(&mut self, rows: &[[String; 3]]) {
        let widest = |index: usize| rows.iter().map(|row| row[index].width()).max().unwrap_or(0);
        let (first, second) = (widest(0), widest(1));
        for [what, figure, more] in rows {
            let (after, before) = (first - what.width(), second - figure.width());
            let figure = if second > 0 { format!("  {:before$}{figure}", "") } else { String::new() };
            let line = format!("{what}{:after$}{figure}  {more}", "");
            self.line(line.trim_end());
        }
    }

    /// Lines about a moment each: what, when, how long ago, and more.
    fn dated(&mut self, rows: Vec<(String, Timestamp, [String; 2])>) {
        let widest = rows.iter().map(|(what, ..)| what.width()).max().unwrap_or(0);
        let rows = rows.into_iter().map(|(what, at, [ago, more])| {
            let after = widest - what.width();
            [format!("{what}{:after$}  ({})", "", self.moment(at)), ago, more]
        });
        let rows: Vec<[String; 3]> = rows.collect();
        self.rows(&rows);
    }

    fn ago(&self, at: Timestamp) -> String {
        age(self.lang, self.now.since(at))
    }

    fn left(&self, at: Timestamp) -> String {
        length(self.lang, at.since(self.now))
    }

    fn moment(&self, at: Timestamp) -> String {
        moment(at, self.now)
    }

    fn head(&mut self) {
        let (account, lang) = (self.account, self.lang);
        let title = format!("{}  {}", safe(&account.mirror.name), account.mirror.url);
        paint(&mut self.out, &title, HEADING, self.color);
        self.out.push('\n');
        let (text, style) = match &account.judged {
            None if !account.off.is_empty() => (phrase::reason(lang, ReasonKind::Disabled).to_owned(), BAD),
            None => (say::unknown(lang), Style::new()),
            Some(judged) if judged.reasons.iter().any(|reason| reason.kind == ReasonKind::Disabled) => {
                (phrase::reason(lang, ReasonKind::Disabled).to_owned(), BAD)
            }
            Some(judged) if account.network_down && judged.selected.is_none() && is_unprobed(judged) => {
                (say::not_judged(lang), Style::new())
            }
            Some(judged) => match (judged.verdict, judged.selected) {
                (Verdict::Live, Some(1)) => (say::first_place(lang), GOOD),
                (Verdict::Live, Some(place)) => (say::in_place(lang, place, account.listed), GOOD),
                (Verdict::Live, None) => (say::live_outside(lang), GOOD),
                (Verdict::Rejected, _) => (say::rejected(lang), BAD),
            },
        };
        paint(&mut self.out, &text, style, self.color);
        self.out.push('\n');
    }

    /// Every reason, and what would have to happen for the mirror to stand better.
    fn why(&mut self) {
        let (account, lang) = (self.account, self.lang);
        self.section(&say::section_why(lang));
        let reasons = account.judged.iter().flat_map(|judged| &judged.reasons);
        for reason in reasons.clone() {
            let unjudged = account.network_down && reason.kind == ReasonKind::Unprobed;
            let what = if unjudged { phrase::no_verdict(lang) } else { phrase::reason(lang, reason.kind) };
            let text = match reason.since {
                Some(since) => say::reason_since(lang, what, &self.ago(since), &self.moment(since)),
                None => what.to_owned(),
            };
            let detail = safe(&detail(lang, &reason.detail));
            let text = if detail.is_empty() { text } else { say::with_detail(lang, &text, &detail) };
            self.line(&text);
        }
        match (account.last_failure, account.known_since) {
            (None, Some(_)) => self.line(&say::no_failure_at_all(lang)),
            (Some(failure), _) if account.record.failing().is_none() => {
                let text = say::no_failure(lang, &self.ago(failure));
                if account.record.standing() == Standing::Live {
                    self.line(&text);
                }
            }
            (Some(_) | None, _) => {}
        }
        let off = reasons.clone().any(|reason| reason.kind == ReasonKind::Disabled);
        self.switched_off();
        if !off && account.off.is_empty() {
            self.lacks();
        }
    }

    /// What keeps it from taking part, and how to change that.
    fn switched_off(&mut self) {
        let (account, lang) = (self.account, self.lang);
        let place = |at: &Position| format!("{}:{}", at.file.display(), at.line);
        for off in &account.off {
            let text = match (off, &account.groups) {
                (Off::Switch(at), _) => say::off_here(lang, &place(at)),
                (Off::Group(group), (_, Some(at))) => say::off_by_group(lang, &safe(group), &place(at)),
                (Off::Group(group), (groups, None)) => {
                    say::off_by_default(lang, &safe(group), &groups.join(", "))
                }
            };
            self.line(&text);
        }
        if !account.off.is_empty() {
            self.line(&say::switch_on(lang, account.mirror.url.as_str()));
        }
    }

    fn lacks(&mut self) {
        let (account, lang, now) = (self.account, self.lang, self.now);
        let (record, terms) = (&account.record, &account.terms);
        match record.standing() {
            Standing::Unprobed if account.network_down => {}
            // The service knows more than it could record.
            Standing::Unprobed if account.judged.as_ref().is_some_and(|it| it.verdict == Verdict::Live) => {}
            Standing::Unprobed => self.line(&say::lacks_rehearsal(lang)),
            Standing::Rejected if record.been_live() => {
                self.line(&say::lacks_rise(lang, record.rising(), terms.rise));
            }
            Standing::Rejected => self.line(&say::lacks_one_rehearsal(lang)),
            Standing::Live => {
                if let Some(failing) = record.failing() {
                    let depth = say::depth(lang, failing.depth);
                    self.line(&say::failing(lang, failing.failures, terms.fall, &depth));
                }
            }
        }
        if let Some(until) = record.quarantined(now) {
            self.line(&say::quarantined(lang, &self.left(until), &self.moment(until)));
        }
        if let Some(until) = record.resting(now) {
            self.line(&say::resting(lang, &self.left(until), &self.moment(until)));
        }
        match &account.before {
            Some((other, lead)) => self.lead(&safe(other), lead),
            None if account.judged.as_ref().is_some_and(|judged| judged.selected == Some(1)) => {
                self.line(&say::top(lang));
            }
            None => {}
        }
    }

    fn lead(&mut self, other: &str, lead: &Lead) {
        let lang = self.lang;
        let percent = format!("{:.0} %", self.account.terms.margin * 100.0);
        self.line(&say::lacks_lead(lang, &percent, other, lead.needed, lead.has));
        if lead.is_proved() {
            self.line(&say::lead_proved(lang));
        } else {
            self.line(&say::lead_figures(lang, &seconds(lead.bar), &seconds(lead.figure)));
        }
    }

    fn figure(&mut self) {
        let lang = self.lang;
        let record = &self.account.record;
        self.section(&say::section_figure(lang));
        let Some(parts) = Parts::of(record) else {
            self.line(&say::figure_missing(lang));
            return;
        };
        let first_byte = record.first_byte().map(|time| say::twice(lang, &milliseconds(time)));
        let pace = record.bytes_per_second().map(|bytes| say::at_speed(lang, &speed(whole(bytes))));
        let row = |what, value: String, more: Option<String>| [what, value, more.unwrap_or_default()];
        self.rows(&[
            row(say::part_chain(lang), seconds(parts.chain), None),
            row(say::part_first_bytes(lang), seconds(parts.first_bytes), first_byte),
            row(say::part_transfer(lang), seconds(parts.transfer), pace),
            row(say::part_deviation(lang), seconds(parts.deviation), None),
            row(say::part_success(lang), format!("{:.1} %", parts.success * 100.0), None),
            row(say::part_total(lang), seconds(parts.seconds()), None),
        ]);
    }

    fn stages(&mut self) {
        let lang = self.lang;
        let record = &self.account.record;
        self.section(&say::section_stages(lang));
        let stages = record.stages();
        if stages == Stages::default() {
            self.line(&say::not_measured(lang));
            return;
        }
        let plain = self.account.mirror.url.scheme() == Scheme::Http;
        let row = |stage: Stage, time: Option<Duration>| {
            // A mirror that asks for no token is done with it.
            let needless =
                (stage == Stage::Tls && plain) || (stage == Stage::Token && stages.manifest.is_some());
            let none = || if needless { say::not_needed(lang) } else { say::not_measured(lang) };
            let shown = time.map_or_else(none, milliseconds);
            [say::stage(lang, stage), shown, String::new()]
        };
        self.rows(&[
            row(Stage::Name, stages.name),
            row(Stage::Connect, stages.connect),
            row(Stage::Tls, stages.tls),
            row(Stage::Ping, stages.ping),
            row(Stage::Token, stages.token),
            row(Stage::Manifest, stages.manifest),
            row(Stage::Config, stages.config),
            row(Stage::Layer, stages.layer),
        ]);
        if let Some(address) = record.address() {
            self.line(&say::address(lang, &address.to_string()));
        }
        if let Some(host) = record.layer_host() {
            self.line(&say::layers_from(lang, &safe(host)));
        }
    }

    fn images(&mut self) {
        let lang = self.lang;
        let (record, terms) = (&self.account.record, &self.account.terms);
        let coverage = record.coverage(&terms.images).map(|of| say::coverage(lang, of.served, of.of));
        let heading = say::section_images(lang);
        self.section(
            &coverage.map_or(heading.clone(), |coverage| say::with_detail(lang, &heading, &coverage)),
        );
        let rows: Vec<[String; 3]> = terms.images.iter().map(|image| self.image(image)).collect();
        self.rows(&rows);
    }

    fn image(&self, image: &Image) -> [String; 3] {
        let (record, lang) = (&self.account.record, self.lang);
        let refused = record.refuses(image).map(|kind| phrase::reason(lang, kind.into()));
        let (mark, text) = match (refused, record.image_resting(image, self.now)) {
            (Some(why), Some(until)) => {
                ("x", say::image_rests(lang, why, &self.left(until), &self.moment(until)))
            }
            (Some(why), None) => ("x", why.to_owned()),
            (None, _) if record.serves(image) == Some(true) => ("+", say::image_served(lang)),
            (None, _) => ("?", say::image_unasked(lang)),
        };
        [format!("{mark} {}", safe(&image.to_string())), String::new(), text]
    }

    fn budget(&mut self) {
        let lang = self.lang;
        let (spent, terms) = (self.account.record.spent(self.now), &self.account.terms);
        self.section(&say::section_budget(lang));
        let row =
            |what, spent: String, allowed: String| [what, say::of(lang, &spent, &allowed), String::new()];
        self.rows(&[
            row(say::requests(lang), spent.requests_today.to_string(), terms.requests_per_day.to_string()),
            row(
                say::refusals(lang),
                spent.refusals_2_days.to_string(),
                terms.refusals_per_2_days.to_string(),
            ),
            row(say::bytes(lang), mebibytes(spent.bytes_today), mebibytes(terms.bytes_per_day)),
        ]);
    }

    fn probes(&mut self) {
        let (account, lang) = (self.account, self.lang);
        self.section(&say::section_probes(lang));
        if let Some(at) = account.record.last_probe(self.now) {
            self.line(&say::last_probe(lang, &self.ago(at), &self.moment(at)));
        }
        if let Some(at) = account.judged.as_ref().and_then(|judged| judged.next_probe) {
            let text = match at > self.now {
                true => say::next_probe(lang, &self.left(at), &self.moment(at)),
                false => say::next_probe_now(lang),
            };
            self.line(&text);
        }
        let (served, failed, forgiven) = account.day;
        let seen = say::seen(lang, served, failed);
        self.line(&if forgiven > 0 { say::and_forgiven(lang, &seen, forgiven) } else { seen });
        let fastest = account.spark.iter().flatten().copied().max().unwrap_or(0);
        if let Some(bars) = bars(&account.spark, fastest) {
            self.rows(&[[bars, String::new(), say::day(lang)]]);
        }
    }

    fn failures(&mut self) {
        let (account, lang) = (self.account, self.lang);
        if account.failures.is_empty() {
            return;
        }
        self.section(&say::section_failures(lang));
        let row = |seen: &Seen| {
            let what = match seen.outcome {
                Outcome::Served => say::served(lang),
                Outcome::Failed(kind) => phrase::reason(lang, kind.into()).to_owned(),
            };
            let stage = seen.stage.map(|stage| say::outcome(lang, &what, &say::stage(lang, stage)));
            let what = stage.unwrap_or(what);
            let detail = safe(&detail(lang, &seen.detail));
            let what = if detail.is_empty() { what } else { say::with_detail(lang, &what, &detail) };
            let what = if seen.forgiven { say::forgiven(lang, &what) } else { what };
            let ago = say::ago(lang, &self.ago(seen.at));
            (say::depth(lang, seen.depth), seen.at, [ago, what])
        };
        let rows = account.failures.iter().map(row).collect();
        self.dated(rows);
    }

    fn switches(&mut self) {
        let (account, lang) = (self.account, self.lang);
        if account.switches.is_empty() {
            return;
        }
        self.section(&say::section_switches(lang));
        let name = |url: &String| {
            let known = account.names.iter().find(|(known, _)| known == url.trim_end_matches('/'));
            safe(known.map_or(url, |(_, name)| name))
        };
        let names = |urls: &[String]| {
            let names: Vec<String> = urls.iter().map(name).collect();
            if names.is_empty() { words::nobody(lang) } else { names.join(", ") }
        };
        let row = |switch: &crate::status::Switch| {
            let why = switch_why(switch, &account.mirror.upstream, lang);
            let text = match switch.from == switch.to {
                true => say::unswitched(lang, &names(&switch.to), &why),
                false => say::switched(lang, &names(&switch.from), &names(&switch.to), &why),
            };
            let ago = say::ago(lang, &self.ago(switch.at));
            (safe(&switch.engine), switch.at, [ago, text])
        };
        let rows = account.switches.iter().map(row).collect();
        self.dated(rows);
    }
}

/// Nothing but that it has not been rehearsed is held against it.
fn is_unprobed(judged: &crate::status::Mirror) -> bool {
    judged.reasons.iter().all(|reason| reason.kind == ReasonKind::Unprobed)
}

fn seconds(seconds: f64) -> String {
    format!("{seconds:.2} s")
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, which is what is wanted"
)]
fn whole(value: f64) -> u64 {
    value.round() as u64
}
