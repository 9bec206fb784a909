//! The mirrors of all files: said → merged by name → true.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::PathBuf;

use toml::de::{DeTable, DeValue};

use super::diagnostic::{Findings, Severity};
use super::known::lookup;
use super::nearest::nearest;
use super::problem::{Expected, Found, Position, Problem};
use super::section::Section;
use super::source::Source;
use super::{Off, Stands, value};
use crate::mirror::{DOCKER_HUB, Mirror, MirrorUrl};

/// A place in one of the files.
#[derive(Clone)]
struct Spot<'a> {
    source: &'a Source,
    span: Range<usize>,
}

impl Spot<'_> {
    /// Later files override earlier ones.
    fn order(&self) -> (usize, usize) {
        (self.source.index, self.span.start)
    }

    fn position(&self) -> Position {
        Position { file: self.source.path.clone(), line: self.source.place(self.span.clone()).line }
    }
}

/// One `[[mirror]]` as it stands in one file.
struct Said<'a> {
    name: (String, Spot<'a>),
    url: Option<(MirrorUrl, Spot<'a>)>,
    /// It has a url that is wrong, which is on record.
    url_wrong: bool,
    upstream: Option<(String, Spot<'a>)>,
    group: Option<Option<String>>,
    enabled: Option<(bool, Spot<'a>)>,
    note: Option<String>,
}

/// What all files together say of one mirror.
struct Merged<'a> {
    name: String,
    url: Option<(MirrorUrl, Spot<'a>)>,
    upstream: String,
    /// Where that is said.
    upstream_at: Option<Spot<'a>>,
    group: Option<String>,
    enabled: bool,
    /// Where that is said.
    enabled_at: Option<Spot<'a>>,
    note: Option<String>,
    /// Where it begins: the first entry of its name.
    begins: Position,
    files: Vec<PathBuf>,
}

/// The mirrors of all files, and which files speak of each.
pub(super) struct Mirrors {
    pub(super) mirrors: Vec<Mirror>,
    pub(super) files: BTreeMap<String, Vec<PathBuf>>,
    pub(super) stands: BTreeMap<String, Stands>,
}

/// Merges the files in their order: a later entry with an earlier one's name overrides what it says.
pub(super) fn read<'a>(
    files: impl Iterator<Item = (&'a Source, &'a DeTable<'a>)>,
    groups: &[String],
    findings: &mut Findings,
) -> Mirrors {
    let mut all: Vec<Merged<'a>> = Vec::new();
    let mut by_name: HashMap<String, usize> = HashMap::new();
    for (source, root) in files {
        let mut here: HashMap<String, Spot<'a>> = HashMap::new();
        for said in entries(source, root, findings) {
            let (name, spot) = said.name.clone();
            if let Some(first) = here.get(&name) {
                let problem = Problem::DuplicateName { name, first: first.position() };
                findings.error(source, spot.span, problem);
                continue;
            }
            here.insert(name.clone(), spot.clone());
            match by_name.get(&name) {
                Some(at) => all[*at].take(said),
                None => {
                    if said.url.is_none() && !said.url_wrong && !findings.full(Severity::Error) {
                        let near = nearest(&name, by_name.keys().map(String::as_str)).map(str::to_owned);
                        findings.error(source, spot.span, Problem::UrlMissing { name: name.clone(), near });
                    }
                    by_name.insert(name, all.len());
                    all.push(Merged::new(said));
                }
            }
        }
    }
    let kept = unique(all, groups, findings);
    for mirror in kept.iter().filter(|mirror| mirror.takes_part(groups)) {
        mirror.warn(findings);
    }
    let files = kept.iter().map(|mirror| (mirror.name.clone(), mirror.files.clone())).collect();
    let stands = kept.iter().map(|mirror| (mirror.name.clone(), mirror.stands(groups))).collect();
    Mirrors { mirrors: kept.into_iter().filter_map(|mirror| mirror.finish(groups)).collect(), files, stands }
}

/// The entries of one file that have a usable name.
fn entries<'a>(source: &'a Source, root: &'a DeTable<'a>, findings: &mut Findings) -> Vec<Said<'a>> {
    let Some(value) = root.get("mirror") else { return Vec::new() };
    let Some(array) = value.get_ref().as_array() else {
        let problem = if value.get_ref().is_table() {
            Problem::OneBracket { name: "mirror".to_owned() }
        } else {
            not_a_mirror(value.get_ref())
        };
        findings.error(source, value.span(), problem);
        return Vec::new();
    };
    let mut entries = Vec::new();
    for element in array.iter() {
        match element.get_ref().as_table() {
            Some(table) => entries.extend(entry(source, table, element.span(), findings)),
            None => findings.error(source, element.span(), not_a_mirror(element.get_ref())),
        }
    }
    entries
}

fn not_a_mirror(value: &DeValue<'_>) -> Problem {
    Problem::Unexpected {
        expected: Expected::Table,
        found: Found::of(value),
        meant: Some("[[mirror]]".to_owned()),
    }
}

/// Reads one entry; `None` when it has no usable name, which is then on record.
fn entry<'a>(
    source: &'a Source,
    table: &'a DeTable<'a>,
    header: Range<usize>,
    findings: &mut Findings,
) -> Option<Said<'a>> {
    let mut at = Section::open(source, table, "[[mirror]]", findings);
    let spot = |span: Option<Range<usize>>| Spot { source, span: span.unwrap_or(header.clone()) };
    let name = at.get("name", value::name);
    let url = at.get("url", value::url);
    if table.get("name").is_none() {
        let from = url.as_ref().map(|url| url.authority().to_owned());
        at.error(header.clone(), Problem::NameMissing { from });
    }
    let said = Said {
        name: (name.unwrap_or_default(), spot(at.span("name"))),
        url_wrong: url.is_none() && at.span("url").is_some(),
        url: url.map(|url| (url, spot(at.span("url")))),
        upstream: at.get("upstream", value::registry).map(|said| (said, spot(at.span("upstream")))),
        group: at.get("group", value::group),
        enabled: at.get("enabled", value::flag).map(|said| (said, spot(at.span("enabled")))),
        note: at.get("note", value::text),
    };
    (!said.name.0.is_empty()).then_some(said)
}

