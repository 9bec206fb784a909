//! `mirrors.d/local.toml`: what `add` and `remove` write. Text → text, and every byte stays that is not theirs.
//!
//! The edits are splices at the places that the parser reports. A TOML writer would be shorter, but the one
//! there is turns CRLF into LF, and then a user's whole file differs.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::diagnostic::{Findings, Severity};
use super::nearest::nearest;
use super::safe::{printable, quoted};
use super::syntax::Syntax;
use super::{Config, Invalid, source};
use crate::mirror::{Mirror, MirrorUrl};
use crate::text::{Lang, config as say};

/// What stands in front of the first mirror of a new file.
const HEAD: &str = "# Mirrors added and removed by `mirrorwatch add` and `mirrorwatch remove`; edit freely.\n\
                    # 由 mirrorwatch add 和 remove 维护，也可以手工编辑。\n";

/// Where it is, beside mirrors.toml (`main`).
pub fn file(main: &Path) -> PathBuf {
    super::mirrors_d(main).join("local.toml")
}

/// Why the file was not edited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditError {
    /// It is not TOML.
    NotToml {
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong there.
        syntax: Syntax,
    },
    /// `mirror = [{…}]` instead of `[[mirror]]`.
    Inline,
    /// Another URL has this name.
    NameTaken {
        /// The name.
        name: String,
        /// Whose it is.
        url: String,
    },
    /// The URL is there already, and enabled.
    Present {
        /// Under which name.
        name: String,
    },
    /// There is no mirror of this name.
    Unknown {
        /// The name.
        name: String,
    },
}

impl EditError {
    /// What it is, for people.
    pub fn render(&self, lang: Lang) -> String {
        match self {
            Self::NotToml { line, column, syntax } => {
                say::edit_not_toml(lang, *line, *column, &printable(&syntax.what(lang)))
            }
            Self::Inline => say::edit_inline(lang),
            Self::NameTaken { name, url } => say::edit_name_taken(lang, &quoted(name), url),
            Self::Present { name } => say::edit_present(lang, &quoted(name)),
            Self::Unknown { name } => say::edit_unknown(lang, &quoted(name)),
        }
    }
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Lang::En))
    }
}

impl std::error::Error for EditError {}

/// As [`super::load`], with `text` in the place of [`file()`]: what shows whether an edit would be valid before it
/// is written.
///
/// # Errors
/// Everything that would be wrong in any of the files.
pub fn load_edited(main: &Path, text: &str) -> Result<Config, Invalid> {
    let local = file(main);
    let mut findings = Findings::default();
    let mut paths = match source::drop_ins(main) {
        Ok(paths) => paths,
        Err((path, problem)) => {
            findings.file(Severity::Error, &path, 1, problem);
            Vec::new()
        }
    };
    if !paths.contains(&local) {
        paths.push(local.clone());
        paths.sort();
    }
    let mut files = Vec::new();
    for (index, path) in std::iter::once(main.to_owned()).chain(paths).enumerate() {
        if path == local {
            files.push((path, text.as_bytes().to_vec()));
            continue;
        }
        match source::read(&path) {
            Ok(bytes) => files.push((path, bytes)),
            Err(problem) => findings.file(Severity::Error, &path, index, problem),
        }
    }
    super::understand(main, &files, findings)
}

/// The mirror that somebody meant who typed `said`, which is neither a name nor a URL: by case, by host, or by a
/// slip of the finger.
pub fn meant<'a>(said: &str, mirrors: &'a [Mirror]) -> Option<&'a Mirror> {
    let folded = said.to_lowercase();
    let is = |test: &dyn Fn(&Mirror) -> bool| mirrors.iter().find(|mirror| test(mirror));
    let names = || mirrors.iter().map(|mirror| mirror.name.as_str());
    let hosts = || mirrors.iter().map(|mirror| mirror.url.host());
    is(&|mirror| mirror.name.to_lowercase() == folded)
        .or_else(|| is(&|mirror| [mirror.url.host(), mirror.url.authority()].contains(&folded.as_str())))
        .or_else(|| nearest(said, names()).and_then(|name| is(&|mirror| mirror.name == name)))
        .or_else(|| nearest(said, hosts()).and_then(|host| is(&|mirror| mirror.url.host() == host)))
}

