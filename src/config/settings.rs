//! The tables of settings: said → filled with defaults.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::Findings;
use super::known::lookup;
use super::problem::{Expected, Found, Problem};
use super::section::{self, ENGINES, Section};
use super::source::Source;
use super::{Budget, Enabled, Engine, Engines, Notify, Probe, Said, Schedule, Select, value};
use crate::mirror::MirrorUrl;
use crate::observation::REHEARSAL;

/// A probe waits at most so long: a round must end.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// Nothing is done less often than once a week; a longer interval is a slip (`5M` is five months).
const LONGEST_INTERVAL: Duration = Duration::from_secs(7 * 24 * 3600);

/// More entries only make a pull wait longer before it fails.
const MOST_MIRRORS: u32 = 50;

/// In a row; more would take days to decide.
const MOST_IN_A_ROW: u32 = 100;

/// Of requests, reloads or hosts; far beyond good manners, and far below any overflow.
const MOST_COUNTED: u32 = 1_000_000;

/// 1 TiB.
const LARGEST_SIZE: u64 = 1 << 40;

/// All tables of settings, filled, and the groups with their places, which are checked when the mirrors are known.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) probe: Probe,
    pub(super) schedule: Schedule,
    pub(super) budget: Budget,
    pub(super) select: Select,
    pub(super) notify: Notify,
    pub(super) engines: Engines,
    pub(super) groups_said: Vec<(String, Range<usize>)>,
    pub(super) said: Said,
}

/// Reads the settings of `root`; the mirrors are read elsewhere.
pub(super) fn read<'a>(source: &'a Source, root: &'a DeTable<'a>, findings: &mut Findings) -> Settings {
    for (key, value) in root.iter().filter(|(key, _)| !is_table(key.get_ref())) {
        let problem = unknown_at_the_top(key.get_ref(), value.get_ref());
        findings.error(source, key.span(), problem);
    }
    let root = Root { source, root };
    let table = |table: &str| root.root.get(table)?.get_ref().as_table();
    let place = |name: &str, key: &str| Some(source.place(table(name)?.get(key)?.span()));
    let docker = || table("engine")?.get("docker")?.get_ref().as_table();
    let said = Said {
        groups: place("select", "groups"),
        ca_file: place("probe", "ca_file"),
        sample: place("schedule", "sample"),
        rehearse: place("schedule", "rehearse"),
        images: place("probe", "images"),
        command: place("notify", "command"),
        keep: docker().and_then(|docker| Some(source.place(docker.get("keep")?.span()))),
    };
    let (select, groups_said) = select(&mut root.section("select", findings));
    Settings {
        probe: probe(&mut root.section("probe", findings)),
        schedule: schedule(&mut root.section("schedule", findings)),
        budget: budget(&mut root.section("budget", findings)),
        notify: notify(&mut root.section("notify", findings)),
        engines: root.engines(findings),
        select,
        groups_said,
        said,
    }
}

fn is_table(key: &str) -> bool {
    matches!(key, "probe" | "schedule" | "budget" | "select" | "notify" | "engine" | "mirror")
}

/// `name` stands at the top of a file and is no table that may stand there.
pub(super) fn unknown_at_the_top(name: &str, value: &DeValue<'_>) -> Problem {
    let tables =
        value.as_array().is_some_and(|array| array.iter().any(|element| element.get_ref().is_table()));
    if value.is_table() || tables {
        let shown = if tables { format!("[[{name}]]") } else { format!("[{name}]") };
        Problem::UnknownTable { name: shown, fix: section::fix_for_table(name) }
    } else {
        Problem::UnknownKey { key: name.to_owned(), of: String::new(), fix: section::fix_for_key(name, &[]) }
    }
}

/// The top of the file.
struct Root<'a> {
    source: &'a Source,
    root: &'a DeTable<'a>,
}

