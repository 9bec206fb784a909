//! What can be wrong with, or odd about, mirrors.toml: a closed list, each with what it is and what to do.

use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use super::known::Known;
use super::name::NameError;
use super::safe::{printable, quoted};
use super::syntax::Syntax;
use crate::image::ImageError;
use crate::mirror::{DOCKER_HUB, UrlError};
use crate::text::detail::detail;
use crate::text::{Lang, config as say};

/// What is wrong or odd. The texts are in `text::config`.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the name of a variant says it; its text says it to people")]
pub enum Problem {
    Missing,
    /// A link, and nothing where it leads.
    DanglingLink,
    Forbidden,
    Directory,
    NotADirectory,
    Unreadable(String),
    TooLarge,
    NotUtf8(Encoding),
    Syntax(Syntax),
    EmptyFile,
    NoMirror,
    UnknownKey {
        key: String,
        of: String,
        fix: Fix,
    },
    UnknownTable {
        name: String,
        fix: Fix,
    },
    /// A table other than `[[mirror]]` in a file of mirrors.d.
    NotHere {
        name: String,
    },
    /// `[mirror]`.
    OneBracket {
        name: String,
    },
    /// `[[probe]]`.
    TwoBrackets {
        name: String,
    },
    Unexpected {
        expected: Expected,
        found: Found,
        meant: Option<String>,
    },
    Duration {
        most: Duration,
        found: String,
    },
    Size {
        most: u64,
        found: String,
    },
    Url {
        error: UrlError,
        said: String,
    },
    Image {
        error: ImageError,
        said: String,
    },
    Name {
        error: NameError,
    },
    NameMissing {
        from: Option<String>,
    },
    UrlMissing {
        name: String,
        near: Option<String>,
    },
    DuplicateName {
        name: String,
        first: Position,
    },
    DuplicateUrl {
        url: String,
        name: String,
        first: Position,
    },
    /// Warning: the entry of a later file takes the place of an earlier file's.
    Replaces {
        url: String,
        name: String,
        first: Position,
    },
    /// Warning.
    Known {
        host: String,
        known: Known,
    },
    /// Warning.
    EngineNotSupported {
        engine: String,
    },
    /// Warning.
    UpstreamNotSupported {
        upstream: String,
        /// Docker Hub itself was meant.
        meant: bool,
    },
    /// The authorities at `ca_file` are of no use.
    CaFile {
        why: String,
    },
    /// Warning: the program of `[notify]` is not there.
    NoProgram {
        program: String,
    },
    /// Warning: with one of these in the list the containerd store verifies nobody.
    Unverified {
        /// The entries to keep that are plain or loopback.
        kept: String,
    },
    /// Warning: no image is named, and none is learned.
    NoImage {
        /// What is asked for then.
        instead: String,
    },
    /// Warning.
    EmptyGroup {
        group: String,
        near: Option<String>,
    },
    /// Warning. What `share` leaves of this budget is less than one rehearsal may cost.
    PartTooSmall {
        key: &'static str,
        share: u32,
        /// So many hosts can share it.
        hosts: u32,
    },
    /// Warning: mirrors are rehearsed so often, however often it was said.
    RehearsedLess {
        every: Duration,
        /// The key of `[budget]` that allows no more.
        by: &'static str,
    },
    /// Warning: the same of samples.
    SampledLess {
        every: Duration,
        by: &'static str,
    },
    /// Warning.
    NobodyTakesPart,
}

/// What a value should have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the name of a variant says it; its text says it to people")]
pub enum Expected {
    Text,
    Texts,
    Whole { least: u32, most: u32 },
    Fraction,
    Flag,
    Duration,
    Size,
    Switch,
    Url,
    Proxy,
    Reload,
    Path,
    Unit,
    Registry,
    Table,
    Command,
}

/// What a value was.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the name of a variant says it; its text says it to people")]
pub enum Found {
    Text(String),
    Number(String),
    Flag(bool),
    Date(String),
    List,
    Table,
}

