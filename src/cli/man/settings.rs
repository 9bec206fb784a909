//! mirrors.toml(5): every key with its default and what it means, read from the file that is shipped.
//!
//! That file is what people edit, and tests hold it against the defaults and the known keys; a page of its own words
//! would drift from it.

use clap_mangen::roff::{Roff, bold, roman};

use super::{breakable, item, paragraphs, title};
use crate::text::{Lang, cli as say};

/// The file that is shipped.
const SHIPPED: &str = include_str!("../../../mirrors.toml");

/// What stands between the English and the Chinese of one comment.
const BETWEEN: &str = " · ";

/// A table of the file.
#[derive(Debug, PartialEq, Eq)]
struct Table<'a> {
    /// As it is written: `[probe]`, `[[mirror]]`.
    name: &'a str,
    keys: Vec<Key<'a>>,
}

/// A key of a table.
#[derive(Debug, PartialEq, Eq)]
struct Key<'a> {
    /// `name = default`.
    line: &'a str,
    /// Both languages; empty where the same key of an earlier table says it.
    comment: &'a str,
}

/// The page as roff.
pub(super) fn page(lang: Lang) -> String {
    let mut roff = Roff::new();
    roff.control("ad", ["l"]);
    roff.control("nh", []);
    roff.control("SH", [say::man_name(lang).as_str()]);
    roff.text([roman(format!("mirrors.toml - {}", say::settings_name(lang)))]);
    roff.control("SH", [say::man_description(lang).as_str()]);
    paragraphs(&mut roff, &say::settings_description(lang));
    let tables = tables(SHIPPED);
    for (index, table) in tables.iter().enumerate() {
        roff.control("SH", [table.name]);
        if let Some(meaning) = say::settings_table(lang, table.name) {
            paragraphs(&mut roff, &meaning);
        }
        for key in &table.keys {
            item(&mut roff, vec![bold(key.line)], &meaning(lang, key, &tables[..index]));
        }
    }
    roff.control("SH", [say::man_files(lang).as_str()]);
    for (name, text) in super::settings_files(lang) {
        item(&mut roff, vec![bold(name)], &text);
    }
    roff.control("SH", [say::man_see_also(lang).as_str()]);
    roff.text([bold("mirrorwatch"), roman("(1)")]);
    title("MIRRORS.TOML", 5, lang) + &breakable(&roff.to_roff())
}

/// What the file says of a key, in one language. Of tables with the same keys only the first is commented.
fn meaning(lang: Lang, key: &Key<'_>, earlier: &[Table<'_>]) -> String {
    let name = |line: &str| line.split(" =").next().map(str::to_owned);
    let same = |other: &&Key<'_>| name(other.line) == name(key.line) && !other.comment.is_empty();
    let comment = match key.comment {
        "" => earlier.iter().rev().flat_map(|table| &table.keys).find(same).map_or("", |key| key.comment),
        comment => comment,
    };
    let (english, chinese) = comment.split_once(BETWEEN).unwrap_or((comment, comment));
    match lang {
        Lang::En => english.to_owned(),
        Lang::Zh => chinese.to_owned(),
    }
}

/// The tables of settings, and that of a mirror, whose keys stand in comments.
fn tables(text: &str) -> Vec<Table<'_>> {
    let mut tables: Vec<Table<'_>> = Vec::new();
    for line in text.lines() {
        let written = line.strip_prefix("# ").filter(|line| is_example(line)).unwrap_or(line);
        if written.starts_with('[') {
            let (name, _) = without_comment(written);
            if tables.iter().any(|table| table.name == name) {
                // The candidates themselves begin.
                break;
            }
            tables.push(Table { name, keys: Vec::new() });
        } else if let Some(table) = tables.last_mut().filter(|_| is_key(written)) {
            let (line, comment) = without_comment(written);
            table.keys.push(Key { line, comment });
        }
    }
    tables
}

/// A line that is a comment in the file and yet is to be read: the one of `[[mirror]]` and those of its keys.
fn is_example(line: &str) -> bool {
    line.starts_with("[[mirror]] ") || (is_key(line) && line.contains(" # "))
}

fn is_key(line: &str) -> bool {
    line.split_once(" = ").is_some_and(|(key, _)| {
        key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    })
}

/// A line and its comment; a `#` between quotes is none.
fn without_comment(line: &str) -> (&str, &str) {
    let mut quoted = false;
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'#' if !quoted => return (line[..at].trim_end(), line[at + 1..].trim()),
            _ => {}
        }
    }
    (line.trim_end(), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_keys_are_read_with_their_comments() {
        let text = "# x = 1\n[a]   # jitter\nb = \"#1\"  # one · 一\nc = 2\n\n# [[mirror]]  # each\n# name = \"\"  # two\n# url = 3\n[[mirror]]\nname = \"A\"\n";
        let key = |line, comment| Key { line, comment };
        assert_eq!(
            tables(text),
            [
                Table { name: "[a]", keys: vec![key("b = \"#1\"", "one · 一"), key("c = 2", "")] },
                Table { name: "[[mirror]]", keys: vec![key("name = \"\"", "two")] },
            ]
        );
    }

    #[test]
    fn every_key_has_a_meaning_in_both_languages() {
        let tables = tables(SHIPPED);
        for (index, table) in tables.iter().enumerate() {
            for key in &table.keys {
                let [english, chinese] =
                    [Lang::En, Lang::Zh].map(|lang| meaning(lang, key, &tables[..index]));
                assert!(!english.is_empty() && english.is_ascii(), "{} {}: {english}", table.name, key.line);
                assert!(chinese != english, "{} {}: no Chinese", table.name, key.line);
            }
        }
    }
}
