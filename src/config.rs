//! mirrors.toml, and the files of `mirrors.d` beside it: said → filled → true.
//!
//! *Said*: the tables as they stand in the files, each value with its place ([`toml`] keeps it). *Filled*: what
//! was not said has its default, which is that of the shipped file. *True*: what cannot be is an error, what
//! will not do as its author hopes is a warning; all of them are found in one go, each with file, line, column
//! and a hint, because a configuration is mended at 3 a.m. and over ssh.

mod defaults;
mod diagnostic;
pub mod known;
pub mod local;
mod mirrors;
mod name;
mod nearest;
mod problem;
mod safe;
mod section;
mod settings;
mod source;
mod syntax;
mod url;
mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::DeTable;

pub use diagnostic::{Diagnostic, Severity};
pub use name::NameError;
pub use problem::{Encoding, Expected, Fix, Found, Position, Problem};
pub use source::Place;
pub use syntax::Syntax;

use crate::image::Image;
use crate::mirror::{Mirror, MirrorUrl};
use diagnostic::Findings;
use settings::Settings;
use source::Source;

/// A valid configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// mirrors.toml, as it was named.
    pub path: PathBuf,
    /// `[probe]`.
    pub probe: Probe,
    /// `[schedule]`.
    pub schedule: Schedule,
    /// `[budget]`.
    pub budget: Budget,
    /// `[select]`.
    pub select: Select,
    /// `[notify]`.
    pub notify: Notify,
    /// `[engine.…]`.
    pub engines: Engines,
    /// Every `[[mirror]]` of all files. `enabled` is false where its group takes no part, too.
    pub mirrors: Vec<Mirror>,
    /// For each mirror's name the files that speak of it, in the order in which they override each other.
    pub files: BTreeMap<String, Vec<PathBuf>>,
    /// Where each mirror stands, by its name.
    pub stands: BTreeMap<String, Stands>,
    /// Where some settings stand.
    pub said: Said,
    /// What will not do as its author hopes.
    pub warnings: Vec<Diagnostic>,
    /// The SHA-256, in hexadecimal, of all files that were read, names included.
    pub digest: String,
}

/// Where a mirror stands, and what keeps it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stands {
    /// The first entry of its name.
    pub at: Position,
    /// Everything that keeps it from taking part.
    pub off: Vec<Off>,
}

/// What keeps a mirror from taking part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Off {
    /// `enabled = false`, here.
    Switch(Position),
    /// Its group, which is none of `groups`.
    Group(String),
}

/// Where settings stand in mirrors.toml that only turn out to be wrong outside of it; `None` where they are not said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// `groups` of `[select]`.
    pub groups: Option<Place>,
    /// `ca_file` of `[probe]`.
    pub ca_file: Option<Place>,
    /// `sample` of `[schedule]`.
    pub sample: Option<Place>,
    /// `rehearse` of `[schedule]`.
    pub rehearse: Option<Place>,
    /// `images` of `[probe]`.
    pub images: Option<Place>,
    /// `command` of `[notify]`.
    pub command: Option<Place>,
    /// `keep` of `[engine.docker]`.
    pub keep: Option<Place>,
}

/// How a mirror is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// Rehearsed besides those that are learned.
    pub images: Vec<Image>,
    /// Whether the engine's own images are rehearsed.
    pub learn_images: bool,
    /// For TCP, and again for TLS.
    pub connect_timeout: Duration,
    /// From the request to the first byte of its answer.
    pub timeout: Duration,
    /// Without a byte of a body.
    pub stall: Duration,
    /// Bytes per second; a rehearsal slower than this is rejected.
    pub min_speed: u64,
    /// The way out.
    pub proxy: ProxyChoice,
    /// More trusted authorities, PEM.
    pub ca_file: Option<PathBuf>,
}

/// The way out to the mirrors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyChoice {
    /// As the engine goes.
    Engine,
    /// Directly.
    None,
    /// Through this one: http, https or socks5.
    Url(String),
}

/// How often what is done.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Selected mirrors: TCP and TLS only.
    pub connect: Duration,
    /// Selected mirrors: a piece of a layer.
    pub sample: Duration,
    /// Every mirror: a pull's first steps.
    pub rehearse: Duration,
    /// Between the rehearsals of a mirror that is about to change the list.
    pub decide: Duration,
    /// Between the re-checks that follow a first failure.
    pub confirm: Duration,
    /// Between two changes made only to be faster.
    pub hold: Duration,
}

/// How much one mirror is asked at most; a day is the last 24 hours.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// HTTP requests.
    pub requests_per_minute: u32,
    /// HTTP requests.
    pub requests_per_day: u32,
    /// Answers of 403, 404, 429 and 5xx.
    pub refusals_per_2_days: u32,
    /// Bytes read.
    pub bytes_per_day: u64,
    /// Bytes read, from all mirrors together.
    pub total_bytes_per_day: u64,
    /// Of each engine.
    pub reloads_per_day: u32,
    /// Hosts behind one public address, each of which takes its part.
    pub share: u32,
}