/// What was probably meant by an unknown word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fix {
    /// The nearest known one, ready to be typed.
    Meant(String),
    /// The key exists, in another table.
    Belongs(String),
    /// Nothing is near; these exist.
    OneOf(String),
}

/// Where something stands, for a second place in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Which file.
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
}

/// What the bytes of a file that is not UTF-8 look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// What Chinese Windows editors write as "ANSI".
    Gbk,
    /// With a byte order mark in front, as Windows' "Unicode" has it.
    Utf16,
    /// Not text, or an encoding that is not guessed.
    Unknown,
}

impl Encoding {
    /// GBK's Chinese is pairs with a first byte from 0x81 and a second from 0x40; text in it has many.
    pub(super) fn guess(bytes: &[u8]) -> Self {
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            return Self::Utf16;
        }
        let mut rest = bytes;
        while let Some((first, tail)) = rest.split_first() {
            rest = match (*first, tail.split_first()) {
                (0, _) | (0x80 | 0xff, _) => return Self::Unknown,
                (1..=0x7f, _) => tail,
                (0x81..=0xfe, Some((0x40..=0xfe, after))) => after,
                (0x81..=0xfe, _) => return Self::Unknown,
            };
        }
        Self::Gbk
    }
}

impl Problem {
    /// What it is, as one fragment that is safe to print.
    pub fn what(&self, lang: Lang) -> String {
        printable(&self.what_as_said(lang))
    }

    /// What to do about it.
    pub fn hint(&self, lang: Lang) -> Option<String> {
        self.hint_as_said(lang).map(|hint| printable(&hint))
    }

    fn what_as_said(&self, lang: Lang) -> String {
        match self {
            Self::Missing => say::missing(lang),
            Self::DanglingLink => say::dangling_link(lang),
            Self::Forbidden => say::forbidden(lang),
            Self::Directory => say::directory(lang),
            Self::NotADirectory => say::not_a_directory(lang),
            Self::Unreadable(cause) => say::unreadable(lang, &detail(lang, cause)),
            Self::TooLarge => say::too_large(lang),
            Self::NotUtf8(_) => say::not_utf8(lang),
            Self::Syntax(syntax) => syntax.what(lang),
            Self::EmptyFile => say::empty_file(lang),
            Self::NoMirror => say::no_mirror(lang),
            Self::UnknownKey { key, of, .. } if of.is_empty() => {
                say::unknown_key_at_the_top(lang, &quoted(key))
            }
            Self::UnknownKey { key, of, .. } => say::unknown_key(lang, &quoted(key), of),
            Self::UnknownTable { name, .. } => say::unknown_table(lang, name),
            Self::NotHere { name } => say::not_here(lang, name),
            Self::OneBracket { name } => say::one_bracket(lang, name),
            Self::TwoBrackets { name } => say::two_brackets(lang, name),
            Self::Unexpected { expected, found, .. } => {
                say::unexpected(lang, &expected.show(lang), &found.show(lang))
            }
            Self::Duration { most, found } => {
                say::duration_range(lang, &humantime::format_duration(*most), &quoted(found))
            }
            Self::Size { most, found } => {
                say::size_range(lang, &format!("{}GiB", most >> 30), &quoted(found))
            }
            Self::Url { error, said } => super::url::what(*error, lang, said),
            Self::Image { error, said } => image_what(*error, lang, &quoted(said)),
            Self::Name { error } => error.what(lang),
            Self::NameMissing { .. } => say::name_missing(lang),
            Self::UrlMissing { name, .. } => say::url_missing(lang, &quoted(name)),
            Self::DuplicateName { name, .. } => say::duplicate_name(lang, &quoted(name)),
            Self::DuplicateUrl { url, name, .. } => say::duplicate_url(lang, url, &quoted(name)),
            Self::Replaces { url, name, .. } => say::replaces(lang, url, &quoted(name)),
            Self::Known { host, known } => known.what(lang, host),
            Self::EngineNotSupported { engine } => say::engine_not_supported(lang, engine),
            Self::CaFile { why } => say::ca_file(lang, &detail(lang, why)),
            Self::NoProgram { program } => say::no_program(lang, &quoted(program)),
            Self::NoImage { instead } => say::no_image(lang, instead),
            Self::Unverified { kept } => say::unverified(lang, kept),
            Self::UpstreamNotSupported { upstream, .. } => say::upstream_not_supported(lang, upstream),
            Self::EmptyGroup { group, .. } => say::empty_group(lang, &quoted(group)),
            Self::PartTooSmall { key, share, .. } => say::part_too_small(lang, key, share),
            Self::RehearsedLess { every, by } => {
                say::rehearsed_less(lang, by, &humantime::format_duration(*every))
            }
            Self::SampledLess { every, by } => {
                say::sampled_less(lang, by, &humantime::format_duration(*every))
            }
            Self::NobodyTakesPart => say::nobody_takes_part(lang),
        }
    }