impl<'a> Root<'a> {
    fn section<'f>(&self, name: &str, findings: &'f mut Findings) -> Section<'a, 'f> {
        let said = self.root.get(name);
        table(self.source, said, name, findings)
    }

    fn engines(&self, findings: &mut Findings) -> Engines {
        let default = Engines::default();
        let said = self.root.get("engine");
        let tables = said.and_then(|said| said.get_ref().as_table());
        if let Some(said) = said.filter(|_| tables.is_none()) {
            let problem = not_a_table("engine", said.get_ref());
            findings.error(self.source, said.span(), problem);
        }
        for (key, _) in tables.iter().flat_map(|tables| tables.iter()) {
            let name = key.get_ref();
            if !ENGINES.contains(&name.as_ref()) {
                // `[engine] enabled = …` is a key without its engine; `[engine.dokcer]` a slip.
                let known = section::keys_of("[engine.docker]").contains(&name.as_ref());
                let problem = if known {
                    let fix = super::problem::Fix::Belongs("[engine.docker]".to_owned());
                    Problem::UnknownKey { key: name.to_string(), of: "[engine]".to_owned(), fix }
                } else {
                    Problem::UnknownTable {
                        name: format!("[engine.{name}]"),
                        fix: section::fix_for_table(name),
                    }
                };
                findings.error(self.source, key.span(), problem);
            }
        }
        let mut one = |name: &str, default: Engine, supported: bool| {
            let said = tables.and_then(|tables| tables.get(name));
            let mut section = table(self.source, said, &format!("engine.{name}"), findings);
            let engine = engine(&mut section, default);
            if let Some(span) =
                section.span("enabled").filter(|_| engine.enabled == Enabled::Yes && !supported)
            {
                section.warning(span, Problem::EngineNotSupported { engine: name.to_owned() });
            }
            engine
        };
        Engines {
            docker: one("docker", default.docker, true),
            containerd: one("containerd", default.containerd, false),
            podman: one("podman", default.podman, false),
            buildkit: one("buildkit", default.buildkit, false),
        }
    }
}

/// The table `said`, or an absent one when it is none.
fn table<'a, 'f>(
    source: &'a Source,
    said: Option<&'a Spanned<DeValue<'a>>>,
    name: &str,
    findings: &'f mut Findings,
) -> Section<'a, 'f> {
    let Some(said) = said else { return Section::absent(source, findings) };
    match said.get_ref().as_table() {
        Some(table) => Section::open(source, table, &format!("[{name}]"), findings),
        None => {
            findings.error(source, said.span(), not_a_table(name, said.get_ref()));
            Section::absent(source, findings)
        }
    }
}

fn not_a_table(name: &str, value: &DeValue<'_>) -> Problem {
    if value.is_array() {
        Problem::TwoBrackets { name: name.to_owned() }
    } else {
        let meant = Some(format!("[{name}]"));
        Problem::Unexpected { expected: Expected::Table, found: Found::of(value), meant }
    }
}

fn values<T>(list: Vec<(T, Range<usize>)>) -> Vec<T> {
    list.into_iter().map(|(value, _)| value).collect()
}

fn probe(at: &mut Section<'_, '_>) -> Probe {
    let default = Probe::default();
    let timeout = value::duration(LONGEST_TIMEOUT);
    Probe {
        images: at.list("images", value::image).map_or(default.images, values),
        learn_images: at.get("learn_images", value::flag).unwrap_or(default.learn_images),
        connect_timeout: at.get("connect_timeout", &timeout).unwrap_or(default.connect_timeout),
        timeout: at.get("timeout", &timeout).unwrap_or(default.timeout),
        stall: at.get("stall", &timeout).unwrap_or(default.stall),
        min_speed: at.get("min_speed", value::size(LARGEST_SIZE)).unwrap_or(default.min_speed),
        proxy: at.get("proxy", value::proxy).unwrap_or(default.proxy),
        ca_file: at.get("ca_file", value::optional_path).unwrap_or(default.ca_file),
    }
}

fn schedule(at: &mut Section<'_, '_>) -> Schedule {
    let default = Schedule::default();
    let mut interval = |key, default| at.get(key, value::duration(LONGEST_INTERVAL)).unwrap_or(default);
    Schedule {
        connect: interval("connect", default.connect),
        sample: interval("sample", default.sample),
        rehearse: interval("rehearse", default.rehearse),
        decide: interval("decide", default.decide),
        confirm: interval("confirm", default.confirm),
        hold: interval("hold", default.hold),
    }
}

