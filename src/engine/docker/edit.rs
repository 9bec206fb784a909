//! The edit of daemon.json: the value of `registry-mirrors` and not one byte beside it.
//!
//! Pure. The text is parsed strictly, as dockerd does, and then only spliced: order, indentation, line ends,
//! a byte order mark, the spelling of numbers and escapes, all stay as their author wrote them.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The key that is ours.
pub const KEY: &str = "registry-mirrors";

/// More is no daemon.json; such a file is refused rather than parsed.
const MAX_BYTES: usize = 1 << 20;

const BOM: &str = "\u{feff}";

/// Why a daemon.json cannot be edited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EditError {
    /// 1-based; `None` when no single place is to blame.
    pub at: Option<(usize, usize)>,
    /// English, lower case.
    pub what: String,
    /// Whether dockerd takes such a file nevertheless; otherwise it does not start with it.
    pub starts: bool,
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some((line, column)) => write!(f, "{line}:{column}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl std::error::Error for EditError {}

/// A daemon.json taken apart into places; empty, blank and missing files are an empty configuration.
#[derive(Debug)]
pub struct Document<'a> {
    text: &'a str,
    /// `None` for a file with nothing in it.
    root: Option<Object<'a>>,
}

#[derive(Debug)]
struct Object<'a> {
    /// The braces included.
    span: Range<usize>,
    members: Vec<Member<'a>>,
}

#[derive(Debug)]
struct Member<'a> {
    name: String,
    /// The quotes included.
    key: Range<usize>,
    value: Range<usize>,
    raw: &'a RawValue,
}

/// The white space of a list: `[`open item`,`separator item close`]`.
struct Style {
    open: String,
    separator: String,
    close: String,
}

/// `current` with what `pristine` had in the place of the list; `None` means that there should be no file.
///
/// If nothing but our value has changed since, the answer is the pristine bytes.
///
/// # Errors
/// As [`Document::parse`], for either.
pub fn put_back(current: Option<&[u8]>, pristine: Option<&[u8]>) -> Result<Option<Vec<u8>>, EditError> {
    // A file that is gone has nothing of anybody's to keep.
    let Some(bytes) = current else { return Ok(pristine.map(<[u8]>::to_vec)) };
    let (current, original) = (Document::parse(current)?, Document::parse(pristine)?);
    if let Some(member) = original.own() {
        return Ok(Some(current.with_raw(member.raw.get())));
    }
    let Some(own) = current.own() else { return Ok(Some(bytes.to_vec())) };
    // Only our value differs if both sides of it are what an edit of the pristine file gives.
    let edited = original.with(&[]);
    let edited = Document::parse(Some(&edited))?;
    let theirs = edited.own().expect("an edited file has the key");
    let same_before = current.text[..own.value.start] == edited.text[..theirs.value.start];
    let same_after = current.text[own.value.end..] == edited.text[theirs.value.end..];
    if same_before && same_after { Ok(pristine.map(<[u8]>::to_vec)) } else { Ok(Some(current.without(own))) }
}

impl<'a> Document<'a> {
    /// Parses the bytes of a file; `None` is no file.
    ///
    /// # Errors
    /// Not UTF-8, not strict JSON, not an object, `registry-mirrors` twice or not a list of texts, or larger
    /// than one mebibyte.
    pub fn parse(bytes: Option<&'a [u8]>) -> Result<Self, EditError> {
        let bytes = bytes.unwrap_or_default();
        if bytes.len() > MAX_BYTES {
            return Err(EditError {
                at: None,
                what: "larger than 1 MiB, no daemon.json is".to_owned(),
                starts: true,
            });
        }
        let text = str::from_utf8(bytes).map_err(|error| {
            let valid = str::from_utf8(&bytes[..error.valid_up_to()]).expect("checked up to there");
            // dockerd puts a replacement character there and goes on; since 23 it also reads UTF-16 with a mark in front.
            let replaced = String::from_utf8_lossy(bytes);
            let is_json = serde_json::from_str::<serde_json::Value>(replaced.trim_start_matches(BOM)).is_ok();
            let starts = is_json || bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
            EditError { at: Some(place(valid, valid.len())), what: "not UTF-8 text".to_owned(), starts }
        })?;
        let body = text.strip_prefix(BOM).unwrap_or(text);
        if body.trim_matches([' ', '\t', '\r', '\n']).is_empty() {
            return Ok(Self { text, root: None });
        }
        // The strict parse comes first: RawValue alone lets numbers through that dockerd refuses.
        let checked: Result<serde_json::Value, _> = serde_json::from_str(body);
        let value = checked.map_err(|error| syntax(body, &error))?;
        if !value.is_object() {
            return Err(EditError { at: Some((1, 1)), what: "not a JSON object".to_owned(), starts: false });
        }
        let document = Self { text, root: Some(Object::parse(text, body)?) };
        document.check_own_key()?;
        Ok(document)
    }