    fn hint_as_said(&self, lang: Lang) -> Option<String> {
        let did_you_mean = |meant: &dyn Display| say::did_you_mean(lang, &meant.to_string());
        match self {
            Self::Missing => Some(say::missing_hint(lang)),
            Self::DanglingLink => Some(say::dangling_link_hint(lang)),
            Self::Forbidden => Some(say::forbidden_hint(lang)),
            Self::Directory => Some(say::directory_hint(lang)),
            Self::NotADirectory => Some(say::not_a_directory_hint(lang)),
            Self::Unreadable(_) | Self::TooLarge => None,
            Self::NotUtf8(encoding) => Some(match encoding {
                Encoding::Gbk => say::encoding_hint(lang, "GBK"),
                Encoding::Utf16 => say::encoding_hint(lang, "UTF-16"),
                Encoding::Unknown => say::encoding_unknown_hint(lang),
            }),
            Self::Syntax(syntax) => syntax.hint(lang),
            Self::EmptyFile => Some(say::empty_file_hint(lang)),
            Self::NoMirror => Some(say::no_mirror_hint(lang)),
            Self::UnknownKey { fix, .. } | Self::UnknownTable { fix, .. } => Some(match fix {
                Fix::Meant(meant) => did_you_mean(meant),
                Fix::Belongs(table) => say::belongs(lang, table),
                Fix::OneOf(list) => say::one_of(lang, list),
            }),
            Self::NotHere { .. } => Some(say::not_here_hint(lang)),
            Self::OneBracket { name } => Some(say::did_you_mean(lang, &format!("[[{name}]]"))),
            Self::TwoBrackets { name } => Some(say::did_you_mean(lang, &format!("[{name}]"))),
            Self::Unexpected { meant, .. } => meant.as_ref().map(|meant| did_you_mean(meant)),
            Self::Duration { found, .. } if found.trim_end().ends_with('M') => Some(say::month_hint(lang)),
            Self::Duration { .. } | Self::Size { .. } => None,
            Self::Url { error, said } => super::url::hint(*error, lang, said),
            Self::Image { error, .. } => image_hint(*error, lang),
            Self::Name { .. } => None,
            Self::NameMissing { from } => Some(say::name_missing_hint(lang, from.as_deref().unwrap_or("…"))),
            Self::UrlMissing { near: Some(near), .. } => Some(say::override_hint(lang, near)),
            Self::UrlMissing { near: None, .. } => Some(say::url_missing_hint(lang)),
            Self::DuplicateName { first, .. } => {
                Some(say::duplicate_name_hint(lang, &first.file.display(), first.line))
            }
            Self::DuplicateUrl { first, .. } => {
                Some(say::duplicate_url_hint(lang, &first.file.display(), first.line))
            }
            Self::Replaces { name, first, .. } => {
                Some(say::replaces_hint(lang, &first.file.display(), first.line, name))
            }
            Self::Known { known, .. } => Some(known.hint(lang)),
            Self::EngineNotSupported { .. } => Some(say::engine_not_supported_hint(lang)),
            Self::CaFile { .. } => Some(say::ca_file_hint(lang)),
            Self::NoProgram { .. } => Some(say::no_program_hint(lang)),
            Self::NoImage { .. } => Some(say::no_image_hint(lang)),
            Self::Unverified { .. } => Some(say::unverified_hint(lang)),
            Self::UpstreamNotSupported { meant: true, .. } => Some(did_you_mean(&quoted(DOCKER_HUB))),
            Self::UpstreamNotSupported { meant: false, .. } => Some(say::upstream_not_supported_hint(lang)),
            Self::EmptyGroup { near: Some(near), .. } => Some(say::did_you_mean(lang, &quoted(near))),
            Self::EmptyGroup { near: None, .. } => Some(say::empty_group_hint(lang)),
            Self::PartTooSmall { hosts: 0, .. } => Some(say::part_too_small_alone_hint(lang)),
            Self::PartTooSmall { hosts, .. } => Some(say::part_too_small_hint(lang, hosts)),
            Self::RehearsedLess { by, .. } => Some(say::asked_less_hint(lang, by, "rehearse")),
            Self::SampledLess { by, .. } => Some(say::asked_less_hint(lang, by, "sample")),
            Self::NobodyTakesPart => Some(say::nobody_takes_part_hint(lang)),
        }
    }
}