/// How a mirror that is added stands before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No file speaks of it.
    New,
    /// It is there, and switched off.
    Off,
    /// It is there, in a group that takes no part; it may be switched off besides.
    OffByGroup,
}

/// One `[[mirror]]` of the file.
struct Entry {
    /// `[[mirror]]` itself.
    header: Range<usize>,
    /// The end of its last value, or of its header.
    end: usize,
    name: Option<String>,
    url: Option<MirrorUrl>,
    /// The place of the value of `enabled`, and whether it is `false`.
    enabled: Option<(Range<usize>, bool)>,
    /// The place of the value of `group`.
    group: Option<Range<usize>>,
}

/// The text with a mirror `name` at `url` that takes part, whatever kept it from that.
///
/// Whether the name or the URL is taken in another file is the caller's to know ([`super::Config`] has them
/// all), and so is `standing`. The usual name is [`MirrorUrl::authority`].
///
/// # Errors
/// [`EditError::Present`], [`EditError::NameTaken`], or the file cannot be edited.
pub fn with_mirror(
    before: &str,
    name: &str,
    url: &MirrorUrl,
    standing: Standing,
) -> Result<String, EditError> {
    let entries = entries(before)?;
    let same_url = entries.iter().find(|entry| entry.url.as_ref() == Some(url));
    let same_name = entries.iter().find(|entry| entry.name.as_deref() == Some(name));
    if let Some(other) = same_name.and_then(|entry| entry.url.as_ref()).filter(|other| *other != url) {
        return Err(EditError::NameTaken { name: name.to_owned(), url: other.to_string() });
    }
    let mut missing = match standing {
        Standing::New => Vec::new(),
        Standing::Off => vec!["enabled = true"],
        Standing::OffByGroup => vec!["enabled = true", "group = \"\""],
    };
    let Some(entry) = same_url.or(same_name) else {
        let (name, url) = (format!("name = {}", basic(name)), format!("url = {}", basic(url.as_str())));
        let lines = [name, url].into_iter().chain(missing.into_iter().map(str::to_owned));
        return Ok(append(before, &lines.collect::<Vec<_>>()));
    };
    let mut changes: Vec<(Range<usize>, String)> = Vec::new();
    if let Some((place, off)) = &entry.enabled {
        missing.retain(|line| !line.starts_with("enabled"));
        if *off {
            changes.push((place.clone(), "true".to_owned()));
        }
    }
    if let Some(place) = entry.group.clone().filter(|_| standing == Standing::OffByGroup) {
        missing.retain(|line| !line.starts_with("group"));
        changes.push((place, "\"\"".to_owned()));
    }
    let end = end_of_line(before, entry.end);
    changes.extend(missing.iter().map(|line| (end..end, format!("{}{line}", line_end(before)))));
    if changes.is_empty() {
        return Err(EditError::Present { name: entry.name.clone().unwrap_or_else(|| url.to_string()) });
    }
    // From the end, so that what is done moves nothing that is still to do; of two at one place the last first.
    changes.sort_by_key(|(place, _)| place.start);
    let splice_in = |text: String, (place, with): &(Range<usize>, String)| splice(&text, place.clone(), with);
    Ok(changes.iter().rev().fold(before.to_owned(), splice_in))
}

/// The text without the mirror `name`. One that another file defines, `shipped` at a URL, gets `enabled = false`
/// here instead, because the file that defines it is not ours to edit. The URL is written down with it: an upgrade
/// may drop that mirror, and a name alone would then be an error.
///
/// # Errors
/// [`EditError::Unknown`], or the file cannot be edited.
pub fn without_mirror(before: &str, name: &str, shipped: Option<&MirrorUrl>) -> Result<String, EditError> {
    let entries = entries(before)?;
    let found = entries.iter().position(|entry| entry.name.as_deref() == Some(name));
    match (found.map(|at| &entries[at]), shipped) {
        (None, None) => Err(EditError::Unknown { name: name.to_owned() }),
        (None, Some(url)) => {
            let (name, url) = (format!("name = {}", basic(name)), format!("url = {}", basic(url.as_str())));
            Ok(append(before, &[name, url, "enabled = false".to_owned()]))
        }
        (Some(Entry { enabled: Some((place, _)), .. }), Some(_)) => {
            Ok(splice(before, place.clone(), "false"))
        }
        (Some(entry), Some(_)) => {
            let line = format!("{}enabled = false", line_end(before));
            let end = end_of_line(before, entry.end);
            Ok(splice(before, end..end, &line))
        }
        (Some(entry), None) => Ok(cut(before, entry)),
    }
}

