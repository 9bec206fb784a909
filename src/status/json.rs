//! JSON as it is printed: safe to look at in a terminal, whatever strings it holds.

use std::io;

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

use super::safe::is_safe;
use crate::json::Pieces;

/// How the JSON is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// All on one line, as a file and a stream of lines have it.
    Line,
    /// Indented by two blanks, for people.
    Indented,
}

/// `value` as JSON, a line break at its end.
///
/// JSON has control characters below U+0020 escaped; here DEL, the C1 controls and what turns the direction of text
/// around are escaped too, because a terminal obeys them as well.
pub fn to_string<T: Serialize>(value: &T, layout: Layout) -> String {
    let mut pieces = Pieces::default();
    let result = match layout {
        Layout::Line => {
            value.serialize(&mut Serializer::with_formatter(&mut pieces, Escaping(CompactFormatter)))
        }
        Layout::Indented => {
            value.serialize(&mut Serializer::with_formatter(&mut pieces, Escaping(PrettyFormatter::new())))
        }
    };
    result.expect("plain data with string keys is always JSON, and a buffer takes every byte");
    let mut bytes = pieces.into_bytes();
    bytes.push(b'\n');
    String::from_utf8(bytes).expect("JSON is written as UTF-8")
}

struct Escaping<F>(F);

/// Hands every call but one to the formatter inside.
impl<F: Formatter> Formatter for Escaping<F> {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        // Nearly all of a status, and no characters have to be told apart for it.
        if fragment.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return writer.write_all(fragment.as_bytes());
        }
        let mut rest = fragment;
        while let Some(at) = rest.find(|c| !is_safe(c)) {
            let (plain, bad) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut chars = bad.chars();
            let mut units = [0; 2];
            for unit in chars.next().into_iter().flat_map(|c| c.encode_utf16(&mut units).to_vec()) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = chars.as_str();
        }
        writer.write_all(rest.as_bytes())
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped_and_reads_back_the_same() {
        let hostile = "a\u{1b}[2J\u{7f}\u{9b}31m\u{202e}\u{2028}\u{e0041}中文é";
        for layout in [Layout::Line, Layout::Indented] {
            let json = to_string(&[hostile], layout);
            assert!(json.trim_end_matches('\n').chars().all(|c| is_safe(c) || c == '\n'), "{json:?}");
            assert!(json.contains("中文é"), "{json}");
            assert_eq!(serde_json::from_str::<[String; 1]>(&json).unwrap(), [hostile]);
        }
    }
}