impl Expected {
    fn show(self, lang: Lang) -> String {
        match self {
            Self::Text => say::expected_text(lang),
            Self::Texts => say::expected_texts(lang),
            Self::Whole { least, most } => say::expected_whole(lang, least, most),
            Self::Fraction => say::expected_fraction(lang),
            Self::Flag => say::expected_flag(lang),
            Self::Duration => say::expected_duration(lang),
            Self::Size => say::expected_size(lang),
            Self::Switch => say::expected_switch(lang),
            Self::Url => say::expected_url(lang),
            Self::Proxy => say::expected_proxy(lang),
            Self::Reload => say::expected_reload(lang),
            Self::Path => say::expected_path(lang),
            Self::Unit => say::expected_unit(lang),
            Self::Registry => say::expected_registry(lang),
            Self::Table => say::expected_table(lang),
            Self::Command => say::expected_command(lang),
        }
    }
}

impl Found {
    fn show(&self, lang: Lang) -> String {
        match self {
            Self::Text(text) => say::found_text(lang, &quoted(text)),
            Self::Number(number) => say::found_number(lang, number),
            Self::Flag(flag) => say::found_text(lang, &flag.to_string()),
            Self::Date(date) => say::found_date(lang, date),
            Self::List => say::found_list(lang),
            Self::Table => say::found_table(lang),
        }
    }
}

fn image_what(error: ImageError, lang: Lang, said: &str) -> String {
    match error {
        ImageError::Empty => say::image_empty(lang, said),
        ImageError::OtherRegistry => say::image_other_registry(lang, said),
        ImageError::Digest => say::image_digest(lang, said),
        ImageError::Character => say::image_character(lang, said),
    }
}

fn image_hint(error: ImageError, lang: Lang) -> Option<String> {
    match error {
        ImageError::Empty | ImageError::Character => Some(say::image_form_hint(lang)),
        ImageError::OtherRegistry => Some(say::image_other_registry_hint(lang)),
        ImageError::Digest => Some(say::image_digest_hint(lang)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_in_chinese_too() {
        let unreadable = Problem::Unreadable("Is a directory (os error 21)".to_owned());
        assert_eq!(unreadable.what(Lang::Zh), "无法读取：是目录");
        let no_certificate = Problem::CaFile { why: "no certificate in it".to_owned() };
        assert_eq!(no_certificate.what(Lang::Zh), "无法用作 PEM 证书：其中没有证书");
        assert!(no_certificate.what(Lang::En).ends_with(": no certificate in it"));
    }

    #[test]
    fn gbk_and_utf16_are_told_from_noise() {
        assert_eq!(Encoding::guess(b"# \xbe\xb5\xcf\xf1\n"), Encoding::Gbk);
        assert_eq!(Encoding::guess(b"\xff\xfea\0"), Encoding::Utf16);
        assert_eq!(Encoding::guess(b"\x80\0\0"), Encoding::Unknown);
    }
}