fn entries(text: &str) -> Result<Vec<Entry>, EditError> {
    let root = DeTable::parse(text).map_err(|error| {
        let (span, syntax) = Syntax::new(text, &error);
        let before = &text[..span.start.min(text.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        EditError::NotToml { line, column, syntax }
    })?;
    let Some(mirrors) = root.get_ref().get("mirror") else { return Ok(Vec::new()) };
    let Some(array) = mirrors.get_ref().as_array() else { return Err(EditError::Inline) };
    array.iter().map(|element| entry(text, element.get_ref(), element.span())).collect()
}

fn entry(text: &str, value: &DeValue<'_>, header: Range<usize>) -> Result<Entry, EditError> {
    let table =
        value.as_table().filter(|_| text[header.clone()].starts_with("[[")).ok_or(EditError::Inline)?;
    let string = |key: &str| table.get(key).and_then(|value| value.get_ref().as_str());
    let end = table.values().map(|value| value.span().end).fold(header.end, usize::max);
    Ok(Entry {
        end,
        name: string("name").map(str::to_owned),
        url: string("url").and_then(|url| url.parse().ok()),
        group: table.get("group").map(|value| value.span()),
        enabled: table.get("enabled").map(|value| (value.span(), value.get_ref().as_bool() == Some(false))),
        header,
    })
}

fn splice(text: &str, place: Range<usize>, with: &str) -> String {
    format!("{}{with}{}", &text[..place.start], &text[place.end..])
}

/// The line end that the file has, by its first line.
fn line_end(text: &str) -> &'static str {
    let first = text.split_inclusive('\n').next().unwrap_or_default();
    if first.ends_with("\r\n") { "\r\n" } else { "\n" }
}

/// Where the line ends in which `at` stands, before its line end.
fn end_of_line(text: &str, at: usize) -> usize {
    let rest = text[at..].split('\n').next().unwrap_or_default();
    at + rest.trim_end_matches('\r').len()
}

/// The file with one more entry at its end, one blank line apart.
fn append(before: &str, lines: &[String]) -> String {
    let eol = line_end(before);
    let mut text = if before.trim_start_matches('\u{feff}').trim().is_empty() {
        HEAD.to_owned()
    } else {
        before.to_owned()
    };
    if !text.ends_with('\n') {
        text.push_str(eol);
    }
    text.push_str(eol);
    text.push_str("[[mirror]]");
    text.push_str(eol);
    for line in lines {
        text.push_str(line);
        text.push_str(eol);
    }
    text
}

/// The file without `entry`, with the comment that touches it and one of the blank lines around it.
fn cut(text: &str, entry: &Entry) -> String {
    let header = line_start(text, entry.header.start);
    let mut start = header;
    while start > 0 {
        let above = line_start(text, start - 1);
        if !text[above..start].trim_start().starts_with('#') {
            break;
        }
        start = above;
    }
    // A comment at the very top may speak of the whole file, so it stays.
    if start == 0 {
        start = header;
    }
    let line_end = end_of_line(text, entry.end);
    let end = text[line_end..].find('\n').map_or(text.len(), |newline| line_end + newline + 1);
    let blank_before = start > 0
        && text[..start].trim_end_matches([' ', '\t']).ends_with("\n")
        && text[line_start(text, start - 1)..start].trim().is_empty();
    let rest = &text[end..];
    let next = rest.split_inclusive('\n').next().unwrap_or_default();
    if blank_before && (rest.is_empty() || next.trim().is_empty()) {
        start = line_start(text, start - 1);
    }
    splice(text, start..end, "")
}

/// Where the line begins in which `at` stands.
fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// A TOML string.
fn basic(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> MirrorUrl {
        text.parse().unwrap()
    }

    const FILE: &str = "\
# 公司内部镜像，改动请联系运维
# second line of the head

[[mirror]]  # 主
name = 'office'   # 办公室
url   =   \"https://mirror.office.example\"

# the old one
# of the cellar
[[mirror]]
name = \"cellar\"
url = \"http://10.0.0.1:5000\"
enabled = false  # until the power is back

[[mirror]]
name = \"DaoCloud\"
note = \"慢\"
# the end
";

    #[test]
    fn a_new_mirror_is_appended_and_every_other_byte_stays() {
        let after = with_mirror(FILE, "镜像 \"x\"", &url("https://x.example"), Standing::New).unwrap();
        let added = after.strip_prefix(FILE).unwrap();
        assert_eq!(added, "\n[[mirror]]\nname = '镜像 \"x\"'\nurl = \"https://x.example\"\n");
    }

    #[test]
    fn the_first_mirror_of_a_new_file_has_a_head_above_it() {
        let after = with_mirror("", "x", &url("https://x.example"), Standing::New).unwrap();
        assert_eq!(after, format!("{HEAD}\n[[mirror]]\nname = \"x\"\nurl = \"https://x.example\"\n"));
    }

    #[test]
    fn a_disabled_mirror_is_enabled_again_by_its_name_or_by_its_url() {
        let enabled = FILE.replace("enabled = false  # until", "enabled = true  # until");
        assert_eq!(
            with_mirror(FILE, "cellar", &url("http://10.0.0.1:5000"), Standing::New),
            Ok(enabled.clone())
        );
        assert_eq!(
            with_mirror(FILE, "10.0.0.1:5000", &url("http://10.0.0.1:5000"), Standing::New),
            Ok(enabled)
        );
        let shipped = without_mirror("", "DaoCloud", Some(&url("https://docker.m.daocloud.io"))).unwrap();
        let again = with_mirror(&shipped, "DaoCloud", &url("https://docker.m.daocloud.io"), Standing::New);
        assert_eq!(again, Ok(shipped.replace("false", "true")));
    }

    #[test]
    fn a_mirror_that_another_file_keeps_out_is_let_in_again() {
        let daocloud = url("https://docker.m.daocloud.io");
        let added = |before: &str, standing| with_mirror(before, "DaoCloud", &daocloud, standing).unwrap();
        assert!(
            added("", Standing::Off).ends_with("url = \"https://docker.m.daocloud.io\"\nenabled = true\n")
        );
        assert!(added("", Standing::OffByGroup).ends_with("\nenabled = true\ngroup = \"\"\n"));
        let after = added(FILE, Standing::OffByGroup);
        let lines = "note = \"慢\"\nenabled = true\ngroup = \"\"\n";
        assert_eq!(after, FILE.replace("note = \"慢\"\n", lines));
        let grouped = "[[mirror]]\nname = \"DaoCloud\"\ngroup = 'world' # far\nenabled = false\n";
        let after = added(grouped, Standing::OffByGroup);
        assert_eq!(after, grouped.replace("'world'", "\"\"").replace("false", "true"));
    }

    #[test]
    fn a_slip_in_a_name_and_a_host_for_a_name_are_understood() {
        let mirror = |name: &str, at: &str| Mirror::of_docker_hub(name, url(at));
        let all =
            [mirror("DaoCloud", "https://docker.m.daocloud.io"), mirror("office", "http://10.0.0.1:5000")];
        for (said, name) in [
            ("daocloud", Some("DaoCloud")),
            ("DoaCloud", Some("DaoCloud")),
            ("docker.m.daocloud.io", Some("DaoCloud")),
            ("docker.daocloud.io", Some("DaoCloud")),
            ("10.0.0.1:5000", Some("office")),
            ("x", None),
        ] {
            assert_eq!(meant(said, &all).map(|mirror| &*mirror.name), name, "{said}");
        }
    }

    #[test]
    fn a_mirror_is_not_added_twice_and_a_name_is_not_taken_away() {
        let present = EditError::Present { name: "office".to_owned() };
        assert_eq!(
            with_mirror(FILE, "x", &url("https://mirror.office.example/"), Standing::New),
            Err(present)
        );
        let taken =
            EditError::NameTaken { name: "cellar".to_owned(), url: "http://10.0.0.1:5000".to_owned() };
        assert_eq!(with_mirror(FILE, "cellar", &url("https://x.example"), Standing::New), Err(taken));
    }

    #[test]
    fn a_mirror_of_ones_own_goes_with_the_comment_that_touches_it_and_nothing_else() {
        let cellar = FILE.find("# the old one").unwrap()..FILE.rfind("[[mirror]]").unwrap();
        let without = without_mirror(FILE, "cellar", None).unwrap();
        assert_eq!(without, splice(FILE, cellar, ""));
        let office = FILE.find("[[mirror]]  # 主").unwrap()..FILE.find("# the old one").unwrap();
        assert_eq!(without_mirror(FILE, "office", None).unwrap(), splice(FILE, office, ""));
    }

    #[test]
    fn the_head_of_a_file_stays_even_where_it_touches_the_first_mirror() {
        let file = "# head\n[[mirror]]\nname = \"a\"\nurl = \"https://a\"\n";
        assert_eq!(without_mirror(file, "a", None).unwrap(), "# head\n");
    }

    #[test]
    fn a_shipped_mirror_is_disabled_and_keeps_what_is_said_of_it() {
        let after = without_mirror(FILE, "DaoCloud", Some(&url("https://x.example"))).unwrap();
        assert_eq!(after, FILE.replace("note = \"慢\"\n", "note = \"慢\"\nenabled = false\n"));
        let after = without_mirror(FILE, "1ms", Some(&url("https://x.example"))).unwrap();
        assert_eq!(
            after.strip_prefix(FILE),
            Some("\n[[mirror]]\nname = \"1ms\"\nurl = \"https://x.example\"\nenabled = false\n")
        );
        let override_on = "[[mirror]]\nname = \"a\"\nenabled = true # x\n";
        assert_eq!(
            without_mirror(override_on, "a", Some(&url("https://x.example"))).unwrap(),
            override_on.replace("true", "false")
        );
    }

    #[test]
    fn line_ends_stay_what_they_are() {
        let file = FILE.replace('\n', "\r\n");
        let after = with_mirror(&file, "x", &url("https://x.example"), Standing::New).unwrap();
        let added = after.strip_prefix(&file).unwrap();
        assert_eq!(added, "\r\n[[mirror]]\r\nname = \"x\"\r\nurl = \"https://x.example\"\r\n");
        assert_eq!(without_mirror(&after, "x", None).unwrap(), file);
        let disabled = without_mirror(&file, "DaoCloud", Some(&url("https://x.example"))).unwrap();
        assert!(disabled.contains("note = \"慢\"\r\nenabled = false\r\n# the end"));
        let no_end = file.trim_end().trim_end_matches("# the end").trim_end();
        assert!(
            without_mirror(no_end, "DaoCloud", Some(&url("https://x.example")))
                .unwrap()
                .ends_with("\"慢\"\r\nenabled = false")
        );
    }

    #[test]
    fn what_was_added_and_removed_leaves_no_trace() {
        for file in [FILE, "# only a head\n", "[[mirror]]\nname = \"a\"\nurl = \"https://a\"\n"] {
            let after = with_mirror(file, "x", &url("https://x.example"), Standing::New).unwrap();
            assert_eq!(without_mirror(&after, "x", None).unwrap(), file);
        }
    }

    #[test]
    fn what_cannot_be_edited_is_said_in_both_languages() {
        assert_eq!(
            with_mirror("mirror = [{ name = \"a\" }]\n", "x", &url("https://x"), Standing::New),
            Err(EditError::Inline)
        );
        let unknown = without_mirror(FILE, "x", None).unwrap_err();
        assert_eq!(unknown.to_string(), "there is no mirror named \"x\"");
        let syntax = without_mirror("# 头\n  = 1", "x", None).unwrap_err();
        assert!(syntax.to_string().starts_with("line 2, column 3: "), "{syntax}");
        assert!(syntax.render(Lang::Zh).starts_with("第 2 行第 3 列："));
    }
}
