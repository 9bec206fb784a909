//! One table as it was said: typed reading, with every finding kept and none hiding another.

use std::collections::HashSet;
use std::hash::Hash;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::Findings;
use super::nearest::nearest;
use super::problem::{Expected, Fix, Found, Problem};
use super::source::Source;
use super::value::Read;

/// A table of settings and the keys it may have, all of which have a default.
pub(super) type Keys = &'static [&'static str];

/// The tables of mirrors.toml with their keys, in the order of the shipped file.
pub(super) const TABLES: [(&str, Keys); 7] = [
    (
        "[probe]",
        &["images", "learn_images", "connect_timeout", "timeout", "stall", "min_speed", "proxy", "ca_file"],
    ),
    ("[schedule]", &["connect", "sample", "rehearse", "decide", "confirm", "hold"]),
    (
        "[budget]",
        &[
            "requests_per_minute",
            "requests_per_day",
            "refusals_per_2_days",
            "bytes_per_day",
            "total_bytes_per_day",
            "reloads_per_day",
            "share",
        ],
    ),
    ("[select]", &["max", "margin", "rounds", "fall", "rise", "compare_upstream", "upstream_url", "groups"]),
    ("[notify]", &["command"]),
    (
        "[engine.docker]",
        &["enabled", "config_file", "socket", "reload", "unit", "pid_file", "keep", "with_pending"],
    ),
    ("[[mirror]]", &["name", "url", "upstream", "enabled", "note", "group"]),
];

/// The engines that have a table of their own below `[engine]`.
pub(super) const ENGINES: [&str; 4] = ["docker", "containerd", "podman", "buildkit"];

/// The keys of the table that is shown as `shown`; all engines have docker's.
pub(super) fn keys_of(shown: &str) -> Keys {
    let shown = if shown.starts_with("[engine.") { "[engine.docker]" } else { shown };
    TABLES.iter().find(|(name, _)| *name == shown).map_or(&[], |(_, keys)| keys)
}

/// One table, open for reading.
pub(super) struct Section<'a, 'f> {
    pub(super) source: &'a Source,
    table: Option<&'a DeTable<'a>>,
    findings: &'f mut Findings,
}

impl<'a, 'f> Section<'a, 'f> {
    /// Opens `table`, which is shown as `shown`, and reports the keys that it may not have.
    pub(super) fn open(
        source: &'a Source,
        table: &'a DeTable<'a>,
        shown: &str,
        findings: &'f mut Findings,
    ) -> Self {
        let keys = keys_of(shown);
        for key in table.keys().filter(|key| !keys.contains(&key.get_ref().as_ref())) {
            let fix = fix_for_key(key.get_ref(), keys);
            let problem = Problem::UnknownKey { key: key.get_ref().to_string(), of: shown.to_owned(), fix };
            findings.error(source, key.span(), problem);
        }
        Self { source, table: Some(table), findings }
    }

    /// A table that was not said, so that its defaults are read in the same way.
    pub(super) fn absent(source: &'a Source, findings: &'f mut Findings) -> Self {
        Self { source, table: None, findings }
    }

    fn value(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.table?.get(key)
    }

    /// The place of the value of `key`, if it was said.
    pub(super) fn span(&self, key: &str) -> Option<Range<usize>> {
        self.value(key).map(Spanned::span)
    }

    /// The value of `key`: `None` when it was not said, or when it is wrong, which is then on record.
    pub(super) fn get<T>(&mut self, key: &str, read: impl Fn(&DeValue<'_>) -> Read<T>) -> Option<T> {
        let value = self.value(key)?;
        match read(value.get_ref()) {
            Ok(read) => Some(read),
            Err(problem) => {
                self.findings.error(self.source, value.span(), problem);
                None
            }
        }
    }

    /// The elements of the list at `key` that are right, each once, with their places.
    pub(super) fn list<T: Clone + Eq + Hash>(
        &mut self,
        key: &str,
        read: impl Fn(&DeValue<'_>) -> Read<T>,
    ) -> Option<Vec<(T, Range<usize>)>> {
        let value = self.value(key)?;
        let Some(array) = value.get_ref().as_array() else {
            let found = Found::of(value.get_ref());
            let meant = match &found {
                Found::Text(text) => Some(format!("[\"{text}\"]")),
                Found::Number(_) | Found::Flag(_) | Found::Date(_) | Found::List | Found::Table => None,
            };
            self.error(value.span(), Problem::Unexpected { expected: Expected::Texts, found, meant });
            return None;
        };
        let mut seen = HashSet::new();
        let mut elements = Vec::new();
        for element in array.iter() {
            match read(element.get_ref()) {
                Ok(read) if !seen.insert(read.clone()) => {}
                Ok(read) => elements.push((read, element.span())),
                Err(problem) => self.findings.error(self.source, element.span(), problem),
            }
        }
        Some(elements)
    }

    /// Puts an error on record.
    pub(super) fn error(&mut self, span: Range<usize>, problem: Problem) {
        self.findings.error(self.source, span, problem);
    }

    /// Puts a warning on record.
    pub(super) fn warning(&mut self, span: Range<usize>, problem: Problem) {
        self.findings.warning(self.source, span, problem);
    }
}

/// What may have been meant by a key that is none of `keys`.
pub(super) fn fix_for_key(key: &str, keys: &[&str]) -> Fix {
    if let Some(meant) = nearest(key, keys.iter().copied()) {
        return Fix::Meant(meant.to_owned());
    }
    let elsewhere = TABLES.iter().find(|(_, keys)| keys.contains(&key));
    match elsewhere {
        Some((table, _)) => Fix::Belongs((*table).to_owned()),
        None if keys.is_empty() => fix_for_table(key),
        None => Fix::OneOf(keys.join(", ")),
    }
}

/// What may have been meant by a table that does not exist.
pub(super) fn fix_for_table(name: &str) -> Fix {
    let bare = |shown: &'static str| shown.trim_matches(['[', ']']);
    let engines = ENGINES.map(|engine| format!("[engine.{engine}]"));
    if let Some(at) = ENGINES.iter().position(|engine| nearest(name, [*engine]).is_some()) {
        return Fix::Meant(engines[at].clone());
    }
    // "mirrors" and "engines" are one letter away from what they mean.
    if let Some(meant) = nearest(name, TABLES.iter().map(|(shown, _)| bare(shown)).chain(["engine"])) {
        let shown = TABLES
            .iter()
            .find(|(shown, _)| bare(shown) == meant)
            .map_or("[engine.docker]", |(shown, _)| shown);
        return Fix::Meant(shown.to_owned());
    }
    Fix::OneOf(TABLES.map(|(shown, _)| shown).join(", "))
}