    fn check_own_key(&self) -> Result<(), EditError> {
        let mut own = self.members().iter().filter(|member| member.name == KEY);
        let Some(member) = own.next() else { return Ok(()) };
        if let Some(second) = own.next() {
            let what = format!("{KEY} stands here for the second time, and dockerd takes the last one");
            return Err(EditError { at: Some(place(self.text, second.key.start)), what, starts: true });
        }
        let list: Result<Option<Vec<String>>, _> = serde_json::from_str(member.raw.get());
        let what = || format!("{KEY} is not a list of texts");
        list.map(drop).map_err(|_| EditError {
            at: Some(place(self.text, member.value.start)),
            what: what(),
            starts: false,
        })
    }

    fn members(&self) -> &[Member<'a>] {
        self.root.as_ref().map_or(&[], |root| &root.members)
    }

    fn own(&self) -> Option<&Member<'a>> {
        self.members().iter().find(|member| member.name == KEY)
    }

    /// The list as it is written; `None` when the key is absent, empty when it is `null`.
    pub fn listed(&self) -> Option<Vec<String>> {
        let list: Option<Vec<String>> = serde_json::from_str(self.own()?.raw.get()).ok()?;
        Some(list.unwrap_or_default())
    }

    /// The value of a top-level key; the last one counts, as in dockerd.
    pub fn get(&self, key: &str) -> Option<serde_json::Value> {
        let member = self.members().iter().rev().find(|member| member.name == key)?;
        serde_json::from_str(member.raw.get()).ok()
    }

    /// The names of all top-level keys, in their order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.members().iter().map(|member| &*member.name)
    }

    /// The file with `mirrors` as its list.
    pub fn with(&self, mirrors: &[String]) -> Vec<u8> {
        let style = match self.own() {
            Some(member) => self.style_of(member).unwrap_or_else(|| self.default_style()),
            None => self.default_style(),
        };
        self.with_raw(&style.render(mirrors))
    }

    /// The file with the text `raw`, a JSON value, as the value of the key.
    fn with_raw(&self, raw: &str) -> Vec<u8> {
        let end = self.line_end();
        let Some(root) = &self.root else {
            return format!("{{{end}  \"{KEY}\": {raw}{end}}}{end}").into_bytes();
        };
        let (range, new) = match (self.own(), root.members.last()) {
            (Some(member), _) => (member.value.clone(), raw.to_owned()),
            (None, Some(last)) => {
                let before = self.before_new_member();
                let new = format!(",{before}\"{KEY}\"{}{raw}", self.colon());
                (last.value.end..last.value.end, new)
            }
            (None, None) => (root.span.clone(), format!("{{{end}  \"{KEY}\": {raw}{end}}}")),
        };
        splice(self.text, range, &new)
    }

    /// Takes the member out together with one comma and the space that belonged to it.
    fn without(&self, own: &Member<'a>) -> Vec<u8> {
        let members = self.members();
        let index = members.iter().position(|member| member.key == own.key).expect("it is one of ours");
        let range = match (index.checked_sub(1).map(|before| &members[before]), members.get(index + 1)) {
            (Some(before), _) => before.value.end..own.value.end,
            (None, Some(after)) => own.key.start..after.key.start,
            (None, None) => own.key.start..own.value.end,
        };
        splice(self.text, range, "")
    }

    /// `\r\n` where the file has it.
    fn line_end(&self) -> &'static str {
        if self.text.contains("\r\n") { "\r\n" } else { "\n" }
    }

    /// The white space between a comma and a new last member: that of the last one, blank lines left out.
    fn before_new_member(&self) -> String {
        let members = self.members();
        let Some(last) = members.last() else { return String::new() };
        let space = self.space_before(last.key.start);
        if space.contains('\n') {
            return from_last_line_end(space).to_owned();
        }
        // In one line: as after the other commas, or as after the colon when there is no comma to copy.
        let loose = if members.len() > 1 { !space.is_empty() } else { self.colon().ends_with(' ') };
        if loose { " ".to_owned() } else { String::new() }
    }

    /// From the end of a key to the start of its value, as the last member has it.
    fn colon(&self) -> &str {
        let between = self.members().last().map_or(": ", |last| &self.text[last.key.end..last.value.start]);
        if between.contains('\n') { ": " } else { between }
    }

    fn space_before(&self, at: usize) -> &str {
        let kept = self.text[..at].trim_end_matches([' ', '\t', '\r', '\n']).len();
        &self.text[kept..at]
    }

    /// How the file would lay out a list: over several lines if its members stand in lines of their own.
    fn default_style(&self) -> Style {
        let Some(last) = self.members().last() else { return Style::lines(self.line_end(), "  ", "  ") };
        let space = self.space_before(last.key.start);
        if space.contains('\n') {
            let indent = from_last_line_end(space).trim_start_matches(['\r', '\n']);
            return Style::lines(self.line_end(), indent, indent);
        }
        let separator = if self.colon().ends_with(' ') { " " } else { "" };
        Style { open: String::new(), separator: separator.to_owned(), close: String::new() }
    }

    /// How the list that is there is laid out; `None` when it has no item to learn from.
    fn style_of(&self, member: &Member<'a>) -> Option<Style> {
        let items: Vec<&RawValue> = serde_json::from_str(member.raw.get()).ok()?;
        let spans: Vec<_> = items.iter().map(|item| span(self.text, item.get())).collect();
        let (first, last) = (spans.first()?, spans.last()?);
        let open = &self.text[member.value.start + 1..first.start];
        let separator = match spans.get(1) {
            Some(second) => self.space_before(second.start),
            None if open.contains('\n') => open,
            None if self.colon().ends_with(' ') => " ",
            None => "",
        };
        let close = &self.text[last.end..member.value.end - 1];
        Some(Style { open: open.to_owned(), separator: separator.to_owned(), close: close.to_owned() })
    }
}