/// How the list is chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Select {
    /// Mirrors in the list, 1 or more.
    pub max: usize,
    /// How much faster a challenger must be, from 0 to 1.
    pub margin: f64,
    /// In so many rehearsals in a row.
    pub rounds: u32,
    /// Failures in a row before a live mirror is rejected.
    pub fall: u32,
    /// Successes in a row before a rejected one is live.
    pub rise: u32,
    /// Whether the upstream is asked too, as the yardstick.
    pub compare_upstream: bool,
    /// Where the upstream is.
    pub upstream_url: MirrorUrl,
    /// The groups that take part.
    pub groups: Vec<String>,
}

/// Who is told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notify {
    /// Program and arguments; empty for nobody.
    pub command: Vec<String>,
}

/// What is configured.
#[derive(Clone, Debug, PartialEq)]
pub struct Engines {
    /// dockerd.
    pub docker: Engine,
    /// containerd; not supported by this version.
    pub containerd: Engine,
    /// podman; not supported by this version.
    pub podman: Engine,
    /// buildkitd; not supported by this version.
    pub buildkit: Engine,
}

/// One engine.
#[derive(Clone, Debug, PartialEq)]
pub struct Engine {
    /// Whether it is configured.
    pub enabled: Enabled,
    /// The file that holds its mirror list.
    pub config_file: PathBuf,
    /// Where its API listens.
    pub socket: PathBuf,
    /// How it reads its file again.
    pub reload: Reload,
    /// Its systemd service.
    pub unit: String,
    /// Where it writes its process's number.
    pub pid_file: PathBuf,
    /// Entries that always stay, first.
    pub keep: Vec<MirrorUrl>,
    /// Whether a reload may activate edits of somebody else that the engine has not taken yet.
    pub with_pending: bool,
}

/// Whether an engine is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enabled {
    /// When it is installed.
    Auto,
    /// Always.
    Yes,
    /// Never.
    No,
}

/// How an engine is told to read its file again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reload {
    /// Through systemd where systemd runs it, else by a signal.
    Auto,
    /// `systemctl reload`.
    Systemd,
    /// SIGHUP.
    Signal,
    /// Not at all.
    None,
    /// By this program with these arguments.
    Command(Vec<String>),
}

/// Why there is no configuration: every error of all files, in their order; never empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Invalid {
    /// At least one.
    pub diagnostics: Vec<Diagnostic>,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.diagnostics.first().map_or(Ok(()), |first| first.fmt(f))
    }
}

impl std::error::Error for Invalid {}

impl Config {
    /// Whether `other` means the same: comments and layout are no difference.
    pub fn means_the_same(&self, other: &Self) -> bool {
        let Self { digest, stands, said, .. } = self.clone();
        *self == Self { digest, stands, said, ..other.clone() }
    }

    /// Whether another file than [`local::file`] speaks of the mirror `name`, so that `remove` can only disable it.
    pub fn shipped(&self, name: &str) -> bool {
        let local = local::file(&self.path);
        self.files.get(name).is_some_and(|files| files.iter().any(|file| *file != local))
    }
}

/// The directory beside mirrors.toml (`main`) whose files add and override mirrors.
pub fn mirrors_d(main: &Path) -> PathBuf {
    main.parent().unwrap_or(Path::new("")).join("mirrors.d")
}

/// Reads `path`, and what stands in `mirrors.d` beside it by the order of names.
///
/// # Errors
/// Everything that is wrong in any of the files.
pub fn load(path: &Path) -> Result<Config, Invalid> {
    let mut findings = Findings::default();
    let mut files = Vec::new();
    match source::read(path) {
        Ok(bytes) => files.push((path.to_owned(), bytes)),
        Err(problem) => findings.file(Severity::Error, path, 0, problem),
    }
    match source::drop_ins(path) {
        Ok(paths) => {
            for (index, path) in paths.into_iter().enumerate() {
                match source::read(&path) {
                    Ok(bytes) => files.push((path, bytes)),
                    Err(problem) => findings.file(Severity::Error, &path, index + 1, problem),
                }
            }
        }
        Err((path, problem)) => findings.file(Severity::Error, &path, 1, problem),
    }
    understand(path, &files, findings)
}

/// As [`load`], from `files` that are already read: mirrors.toml, then those of `mirrors.d`. It is what shows
/// whether an edit would be valid before it is written.
///
/// # Errors
/// Everything that is wrong in any of the files.
pub fn parse(path: &Path, files: &[(PathBuf, Vec<u8>)]) -> Result<Config, Invalid> {
    understand(path, files, Findings::default())
}

