//! One file of the configuration: its path, its text, and where in it a byte stands.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::problem::{Encoding, Problem};
use super::safe::masked;

/// No mirrors.toml is longer; 1 MiB holds some ten thousand mirrors. Beyond it somebody named the wrong file.
pub(super) const MAX_BYTES: u64 = 1024 * 1024;

/// A line that is longer than this is not shown in full, in bytes.
const LONG: usize = 200;

/// How much of a long line an excerpt shows before its span and, twice, behind its start, in characters.
const WINDOW: usize = 60;

const BOM: char = '\u{feff}';

/// A file and its text.
#[derive(Debug)]
pub(super) struct Source {
    /// As it was named, for messages.
    pub(super) path: PathBuf,
    /// Its text; what is not UTF-8 stands as U+FFFD.
    pub(super) text: String,
    /// Where its place is among the files that were read.
    pub(super) index: usize,
}

/// Where something stands in a file, with the line itself so that it can be shown after the file has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The line, or the part of a long one around the span.
    pub(super) excerpt: String,
    /// The bytes of the excerpt that are meant.
    pub(super) span: Range<usize>,
    /// Whether the excerpt is less than the line.
    pub(super) cut: bool,
}

impl Source {
    /// The text of `bytes`, and what is wrong with its encoding.
    pub(super) fn new(path: &Path, bytes: &[u8], index: usize) -> (Self, Option<(Range<usize>, Problem)>) {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let bad = std::str::from_utf8(bytes).err().map(|error| {
            let at = error.valid_up_to();
            (at..at + '\u{fffd}'.len_utf8(), Problem::NotUtf8(Encoding::guess(bytes)))
        });
        (Self { path: path.to_owned(), text, index }, bad)
    }

    /// The line and the column of `span`, which is cut to its first line.
    pub(super) fn place(&self, span: Range<usize>) -> Place {
        let text = self.text.as_str();
        let first = if text.starts_with(BOM) { BOM.len_utf8() } else { 0 };
        let start = floor(text, span.start.clamp(first.min(text.len()), text.len()));
        let line_start = text[..start].rfind('\n').map_or(first, |newline| newline + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        let line = text[line_start..line_end].trim_end_matches('\r');
        let from = (start - line_start).min(line.len());
        let to = floor(line, (span.end.max(start) - line_start).clamp(from, line.len()));
        let number = text[..line_start].matches('\n').count() + 1;
        let column = line[..from].chars().count() + 1;
        // What `run` shows goes to the journal.
        let (excerpt, span, cut) = window(&masked(line), from..to);
        Place { line: number, column, excerpt, span, cut }
    }
}

/// The part of `line` around `span`, so that one error in a line of a megabyte stays small, and whether it is
/// less than the line.
fn window(line: &str, span: Range<usize>) -> (String, Range<usize>, bool) {
    let short = line.len() <= LONG;
    let left = line[..span.start].char_indices().rev().nth(WINDOW).filter(|_| !short);
    let right = line[span.start..].char_indices().nth(2 * WINDOW).filter(|_| !short);
    let from = left.map_or(0, |(at, _)| at);
    let to = right.map_or(line.len(), |(at, _)| span.start + at);
    let mut excerpt = String::from(if left.is_some() { "…" } else { "" });
    excerpt.push_str(&still(&line[from..span.start]));
    let start = excerpt.len();
    excerpt.push_str(&still(&line[span.start..span.end.min(to)]));
    let end = excerpt.len();
    excerpt.push_str(&still(&line[span.end.min(to)..to]));
    if right.is_some() {
        excerpt.push('…');
    }
    (excerpt, start..end, left.is_some() || right.is_some())
}

/// `text` without the controls of ISO 6429's upper half, which the renderer lets through and some terminals obey.
fn still(text: &str) -> String {
    text.replace(|c: char| ('\u{80}'..='\u{9f}').contains(&c), "\u{fffd}")
}

/// The nearest character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// The bytes of a file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let metadata = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if metadata.is_dir() {
        return Err(Problem::Directory);
    }
    let mut bytes = Vec::new();
    open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| unreadable(path, &error))?;
    if bytes.len() as u64 > MAX_BYTES { Err(Problem::TooLarge) } else { Ok(bytes) }
}

/// Without waiting for somebody to write into a pipe. One into which somebody writes, as a shell's `<(...)`, is read.
fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("O_NONBLOCK is a small number");
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    rustix::fs::fcntl_setfl(&file, rustix::fs::fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
    Ok(file)
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    if error.kind() == io::ErrorKind::NotFound && path.symlink_metadata().is_ok() {
        Problem::DanglingLink
    } else if error.kind() == io::ErrorKind::NotFound {
        Problem::Missing
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        Problem::Forbidden
    } else {
        Problem::Unreadable(error.to_string())
    }
}

/// The files of `mirrors.d` beside `main`, by name. Hidden ones are left out: editors leave their locks there.
pub(super) fn drop_ins(main: &Path) -> Result<Vec<PathBuf>, (PathBuf, Problem)> {
    let directory = super::mirrors_d(main);
    let list = match std::fs::read_dir(&directory) {
        Ok(list) => list,
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err((directory, Problem::NotADirectory));
        }
        Err(error) => {
            let problem = unreadable(&directory, &error);
            return if problem == Problem::Missing { Ok(Vec::new()) } else { Err((directory, problem)) };
        }
    };
    let mut files = Vec::new();
    for entry in list {
        let path = entry.map_err(|error| (directory.clone(), unreadable(&directory, &error)))?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.extension().is_some_and(|extension| extension == "toml") && !hidden {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, span: Range<usize>) -> Place {
        Source::new(Path::new("m.toml"), text.as_bytes(), 0).0.place(span)
    }

    #[test]
    fn a_column_counts_characters_and_not_bytes() {
        let text = "# 头\r\nnote = \"镜像\" x\r\n";
        let at = text.find('x').unwrap();
        let found = place(text, at..at + 1);
        assert_eq!((found.line, found.column), (2, 13));
        assert_eq!(&found.excerpt[found.span.clone()], "x");
        assert_eq!(found.excerpt, "note = \"镜像\" x");
    }

    #[test]
    fn a_byte_order_mark_is_no_column() {
        assert_eq!(place("\u{feff}a = 1", 3..4).column, 1);
        assert_eq!(place("\u{feff}", 0..0).column, 1);
    }

    #[test]
    fn a_line_that_is_shown_cannot_steer_the_terminal() {
        let found = place("\u{9b}2J = x", 7..8);
        assert_eq!((&*found.excerpt, &found.excerpt[found.span.clone()]), ("\u{fffd}2J = x", "x"));
    }

    #[test]
    fn a_span_over_several_lines_is_cut_to_the_first() {
        let found = place("a = [\n 1,\n]\n", 4..11);
        assert_eq!((found.excerpt.as_str(), found.span), ("a = [", 4..5));
    }

    #[test]
    fn the_end_of_the_file_has_a_place_too() {
        for (text, line, column) in [("", 1, 1), ("a", 1, 2), ("a\n", 2, 1)] {
            let found = place(text, text.len() + 9..text.len() + 12);
            assert_eq!((found.line, found.column), (line, column), "{text:?}");
        }
    }

    #[test]
    fn an_endless_line_is_shown_around_its_error_only() {
        let text = format!("{}x{}", "镜".repeat(5000), "b".repeat(5000));
        let found = place(&text, 15000..15001);
        assert_eq!(found.column, 5001);
        assert_eq!(&found.excerpt[found.span.clone()], "x");
        assert!(found.excerpt.chars().count() < 4 * WINDOW);
    }
}