fn budget(at: &mut Section<'_, '_>) -> Budget {
    let default = Budget::default();
    let count = value::whole(1, MOST_COUNTED);
    let size = value::size(LARGEST_SIZE);
    let budget = Budget {
        requests_per_minute: at.get("requests_per_minute", &count).unwrap_or(default.requests_per_minute),
        requests_per_day: at.get("requests_per_day", &count).unwrap_or(default.requests_per_day),
        refusals_per_2_days: at.get("refusals_per_2_days", &count).unwrap_or(default.refusals_per_2_days),
        bytes_per_day: at.get("bytes_per_day", &size).unwrap_or(default.bytes_per_day),
        total_bytes_per_day: at.get("total_bytes_per_day", &size).unwrap_or(default.total_bytes_per_day),
        reloads_per_day: at.get("reloads_per_day", &count).unwrap_or(default.reloads_per_day),
        share: at.get("share", &count).unwrap_or(default.share),
    };
    warn_of_parts(at, &budget);
    budget
}

/// A part that is less than what one rehearsal may cost cannot be kept to.
fn warn_of_parts(at: &mut Section<'_, '_>, budget: &Budget) {
    let share = budget.share;
    // Those of a minute are counted over as many as a rehearsal needs, up to an hour.
    let hour = 60 * u64::from(budget.requests_per_minute);
    let whole = [
        ("requests_per_minute", hour, u64::from(REHEARSAL.requests)),
        ("requests_per_day", u64::from(budget.requests_per_day), u64::from(REHEARSAL.requests)),
        ("refusals_per_2_days", u64::from(budget.refusals_per_2_days), u64::from(REHEARSAL.refusals)),
        ("bytes_per_day", budget.bytes_per_day, REHEARSAL.bytes),
        ("total_bytes_per_day", budget.total_bytes_per_day, REHEARSAL.bytes),
    ];
    for (key, budget, least) in whole {
        let span = at.span("share").filter(|_| budget >= least).or_else(|| at.span(key));
        if budget / u64::from(share) < least
            && let Some(span) = span
        {
            let hosts = u32::try_from(budget / least).unwrap_or(u32::MAX);
            at.warning(span, Problem::PartTooSmall { key, share, hosts });
        }
    }
}

fn select(at: &mut Section<'_, '_>) -> (Select, Vec<(String, Range<usize>)>) {
    let default = Select::default();
    let row = value::whole(1, MOST_IN_A_ROW);
    let max = at.get("max", value::whole(1, MOST_MIRRORS));
    let groups = at.list("groups", value::name);
    let select = Select {
        max: max.and_then(|max| usize::try_from(max).ok()).unwrap_or(default.max),
        margin: at.get("margin", value::fraction).unwrap_or(default.margin),
        rounds: at.get("rounds", &row).unwrap_or(default.rounds),
        fall: at.get("fall", &row).unwrap_or(default.fall),
        rise: at.get("rise", &row).unwrap_or(default.rise),
        compare_upstream: at.get("compare_upstream", value::flag).unwrap_or(default.compare_upstream),
        upstream_url: at.get("upstream_url", value::url).unwrap_or(default.upstream_url),
        groups: groups.clone().map_or(default.groups, values),
    };
    (select, groups.unwrap_or_default())
}

fn notify(at: &mut Section<'_, '_>) -> Notify {
    // Equal words are meant: `["echo", "-n", "-n"]`, so it is not read as a list of distinct things.
    let command = at.get("command", value::command);
    Notify { command: command.unwrap_or_default() }
}

fn engine(at: &mut Section<'_, '_>, default: Engine) -> Engine {
    let keep = at.list("keep", value::url);
    for (url, span) in keep.iter().flatten() {
        warn_if_known(at, url, span.clone());
    }
    Engine {
        enabled: at.get("enabled", value::switch).unwrap_or(default.enabled),
        config_file: at.get("config_file", value::path).unwrap_or(default.config_file),
        socket: at.get("socket", value::path).unwrap_or(default.socket),
        reload: at.get("reload", value::reload).unwrap_or(default.reload),
        unit: at.get("unit", value::unit).unwrap_or(default.unit),
        pid_file: at.get("pid_file", value::path).unwrap_or(default.pid_file),
        keep: keep.map_or(default.keep, values),
        with_pending: at.get("with_pending", value::flag).unwrap_or(default.with_pending),
    }
}

fn warn_if_known(at: &mut Section<'_, '_>, url: &MirrorUrl, span: Range<usize>) {
    if let Some(known) = lookup(url.host()) {
        at.warning(span, Problem::Known { host: url.host().to_owned(), known });
    }
}