impl Style {
    /// One item a line, one `unit` deeper than `indent`.
    fn lines(end: &str, indent: &str, unit: &str) -> Self {
        let item = format!("{end}{indent}{unit}");
        Self { open: item.clone(), separator: item, close: format!("{end}{indent}") }
    }

    fn render(&self, mirrors: &[String]) -> String {
        if mirrors.is_empty() {
            return "[]".to_owned();
        }
        let items: Vec<_> =
            mirrors.iter().map(|mirror| serde_json::Value::from(&**mirror).to_string()).collect();
        format!("[{}{}{}]", self.open, items.join(&format!(",{}", self.separator)), self.close)
    }
}

impl<'a> Object<'a> {
    fn parse(text: &'a str, body: &'a str) -> Result<Self, EditError> {
        let mut deserializer = serde_json::Deserializer::from_str(body);
        let pairs = deserializer.deserialize_map(Pairs).map_err(|error| syntax(body, &error))?;
        let members = pairs
            .into_iter()
            .map(|(key, raw)| Member {
                name: serde_json::from_str(key.get()).expect("the strict parse took this key"),
                key: span(text, key.get()),
                value: span(text, raw.get()),
                raw,
            })
            .collect();
        let start = text.find('{').expect("an object begins with a brace");
        let end = text.rfind('}').expect("an object ends with a brace") + 1;
        Ok(Self { span: start..end, members })
    }
}

/// Collects the members of an object as slices of the text.
struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Vec<(&'de RawValue, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(pairs)
    }
}

/// Where `part`, a slice of `text`, lies in it.
fn span(text: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr() - text.as_ptr().addr();
    start..start + part.len()
}

fn splice(text: &str, range: Range<usize>, new: &str) -> Vec<u8> {
    [&text[..range.start], new, &text[range.end..]].concat().into_bytes()
}

/// The last line end in `space`, and what follows it.
fn from_last_line_end(space: &str) -> &str {
    let Some(line_feed) = space.rfind('\n') else { return space };
    let start = if space[..line_feed].ends_with('\r') { line_feed - 1 } else { line_feed };
    &space[start..]
}

/// Line and column, both from 1, the column in characters.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

fn syntax(body: &str, error: &serde_json::Error) -> EditError {
    let full = error.to_string();
    // The place is said once, in front.
    let what = full.rsplit_once(" at line ").map_or(&*full, |(what, _)| what);
    // serde_json counts bytes; an editor counts characters.
    let line = body.split('\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
    let bytes = error.column().saturating_sub(1);
    let column = line.char_indices().take_while(|(start, _)| *start < bytes).count() + 1;
    EditError { at: Some((error.line(), column)), what: format!("not valid JSON: {what}"), starts: false }
}