fn understand(path: &Path, said: &[(PathBuf, Vec<u8>)], mut findings: Findings) -> Result<Config, Invalid> {
    let sources: Vec<Source> = said
        .iter()
        .enumerate()
        .filter_map(|(index, (path, bytes))| decode(path, bytes, index, &mut findings))
        .collect();
    let roots: Vec<(&Source, Spanned<DeTable<'_>>)> = sources
        .iter()
        .filter_map(|source| match DeTable::parse(&source.text) {
            Ok(root) => Some((source, root)),
            Err(error) => {
                let (span, syntax) = Syntax::new(&source.text, &error);
                findings.error(source, span, Problem::Syntax(syntax));
                None
            }
        })
        .collect();
    // What is missing is not known while a file could not be read.
    let all_read = !findings.invalid();
    let main = roots.iter().find(|(source, _)| source.path == path);
    let settings = main.map_or_else(Settings::default, |(source, root)| {
        if source.text.trim_start_matches('\u{feff}').trim().is_empty() {
            findings.error(source, 0..0, Problem::EmptyFile);
        }
        settings::read(source, root.get_ref(), &mut findings)
    });
    for (source, root) in roots.iter().filter(|(source, _)| source.path != path) {
        only_mirrors(source, root.get_ref(), &mut findings);
    }
    let tables = roots.iter().map(|(source, root)| (*source, root.get_ref()));
    let mirrors = mirrors::read(tables, &settings.select.groups, &mut findings);
    if all_read && !findings.invalid() && mirrors.mirrors.is_empty() {
        match main {
            // Where one would be added.
            Some((source, _)) => {
                let end = source.text.trim_end().len();
                findings.error(source, end..end, Problem::NoMirror);
            }
            None => findings.file(Severity::Error, path, 0, Problem::NoMirror),
        }
    }
    if findings.invalid() {
        return Err(Invalid { diagnostics: findings.sorted(Severity::Error) });
    }
    if let Some((source, _)) = main {
        check_groups(source, &settings, &mirrors.mirrors, &mut findings);
    }
    let Settings { probe, schedule, budget, select, notify, engines, said: places, .. } = settings;
    let mirrors::Mirrors { mirrors, files, stands } = mirrors;
    let warnings = findings.sorted(Severity::Warning);
    let digest = digest(said);
    Ok(Config {
        path: path.to_owned(),
        probe,
        schedule,
        budget,
        select,
        notify,
        engines,
        mirrors,
        files,
        stands,
        said: places,
        warnings,
        digest,
    })
}

/// What tells these very files from any others: each with its name and the length of its bytes before them.
fn digest(files: &[(PathBuf, Vec<u8>)]) -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for (path, bytes) in files {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        for part in [name, bytes] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
    }
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The text of a file. What is not UTF-8 is not read on: the rest would be errors about characters that nobody
/// wrote.
fn decode(path: &Path, bytes: &[u8], index: usize, findings: &mut Findings) -> Option<Source> {
    let (source, bad) = Source::new(path, bytes, index);
    let Some((span, problem)) = bad else { return Some(source) };
    findings.error(&source, span, problem);
    None
}

/// Files of mirrors.d hold `[[mirror]]` and nothing else, so that a package's file can never change a setting.
fn only_mirrors(source: &Source, root: &DeTable<'_>, findings: &mut Findings) {
    for (key, value) in root.iter().filter(|(key, _)| key.get_ref() != "mirror") {
        let name = key.get_ref();
        let meant_mirror = section::fix_for_table(name) == Fix::Meant("[[mirror]]".to_owned());
        let mut problem = settings::unknown_at_the_top(name, value.get_ref());
        if let Problem::UnknownTable { name, .. } = &problem
            && !meant_mirror
        {
            problem = Problem::NotHere { name: name.clone() };
        }
        findings.error(source, key.span(), problem);
    }
}

/// What is odd about who takes part.
fn check_groups(source: &Source, settings: &Settings, mirrors: &[Mirror], findings: &mut Findings) {
    let there = || mirrors.iter().filter_map(|mirror| mirror.group.as_deref());
    // The groups of the default are offered, not asked for: "own" waits for the user's own mirrors.
    let offered = Select::default().groups;
    for (group, span) in &settings.groups_said {
        if !there().any(|it| it == group) && !offered.contains(group) {
            let near = nearest::nearest(group, there()).map(str::to_owned);
            findings.warning(source, span.clone(), Problem::EmptyGroup { group: group.clone(), near });
        }
    }
    if !mirrors.iter().any(Mirror::takes_part) {
        findings.file(Severity::Warning, &source.path, source.index, Problem::NobodyTakesPart);
    }
}