impl<'a> Merged<'a> {
    fn new(said: Said<'a>) -> Self {
        let mut merged = Self {
            name: said.name.0.clone(),
            url: None,
            upstream: DOCKER_HUB.to_owned(),
            upstream_at: None,
            group: None,
            enabled: true,
            enabled_at: None,
            note: None,
            begins: said.name.1.position(),
            files: Vec::new(),
        };
        merged.take(said);
        merged
    }

    /// Lets `said` override what it says.
    fn take(&mut self, said: Said<'a>) {
        self.files.push(said.name.1.source.path.clone());
        self.url = said.url.or(self.url.take());
        if let Some((upstream, spot)) = said.upstream {
            (self.upstream, self.upstream_at) = (upstream, Some(spot));
        }
        self.group = said.group.unwrap_or(self.group.take());
        if let Some((enabled, spot)) = said.enabled {
            (self.enabled, self.enabled_at) = (enabled, Some(spot));
        }
        self.note = said.note.or(self.note.take());
    }

    fn takes_part(&self, groups: &[String]) -> bool {
        self.enabled && self.group.as_ref().is_none_or(|group| groups.contains(group))
    }

    /// Where it stands, and what keeps it out.
    fn stands(&self, groups: &[String]) -> Stands {
        let mut off = Vec::new();
        if let Some(spot) = self.enabled_at.as_ref().filter(|_| !self.enabled) {
            off.push(Off::Switch(spot.position()));
        }
        if let Some(group) = self.group.as_ref().filter(|group| !groups.contains(group)) {
            off.push(Off::Group(group.clone()));
        }
        Stands { at: self.begins.clone(), off }
    }

    /// What is odd about a mirror that takes part.
    fn warn(&self, findings: &mut Findings) {
        let Some((url, spot)) = &self.url else { return };
        if self.upstream != DOCKER_HUB {
            let meant = means_docker_hub(&self.upstream);
            let problem = Problem::UpstreamNotSupported { upstream: self.upstream.clone(), meant };
            let spot = self.upstream_at.as_ref().unwrap_or(spot);
            findings.warning(spot.source, spot.span.clone(), problem);
        } else if let Some(known) = lookup(url.host()) {
            let problem = Problem::Known { host: url.host().to_owned(), known };
            findings.warning(spot.source, spot.span.clone(), problem);
        }
    }

    fn finish(self, groups: &[String]) -> Option<Mirror> {
        let enabled = self.takes_part(groups);
        let (url, _) = self.url?;
        Some(Mirror {
            name: self.name,
            url,
            upstream: self.upstream,
            group: self.group,
            enabled,
            note: self.note,
        })
    }
}

/// Whether somebody who wrote this for an upstream meant Docker Hub.
fn means_docker_hub(said: &str) -> bool {
    let bare = said.replace(['-', '_', '.'], "");
    ["docker", "dockerhub", "hub", "hubdocker", "dockercom", "library"].contains(&bare.as_str())
        || nearest(said, [DOCKER_HUB, "dockerhub"]).is_some()
}

/// Leaves one mirror for each URL of an upstream.
///
/// Twice in one file is an error. In a later file it takes the earlier one's place: a package that is upgraded
/// may bring a candidate that a user has long had under another name, and must not make that invalid.
fn unique<'a>(all: Vec<Merged<'a>>, groups: &[String], findings: &mut Findings) -> Vec<Merged<'a>> {
    let mut kept: Vec<Merged<'a>> = Vec::new();
    let mut by_url: HashMap<(String, MirrorUrl), usize> = HashMap::new();
    for mirror in all {
        let Some((url, spot)) = &mirror.url else { continue };
        let at = *by_url.entry((mirror.upstream.clone(), url.clone())).or_insert(kept.len());
        let Some(other) = kept.get_mut(at) else {
            kept.push(mirror);
            continue;
        };
        // An override of a later file may have made an early mirror the later one.
        let later = other.url.as_ref().is_none_or(|(_, other)| spot.order() >= other.order());
        let loser = if later { std::mem::replace(other, mirror) } else { mirror };
        report_twice(&kept[at], &loser, groups, findings);
    }
    kept
}

fn report_twice(winner: &Merged<'_>, loser: &Merged<'_>, groups: &[String], findings: &mut Findings) {
    let (Some((url, here)), Some((_, there))) = (&winner.url, &loser.url) else { return };
    let (url, name, first) = (url.to_string(), loser.name.clone(), there.position());
    if here.source.index == there.source.index {
        findings.error(here.source, here.span.clone(), Problem::DuplicateUrl { url, name, first });
    } else if loser.takes_part(groups) {
        findings.warning(here.source, here.span.clone(), Problem::Replaces { url, name, first });
    }
}
